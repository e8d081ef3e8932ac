"""Factors read off images of sprites by the nearest rendering; what a traversal changes (S38)."""

from typing import NamedTuple

import jax
import numpy as np

from dljax.data import sprites
from dljax.data.sprites import NAMES, SIZES
from dljax.typing import AnyArray, Array

SIDE = 16  # of coarse images: means of squares, grey at the edges, still tell where these are


class Reader(NamedTuple):
    """All points [N, 5] of the grid, and their coarse images, flat [N, pixels]."""

    points: np.ndarray
    images: np.ndarray


def coarse(images: Array) -> Array:
    """Means over squares, so that about SIDE a side are left: [n, h, w, 1] -> [n, pixels]."""
    square = max(1, images.shape[1] // SIDE)
    side = images.shape[1] // square
    x = images[:, : side * square, : side * square]
    return x.reshape(len(x), side, square, side, square).mean((2, 4)).reshape(len(x), -1)


def reader(side: int) -> Reader:
    """Of images of `side` pixels a side."""
    points = np.asarray(sprites.factors())
    draw = jax.jit(lambda some: coarse(sprites.render(some, side)))
    pieces = np.split(points, range(1024, len(points), 1024))
    return Reader(points, np.concatenate([np.asarray(draw(piece)) for piece in pieces]))


def read(reader: Reader, images: AnyArray) -> np.ndarray:
    """The points [n, 5] whose renderings are nearest to coarse images [n, pixels]."""
    squares = (reader.images**2).sum(1) / 2
    pieces = np.split(np.asarray(images), range(200, len(images), 200))
    nearest = [(squares[None] - piece @ reader.images.T).argmin(1) for piece in pieces]
    return reader.points[np.concatenate(nearest)]


def changes(reader: Reader, moved: AnyArray) -> np.ndarray:
    """How much of each factor changes when a unit moves, [L, F] in [0, 1].

    moved [L, bases, steps, pixels]: the factor's range over the steps as a share of its whole
    range, and of the shape whether it changes at all; means over the bases.
    """
    *shape, pixels = moved.shape
    points = read(reader, np.asarray(moved).reshape(-1, pixels)).reshape(*shape, len(SIZES))
    span = np.ptp(points, axis=2) / (np.array(SIZES) - 1)
    kinds = NAMES.index("shape")
    span[..., kinds] = span[..., kinds] > 0
    return span.mean(1)


def purity(changes: np.ndarray) -> float:
    """What share of all change is of the factor that a unit changes most: 1 where each changes one.

    changes [L, F]; at least 1 / F.
    """
    return float(changes.max(1).sum() / max(changes.sum(), 1e-12))
