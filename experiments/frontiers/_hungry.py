"""The order of the examples, the nearest neighbour and the curves of `hungry`."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from dljax.data import ImageData
from dljax.data.stream import permute
from dljax.host import figures
from dljax.host.baselines import flat
from dljax.typing import Array


def ordered(seed: Array | int, places: Array, n: int) -> Array:
    """The examples at some places of a seed's order of all n."""
    return permute(jax.random.fold_in(jax.random.key(7), seed), places, n)


def nearest(data: ImageData, seed: int, sizes: Sequence[int]) -> np.ndarray:
    """The nearest neighbour's test accuracy among the first of a seed's order, for each size."""
    from sklearn.metrics import pairwise_distances_argmin_min

    (x, y), test = flat(data.train), flat(data.test)
    order = np.asarray(jax.jit(lambda places: ordered(seed, places, len(y)))(np.arange(len(y))))
    best, guesses, right = np.full(len(test.y), np.inf), np.zeros_like(test.y), []
    for begin, end in itertools.pairwise([0, *sizes]):
        rows = order[begin:end]
        index, distances = pairwise_distances_argmin_min(test.x, x[rows])
        guesses = np.where(distances < best, y[rows[index]], guesses)
        best = np.minimum(best, distances)
        right.append(np.mean(guesses == test.y))
    return np.array(right)


def overtakes(curve: np.ndarray, other: np.ndarray, sizes: Sequence[int]) -> float:
    """The least size from which on a curve stays above the other; infinite if there is none."""
    below = np.flatnonzero(curve <= other)
    first = below[-1] + 1 if len(below) else 0
    return float(sizes[first]) if first < len(sizes) else np.inf


def needed(curve: np.ndarray, level: float, sizes: Sequence[int]) -> float:
    """Where a curve first reaches a level, straight between logarithms of sizes; or infinity."""
    best = np.maximum.accumulate(curve)
    if best[-1] < level:
        return np.inf
    i = int(np.argmax(best >= level))
    pair = slice(max(i - 1, 0), i + 1)
    return float(np.exp(np.interp(level, best[pair], np.log(sizes[pair]))))


def draw(path: Path, title: str, sizes: Sequence[int], found: dict[str, np.ndarray]) -> Path:
    """Accuracy [T, S] against the logarithm of the size, and error, both logarithmic."""
    figure, (left, right) = figures.panels(2, size=(4.6, 3.6))
    for (name, values), color in zip(found.items(), figures.COLORS, strict=False):
        figures.spread(left, sizes, values, name, color)
        figures.spread(right, sizes, np.maximum(1 - values, 1e-4), name, color)
    for ax, what in ((left, "test accuracy"), (right, "test error")):
        ax.set(xscale="log", xlabel="training examples", ylabel=what)
    right.set_yscale("log")
    left.legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figures.save(figure, path)
