"""Classification by softmax cross-entropy (S6, S24, S31), with calibration."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from dljax.data.stream import epochs, unit_scale
from dljax.errors import InputError
from dljax.learner import Fit, Learner, Objective, gradient_step
from dljax.typing import Array, Batch, Key, Metrics, PyTree

Weights = tuple[PyTree, PyTree]
"""Parameters, and what was learnt without a gradient: what a trained network needs."""


class State(NamedTuple):
    """A classifier in training: what descent carries, and where the epoch stands."""

    fit: Fit
    stream: PyTree


def objective(net: nn.Module, *, smoothing: float = 0.0) -> Objective:
    """Mean cross-entropy `-sum_k q_k log softmax(z)_k`, `q = (1 - s) onehot(y) + s / K`.

    Label smoothing: Szegedy et al. 2016. The metric `accuracy` is that of the training batch.
    """

    def loss(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        logits, extra = net.apply(
            {"params": params, **extra},
            batch.x,
            train=True,
            rngs={"dropout": key},
            mutable=list(extra),
        )
        labels = optax.smooth_labels(jax.nn.one_hot(batch.y, logits.shape[-1]), smoothing)
        mean = optax.softmax_cross_entropy(logits, labels).mean()
        return mean, (extra, {"accuracy": jnp.mean(logits.argmax(-1) == batch.y)})

    return loss


def make(
    net: nn.Module,
    tx: optax.GradientTransformation,
    data: Batch,
    *,
    batch: int,
    smoothing: float = 0.0,
    augment: Callable[[Key, Array], Array] | None = None,
) -> Learner:
    """A classifier of `data` (x [n, ...], labels y [n]) in epochs of batches without replacement.

    `augment(key, x)` changes each batch of inputs. Raises InputError if `batch` exceeds n, or if
    `smoothing` is outside [0, 1).
    """
    if not 0 <= smoothing < 1:
        raise InputError(f"smoothing must be in [0, 1); got {smoothing}")
    stream = epochs(data, batch)
    descend = gradient_step(objective(net, smoothing=smoothing), tx)

    def init(key: Key) -> State:
        k_net, k_stream = jax.random.split(key)
        extra = dict(net.init(k_net, unit_scale(jnp.asarray(data.x[:1]))))
        params = extra.pop("params")
        return State(Fit(params, extra, tx.init(params)), stream.init(k_stream))

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        k_augment, k_dropout = jax.random.split(key)
        position, drawn = stream.next(state.stream)
        if augment is not None:
            drawn = drawn._replace(x=augment(k_augment, drawn.x))
        fit, metrics = descend(k_dropout, state.fit, drawn)
        return State(fit, position), metrics

    return Learner(init, step)


def predict(net: nn.Module, weights: Weights, x: Array, chunk: int = 500) -> Array:
    """Logits [n, K] of x [n, ...], at most `chunk` examples in memory at a time."""
    params, extra = weights

    def one(x: Array) -> Array:
        return net.apply({"params": params, **extra}, unit_scale(x)[None])[0]  # pyright: ignore

    return jax.lax.map(one, jnp.asarray(x), batch_size=chunk)


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
