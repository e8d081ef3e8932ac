"""Rendered scenes with captions, and short films of moving digits (S17).

Both are made of handwritten digits, images [8, 8, 1] with labels, and films and scenes of different
digits never share one.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax.data.sprites import SHAPES, Sprite, draw
from dljax.typing import Batch

SIDE = 24  # pixels of a scene
SMALL, PIECE = 8, 10  # pixels of a digit and of a shape
SIZES = ("small", "large")
RELATIONS = ("above", "below", "left of", "right of")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Scene(NamedTuple):
    """A shape, its size, and where it stands to a digit: indices into the names above."""

    shape: int
    size: int
    relation: int
    digit: int

    @property
    def caption(self) -> str:
        said = SIZES[self.size], SHAPES[self.shape], RELATIONS[self.relation], NUMBERS[self.digit]
        return "a {} {} {} a {}".format(*said)


@functools.cache
def pieces() -> np.ndarray:
    """Shapes in their sizes, float32 [3, 2, PIECE, PIECE]."""
    drawn = [
        [
            draw(Sprite(*map(jnp.asarray, (shape, scale, 0.0, 0.5, 0.5))), PIECE)[..., 0]
            for scale in (0.4, 0.75)
        ]
        for shape in range(len(SHAPES))
    ]
    return np.asarray(jax.device_get(drawn), np.float32)


def combinations(rng: np.random.Generator, *held: int) -> list[list[tuple[int, int, int]]]:
    """Triples (shape, relation, digit) in parts of the given numbers and all others: none in two.

    So a caption of one part stands in no other.
    """
    triples = [tuple(each) for each in np.ndindex(len(SHAPES), len(RELATIONS), len(NUMBERS))]
    order = rng.permutation(len(triples))
    parts = np.split(order, np.cumsum(held))
    return [[triples[i] for i in part] for part in parts]  # pyright: ignore[reportReturnType]


def scenes(
    rng: np.random.Generator, digits: Batch, n: int, triples: Sequence[tuple[int, int, int]]
) -> tuple[np.ndarray, list[Scene]]:
    """n scenes of the given triples, float32 [n, SIDE, SIDE, 1] in [0, 1], and what they show."""
    found, said, half = np.zeros((n, SIDE, SIDE), np.float32), [], SIDE // 2
    for image in found:
        shape, relation, digit = triples[int(rng.integers(len(triples)))]
        scene = Scene(shape, int(rng.integers(2)), relation, digit)
        own = digits.x[rng.choice(np.flatnonzero(digits.y == digit))][..., 0]
        first = relation in (0, 2)  # the shape stands above, or to the left
        for piece, ahead in ((pieces()[shape, scene.size], first), (own, not first)):
            near = rng.integers(0, half - len(piece) + 1) + (0 if ahead else half)
            side = rng.integers(0, SIDE - len(piece) + 1)
            row, column = (near, side) if relation < 2 else (side, near)
            image[row : row + len(piece), column : column + len(piece)] = piece
        said.append(scene)
    return found[..., None], said


def films(
    rng: np.random.Generator, digits: Batch, n: int, frames: int, hidden: float, noise: float
) -> Batch:
    """n films of a digit that moves, is hidden now and then, and once may become another.

    x float32 [n, frames, PIECE + 2, PIECE + 2], y int32 [n, frames], the digit that is there. A
    share `hidden` of the frames after the first show noise alone; a change is seen at once.
    """
    side = PIECE + 2
    x = rng.normal(0, noise, (n, frames, side, side)).astype(np.float32)
    y = np.zeros((n, frames), np.int32)
    for film, labels in zip(x, y, strict=True):
        change = rng.integers(1, 2 * frames)  # half of the films have none
        place, speed = rng.uniform(0, side - SMALL, 2), rng.uniform(-1.5, 1.5, 2)
        for t in range(frames):
            if t in (0, change):
                shown = rng.integers(len(digits.y))
            place = place + speed
            speed = np.where((place < 0) | (place > side - SMALL), -speed, speed)
            place = np.clip(place, 0, side - SMALL)
            labels[t] = digits.y[shown]
            if t in (0, change) or rng.random() >= hidden:
                row, column = np.round(place).astype(int)
                film[t, row : row + SMALL, column : column + SMALL] += digits.x[shown][..., 0]
    return Batch(x, y)
