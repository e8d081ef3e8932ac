#!/bin/bash
# One run of two processes: sbatch docs/cluster/slurm.sh; once more after an end of any kind.
#SBATCH --job-name=dljax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=01:00:00
#SBATCH --signal=TERM@120
# of GPUs: --gpus-per-task=1, and no --cpus-per-task
set -euo pipefail
out="${OUT:-$HOME/runs/digits}"  # on a disk that all nodes share
resume=""
if [ -e "$out/run.json" ]; then resume="--resume"; fi
srun --kill-on-bad-exit=1 python -m experiments.vision.classify --seeds 64 --out "$out" $resume \
  --distributed
