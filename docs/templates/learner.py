"""WHAT is learnt (ROW of the syllabus): `J(W) = 1/B sum_i |f(x_i; W) - y_i|`. SOURCE."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from dljax.data.stream import epochs
from dljax.errors import InputError
from dljax.learner import Fit, Learner, gradient_step
from dljax.typing import Batch, Key, Metrics, PyTree


class State(NamedTuple):
    """All that a step takes and gives, arrays alone."""

    fit: Fit
    stream: PyTree


def make(
    net: nn.Module, tx: optax.GradientTransformation, data: Batch, *, batch: int = 32
) -> Learner:
    """Descent on the mean absolute error of `net` over `data` (x [n, ...], y [n]).

    Raises InputError if the targets are not numbers, one a row.
    """
    if data.y.ndim != 1:
        raise InputError(f"targets must be [n]; got {data.y.shape}")
    stream = epochs(data, batch)

    def objective(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        error = jnp.abs(net.apply({"params": params}, batch.x)[:, 0] - batch.y)
        return error.mean(), (extra, {"worst": error.max()})

    def init(key: Key) -> State:
        k_net, k_stream = jax.random.split(key)
        params = net.init(k_net, jnp.zeros((1, *data.x.shape[1:])))["params"]
        return State(Fit(params, {}, tx.init(params)), stream.init(k_stream))

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        position, drawn = stream.next(state.stream)
        fit, metrics = gradient_step(objective, tx)(key, state.fit, drawn)
        return State(fit, position), metrics

    return Learner(init, step)
