"""Composed scenes: digits of several sizes on one canvas, with their boxes and masks (S32)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dljax.errors import InputError
from dljax.ops.boxes import iou
from dljax.typing import Array, Batch, Key

INK = 0.3  # of a pixel that belongs to a digit
TRIES = 8  # places looked at for each digit


class Scene(NamedTuple):
    """What a scene shows; rows of boxes where `present` is False are of no digit."""

    image: Array  # [side, side, 1] in [0, 1]
    mask: Array  # [side, side] int32: 0 where no digit is, else 1 + the class of the strongest
    boxes: (
        Array  # [most, 4]: top, left, bottom and right of a digit's own mask, the last two beyond
    )
    labels: Array  # [most] int32: the digits' classes
    present: Array  # [most] bool


def compose(
    key: Key,
    digits: Batch,
    side: int = 64,
    most: int = 4,
    sizes: tuple[float, float] = (12.0, 28.0),
    noise: float = 0.1,
    overlap: float = 0.05,
) -> Scene:
    """0 to `most` of the digits x [n, h, w, 1], y [n], drawn as squares of `sizes` pixels.

    Each stands wholly inside, at that of `TRIES` places where its square shares least with those
    already there, and is left out where its IoU with one exceeds `overlap`. Inks join by their
    maximum; over all lie a linear shade and Gaussian noise. Raises InputError unless
    `1 <= sizes[0] <= sizes[1] <= side`.
    """
    if not 1 <= sizes[0] <= sizes[1] <= side:
        raise InputError(f"sizes must rise from at least 1 to at most side, {side}; got {sizes}")
    k_count, k_which, k_size, k_place, k_shade, k_noise = jax.random.split(key, 6)
    wanted = jax.random.randint(k_count, (), 0, most + 1)
    which = jax.random.randint(k_which, (most,), 0, len(digits.y))
    size = jax.random.uniform(k_size, (most,), minval=sizes[0], maxval=sizes[1])
    corner = jax.random.uniform(k_place, (most, TRIES, 2)) * (side - size)[:, None, None]
    squares = jnp.concatenate([corner, corner + size[:, None, None]], -1)
    corners, present = placed(squares, jnp.arange(most) < wanted, overlap)
    pixels, labels = jnp.asarray(digits.x)[which, ..., 0], jnp.asarray(digits.y)[which]
    inks = jax.vmap(drawn, (0, 0, 0, None))(pixels, corners, size, side) * present[:, None, None]
    boxes = jax.vmap(bounds)(inks > INK)
    strongest = jnp.concatenate([inks, jnp.full((1, side, side), INK)]).argmax(0)
    mask = jnp.append(labels + 1, 0)[strongest].astype(jnp.int32)
    ramp = jnp.linspace(-1, 1, side)
    slopes = jax.random.uniform(k_shade, (2,), minval=-0.15, maxval=0.15)
    shade = 0.15 + slopes[0] * ramp[:, None] / 2 + slopes[1] * ramp[None, :] / 2
    image = shade + (1 - shade) * inks.max(0, initial=0.0)
    image += noise * jax.random.normal(k_noise, image.shape)
    return Scene(jnp.clip(image, 0, 1)[..., None], mask, boxes, labels.astype(jnp.int32), present)


def placed(squares: Array, wanted: Array, overlap: float) -> tuple[Array, Array]:
    """The best top left corner [most, 2] for each of squares [most, TRIES, 4], and who is there."""

    def put(taken: Array, each: tuple[Array, Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        places, asked, i = each
        shared = iou(places, taken).max(1)
        best = shared.argmin()
        there = asked & (shared[best] <= overlap)
        return taken.at[i].set(places[best] * there), (places[best, :2], there)

    most = len(squares)
    none = jnp.zeros((most, 4))
    return jax.lax.scan(put, none, (squares, wanted, jnp.arange(most)))[1]


def drawn(pixels: Array, corner: Array, size: Array, side: int) -> Array:
    """The picture [h, w] on a canvas [side, side], scaled to a square by linear interpolation."""

    def weights(n: int, start: Array) -> Array:
        at = (jnp.arange(side) + 0.5 - start) / size * n - 0.5  # each pixel's place in the picture
        return jnp.maximum(1 - jnp.abs(at[:, None] - jnp.arange(n)[None]), 0)

    rows, columns = (weights(n, start) for n, start in zip(pixels.shape, corner, strict=True))
    return rows @ pixels @ columns.T


def bounds(mask: Array) -> Array:
    """Top, left, bottom and right of what is True in mask [h, w]; of nothing, zeros."""
    lines = [mask.any(1), mask.any(0)]
    starts = [line.argmax() for line in lines]
    ends = [jnp.where(line.any(), len(line) - line[::-1].argmax(), 0) for line in lines]
    return jnp.stack([*starts, *ends]).astype(jnp.float32)
