"""A deep network of equal layers, with or without shortcuts (S12)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.typing import Array, Key


class ResidualMLP(nn.Module):
    """`h_0 = W_0 x + b_0`, `h_l = skip h_{l-1} + relu(W_l h_{l-1} + b_l)` for l = 1..depth, a head.

    x [B, ...] -> [B, outputs]. `skip` 1 is a residual network (He et al. 2016), 0 the plain one; it
    may be a traced array, so that a sweep trains both in one program. Weights start as in He et al.
    2015, with variance 2 / fan_in, which keeps a plain network's `h` of one size; where layers add
    up they are divided by the depth, which keeps it within a factor of 1.5. By the root of the
    depth it would grow with the depth, 50 times over 64 layers, since what ReLU adds is positive.
    """

    outputs: int
    depth: int = 16
    width: int = 32
    skip: float | Array = 1.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        def scaled(key: Key, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
            layers = 1 + self.skip * (self.depth - 1)
            return nn.initializers.he_normal()(key, shape, dtype) / layers

        h = nn.Dense(self.width)(x.reshape(x.shape[0], -1))
        for _ in range(self.depth):
            h = self.skip * h + jax.nn.relu(nn.Dense(self.width, kernel_init=scaled)(h))
        return nn.Dense(self.outputs)(h)
