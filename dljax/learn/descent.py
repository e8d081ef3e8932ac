"""Gradient descent looked at closely (S7, S11): optimisers side by side, noise, closed forms."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from dljax.data.stream import Position, epochs, unit_scale
from dljax.learn import shapes
from dljax.learn.classify import objective
from dljax.learn.risk import first
from dljax.learner import Fit, Learner, gradient_step
from dljax.typing import Array, Batch, Key, Metrics, PyTree


class Race(NamedTuple):
    """Fits [R] by entrant, and where the epoch of all of them stands."""

    fits: dict[str, Fit]
    stream: PyTree


def race(
    net: nn.Module,
    entrants: Mapping[str, Callable[[Array], optax.GradientTransformation]],
    rates: Array,
    data: Batch,
    *,
    batch: int,
) -> Learner:
    """Classifiers of `data`, one for each entrant and rate, on the same start and batches.

    Each does what `classify.make(net, entrant(rate), data, batch=batch)` does with the same key,
    but the batch is drawn once, and meets an entrant's first layers in one matmul, not R small
    ones. rates [R]; metrics: `name/loss` [R]. For networks without dropout or batch statistics.
    """
    stream = epochs(data, batch)
    shapes.check_labels(shapes.given(net, lambda: first(data.x)), data.y)

    def init(key: Key) -> Race:
        k_net, k_stream = jax.random.split(key)
        params = net.init(k_net, first(data.x))["params"]
        fits = {
            name: jax.vmap(lambda rate, make=make: Fit(params, {}, make(rate).init(params)))(rates)
            for name, make in entrants.items()
        }
        return Race(fits, stream.init(k_stream))

    def step(key: Key, state: Race) -> tuple[Race, Metrics]:
        position, drawn = stream.next(state.stream)
        fits, metrics = {}, {}
        for name, make in entrants.items():

            def descend(rate: Array, fit: Fit, make=make):
                return gradient_step(objective(net), make(rate))(key, fit, drawn)

            fits[name], found = jax.vmap(descend)(rates, state.fits[name])
            metrics[f"{name}/loss"] = found["loss"]
        return Race(fits, position), metrics

    return Learner(init, step)


def gradient(net: nn.Module, params: PyTree, batch: Batch) -> Array:
    """The gradient of the mean cross-entropy over a batch, as one vector [P]."""
    grads = jax.grad(objective(net), has_aux=True)(params, {}, batch, jax.random.key(0))[0]
    return jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(grads)])


def example_gradients(net: nn.Module, params: PyTree, data: Batch) -> Array:
    """The gradient of each example's own loss [n, P]; a batch's is the mean of its rows."""

    def one(x: Array, y: Array) -> Array:
        return gradient(net, params, Batch(unit_scale(x)[None], y[None]))

    return jax.vmap(one)(jnp.asarray(data.x), jnp.asarray(data.y))


def exact_noise(gradients: Array, batch: int) -> Array:
    """`E ||g_B - g||^2 = (s^2 / B) (n - B) / (n - 1)`, `s^2 = mean_i ||g_i - g||^2`.

    gradients [n, P]. For batches without replacement (Cochran 1977, theorem 2.2); none at B = n.
    """
    n = len(gradients)
    return gradients.var(0).sum() / batch * (n - batch) / max(1, n - 1)


def measured_noise(
    key: Key, net: nn.Module, params: PyTree, data: Batch, *, batch: int, draws: int
) -> Array:
    """`mean ||g_B - g||^2` over the gradients of the first `draws` batches of a stream."""
    stream = epochs(data, batch)
    whole = example_gradients(net, params, data).mean(0)

    def one(drawn: Array) -> Array:
        _, sample = stream.next(Position(key, drawn))
        return jnp.sum((gradient(net, params, sample) - whole) ** 2)

    return jax.lax.map(one, jnp.arange(draws)).mean()


def minimise(
    f: Callable[[Array], Array], begin: Array, tx: optax.GradientTransformation
) -> Learner:
    """Descend `f(w)`, a number, from w = `begin`."""

    def loss(params: PyTree, extra: PyTree, batch: None, key: Key):
        return f(params), (extra, {})

    descend = gradient_step(loss, tx)

    def init(key: Key) -> Fit:
        return Fit(begin, {}, tx.init(begin))

    def step(key: Key, fit: Fit) -> tuple[Fit, Metrics]:
        return descend(key, fit, None)

    return Learner(init, step)


def quadratic(curvatures: Array, tx: optax.GradientTransformation) -> Learner:
    """Descend `f(w) = 1/2 sum_i lambda_i w_i^2` from w = 1; curvatures lambda [d].

    Plain descent multiplies w_i by `1 - rate lambda_i` a step, and so converges if and only if
    `rate < 2 / lambda_max`; with momentum beta, `rate < 2 (1 + beta) / lambda_max` (Polyak 1964).
    """
    return minimise(lambda w: 0.5 * jnp.sum(curvatures * w**2), jnp.ones_like(curvatures), tx)


def two_minima(w: Array, sharp: float) -> Array:
    """`min(1/2 + sharp (w - 1)^2 / 2, (w + 2)^2 / 2)`: a local minimum at 1, and the least at -2.

    Near 1 plain descent multiplies w - 1 by `1 - rate sharp` a step, and so a rate above
    `2 / sharp` leaves the local minimum, and a smaller one never does.
    """
    return jnp.minimum(0.5 + sharp * (w - 1) ** 2 / 2, (w + 2) ** 2 / 2)


def turned_quadratic(w: Array, curvatures: Array, turn: Array) -> Array:
    """`1/2 sum_i lambda_i u_i^2`, `u` the w [2] turned by an angle; curvatures lambda [2].

    What divides each coordinate's step by the size of its own gradients (Adagrad and its kin) does
    the same for all lambda while the axes are those of the loss, and cannot where they are turned.
    """
    return 0.5 * jnp.sum(curvatures * turned(w, turn) ** 2)


def turned(w: Array, turn: Array) -> Array:
    """A point of the plane [2] turned by an angle about 0."""
    cos, sin = jnp.cos(turn), jnp.sin(turn)
    return jnp.stack([cos * w[0] - sin * w[1], sin * w[0] + cos * w[1]])
