"""Inverted dropout (S13) whose rate may be an array, so that a sweep can try many rates at once."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.typing import Array


class Dropout(nn.Module):
    """`x m / (1 - rate)` in training, `m ~ Bernoulli(1 - rate)` for each entry; else `x`.

    The mean over masks is `x`, so nothing is rescaled at evaluation. The mask is drawn from the rng
    `dropout`; at a rate of 0 known in advance none is needed. Srivastava et al. 2014.
    """

    rate: float | Array

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        if not train or (isinstance(self.rate, int | float) and self.rate == 0):
            return x
        keep = 1 - self.rate
        mask = jax.random.bernoulli(self.make_rng("dropout"), keep, x.shape)
        return jnp.where(mask, x / keep, 0).astype(x.dtype)
