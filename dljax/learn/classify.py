"""Classification by softmax cross-entropy (S6, S24, S31), with calibration."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax.errors import InputError
from dljax.learn import risk, shapes
from dljax.learner import Learner, Objective
from dljax.typing import Array, Batch, Key, Metrics

Weights, predict = risk.Weights, risk.predict


def objective(net: nn.Module, *, smoothing: float = 0.0, weights: Any = None) -> Objective:
    """Mean cross-entropy `-w_y sum_k q_k log softmax(z)_k`, `q = (1 - s) onehot(y) + s / K`.

    Label smoothing: Szegedy et al. 2016. weights w [K], 1 by default: see `balance`. The metric
    `accuracy` is that of the training batch.
    """

    def loss(logits: Array, y: Array) -> Array:
        labels = optax.smooth_labels(jax.nn.one_hot(y, logits.shape[-1]), smoothing)
        loss = optax.softmax_cross_entropy(logits, labels)
        return loss if weights is None else loss * jnp.asarray(weights)[y]

    return risk.objective(net, loss, risk.accuracy)


def make(
    net: nn.Module,
    tx: optax.GradientTransformation,
    data: Batch,
    *,
    batch: int,
    smoothing: float = 0.0,
    weights: Any = None,
    augment: Callable[[Key, Array], Array] | None = None,
) -> Learner:
    """A classifier of `data` (x [n, ...], labels y [n]) in epochs of batches without replacement.

    `augment(key, x)` changes each batch of inputs; weights [K] are the classes'. Raises InputError
    if `batch` exceeds n, if `smoothing` is outside [0, 1), for a label that is none of the
    network's classes, or for weights that are not one a class.
    """
    if not 0 <= smoothing < 1:
        raise InputError(f"smoothing must be in [0, 1); got {smoothing}")
    goal = objective(net, smoothing=smoothing, weights=weights)
    changed = risk.of_inputs(augment)
    learner = risk.descend(net, goal, tx, data, batch=batch, augment=changed)
    logits = shapes.given(net, lambda: risk.first(data.x, augment))
    shapes.check_labels(logits, data.y)
    if weights is not None and np.shape(weights) != logits.shape[-1:]:
        wanted, got = list(logits.shape[-1:]), list(np.shape(weights))
        raise InputError(f"weights must be {wanted}, one a class; got {got}")
    return learner


def fed(net: nn.Module, tx: optax.GradientTransformation, like: Batch) -> Learner:
    """A classifier of batches that the host gives: `fit(..., feed=)`.

    `like` is any of them. Raises InputError for a label of it that is none of the network's
    classes; those of the others are not looked at.
    """
    shapes.check_labels(shapes.given(net, lambda: risk.first(like.x)), like.y)
    return risk.fed(net, objective(net), tx, like)


def balance(labels: Any, classes: int) -> np.ndarray:
    """`w_k = n / (K n_k)` of labels [n]: all classes weigh the same. King and Zeng 2001."""
    counts = np.bincount(np.asarray(labels), minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32)


def scores(logits: Array, labels: Array) -> Metrics:
    """Accuracy, mean cross-entropy in nats, and expected calibration error of logits [n, K]."""
    return {
        "accuracy": jnp.mean(logits.argmax(-1) == labels),
        "loss": optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(),
        "calibration_error": calibration_error(jax.nn.softmax(logits), labels),
    }


def evaluate(net: nn.Module, weights: Weights, data: Batch, split: str = "validation") -> Metrics:
    """The scores over all of `data`, named `split/...`."""
    found = scores(predict(net, weights, data.x), jnp.asarray(data.y))
    return {f"{split}/{name}": value for name, value in found.items()}


def calibration_error(probabilities: Array, labels: Array, bins: int = 15) -> Array:
    """`sum_b |B_b| / n |accuracy(B_b) - confidence(B_b)|` over equal bins of the top probability.

    probabilities [n, K], labels [n]. Naeini et al. 2015; Guo et al. 2017, eq. 3.
    """
    confidence = probabilities.max(-1)
    correct = probabilities.argmax(-1) == labels
    inside = jax.nn.one_hot(jnp.clip((confidence * bins).astype(int), 0, bins - 1), bins)
    return jnp.abs((correct - confidence) @ inside).sum() / len(labels)
