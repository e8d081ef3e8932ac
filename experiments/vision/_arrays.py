"""The notes' hand-worked arrays of convolution and pooling (S26, S30), ours beside them."""

import itertools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from dljax.host.experiment import Study
from dljax.ops.conv import conv
from dljax.ops.pool import avg_pool, max_pool
from dljax.typing import Array

DIAGONAL = np.array([[1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
BINARY = np.array(
    [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]],
    np.float32,
)
CROSS = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], np.float32)
POOLED = np.array([[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]], np.float32)


class Worked(NamedTuple):
    """What the notes have, and what the package gives."""

    name: str
    notes: np.ndarray
    ours: np.ndarray


def alone(x: np.ndarray) -> Array:
    """An image [h, w] as a batch of one of one channel."""
    return jnp.asarray(x)[None, ..., None]


def slide(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A filter at every place where it lies on the image: [h, w], [k, k] -> [h-k+1, w-k+1]."""
    return np.asarray(conv(alone(x), jnp.asarray(kernel)[..., None, None], (1, 1), "VALID"))[
        0, ..., 0
    ]


def convolutions() -> list[Worked]:
    """S26: a filter's weights, a patch that matches, and an image under a filter."""
    patch = nn.Conv(1, (4, 4), 2, padding="VALID", use_bias=False, conv_general_dilated=conv)
    params = patch.init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
    weights = sum(leaf.size for leaf in jax.tree.leaves(params))
    return [
        Worked("weights of a 4x4 filter, moved by 2", np.array([[16]]), np.array([[weights]])),
        Worked("a diagonal on its like", np.array([[9]]), slide(DIAGONAL, DIAGONAL)),
        Worked("5x5 under an X", np.array([[4, 3, 4], [2, 4, 3], [2, 3, 4]]), slide(BINARY, CROSS)),
    ]


def pools() -> list[Worked]:
    """S30: the greatest and the mean of each 2x2 window."""
    found = (np.asarray(pool(alone(POOLED), (2, 2)))[0, ..., 0] for pool in (max_pool, avg_pool))
    notes = np.array([[6, 8], [3, 4]]), np.array([[3.25, 5.25], [2, 2]])
    return [
        Worked(*each) for each in zip(("max pooling", "mean pooling"), notes, found, strict=True)
    ]


def agree(arrays: list[Worked]) -> list[float]:
    """1 for each array that is the notes' to the last bit, else 0."""
    return [float(np.array_equal(notes, ours)) for _, notes, ours in arrays]


def record(run: Study, name: str, arrays: list[Worked], source: str) -> None:
    right = agree(arrays)
    run.metric(name, right)
    run.target(name, 1.0, f"{source}, exactly", all(right))


def beside(arrays: list[Worked]) -> str:
    """The arrays as text, the notes' on the left and ours on the right."""
    blocks = []
    for name, *both in arrays:
        left, right = ([" ".join(f"{v:5g}" for v in row) for row in each] for each in both)
        head = f"{'notes':>{len(left[0])}}   {'ours':>{len(right[0])}}"
        rows = (f"{a}   {b}" for a, b in itertools.zip_longest(left, right))
        blocks.append("\n".join([name, head, *rows]))
    return "\n\n".join(blocks) + "\n"
