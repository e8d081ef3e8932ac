"""Six ways in which pictures of one thing differ, each with one strength (S25).

    varied = occlusion(key, images, 0.5)

`(key, images [B, h, w, c] in [0, 1], strength) -> images` of the same shape and range. The
strength, one number for all or [B], is from 0, which leaves images exactly as they are, to 1. It
says how much they change, and the key in which direction: so accuracy against strength is a curve.
The background is taken to be dark.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dljax.errors import InputError
from dljax.ops.warp import bent, grid, warp
from dljax.typing import Array, Key

TURN, TILT = math.pi / 4, 0.4  # a full strength of viewpoint: 45 degrees; perspective
ZOOM = 2.0  # of scale: half as large, or twice
BEND, POINTS = 0.1, 4  # of deformation: sd as a share of the side, at 4 x 4 points
HIDDEN = 0.5  # of occlusion: share of the image's area
DARK, VEIL = 0.9, 0.6  # of illumination: what the far side loses, and what a veil adds
STROKES, LENGTH, WIDTH = 6, 0.3, 0.1  # of clutter: how many; as shares of the side


class Kind(NamedTuple):
    """`change(u, places or image, strength)` by as many numbers u, uniform in [0, 1), as it takes.

    Randomness is an argument, since all of a batch and of several kinds is drawn at once: twenty
    draws apart take longer to compile than all else.
    """

    numbers: int
    change: Callable[[Array, Array, Array], Array]
    moves: bool = False  # where the result looks into the image, not what is there


def tilted(u: Array, places: Array, strength: Array) -> Array:
    """Turned by 45 degrees to either side and seen from any other: a homography about the centre.

    `p = R q / (1 + t . q)`, q of the result and p of the image, both from the centre.
    """
    angle = strength * TURN * either(u[0])
    centre, half = frame(places)
    q = places - centre  # in pixels: divided and multiplied by `half`, it would not stay exact
    depth = 1 + strength * TILT * jnp.tensordot(direction(u[1]), q / half, 1)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turned = jnp.stack([cos * q[0] - sin * q[1], cos * q[1] + sin * q[0]])
    return centre + turned / depth[None]


def resized(u: Array, places: Array, strength: Array) -> Array:
    """Twice as large or half: `p = q 2^(+-strength)` from the centre."""
    centre, _ = frame(places)
    return centre + (places - centre) * ZOOM ** (strength * either(u[0]))


def deformed(u: Array, places: Array, strength: Array) -> Array:
    """Bent elastically: `ops.warp.bent` by noise of the given standard deviation."""
    h, w = places.shape[1:]
    noise = BEND * min(h, w) * math.sqrt(12) * (u.reshape(2, POINTS, POINTS) - 0.5)
    return places + strength * (bent(noise, h, w) - grid(h, w))


def hidden(u: Array, image: Array, strength: Array) -> Array:
    """Behind a grey square, its centre anywhere, of half the image's area: Zeiler and Fergus 2014.

    Pixels at its edge are covered in part.
    """
    half = jnp.sqrt(strength * HIDDEN) / 2

    def covered(n: int, middle: Array) -> Array:
        pixels = jnp.arange(n, dtype=jnp.float32)
        low, high = (middle - half) * n, (middle + half) * n
        return jnp.maximum(jnp.minimum(high, pixels + 1) - jnp.maximum(low, pixels), 0)

    h, w, _ = image.shape
    cover = jnp.outer(covered(h, u[0]), covered(w, u[1]))[..., None]
    return image + cover * (u[2] - image)


def lit(u: Array, image: Array, strength: Array) -> Array:
    """In light that falls off to one side, through a veil that is thickest at another.

    `y = x l (1 - v) + v`, the light l in 0.1..1 and the veil v in 0..0.6.
    """
    places = grid(*image.shape[:2])
    centre, half = frame(places)
    ways = jnp.stack([direction(each) for each in u])
    dark, veil = 0.5 + jnp.tensordot(ways, (places - centre) / half, 1)[..., None] / math.sqrt(8)
    veil = strength * VEIL * veil
    return image * (1 - strength * DARK * dark) * (1 - veil) + veil


def cluttered(u: Array, image: Array, strength: Array) -> Array:
    """Before straight strokes that are as bright as the strength: `y = x + (1 - x) strokes`.

    Distractors as those of cluttered MNIST (Mnih et al. 2014, section 4.1).
    """
    h, w, _ = image.shape
    sides = jnp.array([h, w], jnp.float32)[:, None, None]

    def stroke(u: Array) -> Array:
        """How far each pixel is from a segment: all in pixels."""
        apart = grid(h, w) + 0.5 - u[:2, None, None] * sides
        way, length = direction(u[2])[:, None, None], LENGTH * min(h, w)
        along = jnp.clip((way * apart).sum(0, keepdims=True), -length / 2, length / 2)
        return jnp.linalg.norm(apart - along * way, axis=0)

    distance = jax.vmap(stroke)(u.reshape(STROKES, 3)).min(0)
    ink = jnp.clip(WIDTH / 2 * min(h, w) - distance + 0.5, 0, 1)  # its edge is a pixel wide
    return image + (1 - image) * strength * ink[..., None]


def direction(u: Array) -> Array:
    """A direction of the plane, [2], of length 1."""
    return jnp.stack([jnp.cos(2 * math.pi * u), jnp.sin(2 * math.pi * u)])


def either(u: Array) -> Array:
    """-1 or 1."""
    return jnp.where(u < 0.5, -1.0, 1.0)


def frame(places: Array) -> tuple[Array, Array]:
    """The centre of the image that fills places [2, h, w], and half of its sides: [2, 1, 1]."""
    sides = jnp.array(places.shape[1:], jnp.float32)[:, None, None]
    return (sides - 1) / 2, sides / 2


KINDS = {
    "viewpoint": Kind(2, tilted, moves=True),
    "scale": Kind(1, resized, moves=True),
    "deformation": Kind(2 * POINTS**2, deformed, moves=True),
    "occlusion": Kind(3, hidden),
    "illumination": Kind(2, lit),
    "clutter": Kind(3 * STROKES, cluttered),
}


def vary(key: Key, images: Array, strengths: Array, names: Sequence[str] = (*KINDS,)) -> Array:
    """Several kinds, one upon another, with the strength of each: [K], or [B, K].

    What moves places goes first, in one warp, so that an image is blurred but once. Raises
    InputError unless images are [B, h, w, c].
    """
    if images.ndim != 4:
        raise InputError(f"variations are of images [B, h, w, c]; got {list(images.shape)}")
    ends = np.cumsum([KINDS[name].numbers for name in names])
    u = jax.random.uniform(key, (len(images), ends[-1]))

    def one(u: Array, image: Array, strengths: Array) -> Array:
        parts = zip(names, jnp.split(u, ends[:-1]), strengths, strict=True)
        given = [(KINDS[name], part, strength) for name, part, strength in parts]
        places = own = grid(*image.shape[:2])
        for kind, part, strength in given:
            places = kind.change(part, places, strength) if kind.moves else places
        image = image if places is own else warp(image, places)
        for kind, part, strength in given:
            image = image if kind.moves else kind.change(part, image, strength)
        return image

    return jax.vmap(one)(u, images, jnp.broadcast_to(strengths, (len(images), len(names))))


def alone(name: str) -> Callable[[Key, Array, jax.typing.ArrayLike], Array]:
    """One kind of variation; raises InputError as `vary`, and for a strength outside 0..1."""

    def variation(key: Key, images: Array, strength: jax.typing.ArrayLike) -> Array:
        if not isinstance(strength, Tracer) and np.any(abs(np.asarray(strength) - 0.5) > 0.5):
            raise InputError(f"the strength of {name} must be from 0 to 1; got {strength}")
        return vary(key, images, jnp.asarray(strength)[..., None], (name,))

    return variation


VARIATIONS = {name: alone(name) for name in KINDS}
viewpoint, scale, deformation, occlusion, illumination, clutter = VARIATIONS.values()
