"""How much the sweep, and its peers in torch, train."""

import numpy as np

STEPS, BATCH, HIDDEN, SEEDS = 400, 32, 32, 5
RATES = np.geomspace(1e-4, 10**1.5, 12)
