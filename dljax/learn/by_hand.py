"""A dense network trained by the chain rule written out, beside what jax.grad gives (S7, S8)."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dljax.errors import InputError
from dljax.learner import Learner
from dljax.ops.backprop import Activation, Layer, descend, forward, gradient, half_squared_error
from dljax.typing import Array, Batch, Key, Metrics, PyTree


def make(sizes: Sequence[int], act: Activation, data: Batch, rate: float) -> Learner:
    """Plain descent on the mean of `E` over all of `data` (x [n, I], y [n, O]) at every step.

    sizes: I, the hidden widths, O; `act` follows every layer. Weights start as N(0, 1), biases as
    0. The metrics are the error, and the `gap`: the gradient's largest distance from jax.grad's.
    Raises InputError for data of other widths.
    """
    x, y = jnp.asarray(data.x), jnp.asarray(data.y)
    for name, part, width in (("x", x, sizes[0]), ("y", y, sizes[-1])):
        if part.shape != (len(x), width):
            raise InputError(f"{name} must be [{len(x)}, {width}]; got {list(part.shape)}")

    def init(key: Key) -> list[Layer]:
        keys = jax.random.split(key, len(sizes) - 1)
        shapes = zip(keys, itertools.pairwise(sizes), strict=True)
        return [Layer(jax.random.normal(k, shape), jnp.zeros(shape[1])) for k, shape in shapes]

    def step(key: Key, layers: list[Layer]) -> tuple[list[Layer], Metrics]:
        del key  # nothing is drawn
        errors, each = jax.vmap(lambda x, y: gradient(layers, x, y, act))(x, y)
        grads = jax.tree.map(lambda leaf: leaf.mean(0), each)
        gap = difference(grads, jax.grad(mean_error)(layers, data, act))
        return descend(layers, grads, rate), {"error": errors.mean(), "gap": gap}

    return Learner(init, step)


def mean_error(layers: Sequence[Layer], data: Batch, act: Activation) -> Array:
    """`1/n sum_i E(x_i, y_i)`."""
    out = jax.vmap(lambda x: forward(layers, x, act).outs[-1])(jnp.asarray(data.x))
    return jax.vmap(half_squared_error)(out, jnp.asarray(data.y)).mean()


def difference(one: Sequence[Layer], other: Sequence[Layer]) -> Array:
    """The largest difference between two gradients."""
    gaps = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), one, other)
    return jnp.stack(jax.tree.leaves(gaps)).max()


class Timed(NamedTuple):
    """A learner's state, and of each stopping criterion the steps before it held, and whether."""

    state: PyTree
    steps: Array  # [C]
    held: Array  # [C]


def timed(learner: Learner, met: Callable[[PyTree], Array]) -> Learner:
    """The learner, timed until each of the criteria `met(state) -> [C]` holds first (S10)."""

    def init(key: Key) -> Timed:
        state = learner.init(key)
        held = met(state)
        return Timed(state, jnp.zeros(held.shape, jnp.int32), held)

    def step(key: Key, timed: Timed) -> tuple[Timed, Metrics]:
        state, metrics = learner.step(key, timed.state)
        return Timed(state, timed.steps + ~timed.held, timed.held | met(state)), metrics

    return Learner(init, step)
