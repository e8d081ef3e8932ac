"""Rendered shapes whose factors are known: shape, scale, rotation, x and y (S38, S39).

A grid like that of dSprites (Matthey et al. 2017), but smaller, and drawn when it is needed rather
than stored. Rotations stay within a quarter turn, after which a square repeats itself: so no two
points of the grid look alike, and every factor can be told from the image.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax.data.images import ImageData, split
from dljax.data.scaling import BYTES
from dljax.errors import InputError
from dljax.typing import Array, Batch, Key

SHAPES = ("square", "ellipse", "heart")
NAMES = ("shape", "scale", "rotation", "x", "y")
SIZES = (3, 6, 10, 16, 16)  # values of each factor; 46 080 points in all
TOTAL = math.prod(SIZES)
SIDE = 32


class Sprite(NamedTuple):
    """The factors' values; x from the left and y from the top, as shares of the image's side."""

    shape: Array  # an index into SHAPES
    scale: Array  # the square root of the area, as a share of the image's side
    rotation: Array  # clockwise, in radians
    x: Array  # of the centre of mass
    y: Array


def factors() -> Array:
    """Every point of the grid, the last factor varying fastest, int32 [46080, 5]."""
    return unravel(jnp.arange(TOTAL))


def sample(key: Key, n: int) -> Array:
    """Points of the grid drawn uniformly with replacement, int32 [n, 5]."""
    return unravel(jax.random.randint(key, (n,), 0, TOTAL))


def pairs(key: Key, fixed: Array, n: int) -> tuple[Array, Array]:
    """For each number of a factor in `fixed` [V], `n` pairs of points that agree in that factor.

    Gives the firsts and the seconds, each [V, n, 5]; all else is uniform. For the beta-VAE metric
    (Higgins et al. 2017, section 3).
    """
    k_first, k_second = jax.random.split(key)
    first, second = (
        unravel(jax.random.randint(k, (*fixed.shape, n), 0, TOTAL)) for k in (k_first, k_second)
    )
    same = jax.nn.one_hot(fixed, len(SIZES), dtype=bool)[..., None, :]
    return first, jnp.where(same, first, second)


def alike(key: Key, fixed: Array, n: int) -> Array:
    """For each number of a factor in `fixed` [V], `n` points that agree in that factor, [V, n, 5].

    All else is uniform. For the FactorVAE metric (Kim and Mnih 2018, section 4).
    """
    points = unravel(jax.random.randint(key, (*fixed.shape, n), 0, TOTAL))
    same = jax.nn.one_hot(fixed, len(SIZES), dtype=bool)[..., None, :]
    return jnp.where(same, points[..., :1, :], points)


def unravel(index: Array) -> Array:
    """The points [..., 5] of the grid with numbers [...]."""
    return jnp.stack(jnp.unravel_index(index, SIZES), -1).astype(jnp.int32)


def values(points: Array) -> Sprite:
    """The values at points [..., 5] of the grid: scale in 0.15..0.35, x and y in 0.3..0.7."""
    shape, *rest = jnp.moveaxis(points, -1, 0)
    scale, rotation, x, y = (i / (n - 1) for i, n in zip(rest, SIZES[1:], strict=True))
    turn = rotation * (1 - 1 / SIZES[2]) * jnp.pi / 2  # the quarter turn itself would be the 0
    return Sprite(shape, 0.15 + 0.2 * scale, turn, 0.3 + 0.4 * x, 0.3 + 0.4 * y)


def render(points: Array, side: int = SIDE) -> Array:
    """The images of points [n, 5] of the grid, float32 [n, side, side, 1] in [0, 1]."""
    return jax.vmap(functools.partial(draw, side=side))(values(points))


def draw(sprite: Sprite, side: int = SIDE) -> Array:
    """One sprite, [side, side, 1]: a pixel is `clip(1/2 - d, 0, 1)`, d pixels outside the outline.

    The three shapes have the same area, `scale^2`, and turn about their centres of mass. Raises
    InputError if `side` is below 8.
    """
    if side < 8:
        raise InputError(f"side must be at least 8 pixels; got {side}")
    centres = (jnp.arange(side) + 0.5) / side
    across, down = (centres - sprite.x)[None], (centres - sprite.y)[:, None]
    cos, sin = jnp.cos(sprite.rotation), jnp.sin(sprite.rotation)
    u = (cos * across + sin * down) / sprite.scale
    v = (cos * down - sin * across) / sprite.scale
    distances = jnp.stack([square(u, v), ellipse(u, v), heart(u, v)])
    outside = distances[sprite.shape] * sprite.scale * side
    return jnp.clip(0.5 - outside, 0, 1)[..., None]


def box(u: Array, v: Array, half: float) -> Array:
    """How far (u, v) is outside a square of side `2 half` about the origin; negative inside."""
    du, dv = jnp.abs(u) - half, jnp.abs(v) - half
    return jnp.hypot(jnp.maximum(du, 0), jnp.maximum(dv, 0)) + jnp.minimum(jnp.maximum(du, dv), 0)


def square(u: Array, v: Array) -> Array:
    """A square of area 1."""
    return box(u, v, 0.5)


def ellipse(u: Array, v: Array) -> Array:
    """An ellipse of area 1, twice as wide as high, its distance to first order: `f / |grad f|`."""
    a, b = math.sqrt(2 / math.pi), math.sqrt(0.5 / math.pi)
    tiny = 1e-9  # the slope of f is not defined at the centre
    f = jnp.sqrt((u / a) ** 2 + (v / b) ** 2 + tiny)
    slope = jnp.sqrt((u / a**2) ** 2 + (v / b**2) ** 2 + tiny) / f
    return (f - 1) / slope


def heart(u: Array, v: Array) -> Array:
    """A heart of area 1: a square on its corner, and a half disc on each of its upper sides."""
    side = 1 / math.sqrt(1 + math.pi / 4)  # area side^2 (1 + pi / 4)
    radius, high = side / 2, side / math.sqrt(8)  # of the discs' centres, above the square's
    # a half disc's centre of mass is 4 r / 3 pi beyond its diameter, in a direction of 45 degrees
    lobes = (side**2 * math.pi / 4) * (high + 4 * radius / (3 * math.pi) / math.sqrt(2))
    u, v = jnp.abs(u), v - lobes  # from the square's centre, which is below the centre of mass
    diamond = box((u + v) / math.sqrt(2), (u - v) / math.sqrt(2), side / 2)
    disc = jnp.hypot(u - high, v + high) - radius
    return jnp.minimum(diamond, disc)


def labelled(n: int = 6000) -> ImageData:
    """`n` points of the grid as uint8 images labelled by their shape: most to train on.

    The same points everywhere, none twice. Raises InputError unless n is in 100..46080.
    """
    if not 100 <= n <= TOTAL:
        raise InputError(f"sprites must be from 100 to {TOTAL}; got {n}")
    rows = np.random.RandomState(0).permutation(TOTAL)[:n]  # NumPy keeps its numbers for ever
    points = factors()[rows]
    x = np.asarray(jnp.round(255 * jax.jit(render)(points))).astype(np.uint8)
    validation, test, train = split(Batch(x, np.asarray(points[:, 0])), n // 10, n // 10)
    return ImageData("sprites", train, validation, test, SHAPES, BYTES)
