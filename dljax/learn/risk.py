"""Empirical risk: any network under any loss of its outputs (S4, S5, S6, S7, S24)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from dljax.data.stream import as_seen, epochs, unit_scale
from dljax.learn import shapes
from dljax.learner import Fit, Learner, Member, Objective, gradient_step, unfitted
from dljax.typing import Array, Batch, Key, Metrics, PyTree

Loss = Callable[[Array, Array], Array]
"""`(outputs [B, ...], targets [B, ...]) -> losses`, not reduced: optax's losses are such."""
Augment = Callable[[Key, Batch], Batch]
"""`(key, batch) -> batch`: inputs and targets changed together."""


Weights = tuple[PyTree, PyTree]
"""Parameters, and what was learnt without a gradient: what a trained network needs."""


def params_of(member: Member) -> PyTree:
    """The parameters of a learner that descends, a member of a sweep."""
    return member.run.state.fit.params


def weights_of(member: Member) -> Weights:
    return member.run.state.fit.params, member.run.state.fit.extra


class State(NamedTuple):
    """A network in training: what descent carries, and where the epoch stands."""

    fit: Fit
    stream: PyTree


def descend(
    net: nn.Module,
    objective: Objective,
    tx: optax.GradientTransformation,
    data: Batch,
    *,
    batch: int,
    augment: Augment | None = None,
) -> Learner:
    """Descent on an objective of `net` over `data` (x [n, ...], y [n, ...]), in epochs of batches.

    `augment(key, batch)` changes each batch. Raises InputError if `batch` exceeds n.
    """
    stream = epochs(data, batch)
    one_step = gradient_step(objective, tx)

    def init(key: Key) -> State:
        k_net, k_stream = jax.random.split(key)
        return State(began(net, tx, data, augment, k_net), stream.init(k_stream))

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        k_augment, k_objective = jax.random.split(key)
        position, drawn = stream.next(state.stream)
        if augment is not None:
            drawn = augment(k_augment, drawn)
        fit, metrics = one_step(k_objective, state.fit, drawn)
        return State(fit, position), metrics

    return Learner(init, step)


def fed(
    net: nn.Module,
    objective: Objective,
    tx: optax.GradientTransformation,
    like: Batch,
    *,
    augment: Augment | None = None,
) -> Learner:
    """Descent on an objective of `net` over batches that the host gives: `fit(..., feed=)`.

    `like` is any batch of such rows, for their shapes. Images of uint8 are drawn in [0, 1].
    """
    one_step = gradient_step(objective, tx)

    def init(key: Key) -> Fit:
        return began(net, tx, like, augment, key)

    def step(key: Key, fit: Fit, batch: Batch) -> tuple[Fit, Metrics]:
        k_augment, k_objective = jax.random.split(key)
        drawn = as_seen(batch)
        if augment is not None:
            drawn = augment(k_augment, drawn)
        return one_step(k_objective, fit, drawn)

    return Learner(init, step)


def began(
    net: nn.Module,
    tx: optax.GradientTransformation,
    data: Batch,
    augment: Augment | None,
    key: Key,
) -> Fit:
    """Where descent begins for a network of such data."""
    # zeros: a real example would be a constant, and XLA would augment it while compiling
    example = jax.eval_shape(lambda: first(data, augment).x)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), example)
    return unfitted(net.init(key, zeros), tx)


def of_inputs(augment: Callable[[Key, Array], Array] | None) -> Augment | None:
    """Of what changes inputs alone, what changes batches."""
    return augment and (lambda key, batch: batch._replace(x=augment(key, batch.x)))


def first(data: Any, augment: Callable[[Key, Any], Any] | None = None) -> Any:
    """The first example of inputs, or of a batch, as a network sees it, [1, ...]: for its shape."""
    one = as_seen(jax.tree.map(lambda leaf: jnp.asarray(leaf[:1]), data))
    return one if augment is None else augment(jax.random.key(0), one)


def objective(
    net: nn.Module, loss: Loss, metrics: Callable[[Array, Array], Metrics] = lambda outputs, y: {}
) -> Objective:
    """`J(W) = 1/B sum_i L(f(x_i; W), y_i)`; a network of one output gives f [B].

    `metrics(outputs, targets)` are of the training batch. Raises InputError for a network that
    cannot be told whether it trains.
    """
    shapes.check_train(net)

    def mean(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        options = {"train": True, "rngs": {"dropout": key}, "mutable": list(extra)}
        outputs, extra = net.apply({"params": params, **extra}, batch.x, **options)
        if outputs.ndim > batch.y.ndim:
            outputs = squeezed(outputs)
        chex.assert_equal_shape_prefix([outputs, batch.y], batch.y.ndim)
        return loss(outputs, batch.y).mean(), (extra, metrics(outputs, batch.y))

    return mean


def accuracy(logits: Array, labels: Array) -> Metrics:
    """The share of labels [B, ...] that are their logits' greatest, [B, ..., K]."""
    return {"accuracy": jnp.mean(logits.argmax(-1) == labels)}


def make(
    net: nn.Module,
    tx: optax.GradientTransformation,
    data: Batch,
    loss: Loss,
    *,
    batch: int,
    augment: Callable[[Key, Array], Array] | None = None,
) -> Learner:
    """Descent on the risk of `loss` over `data`, its inputs changed by `augment(key, x)`.

    See `descend`. Raises InputError too if the network's outputs do not face the targets.
    """
    goal = objective(net, loss)
    learner = descend(net, goal, tx, data, batch=batch, augment=of_inputs(augment))
    shapes.check_targets(shapes.given(net, lambda: first(data.x, augment)), data.y, loss)
    return learner


def predict(net: nn.Module, weights: Weights, x: Array, chunk: int = 500) -> Array:
    """Outputs [n, K] of x [n, ...], at most `chunk` examples in memory at a time."""
    params, extra = weights

    def one(x: Array) -> Array:
        return net.apply({"params": params, **extra}, unit_scale(x)[None])[0]  # pyright: ignore

    return jax.lax.map(one, jnp.asarray(x), batch_size=chunk)


def evaluate(net: nn.Module, weights: Weights, data: Batch, split: str = "validation") -> Metrics:
    """How well numbers y [n] or [n, K] are told: `split/RMSE`, and `split/explained`, at most 1.

    `explained = 1 - sum (y - f)^2 / sum (y - mean y)^2`: what the mean would leave, and f does not.
    """
    y = jnp.asarray(data.y)
    outputs = predict(net, weights, data.x)
    rest = jnp.square((outputs if outputs.ndim == y.ndim else squeezed(outputs)) - y)
    plain = jnp.square(y - y.mean(0, keepdims=True))
    found = {"RMSE": jnp.sqrt(rest.mean()), "explained": 1 - rest.sum() / plain.sum()}
    return {f"{split}/{name}": value for name, value in found.items()}


def apply(net: nn.Module, params: PyTree, x: Array, **options) -> Array:
    """The outputs [B, K] of x [B, ...], or [B] where K is 1, so that they face targets [B]."""
    return squeezed(net.apply({"params": params}, x, **options))


def squeezed(outputs: Any) -> Array:
    return outputs[..., 0] if outputs.shape[-1] == 1 else outputs
