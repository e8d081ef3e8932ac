"""Segmentation: the class of every pixel, learnt on random crops (S32)."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax.data.augment_masks import crop
from dljax.data.stream import unit_scale
from dljax.errors import InputError
from dljax.learn import risk, shapes
from dljax.learn.risk import Augment
from dljax.learner import Learner, Objective
from dljax.ops.masks import confusion, iou, pixel_accuracy
from dljax.typing import Array, Batch, Key, Metrics, PyTree


def objective(net: nn.Module, weights: Sequence[float] | Array | None = None) -> Objective:
    """`J = 1/P sum_p w_{y_p} (-log softmax(z_p)_{y_p})` over all P pixels of a batch.

    weights [K], by default ones. The metric `accuracy` is that of the batch's pixels.
    """

    def loss(logits: Array, y: Array) -> Array:
        # the derivative of a choice by labels would be a scatter, one pixel after another
        true = jax.nn.one_hot(y, logits.shape[-1])
        if weights is not None:
            true = true * jnp.asarray(weights)[None, None, None]
        return optax.softmax_cross_entropy(logits, true)

    return risk.objective(net, loss, risk.accuracy)


def make(
    net: nn.Module,
    tx: optax.GradientTransformation,
    data: Batch,
    *,
    batch: int,
    side: int | None = None,
    weights: Sequence[float] | Array | None = None,
    augment: Augment | None = None,
) -> Learner:
    """A learner of masks y [n, h, w] from images x [n, h, w, c], in epochs of batches.

    Of each image a square of `side` pixels is drawn, by default all, which `augment(key, batch)`
    then changes with its mask. Raises InputError if `batch` exceeds n or `side` the images, for
    masks that are not shaped as images or hold what is none of the network's classes, and for
    weights that are not one a class.
    """

    shape, masks = np.shape(data.x), np.shape(data.y)
    if len(shape) != 4 or masks != shape[:3]:
        raise InputError(
            f"images [n, h, w, c] and masks [n, h, w] are needed; got {[*shape]} and {[*masks]}"
        )

    def seen(key: Key, drawn: Batch) -> Batch:
        k_crop, k_augment = jax.random.split(key)
        drawn = drawn if side is None else crop(k_crop, drawn, side)
        return drawn if augment is None else augment(k_augment, drawn)

    jax.eval_shape(lambda: risk.first(data, seen))
    outputs = shapes.given(net, lambda: risk.first(data.x))
    shapes.check_labels(outputs, data.y)
    if weights is not None and np.shape(weights) != outputs.shape[-1:]:
        classes, given = outputs.shape[-1], [*np.shape(weights)]
        raise InputError(f"weights must be one for each of {classes} classes; got {given}")
    return risk.descend(net, objective(net, weights), tx, data, batch=batch, augment=seen)


def predict(
    net: nn.Module, params: PyTree, x: Array, *, views: bool = False, chunk: int = 1
) -> Array:
    """Chances of each class of each pixel, [n, h, w, K], of images x [n, h, w, c] of any size.

    With `views` the mean over the eight images that flips and quarter turns make of one. At most
    `chunk` images are in memory at a time.
    """

    def seen(x: Array) -> Array:
        logits: Any = net.apply({"params": params}, x)
        return jax.nn.softmax(logits)

    def mirrored(image: Array) -> Array:
        ways = [(), (0,), (1,), (0, 1)]
        found = seen(jnp.stack([jnp.flip(image, way) for way in ways]))
        back = [jnp.flip(each, way) for each, way in zip(found, ways, strict=True)]
        return jnp.stack(back).mean(0)

    def one(image: Array) -> Array:
        image = unit_scale(image)
        if not views:
            return seen(image[None])[0]
        return (mirrored(image) + mirrored(image.swapaxes(0, 1)).swapaxes(0, 1)) / 2

    return jax.lax.map(one, jnp.asarray(x), batch_size=chunk)


def scores(chances: Array, y: Array) -> Metrics:
    """Cross-entropy in nats, accuracy and mean IoU over all pixels, of chances [n, h, w, K]."""
    counts = confusion(y, chances.argmax(-1), chances.shape[-1])
    true = jnp.take_along_axis(chances, y[..., None].astype(jnp.int32), -1)
    return {
        "loss": -jnp.log(jnp.maximum(true, 1e-30)).mean(),
        "accuracy": pixel_accuracy(counts),
        "mean IoU": jnp.nanmean(iou(counts)),
    }


def evaluate(net: nn.Module, params: PyTree, data: Batch, split: str = "validation") -> Metrics:
    """The scores of whole images, named `split/...`."""
    found = scores(predict(net, params, data.x), jnp.asarray(data.y))
    return {f"{split}/{name}": value for name, value in found.items()}
