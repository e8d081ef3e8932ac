"""Empirical risk: any network under any loss of its outputs (S4, S5, S6, S7)."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from dljax.data.stream import epochs
from dljax.learner import Fit, Learner, Objective, gradient_step
from dljax.typing import Array, Batch, Key, Metrics, PyTree

Loss = Callable[[Array, Array], Array]
"""`(outputs [B, ...], targets [B, ...]) -> losses`, not reduced: optax's losses are such."""


class State(NamedTuple):
    """A network in training: what descent carries, and where the epoch stands."""

    fit: Fit
    stream: PyTree


def objective(net: nn.Module, loss: Loss) -> Objective:
    """`J(W) = 1/B sum_i L(f(x_i; W), y_i)`; a network of one output gives f [B]."""

    def mean(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        outputs = apply(net, params, batch.x, train=True, rngs={"dropout": key})
        return loss(outputs, batch.y).mean(), (extra, {})

    return mean


def make(
    net: nn.Module, tx: optax.GradientTransformation, data: Batch, loss: Loss, *, batch: int
) -> Learner:
    """Descent on the risk over `data` (x [n, ...], y [n, ...]), in epochs without replacement.

    Raises InputError if `batch` exceeds n.
    """
    stream = epochs(data, batch)
    descend = gradient_step(objective(net, loss), tx)

    def init(key: Key) -> State:
        k_net, k_stream = jax.random.split(key)
        params = net.init(k_net, jnp.asarray(data.x[:1]))["params"]
        return State(Fit(params, {}, tx.init(params)), stream.init(k_stream))

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        position, drawn = stream.next(state.stream)
        fit, metrics = descend(key, state.fit, drawn)
        return State(fit, position), metrics

    return Learner(init, step)


def apply(net: nn.Module, params: PyTree, x: Array, **options) -> Array:
    """The outputs [B, K] of x [B, ...], or [B] where K is 1, so that they face targets [B]."""
    outputs: Array = net.apply({"params": params}, x, **options)  # pyright: ignore
    return outputs[..., 0] if outputs.shape[-1] == 1 else outputs
