"""Boxes: how far two are the same, the best of rivals, and how good a detector is (S32).

A box is (top, left, bottom, right) in pixels, from the image's upper left corner; objects and what
is found of them are padded to a fixed number, label -1 where there is none.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, Real

from dljax.typing import AnyArray, Array, Boxes, Detections

Box = Real[AnyArray, "*batch n 4"]
Others = Real[AnyArray, "*batch m 4"]
COCO = tuple(np.linspace(0.5, 0.95, 10).tolist())  # the overlaps at which COCO counts
RECALLS = np.linspace(0, 1, 101)


def area(box: Real[AnyArray, "*batch 4"]) -> Real[Array, "*batch"]:
    """Height times width, 0 where one of them is negative."""
    return jnp.maximum(box[..., 2:] - box[..., :2], 0).prod(-1)


def overlaps(a: Box, b: Others) -> tuple[Array, Array, Array]:
    """The areas of both, of either, and of the least box around both, each [..., n, m]."""
    a, b = a[..., :, None, :], b[..., None, :, :]
    inner = jnp.maximum(a[..., :2], b[..., :2]), jnp.minimum(a[..., 2:], b[..., 2:])
    outer = jnp.minimum(a[..., :2], b[..., :2]), jnp.maximum(a[..., 2:], b[..., 2:])
    both = area(jnp.concatenate(inner, -1))
    return both, area(a) + area(b) - both, area(jnp.concatenate(outer, -1))


def iou(a: Box, b: Others) -> Float[Array, "*batch n m"]:
    """`|a and b| / |a or b|` of each pair, in [0, 1]; 0 where both are empty.

    a [..., n, 4], b [..., m, 4] -> [..., n, m].
    """
    both, either, _ = overlaps(a, b)
    return both / jnp.where(either > 0, either, 1)


def giou(a: Box, b: Others) -> Float[Array, "*batch n m"]:
    """`|a and b| / |a or b| - (|c| - |a or b|) / |c|`, c the least box around both: in [-1, 1].

    Of boxes that do not meet it tells how far apart they are. a [..., n, 4], b [..., m, 4].
    Rezatofighi et al. 2019.
    """
    both, either, hull = overlaps(a, b)
    return both / jnp.where(either > 0, either, 1) - (hull - either) / jnp.where(hull > 0, hull, 1)


def suppress(
    box: Real[AnyArray, "K 4"],
    score: Float[AnyArray, "K"],
    label: Int[AnyArray, "K"],
    overlap: float | Float[Array, ""],
) -> Bool[Array, "K"]:
    """Which of K boxes non-maximum suppression keeps: greedily the best of those of one label.

    From the greatest score down a box is kept unless its IoU with one of its label that was kept is
    above `overlap`. What is padding, label -1, is not kept. Felzenszwalb et al. 2010, section 5.2.
    """
    order = jnp.argsort(-score)
    rival = (iou(box, box) > overlap) & (label[:, None] == label[None])
    later = rival[order][:, order] & ~jnp.tri(len(box), dtype=bool)

    def take(i: Array, kept: Array) -> Array:
        return kept & ~(kept[i] & later[i])

    kept = jax.lax.fori_loop(0, len(box), take, label[order] >= 0)
    return jnp.zeros_like(kept).at[order].set(kept)


def matched(found: Detections, truth: Boxes, least: Float[AnyArray, "T"]) -> Bool[Array, "T K"]:
    """Which detections of one image, [K], find an object, [M], that none before them found.

    From the greatest score down each takes, of the objects of its label that are left and overlap
    it by at least t, the one that it overlaps most: for each t in `least`.
    """
    order = jnp.argsort(-found.score)
    alike = (found.label[:, None] == truth.label[None]) & (truth.label >= 0)[None]
    shared = jnp.where(alike, iou(found.box, truth.box), -1)[order]
    places = jnp.arange(shared.shape[1])

    def take(taken: Array, overlap: Array) -> tuple[Array, Array]:
        left = jnp.where(taken | (overlap[None] < least[:, None]), -1, overlap[None])
        best = left.shape[1] - 1 - left[:, ::-1].argmax(1)  # of equals the last, as pycocotools
        hit = left.max(1) >= 0
        return taken | (hit[:, None] & (places[None] == best[:, None])), hit

    _, hits = jax.lax.scan(take, jnp.zeros((len(least), shared.shape[1]), bool), shared)
    return jnp.zeros_like(hits.T).at[:, order].set(hits.T)


def precision_at_recall(
    found: Detections, truth: Boxes, classes: int, least: Float[AnyArray, "T"]
) -> Float[Array, "T {classes} 101"]:
    """The greatest precision at a recall of at least 0, .01, ..., 1, for each overlap and class.

    found [N, K], truth [N, M]; 0 where that recall is not reached, NaN for a class of no object. A
    detection is right if it is `matched`. As pycocotools 2.0.11 (Lin et al. 2014), where all sizes
    count and no more than its `maxDets` are given; IoU in float32.
    """
    hit = jax.vmap(matched, (0, 0, None), 1)(found, truth, jnp.asarray(least, jnp.float32))
    order = jnp.argsort(jnp.where(found.label < 0, jnp.inf, -found.score).ravel())
    mine = found.label.ravel()[order][None] == jnp.arange(classes)[:, None]
    right = jnp.cumsum(hit.reshape(len(least), 1, -1)[..., order] & mine[None], -1)
    precision = right / jnp.maximum(jnp.cumsum(mine, -1), 1)[None]
    envelope = jax.lax.cummax(precision, 2, reverse=True)
    total = (truth.label.ravel()[None] == jnp.arange(classes)[:, None]).sum(1)
    # right / total >= r in whole numbers, and where both sides are equal as doubles round
    hundredths = np.arange(101)
    above = (hundredths / 100 < RECALLS).astype(np.int32)
    needed = hundredths[None].astype(np.int32) * total[:, None] + above[None]

    def read(envelope: Array, right: Array, needed: Array) -> Array:
        first = jnp.searchsorted(100 * right, needed)
        return jnp.where(first < len(right), envelope[jnp.minimum(first, len(right) - 1)], 0)

    curve = jax.vmap(jax.vmap(read), (0, 0, None))(envelope, right, needed)
    return jnp.where((total > 0)[None, :, None], curve, jnp.nan)


def average_precision(
    found: Detections, truth: Boxes, classes: int, least: Float[AnyArray, "T"]
) -> Float[Array, "T {classes}"]:
    """The mean of `precision_at_recall` over the 101 recalls: AP50 for an overlap of .5."""
    return precision_at_recall(found, truth, classes, least).mean(-1)
