"""New frontiers: uncertainty, attacks, graphs, point clouds, architecture search, what fails."""
