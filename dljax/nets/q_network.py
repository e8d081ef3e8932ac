"""The network of an agent that values actions: all of them in one pass (S47)."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax

from dljax.nets.mlp import MLP
from dljax.ops.conv import conv
from dljax.typing import Array


class QNetwork(nn.Module):
    """Q(s, .) [B, A] of observations x [B, ...]: 3x3 convolutions of `channels`, then an MLP.

    Dueling: `Q = V + D - mean_a D` with V and D from the last layer (Wang et al. 2016, eq. 9).
    The convolutions are for images [B, h, w, c]; one-hot states and no `hidden` make a table.
    """

    actions: int
    hidden: Sequence[int] = (64, 64)
    channels: Sequence[int] = ()
    activation: Callable[[Array], Array] = jax.nn.relu
    dueling: bool = False

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        for features in self.channels:
            x = nn.Conv(features, (3, 3), padding="VALID", conv_general_dilated=conv)(x)
            x = self.activation(x)
        x = MLP((*self.hidden, self.actions + self.dueling), self.activation)(x, train=train)
        if not self.dueling:
            return x
        value, advantage = x[:, :1], x[:, 1:]
        return value + advantage - advantage.mean(1, keepdims=True)
