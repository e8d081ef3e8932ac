"""What is done around a run: fits, checkpoints, logs, figures, models, devices."""
