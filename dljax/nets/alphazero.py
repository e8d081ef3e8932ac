"""A residual network with a policy and a value: what AlphaZero asks of a board (S49)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.nets.trunk import Block
from dljax.ops.direct import conv_same
from dljax.typing import Array


class BoardNet(nn.Module):
    """`h = relu(k * x)`, residual blocks, then logits [B, A] and a value in (-1, 1), [B].

    x [B, R, C, p], p planes of stones. Each head first takes a few numbers of each cell by a 1x1
    convolution, then dense layers over all of them, which know places. Blocks normalise over
    groups of channels of one board. Silver et al. 2018; the heads of Silver et al. 2017, smaller.
    """

    actions: int
    channels: int = 32
    blocks: int = 2
    hidden: int = 64
    groups: int | None = 8

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> tuple[Array, Array]:
        h = x.astype(jnp.float32)
        start = nn.initializers.he_normal()
        h = nn.Conv(
            self.channels, (3, 3), kernel_init=start, conv_general_dilated=conv_same, name="stem"
        )(h)
        h = jax.nn.relu(h)
        for _ in range(self.blocks):
            h = Block(self.channels, residual=True, groups=self.groups)(h)
        policy = jax.nn.relu(nn.Dense(4, name="policy")(h)).reshape(len(x), -1)
        value = jax.nn.relu(nn.Dense(4, name="value")(h)).reshape(len(x), -1)
        value = jax.nn.relu(nn.Dense(self.hidden)(value))
        # both start near 0: a first search knows nothing but the rules
        small = nn.initializers.variance_scaling(1e-2, "fan_in", "truncated_normal")
        logits = nn.Dense(self.actions, kernel_init=small, name="logits")(policy)
        worth = nn.Dense(1, kernel_init=small, name="worth")(value)[:, 0]
        return logits, jnp.tanh(worth)
