"""Rendered letters that can be moved, shrunk, turned, bent and thickened (S27).

Each is 24 straight pieces of a pen's path within 9 x 9 pixels, so that an upright X at rest is the
lecture's: ones on both diagonals. Turned by an eighth and shrunk, it is the +: no detector can tell
the two at every angle.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax.errors import InputError
from dljax.typing import Array, Key

LETTERS = ("X", "O", "+", "K", "Y")
SIDE, HALF = 17, 4  # pixels of a picture, and from a letter's centre to its edge
PIECES = 24
STROKES = {  # from, to; x to the right and y down, in halves of the letter
    "X": (((-1, -1), (1, 1)), ((1, -1), (-1, 1))),
    "+": (((-1, 0), (1, 0)), ((0, -1), (0, 1))),
    "K": (((-0.75, -1), (-0.75, 1)), ((0.75, -1), (-0.75, 0)), ((-0.75, 0), (0.75, 1))),
    "Y": (((-1, -1), (0, 0)), ((1, -1), (0, 0)), ((0, 0), (0, 1))),
}


class Strength(NamedTuple):
    """How far each variation may go; at 0 there is none."""

    shift: float = 0.0  # pixels, in both axes and both directions
    shrink: float = 0.0  # the greatest share of the size that is lost, below 1
    turn: float = 0.0  # degrees, in both directions
    bend: float = 0.0  # pixels, of each of 3 x 3 points
    thick: float = 0.0  # pixels that the stroke's width is above or below 1, below 1


class Letter(NamedTuple):
    """One letter as it is drawn."""

    letter: Array  # an index into LETTERS
    shift: Array  # [2], x and y, pixels from the picture's centre
    scale: Array
    turn: Array  # clockwise, in radians
    bend: Array  # [3, 3, 2]: what is added to the points at -1, 0, 1 in y, then x, in pixels
    width: Array  # of the stroke, in pixels


def sample(key: Key, letter: Array, by: Strength) -> Letter:
    """A variation of each of the letters [n], all drawn uniformly within a strength.

    Raises InputError for a strength below 0, or where nothing would be left of a letter or stroke.
    """
    if min(by) < 0 or by.shrink >= 1 or by.thick >= 1:
        raise InputError(f"strengths are at least 0, of shrink and thick below 1; got {by}")
    n, keys = len(letter), jax.random.split(key, len(by))

    def uniform(i: int, *shape: int) -> Array:
        return jax.random.uniform(keys[i], (n, *shape), minval=-1.0)

    return Letter(
        letter,
        by.shift * uniform(0, 2),
        1 - by.shrink * (1 + uniform(1)) / 2,
        by.turn * math.pi / 180 * uniform(2),
        by.bend * uniform(3, 3, 3, 2),
        1 + by.thick * uniform(4),
    )


@functools.cache
def paths() -> np.ndarray:
    """The pieces' ends as drawn, in halves of the letter, [letters, PIECES, 2 ends, 2]."""
    around = 2 * np.pi * np.arange(PIECES + 1) / PIECES
    found = []
    for name in LETTERS:
        strokes = STROKES.get(name)
        if strokes is None:
            lines = [np.stack([np.cos(around), np.sin(around)], 1)]
        else:
            count = PIECES // len(strokes) + 1
            lines = [np.linspace(start, end, count) for start, end in strokes]
        found.append(np.concatenate([np.stack([line[:-1], line[1:]], 1) for line in lines]))
    return np.array(found, np.float32)


def render(letters: Letter, side: int = SIDE) -> Array:
    """The pictures of letters [n], float32 [n, side, side, 1] in [0, 1]."""
    return jax.vmap(functools.partial(draw, side=side))(letters)


def draw(letter: Letter, side: int = SIDE) -> Array:
    """One letter, [side, side, 1]: a pixel is `clip((1 + width) / 2 - d, 0, 1)`, d from the path.

    The path is bent, by the parabola in x and y through 3 x 3 displaced points, then shrunk,
    turned and moved. What leaves the picture is cut off.
    """
    points = jnp.asarray(paths())[letter.letter]
    points = HALF * points + jnp.einsum(
        "psi,psj,ijc->psc", parabola(points[..., 1]), parabola(points[..., 0]), letter.bend
    )
    cos, sin = jnp.cos(letter.turn), jnp.sin(letter.turn)
    turned = jnp.stack([jnp.stack([cos, sin]), jnp.stack([-sin, cos])])
    points = letter.scale * points @ turned + letter.shift[None, None]
    centres = jnp.arange(side) - (side - 1) / 2
    pixels = jnp.stack(jnp.meshgrid(centres, centres), -1)  # x, y
    nearest = jax.vmap(lambda piece: distance(pixels, *piece))(points).min(0)
    return jnp.clip((1 + letter.width) / 2 - nearest, 0, 1)[..., None]


def parabola(u: Array) -> Array:
    """The share of the values at -1, 0 and 1 in the parabola's through them: [...] -> [..., 3]."""
    return jnp.stack([u * (u - 1) / 2, 1 - u**2, u * (u + 1) / 2], -1)


def distance(p: Array, a: Array, b: Array) -> Array:
    """From points p [..., 2] to the line from a to b, both [2]."""
    along, beyond = b - a, p - a[(None,) * (p.ndim - 1)]
    # no letter's piece is a point, unless bending has made it one
    share = jnp.clip(beyond @ along / jnp.maximum(along @ along, 1e-9), 0, 1)
    return jnp.linalg.norm(beyond - share[..., None] * along[(None,) * share.ndim], axis=-1)
