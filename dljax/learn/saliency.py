"""What a decision hangs on, input by input: gradients, integrated gradients, occlusion (S55).

    found = maps(integrated_gradients, logits, x, labels)

Each method explains one number of one example, and `maps` each example's own.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dljax.errors import InputError, check_count
from dljax.typing import Array

Score = Callable[[Array], Array]
"""`x [...] -> a number`, such as a logit: what is to be explained of one example."""
Method = Callable[[Score, Array], Array]
"""`(score, x [...]) -> a map of x's rank`: how much of the score each input, or pixel, makes."""


def maps(
    method: Method,
    logits: Callable[[Array], Array],
    x: Array,
    labels: Array,
    chunk: int = 100,
) -> Array:
    """The map of each example's logit of its own label, at most `chunk` examples at a time.

    `logits`: x [B, ...] -> [B, K]; x [n, ...] as the network sees it, labels [n] -> [n, ...].
    """

    def one(example: tuple[Array, Array]) -> Array:
        x, label = example
        return method(lambda x: logits(x[None])[0, label], x)

    return jax.lax.map(one, (jnp.asarray(x), jnp.asarray(labels)), batch_size=chunk)


def gradient(score: Score, x: Array) -> Array:
    """`ds/dx`: how fast the score rises with each input. Simonyan et al. 2014."""
    return jax.grad(score)(x)


def gradient_times_input(score: Score, x: Array) -> Array:
    """`x ds/dx`: of a linear score each input's share, exactly. Shrikumar et al. 2016."""
    return x * jax.grad(score)(x)


def integrated_gradients(
    score: Score, x: Array, base: Array | float = 0.0, steps: int = 50
) -> Array:
    """`(x - b) int_0^1 ds/dx at b + a (x - b) da`, by the midpoints of `steps` equal pieces.

    Complete: the map's sum is `s(x) - s(b)`, but for what the midpoints leave of the integral.
    Raises InputError for steps below 1. Sundararajan et al. 2017, eq. 1 and proposition 1.
    """
    check_count(steps=steps)
    way = x - base

    def add(total: Array, share: Array) -> tuple[Array, None]:
        return total + jax.grad(score)(base + share * way), None

    # one after another: all at once would hold `steps` times the activations
    total, _ = jax.lax.scan(add, jnp.zeros_like(x), (jnp.arange(steps) + 0.5) / steps)
    return way * total / steps


def occlusion(score: Score, x: Array, window: int = 3, stride: int = 1, fill: float = 0.0) -> Array:
    """How far the score falls, on average, where a square over the pixel is filled.

    `m_p = 1/|Q_p| sum_{q in Q_p} s(x) - s(x, q filled)`, Q_p the squares of `window` pixels a side,
    `stride` apart, that hold pixel p: x [h, w, c] -> [h, w, 1]. Raises InputError if the window is
    larger than the image, or the squares leave a pixel out. Zeiler and Fergus 2014.
    """
    hidden = squares(x.shape[0], x.shape[1], window, stride)
    whole = score(x)

    def add(total: Array, square: Array) -> tuple[Array, None]:
        return total + (whole - score(jnp.where(square, fill, x))) * square, None

    total, _ = jax.lax.scan(add, jnp.zeros((*x.shape[:2], 1)), jnp.asarray(hidden))
    return total / hidden.sum(0)


def squares(height: int, width: int, window: int, stride: int) -> np.ndarray:
    """Masks [P, height, width, 1] of all squares, the last of a row or column at the edge."""
    check_count(window=window, stride=stride)
    if window > min(height, width):
        raise InputError(f"window must be at most {min(height, width)} pixels; got {window}")
    if stride > window:
        raise InputError(f"stride must be at most the window, {window}; got {stride}")

    def inside(side: int) -> np.ndarray:
        first = np.array([*range(0, side - window, stride), side - window])[:, None]
        return (np.arange(side) >= first) & (np.arange(side) < first + window)

    rows, columns = inside(height), inside(width)
    masks = rows[:, None, :, None] & columns[None, :, None, :]
    return masks.reshape(-1, height, width, 1)
