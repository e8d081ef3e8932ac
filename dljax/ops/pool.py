"""Pooling over the spatial axes of `[B, *spatial, C]`."""

import functools
import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dljax.errors import InputError
from dljax.typing import Array

Padding = str | Sequence[tuple[int, int]]


def edges(
    spatial: Sequence[int], window: Sequence[int], strides: Sequence[int], padding: Padding
) -> Sequence[tuple[int, int]]:
    """How many positions are added before and after each axis, or taken away where negative.

    Raises InputError if the window does not fit into what results: then there is no output.
    """
    pads = (
        lax.padtype_to_pads(spatial, window, strides, padding)
        if isinstance(padding, str)
        else padding
    )
    whole = [n + low + high for n, (low, high) in zip(spatial, pads, strict=True)]
    if any(w > n for w, n in zip(window, whole, strict=True)):
        sizes = (" x ".join(map(str, size)) for size in (window, whole))
        raise InputError("a window of {} does not fit into {}".format(*sizes))
    return pads


def phases(x: Array, window: Sequence[int]) -> list[Array]:
    """The strided views `x[:, i::h, j::w, :]` in row-major order of (i, j), a remainder cropped.

    x [B, *spatial, C] -> prod(window) views [B, *(spatial // window), C].
    """
    whole = tuple(n // w * w for n, w in zip(x.shape[1:-1], window, strict=True))

    def view(start: tuple[int, ...]) -> Array:
        begin, end = (0, *start, 0), (x.shape[0], *whole, x.shape[-1])
        return lax.slice(x, begin, end, (1, *window, 1))

    return [view(start) for start in itertools.product(*map(range, window))]


def first_max(candidates: Sequence[Array]) -> Array:
    """The elementwise maximum, whose gradient goes to the first of equal candidates; keeps NaN."""

    def later(best: Array, candidate: Array) -> Array:
        # jnp.maximum would halve the gradient of a tie, and save both operands for it
        return jnp.where((candidate > best) | jnp.isnan(candidate), candidate, best)

    return functools.reduce(later, candidates)


def max_pool(
    x: Array,
    window: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "VALID",
) -> Array:
    """`y_p = max over the window at p of x`; `strides=None` means windows that do not overlap.

    x [B, *spatial, C] -> [B, *pooled, C]. As `flax.linen.max_pool`, whose strides default to 1.
    Raises InputError if the window does not fit.
    """
    if _tiles(x, window, strides, padding):
        return first_max(phases(x, window))
    return _reduce_window(x, -jnp.inf, lax.max, window, strides, padding)


def avg_pool(
    x: Array,
    window: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "VALID",
    count_include_pad: bool = True,
) -> Array:
    """`y_p = mean over the window at p of x`; `strides=None` means windows that do not overlap.

    Padding counts as zeros unless `count_include_pad` is False, when the mean is over what is
    there. x [B, *spatial, C] -> [B, *pooled, C]. As `flax.linen.avg_pool`, whose strides default
    to 1. Raises InputError if the window does not fit.
    """
    if _tiles(x, window, strides, padding):
        return functools.reduce(lax.add, phases(x, window)) / np.prod(window)
    total = _reduce_window(x, 0.0, lax.add, window, strides, padding)
    if count_include_pad:
        return total / np.prod(window)
    there = jnp.ones((1, *x.shape[1:-1], 1), x.dtype)
    return total / _reduce_window(there, 0.0, lax.add, window, strides, padding)


def _tiles(
    x: Array, window: Sequence[int], strides: Sequence[int] | None, padding: Padding
) -> bool:
    """Whether the windows neither overlap, nor leave gaps, nor reach into padding.

    Then views replace `reduce_window`, whose gradient on a CPU is a slow scatter.
    """
    steps = window if strides is None else strides
    pads = edges(x.shape[1:-1], window, steps, padding)
    return tuple(steps) == tuple(window) and not any(map(any, pads))


def _reduce_window(
    x: Array,
    start: float,
    reduce: Callable[[jax.typing.ArrayLike, jax.typing.ArrayLike], Array],
    window: Sequence[int],
    strides: Sequence[int] | None,
    padding: Padding,
) -> Array:
    steps = window if strides is None else strides
    pads = padding if isinstance(padding, str) else ((0, 0), *padding, (0, 0))
    return lax.reduce_window(x, start, reduce, (1, *window, 1), (1, *steps, 1), pads)
