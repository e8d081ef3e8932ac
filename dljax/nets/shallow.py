"""One hidden layer over a line or a plane, where universal approximation can be seen (S50)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.typing import Array, Key


class Shallow(nn.Module):
    """`f(x) = c + sum_j v_j phi(w_j'(x - t_j))`, x [B, D] -> [B], with each t_j in the data's box.

    phi is leaky ReLU; `leak` 0 is ReLU, 1 the identity, and it may be a traced array. The points
    t_j, through which the kinks go, start uniform over [-1, 1]^D and may move: with the usual zero
    biases all kinks would start at 0.
    """

    width: int
    leak: float | Array = 0.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        def kinks(key: Key, shape: tuple[int, ...]) -> Array:
            return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)

        shape = (x.shape[-1], self.width)
        slope = self.param("slope", nn.initializers.normal(2.0), shape)
        kink = self.param("kink", kinks, shape)
        weight = self.param("weight", nn.initializers.normal(self.width**-0.5), (self.width,))
        offset = self.param("offset", nn.initializers.zeros_init(), ())
        z = x @ slope - (slope * kink).sum(0)[None]
        return offset + jnp.maximum(z, self.leak * z) @ weight
