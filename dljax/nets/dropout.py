"""Inverted dropout (S13) whose rate may be an array, so that a sweep can try many rates at once."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.errors import check_unit
from dljax.typing import Array


class Dropout(nn.Module):
    """`x m / (1 - rate)` in training, `m ~ Bernoulli(1 - rate)` for each entry; else `x`.

    The mean over masks is `x`, so nothing is rescaled at evaluation; at a rate of 1 all is 0. The
    mask is drawn from the rng `dropout`; at a rate of 0 known in advance none is needed. Raises
    InputError for a known rate outside [0, 1]. Srivastava et al. 2014.
    """

    rate: float | Array

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        check_unit(rate=self.rate)
        if not train or (isinstance(self.rate, int | float) and self.rate == 0):
            return x
        keep = 1 - self.rate
        mask = jax.random.bernoulli(self.make_rng("dropout"), keep, x.shape)
        # where nothing is kept, x / 0 would be dropped but its slope, infinite, would not
        share = jnp.where(keep > 0, keep, 1) if isinstance(keep, jax.Array) else keep or 1
        return jnp.where(mask, x / share, 0).astype(x.dtype)
