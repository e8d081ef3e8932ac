"""What pooling spares a network of outliers (S30): one network, three ways to halve its maps."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from dljax.ops.conv import conv
from dljax.ops.pool import avg_pool, max_pool
from dljax.typing import Array, Key

Pool = Callable[[Array, Sequence[int]], Array]


def every_other(x: Array, window: Sequence[int]) -> Array:
    """The first of each window, [B, h, w, C] -> [B, h // 2, w // 2, C]: no pooling at all."""
    (a, b), (h, w) = window, x.shape[1:3]
    return x[:, : h // a * a : a, : w // b * b : b]


POOLS: dict[str, Pool] = {
    "max pooling": max_pool,
    "mean pooling": avg_pool,
    "no pooling": every_other,
}


class Pooled(nn.Module):
    """For each of `channels` `pool_2x2(relu(x * kernel + bias))`, then a dense layer.

    x [B, h, w, c] -> logits [B, classes].
    """

    pool: Pool
    channels: Sequence[int]
    classes: int

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        for features in self.channels:
            x = nn.Conv(features, (3, 3), conv_general_dilated=conv)(x)
            x = self.pool(jax.nn.relu(x), (2, 2))
        return nn.Dense(self.classes)(x.reshape(len(x), -1))


def salt(key: Key, x: Array, share: ArrayLike) -> Array:
    """Images in [0, 1], each pixel an outlier, 1, with a chance of `share`."""
    return jnp.where(jax.random.uniform(key, x.shape) < share, 1, x)
