"""The types that cross floors: keys, arrays, trees of arrays, and batches."""

from typing import Any, NamedTuple

import jax
import numpy as np

Array = jax.Array
AnyArray = jax.Array | np.ndarray  # for annotations with a shape: jaxtyping's `Float[AnyArray, ""]`
Key = jax.Array  # a scalar typed key, from jax.random.key
PyTree = Any  # a tree of arrays
Metrics = dict[str, jax.Array]  # scalars, by name


class Batch(NamedTuple):
    """Inputs and targets whose leading axis is the example: x [B, ...], y [B, ...]."""

    x: Any
    y: Any
