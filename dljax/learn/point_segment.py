"""The part of every point of a cloud (S58): `classify.make` learns it, and this judges it."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.learn import classify
from dljax.ops.masks import part_iou
from dljax.typing import Array, Batch, Metrics


def scores(logits: Array, y: Array) -> Metrics:
    """Of logits [n, N, K] and parts y [n, N], -1 where there is no point.

    Accuracy and cross-entropy in nats over all points, and the part mIoU: `ops.masks.part_iou`'s
    mean over clouds.
    """
    real = y >= 0
    true = jnp.take_along_axis(jax.nn.log_softmax(logits), jnp.maximum(y, 0)[..., None], -1)[..., 0]
    guess = logits.argmax(-1)
    each = jax.vmap(lambda y, guess: part_iou(y, guess, logits.shape[-1]))(y, guess)
    return {
        "loss": -jnp.where(real, true, 0).sum() / real.sum(),
        "accuracy": ((guess == y) & real).sum() / real.sum(),
        "part mIoU": each.mean(),
    }


def evaluate(
    net: nn.Module, weights: classify.Weights, data: Batch, split: str = "validation"
) -> Metrics:
    """The scores over all of `data`, clouds x [n, N, d] and parts y [n, N], named `split/...`."""
    found = scores(classify.predict(net, weights, data.x, chunk=100), jnp.asarray(data.y))
    return {f"{split}/{name}": value for name, value in found.items()}
