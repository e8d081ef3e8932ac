"""Dropout, weight decay and early stopping against a network that overfits 200 noisy digits.

Systems S13 and S14 of the syllabus: dropout by Srivastava et al. 2014. Every seed draws its own
small training set, and a fifth of its labels, by default, are wrong; validation and test labels are
right. All strengths and all seeds train in one program, and the same seed has the same data, first
weights and batches under every strength, so that differences are paired. Strengths, and the step at
which early stopping stops, are chosen by validation loss. (The notes stop on the test loss.)

    python -m experiments.foundations.regularize
    python -m experiments.foundations.regularize --noise 0
    python -m experiments.foundations.regularize --preset standard
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Batch, Learner, Member, grid, sweep
from dljax.data import ImageData, load
from dljax.host import experiment, figures
from dljax.host.baselines import logistic_regression
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import Fitted, Selection, fit
from dljax.learn import classify
from dljax.learn.optimizers import is_matrix
from dljax.nets import MLP

NAME = "foundations.regularize"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Overfit a small training set, and compare what is said to help."""

    seeds: int = 20
    """Independent runs, each with its own training set, trained in one compiled program."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    examples: int = 200
    """Training examples of each seed."""
    noise: float = 0.2
    """Share of the training labels that are replaced by a wrong one."""
    hidden: tuple[int, ...] = (128,)
    """Widths of the hidden layers."""
    dropout: tuple[float, ...] = (0.25, 0.5, 0.75)
    """Shares of hidden features dropped in training, to choose from."""
    weight_decay: tuple[float, ...] = (0.1, 0.3, 1.0)
    """Decoupled decays of the kernels, to choose from."""
    batch: int = 50
    """Examples in a step."""
    rate: float = 2e-3
    """The learning rate of Adam."""
    patience: int | None = None
    """Early stopping after this many evaluations without a lower validation loss."""


PRESETS = {
    "quick": Config(steps=1000),
    "standard": Config(data="fashion_mnist", examples=1000, hidden=(256,), steps=2000, seeds=10),
}


def subsets(config: Config, data: ImageData) -> Batch:
    """Each seed's training set, drawn without replacement: x [S, n, ...], noisy y [S, n]."""
    x, y = [], []
    for seed in experiment.seeds(config):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(data.train.y))[: config.examples]
        wrong = np.arange(config.examples) < round(config.noise * config.examples)
        shift = rng.integers(1, len(data.classes), config.examples)  # never to the right class
        x.append(data.train.x[rows])
        y.append((data.train.y[rows] + wrong * shift) % len(data.classes))
    return Batch(np.stack(x), np.stack(y).astype(np.int32))
