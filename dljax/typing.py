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


class Boxes(NamedTuple):
    """Objects: box float32 [.., M, 4], (top, left, bottom, right) in pixels, label int32 [.., M].

    Pixel (i, j) is the square from (i, j) to (i + 1, j + 1). Label -1 is padding.
    """

    box: Any
    label: Any


class Detections(NamedTuple):
    """What is found: box [.., K, 4] and label [.., K] as of `Boxes`, score [.., K] in [0, 1]."""

    box: Any
    label: Any
    score: Any


class Graph(NamedTuple):
    """Nodes x [n, ...] and directed edges, of which edge (j, i) tells node i of node j.

    senders (j) and receivers (i) int32 [e], edges [e, ...] or None where they carry nothing. An
    edge whose ends are n is padding, and so is a node that `real` [n] denies: neither is read.
    """

    x: Any
    senders: Any
    receivers: Any
    edges: Any = None
    real: Any = None  # bool [n]; None: all are
