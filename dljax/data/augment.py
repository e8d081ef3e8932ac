"""Augmentations: pure functions of a key and a batch."""

import jax
import jax.numpy as jnp

from dljax.errors import InputError
from dljax.typing import Array, Key


def shift(key: Key, x: Array, by: int) -> Array:
    """Each image moved by an offset drawn uniformly from `-by..by` in both axes, zeros let in.

    x [B, h, w, c]. Raises InputError unless x has four axes and `0 <= by < min(h, w)`.
    """
    if x.ndim != 4 or not 0 <= by < min(x.shape[1:3]):
        raise InputError(f"shift needs images [B, h, w, c] and 0 <= by < h, w; got {x.shape}, {by}")
    if by == 0:
        return x
    padded = jnp.pad(x, ((0, 0), (by, by), (by, by), (0, 0)))
    start = jax.random.randint(key, (len(x), 2), 0, 2 * by + 1)

    def crop(image: Array, corner: Array) -> Array:
        return jax.lax.dynamic_slice(image, (*corner, 0), x.shape[1:])

    return jax.vmap(crop)(padded, start)
