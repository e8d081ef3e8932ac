"""How weights start."""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap

from dljax.typing import Array, Key


def orthogonal(scale: float = 1.0) -> Callable[..., Array]:
    """Flax's initialiser: a matrix that keeps lengths but for `scale`. Saxe et al. 2014."""
    whole = nn.initializers.orthogonal(scale)

    def start(key: Key, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
        # one after another under vmap: jaxlib 0.10.2 on 2 cores never ends several QR
        # decompositions at once
        return sequential_vmap(lambda key: whole(key, shape, dtype))(key)

    return start
