"""Detection without anchors (S32): objects as points on a map of heat, with their sizes.

Zhou, Wang and Kraehenbuehl 2019. The network is a `Vision(Trunk, Detect)` of `dljax.nets.trunk`, or
any whose outputs are its `Found` on a grid of cells of `cell` pixels.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from dljax.data.stream import unit_scale
from dljax.errors import InputError, check_count, check_unit
from dljax.learn import risk, shapes
from dljax.learner import Learner, Objective
from dljax.nets.trunk import Found
from dljax.ops.boxes import COCO, average_precision, suppress
from dljax.ops.pool import max_pool
from dljax.typing import Array, Batch, Boxes, Detections, Key, Metrics, PyTree

Decode = Callable[[Found], Detections]


def places(truth: Boxes, grid: tuple[int, int], cell: int) -> tuple[Array, Array, Array]:
    """The cells [.., M, 2] of the boxes' centres, their offsets in it, and their log sizes.

    Offsets are of 0..1, sizes height and width in cells.
    """
    low, high = jnp.split(truth.box / cell, 2, -1)
    centre = (low + high) / 2
    last = jnp.array(grid).reshape((1,) * (centre.ndim - 1) + (2,)) - 1
    at = jnp.clip(jnp.floor(centre), 0, last)
    return at.astype(jnp.int32), centre - at, jnp.log(jnp.maximum(high - low, 1e-3))


def heat_targets(truth: Boxes, grid: tuple[int, int], cell: int, classes: int) -> Array:
    """`max over the objects of class k of exp(-sum_a (p_a - c_a)^2 / 2 s_a^2)`: 1 at centres.

    p and c are cells, c that of an object's centre; s = .09 of its height and width (the .54 / 6 of
    Liu et al. 2020, section 3.2). truth [B, M] -> [B, *grid, classes].
    """
    at, _, size = places(truth, grid, cell)
    spread = 0.09 * jnp.exp(size)

    def along(axis: int) -> Array:
        away = jnp.arange(grid[axis])[None, None] - at[..., axis, None]
        return jnp.exp(-0.5 * (away / spread[..., axis, None]) ** 2)

    bumps = along(0)[..., :, None] * along(1)[..., None, :]  # [B, M, H, W]
    kinds = (truth.label[..., None] == jnp.arange(classes)[None, None])[:, :, None, None]
    return jnp.where(kinds, bumps[..., None], 0).max(1, initial=0)


def focal(logits: Array, heat: Array) -> Array:
    """`-(1 - p)^2 log p` where the heat is 1, else `-(1 - heat)^4 p^2 log(1 - p)`; p = sigmoid(z).

    Law and Deng 2018, eq. 1: what is near a centre is hardly an error.
    """
    p = jax.nn.sigmoid(logits)
    there = -((1 - p) ** 2) * jax.nn.log_sigmoid(logits)
    elsewhere = -((1 - heat) ** 4) * p**2 * jax.nn.log_sigmoid(-logits)
    return jnp.where(heat == 1, there, elsewhere)


def objective(net: nn.Module, cell: int) -> Objective:
    """`1/N sum focal + 1/N sum_i |log s_i - log s'_i|_1 + 1/N sum_i |o_i - o'_i|_1`.

    N objects of the batch, s their sizes in cells and o their centres' offsets, both as told at the
    cell of the centre. Zhou et al. 2019, eqs. 1 to 4, where sizes are not logarithms and count .1.
    """

    def mean(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        truth, options = batch.y, {"train": True, "rngs": {"dropout": key}}
        found: Any = net.apply({"params": params}, batch.x, **options)
        grid, classes = found.heat.shape[1:3], found.heat.shape[-1]
        at, offset, size = places(truth, grid, cell)
        real = truth.label >= 0
        count = jnp.maximum(real.sum(), 1)

        def at_centres(wanted: Array, told: Array) -> Array:
            told = jax.vmap(lambda told, at: told[at[:, 0], at[:, 1]])(told, at)
            return jnp.where(real, jnp.abs(told - wanted).sum(-1), 0).sum() / count

        wanted = heat_targets(truth, grid, cell, classes)
        heat = focal(found.heat, wanted).sum() / count
        sizes, offsets = at_centres(size, found.size), at_centres(offset, found.offset)
        return heat + sizes + offsets, (extra, {"heat": heat, "size": sizes, "offset": offsets})

    return mean


def make(
    net: nn.Module,
    tx: optax.GradientTransformation,
    data: Batch,
    *,
    batch: int,
    cell: int,
    augment: risk.Augment | None = None,
) -> Learner:
    """A detector of the `Boxes` y [n, M] in images x [n, h, w, c], in epochs of batches.

    `augment(key, batch)` changes images and boxes together. Raises InputError if `batch` exceeds n,
    if the network's outputs are not a `Found` on cells of `cell` pixels, or for boxes that are not
    [n, M, 4] with labels [n, M] of its classes, -1 for padding.
    """
    check_count(cell=cell)
    found = shapes.given(net, lambda: risk.first(data.x), arrays=3)
    grid = tuple(-(-side // cell) for side in data.x.shape[1:3])
    if not isinstance(found, Found) or found.heat.shape[1:3] != grid:
        raise InputError(
            f"a network that gives Found on a grid of {grid[0]} x {grid[1]} cells of {cell} pixels "
            "is needed"
        )
    check_boxes(data.y, len(data.x), found.heat.shape[-1])
    return risk.descend(net, objective(net, cell), tx, data, batch=batch, augment=augment)


def check_boxes(truth: Boxes, n: int, classes: int) -> None:
    """Raises InputError unless boxes are [n, M, 4] and labels [n, M], where known of -1..K - 1."""
    box, label = np.shape(truth.box), np.shape(truth.label)
    if box != (*label, 4) or len(label) != 2 or label[0] != n:
        raise InputError(
            f"boxes [n, M, 4] and labels [n, M] of {n} images are needed; got {list(box)} and "
            f"{list(label)}"
        )
    if isinstance(truth.label, Tracer) or not np.size(truth.label):
        return
    low, high = np.min(truth.label), np.max(truth.label)
    if low < -1 or high >= classes:
        raise InputError(
            f"a detector of {classes} classes takes labels from 0 to {classes - 1}, -1 for "
            f"padding; got {low} to {high}"
        )


def decode(found: Found, *, cell: int, most: int = 100, overlap: float | Array = 0.5) -> Detections:
    """The `most` strongest peaks of the heat as boxes, [B, most], weaker rivals suppressed.

    A peak is no weaker than the 8 cells around it, for its class; see `ops.boxes.suppress` for
    `overlap`. Boxes end where the grid does. Raises InputError for `most` that is not from 1 to the
    cells of all classes, or an overlap outside [0, 1].
    """
    batch, h, w, classes = found.heat.shape
    check_unit(overlap=overlap)
    if not 1 <= most <= h * w * classes:
        raise InputError(f"most must be from 1 to {h * w * classes}; got {most}")
    chance = jax.nn.sigmoid(found.heat)
    peak = chance == max_pool(chance, (3, 3), (1, 1), "SAME")
    score, which = jax.lax.top_k(jnp.where(peak, chance, 0).reshape(batch, -1), most)
    at, label = which // classes, jnp.where(score > 0, which % classes, -1)

    def read(x: Array) -> Array:
        return jnp.take_along_axis(x.reshape(batch, h * w, 2), at[..., None], 1)

    centre = jnp.stack([at // w, at % w], -1) + read(found.offset)
    half = jnp.exp(read(found.size)) / 2
    edge = jnp.array([h, w, h, w])[None, None]
    box = cell * jnp.clip(jnp.concatenate([centre - half, centre + half], -1), 0, edge)
    kept = jax.vmap(functools.partial(suppress, overlap=overlap))(box, score, label)
    return Detections(box, jnp.where(kept, label, -1), jnp.where(kept, score, 0))


def found_by(net: nn.Module, params: PyTree, x: Array, *, flips: bool = False) -> Found:
    """What `net` says of images [B, h, w, c]; with `flips` the mean over the four mirrored ones.

    Mirrored cells fall on cells only where the cell's width divides the image's.
    """

    def seen(axes: tuple[int, ...]) -> Found:
        found: Any = net.apply({"params": params}, jnp.flip(x, axes))
        mirrored = jnp.array([axis in axes for axis in (1, 2)])[None, None, None]
        heat, size, offset = (jnp.flip(each, axes) for each in found)
        return Found(heat, size, jnp.where(mirrored, 1 - offset, offset))

    ways = [(), (1,), (2,), (1, 2)] if flips else [()]
    each = [seen(way) for way in ways]
    return jax.tree.map(lambda *several: sum(several) / len(several), *each)


def predict(
    net: nn.Module, params: PyTree, x: Array, *, flips: bool = False, chunk: int = 8
) -> Found:
    """`found_by` of images x [n, h, w, c], at most `chunk` in memory at a time."""

    def one(x: Array) -> Found:
        found = found_by(net, params, unit_scale(x)[None], flips=flips)
        return jax.tree.map(lambda leaf: leaf[0], found)

    return jax.lax.map(one, jnp.asarray(x), batch_size=chunk)


def scores(found: Detections, truth: Boxes, classes: int) -> Metrics:
    """AP at an IoU of .5 and the mean over .5:.95, each the mean over the classes in `truth`."""
    truth = jax.tree.map(jnp.asarray, truth)
    each = jnp.nanmean(average_precision(found, truth, classes, jnp.array(COCO)), 1)
    return {"AP50": each[0], "AP": each.mean()}


def evaluate(
    net: nn.Module, params: PyTree, data: Batch, decode: Decode, split: str = "validation"
) -> Metrics:
    """The scores over all of `data`, named `split/...`."""
    told = predict(net, params, data.x)
    found = scores(decode(told), data.y, told.heat.shape[-1])
    return {f"{split}/{name}": value for name, value in found.items()}
