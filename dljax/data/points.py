"""Points in place of grids (S58): digits drawn as points, and shapes whose parts are known.

A cloud is float32 [n, d]; a point whose coordinates are NaN is absent.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dljax.errors import InputError
from dljax.typing import Array, Key


def strokes(key: Key, images: Array, n: int = 256) -> Array:
    """n points of each image [B, h, w, 1] of values at least 0: (x, y) within [-1, 1], [B, n, 2].

    Pixel p gets `n v_p / sum v` points, up or down to the next integer, each anywhere within it:
    one uniform number a picture places n equal steps on the sum so far. y grows upwards. All points
    of a blank picture are absent. Raises InputError unless images are [B, h, w, 1].
    """
    if images.ndim != 4 or images.shape[-1] != 1:
        raise InputError(f"points are drawn from images [B, h, w, 1]; got {list(images.shape)}")
    b, h, w, _ = images.shape
    k_start, k_within = jax.random.split(key)
    sums = jnp.cumsum(images.reshape(b, h * w), -1)
    steps = jnp.arange(n)[None] + jax.random.uniform(k_start, (b, 1))
    # rounding may not lead beyond the last pixel that has any
    wanted = jnp.minimum(steps / n, 1 - 1e-6) * sums[:, -1:]
    pixel = jax.vmap(functools.partial(jnp.searchsorted, side="right"))(sums, wanted)
    places = jnp.stack([pixel % w, h - 1 - pixel // w], -1)
    places = places + jax.random.uniform(k_within, (b, n, 2))
    points = 2 * places / jnp.array([w, h])[None, None] - 1
    return jnp.where(sums[:, -1:, None] > 0, points, jnp.nan)


def turned(points: Array, angle: Array, axes: tuple[int, int] = (0, 1)) -> Array:
    """Clouds [B, n, d] turned by angles [B], radians, in the plane of two axes."""
    a, b = axes
    cos, sin = (f(angle)[:, None] for f in (jnp.cos, jnp.sin))
    x, y = points[..., a], points[..., b]
    return points.at[..., a].set(cos * x - sin * y).at[..., b].set(sin * x + cos * y)


def wobbled(
    key: Key, points: Array, angle: float = math.pi, stretch: float = 0.0, sd: float = 0.0
) -> Array:
    """Clouds [B, n, d] turned, stretched and blurred by chance: for training.

    By up to `angle` about the upright axis (of the plane, in its plane), each axis by a factor in
    `1 -+ stretch`, each coordinate by noise of standard deviation sd.
    """
    k_turn, k_stretch, k_noise = jax.random.split(key, 3)
    b, _, d = points.shape
    sizes = 1 + stretch * jax.random.uniform(k_stretch, (b, 1, d), minval=-1)
    angles = angle * jax.random.uniform(k_turn, (b,), minval=-1)
    return turned(points * sizes, angles) + sd * jax.random.normal(k_noise, points.shape)


def thinned(key: Key, points: Array, m: int) -> Array:
    """All but m points of each cloud [B, n, d], drawn without replacement, made absent.

    Of the m some may have been absent before.
    """
    order = jax.random.uniform(key, points.shape[:2]).argsort(-1).argsort(-1)
    return jnp.where(order[..., None] < m, points, jnp.nan)


class Patch(NamedTuple):
    """A part's surface, or a piece of it: `at(s, t)` [n, 3] for s and t [n] uniform in [0, 1)."""

    part: int
    area: Array
    at: Callable[[Array, Array], Array]


def sheet(part: int, corner: Sequence, a: Sequence, b: Sequence) -> list[Patch]:
    """A parallelogram: `corner + s a + t b`."""
    o, u, v = (jnp.stack([jnp.float32(c) for c in each])[None] for each in (corner, a, b))
    area = jnp.linalg.norm(jnp.cross(u[0], v[0]))
    return [Patch(part, area, lambda s, t: o + s[:, None] * u + t[:, None] * v)]


def box(part: int, low: Sequence, sizes: Sequence) -> list[Patch]:
    """The six faces of a box from its lowest corner, along the axes."""
    found = []
    for i in range(3):
        a, b, up = ([sizes[c] if c == (i + k) % 3 else 0 for c in range(3)] for k in (1, 2, 0))
        top = [c + u for c, u in zip(low, up, strict=True)]
        found += sheet(part, low, a, b) + sheet(part, top, a, b)
    return found


def frustum(part: int, foot: Sequence, height: Array | float, r: Array, top: Array) -> list[Patch]:
    """The side of a cone cut off: radius r at the foot (x, y, z) and `top` at `height` above it.

    A cylinder where the radii are equal, a cone where top is 0, a disc where the height is.
    """
    area = jnp.pi * (r + top) * jnp.hypot(height, r - top)

    def at(s: Array, t: Array) -> Array:
        # how far up, so that area is uniform: `(rho - r) / (top - r)`, and no division by 0
        rho = jnp.sqrt(r**2 + t * (top**2 - r**2))
        up = t * (r + top) / jnp.maximum(r + rho, 1e-9)
        angle = 2 * jnp.pi * s
        x, y, z = foot
        parts = [x + rho * jnp.cos(angle), y + rho * jnp.sin(angle), z + up * height]
        return jnp.stack(jnp.broadcast_arrays(*parts), -1)

    return [Patch(part, area, at)]


def handle(part: int, centre: Sequence, radius: Array, r: Array) -> list[Patch]:
    """Half of a ring of thickness 2 r, upright, to the side of larger x."""

    def at(s: Array, t: Array) -> Array:
        along, around = jnp.pi * (s - 0.5), 2 * jnp.pi * t
        for _ in range(20):  # more of the area is outside: a + r / R sin a is uniform
            around = 2 * jnp.pi * t - r / radius * jnp.sin(around)
        out = radius + r * jnp.cos(around)
        x, y, z = centre
        own = [x + out * jnp.cos(along), y + r * jnp.sin(around), z + out * jnp.sin(along)]
        return jnp.stack(own, -1)

    return [Patch(part, 2 * jnp.pi**2 * radius * r, at)]


def legs(part: int, wide: Array, deep: Array, height: Array, r: Array) -> list[Patch]:
    """Four cylinders at the corners of a rectangle, from the ground up."""
    corners = [(i * (wide / 2 - r), j * (deep / 2 - r), 0.0) for i in (-1, 1) for j in (-1, 1)]
    return [patch for foot in corners for patch in frustum(part, foot, height, r, r)]


def between(u: Array, *ranges: tuple[float, float]) -> list[Array]:
    """Uniform numbers u [m] as numbers of the given ranges."""
    return [low + (high - low) * u[i] for i, (low, high) in enumerate(ranges)]


def table(u: Array) -> list[Patch]:
    sizes = between(u, (0.8, 1.6), (0.6, 1.2), (0.5, 1.1), (0.04, 0.12), (0.03, 0.07))
    wide, deep, height, thick, r = sizes
    top = box(0, (-wide / 2, -deep / 2, height), (wide, deep, thick))
    return top + legs(1, wide, deep, height, r)


def chair(u: Array) -> list[Patch]:
    ranges = (0.5, 0.8), (0.4, 0.7), (0.35, 0.6), (0.03, 0.1), (0.02, 0.05), (0.4, 0.9), (0.02, 0.1)
    wide, deep, height, thick, r, high, flat = between(u, *ranges)
    low = -wide / 2, -deep / 2, height
    back = box(3, (-wide / 2, deep / 2 - flat, height + thick), (wide, flat, high))
    return box(2, low, (wide, deep, thick)) + back + legs(4, wide, deep, height, r)


def lamp(u: Array) -> list[Patch]:
    ranges = (0.2, 0.4), (0.03, 0.1), (0.6, 1.2), (0.02, 0.04), (0.25, 0.5), (0.4, 1.0), (0.3, 0.6)
    wide, thick, high, r, shade, top, tall = between(u, *ranges)
    centre, zero = (0.0, 0.0), jnp.zeros(())
    base = frustum(5, (*centre, 0), thick, wide, 0.8 * wide)
    base += frustum(5, (*centre, thick), 0, 0.8 * wide, zero)
    pole = frustum(6, (*centre, thick), high, r, r)
    return base + pole + frustum(7, (*centre, high), tall, shade, top * shade)


def mug(u: Array) -> list[Patch]:
    ranges = (0.3, 0.5), (0.7, 1.2), (0.8, 1.2), (0.18, 0.3), (0.04, 0.07)
    r, high, flare, ring, thick = between(u, *ranges)
    body = frustum(8, (0.0, 0.0, 0.0), 0, jnp.zeros(()), r)
    body += frustum(8, (0.0, 0.0, 0.0), high, r, flare * r)
    return body + handle(9, (r * (1 + flare) / 2, 0.0, high / 2), ring, thick)


def rocket(u: Array) -> list[Patch]:
    ranges = (0.15, 0.25), (0.9, 1.6), (0.3, 0.7), (0.2, 0.4), (0.3, 0.5), (0.0, 0.3)
    r, high, tip, out, tall, back = between(u, *ranges)
    fins = [
        sheet(12, (x * r, y * r, 0), (x * out, y * out, -back), (0, 0, tall))
        for x, y in ((1, 0), (-0.5, 0.75**0.5), (-0.5, -(0.75**0.5)))
    ]
    nose = frustum(11, (0.0, 0.0, high), tip, r, jnp.zeros(()))
    return frustum(10, (0.0, 0.0, 0.0), high, r, r) + nose + [p for fin in fins for p in fin]


NUMBERS = 7  # uniform numbers that say the proportions of a shape
KINDS: dict[str, Callable[[Array], list[Patch]]] = {
    "table": table, "chair": chair, "lamp": lamp, "mug": mug, "rocket": rocket
}  # fmt: skip
PARTS = (
    "table top", "table leg", "seat", "back", "chair leg", "base", "pole", "shade", "body of a mug",
    "handle", "body of a rocket", "nose", "fin",
)  # fmt: skip


class Shapes(NamedTuple):
    """Clouds x [B, n, 3], each point's part [B, n] of `PARTS`, and kind [B] of `KINDS`."""

    x: Array
    part: Array
    kind: Array


def shapes(key: Key, count: int, n: int = 256, sd: float = 0.01) -> Shapes:
    """`count` shapes of random proportions, turned about their upright axis, kinds in turn.

    n points on the surface of each, equally many an area, blurred by noise of standard deviation
    sd; the middle of the cloud's box is at 0, and its farthest point at distance 1.
    """
    each = -(-count // len(KINDS))

    def one(key: Key, kind: Callable[[Array], list[Patch]]) -> tuple[Array, Array]:
        k_size, k_points, k_noise = jax.random.split(key, 3)
        x, part = drawn(k_points, kind(jax.random.uniform(k_size, (NUMBERS,))), n)
        return centred(x + sd * jax.random.normal(k_noise, x.shape)), part

    k_shapes, k_turn = jax.random.split(key)
    keys = jax.random.split(k_shapes, (len(KINDS), each))
    made = [
        jax.vmap(functools.partial(one, kind=kind))(own)
        for kind, own in zip(KINDS.values(), keys, strict=True)
    ]
    x, part = (
        jnp.stack(own, 1).reshape(-1, *own[0].shape[1:])[:count] for own in zip(*made, strict=True)
    )
    angle = jax.random.uniform(k_turn, (count,), maxval=2 * jnp.pi)
    return Shapes(turned(x, angle), part, jnp.arange(count) % len(KINDS))


def drawn(key: Key, patches: list[Patch], n: int) -> tuple[Array, Array]:
    """n points [n, 3] of the patches, as many of each as its area asks for, and their parts [n]."""
    k_start, k_at = jax.random.split(key)
    sums = jnp.cumsum(jnp.stack([patch.area for patch in patches]))
    wanted = (jnp.arange(n) + jax.random.uniform(k_start)) / n * sums[-1]
    whose = jnp.minimum(jnp.searchsorted(sums, wanted, side="right"), len(patches) - 1)
    s, t = jax.random.uniform(k_at, (2, n))
    every = jnp.stack([patch.at(s, t) for patch in patches])
    parts = jnp.array([patch.part for patch in patches], jnp.int32)
    return every[whose, jnp.arange(n)], parts[whose]


def centred(x: Array) -> Array:
    """A cloud [n, d] moved so that the middle of its box is 0, and then made to reach 1."""
    x = x - (x.max(0, keepdims=True) + x.min(0, keepdims=True)) / 2
    return x / jnp.linalg.norm(x, axis=-1).max()
