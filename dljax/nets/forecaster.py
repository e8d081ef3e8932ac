"""Networks that read a series, or a walker's path, and tell what follows (S17, S23)."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.nets.dropout import Dropout
from dljax.nets.mlp import MLP
from dljax.nets.recurrent import CellName, Recurrent
from dljax.ops.paths import constant_velocity, straightened
from dljax.typing import Array


class Forecaster(nn.Module):
    """x [B, P, C] -> [B, horizon, outputs]: recurrent layers, whose last output goes into an MLP.

    Without recurrent layers the MLP reads all of x at once. With a `spread` each output is two, a
    mean and the logarithm of its standard deviation: [B, horizon, outputs, 2].

    The MLP's last layer starts at zero, so that what is added to it (a persistence, a constant
    velocity, a linear forecast) is where training starts.
    """

    horizon: int
    outputs: int
    sizes: Sequence[int] = (64,)
    hidden: Sequence[int] = (64,)
    cell: CellName = "gru"
    dropout: float | Array = 0.0
    spread: bool = False

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        if self.sizes:
            x, _ = Recurrent(self.sizes, self.cell, dropout=self.dropout)(x, train=train)
            x = x[:, -1]
        h = jax.nn.relu(MLP(self.hidden, dropout=self.dropout)(x, train=train))
        h = Dropout(self.dropout)(h, train=train)
        shape = (self.horizon, self.outputs) + (2,) * self.spread
        found = nn.Dense(math.prod(shape), kernel_init=nn.initializers.zeros_init())(h)
        return found.reshape(len(x), *shape).astype(jnp.float32)


class Walker(nn.Module):
    """Paths x [B, P, 2] -> what follows, [B, horizon, 2]: a constant velocity, corrected.

    A `Forecaster` reads places and steps in coordinates that follow the walker, so that nothing
    depends on where it walks, nor where to.
    """

    horizon: int
    sizes: Sequence[int] = (64,)
    hidden: Sequence[int] = (64,)
    dropout: float | Array = 0.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        near, _, turn, end = straightened(x, x)
        seen = jnp.concatenate([near[:, 1:], jnp.diff(near, axis=1)], -1)
        net = Forecaster(self.horizon, 2, self.sizes, self.hidden, dropout=self.dropout)
        told = constant_velocity(near, self.horizon) + net(seen, train=train)
        return told @ jnp.swapaxes(turn, -1, -2) + end
