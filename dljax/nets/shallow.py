"""One hidden layer over a line or a plane, where universal approximation can be seen (S50)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.typing import Array, Key

BASE = 32  # hidden units


def share(width: int) -> float:
    """`min(1, BASE / width)`: of Adam's rate, what the last layer should take.

    Its first weights shrink alike. So the hidden units of a wide network move as far as those of a
    narrow one; else the last layer learns alone, over kinks that stay where they began. Yang et al.
    2021, "Tensor Programs V", table 3.
    """
    return min(1.0, BASE / width)


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
        start = nn.initializers.normal((share(self.width) / self.width) ** 0.5)
        weight = self.param("weight", start, (self.width,))
        offset = self.param("offset", nn.initializers.zeros_init(), ())
        z = x @ slope - (slope * kink).sum(0)[None]
        return offset + jnp.maximum(z, self.leak * z) @ weight
