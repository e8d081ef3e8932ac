"""One of two pytrees, entry by entry of their leading axes: fresh or going on, better or kept."""

import jax
import jax.numpy as jnp

from dljax.typing import Array, PyTree


def pick(which: Array, new: PyTree, old: PyTree) -> PyTree:
    """Leaves [..., *rest] of `new` where `which` [...] is true, else of `old`."""

    def one(new: Array, old: Array) -> Array:
        return jnp.where(which.reshape(which.shape + (1,) * (old.ndim - which.ndim)), new, old)

    return jax.tree.map(one, new, old)
