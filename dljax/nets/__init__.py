"""Flax Linen networks: batched input, `__call__(x, *, train=False)`, no loss and no optimiser."""

from dljax.nets.conv import CNN
from dljax.nets.mlp import MLP

__all__ = ["CNN", "MLP"]
