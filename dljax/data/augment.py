"""Augmentations: pure functions of a key and a batch."""

import math

import jax
import jax.numpy as jnp

from dljax.data.stream import take_rows
from dljax.errors import InputError
from dljax.ops.boxes import area
from dljax.typing import Array, Batch, Boxes, Key


def shift(key: Key, x: Array, by: int) -> Array:
    """Each image moved by an offset drawn uniformly from `-by..by` in both axes, zeros let in.

    x [B, h, w, c]. Raises InputError unless x has four axes and `0 <= by < min(h, w)`.
    """
    if x.ndim != 4 or not 0 <= by < min(x.shape[1:3]):
        raise InputError(f"shift needs images [B, h, w, c] and 0 <= by < h, w; got {x.shape}, {by}")
    if by == 0:
        return x
    padded = jnp.pad(x, ((0, 0), (by, by), (by, by), (0, 0)))
    start = jax.random.randint(key, (len(x), 2), 0, 2 * by + 1)

    def crop(image: Array, corner: Array) -> Array:
        return jax.lax.dynamic_slice(image, (*corner, 0), x.shape[1:])

    return jax.vmap(crop)(padded, start)


def mixup(key: Key, data: Batch, alpha: float | Array) -> Batch:
    """`l a + (1 - l) b` of each example a and another b, in x and in y: `l ~ Beta(alpha, alpha)`.

    x [B, ...]; y [B, K], the shares of classes. Zhang et al. 2018. Raises InputError unless alpha
    is positive, and for labels that are no shares.
    """
    if isinstance(alpha, float | int) and not alpha > 0:
        raise InputError(f"alpha must be positive; got {alpha}")
    if data.y.ndim != 2:
        raise InputError(f"mixup needs shares of classes, [B, K]; got y {list(data.y.shape)}")
    k_other, k_share = jax.random.split(key)
    other = jax.random.permutation(k_other, len(data.x))
    share = jax.random.beta(k_share, alpha, alpha, (len(data.x),))

    def mixed(a: Array) -> Array:
        own = share.reshape(-1, *(1,) * (a.ndim - 1))
        return own * a + (1 - own) * take_rows(a, other)

    return Batch(mixed(data.x), mixed(data.y))


def flip(key: Key, data: Batch) -> Batch:
    """Each image mirrored or not, upside down or not, with its boxes: a coin each.

    x [B, h, w, c], y `Boxes` [B, M].
    """
    x, (box, label) = data
    sides = jnp.array(x.shape[1:3])
    coins = jax.random.bernoulli(key, shape=(len(x), 2))
    for axis in (0, 1):
        turned = coins[:, axis, None, None, None]
        x = jnp.where(turned, jnp.flip(x, axis + 1), x)
        low, high = box[..., axis], box[..., axis + 2]
        mirrored = box.at[..., axis].set(sides[axis] - high)
        mirrored = mirrored.at[..., axis + 2].set(sides[axis] - low)
        box = jnp.where(turned[..., 0], mirrored, box)
    return Batch(x, Boxes(box, label))


def rescale(key: Key, data: Batch, by: float, least: float = 0.3) -> Batch:
    """Each image enlarged by a factor from `1 / by` to `by` and moved, with its boxes.

    What is larger than its frame is cut at a place drawn uniformly, what is smaller stands at one,
    its mean colour around it; the factor's logarithm is uniform. A box is cut where the frame cuts
    it, and becomes padding, label -1, where less than a share `least` of its area is left. x
    [B, h, w, c], y `Boxes` [B, M]. Raises InputError unless `by >= 1`.
    """
    if by < 1:
        raise InputError(f"rescale needs a factor of at least 1; got {by}")
    x, (box, label) = data
    k_scale, k_place = jax.random.split(key)
    limit = math.log(by)
    scale = jnp.exp(jax.random.uniform(k_scale, (len(x), 1), minval=-limit, maxval=limit))
    sides = jnp.array(x.shape[1:3], jnp.float32)[None]
    corner = jax.random.uniform(k_place, (len(x), 2)) * (1 - scale) * sides

    mean = x.mean((1, 2), keepdims=True)
    y = x - mean
    for axis in (0, 1):  # lines at a time: a gather of pixels would take ten times as long
        y = jnp.swapaxes(stretched(y, scale[:, 0], corner[:, axis]), 1, 2)
    moved = box * scale[..., None] + jnp.tile(corner, 2)[:, None]
    seen = jnp.clip(moved, 0, jnp.tile(sides, 2)[:, None])
    kept = area(seen) >= least * area(moved)
    return Batch(y + mean, Boxes(seen, jnp.where(kept, label, -1)))


def stretched(x: Array, scale: Array, corner: Array) -> Array:
    """x [B, n, ...] with line i of each at `corner + scale (i + 1/2)`, linear between its lines.

    scale and corner [B]; zero beyond the first and last half line.
    """
    n = x.shape[1]
    at = (jnp.arange(n)[None] + 0.5 - corner[:, None]) / scale[:, None] - 0.5
    low = jnp.floor(at).astype(jnp.int32)
    lines, y = x.reshape(len(x) * n, *x.shape[2:]), jnp.zeros_like(x)
    for line in (low, low + 1):
        weight = jnp.where((line >= 0) & (line < n), 1 - jnp.abs(at - line), 0)
        rows = jnp.arange(len(x))[:, None] * n + jnp.clip(line, 0, n - 1)
        y += weight.reshape(*weight.shape, *[1] * (x.ndim - 2)) * take_rows(lines, rows)
    return y


def recolour(key: Key, x: Array, by: float) -> Array:
    """Each image's contrast, brightness and colours changed by factors from `1 - by` to `1 + by`.

    `x <- g_c (m + a (x - m))`, m the image's mean, a its contrast, g_c a channel's gain; kept
    within [0, 1]. x [B, h, w, c]. Raises InputError unless `0 <= by < 1`.
    """
    if not 0 <= by < 1:
        raise InputError(f"recolour needs a share from 0, below 1; got {by}")
    contrast, gain = (
        1 + by * jax.random.uniform(k, (len(x), 1, 1, n), minval=-1)
        for k, n in zip(jax.random.split(key), (1, x.shape[-1]), strict=True)
    )
    mean = x.mean((1, 2, 3), keepdims=True)
    return jnp.clip(gain * (mean + contrast * (x - mean)), 0, 1)
