"""Learners of what is normal, side by side in one: an autoencoder, a VAE and a GAN.

Where outliers of other kinds are seen in training, two more: outlier exposure, Hendrycks et al.
2019.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from dljax import Batch, Learner, Member
from dljax.data.stream import epochs, unit_scale
from dljax.learn import autoencode, gan, vae
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import State
from dljax.learner import Fit, Objective, gradient_step
from dljax.nets.coders import Autoencoder, Variational
from dljax.typing import Array, Key, Metrics, PyTree

TOLD = {"told reconstruction": "reconstruction", "told discriminator": "discriminator"}
"""The scores of what sees outliers in training, and of its twin, which sees none."""


class Nets(NamedTuple):
    """The three that learn what is normal."""

    autoencoder: Autoencoder
    variational: Variational
    adversarial: gan.GAN


class Trained(NamedTuple):
    """The states of the three."""

    autoencoder: State
    variational: State
    adversarial: gan.State
    told: tuple[State, ...]  # an autoencoder and a discriminator, where there are outliers


class Normal(NamedTuple):
    """A design's training images, as rows [n] of all, the deviation of a pixel, and outliers."""

    rows: Array
    scale: Array
    exposed: Array  # rows [m], m may be 0


def learner(
    nets: Nets, x: Array, normal: Normal, *, batch: int, rate: float, steps: int, penalty: float
) -> Learner:
    """The three side by side, each with its own key and its own order of the normal images."""
    tx = optimizer("adam", rate, steps=steps, schedule="warmup-cosine")
    rows = epochs(normal.rows, batch)

    def draw(position: PyTree) -> tuple[PyTree, Batch]:
        position, drawn = rows.next(position)
        return position, Batch(unit_scale(x[drawn]), jnp.float32(1))  # the rate's weight

    def draw_both(position: PyTree) -> tuple[PyTree, Batch]:
        position, drawn = draw(position)
        key = jax.random.fold_in(position.key, position.drawn)
        other = jax.random.choice(key, normal.exposed, (batch,))
        return position, Batch(drawn.x, unit_scale(x[other]))

    def descend(net, objective: Objective, draw=draw) -> Learner:
        one_step = gradient_step(objective, tx)

        def init(key: Key) -> State:
            k_net, k_stream = jax.random.split(key)
            params = net.init(k_net, unit_scale(x[:1]))["params"]
            return State(Fit(params, {}, tx.init(params)), rows.init(k_stream))

        def step(key: Key, state: State) -> tuple[State, Metrics]:
            position, drawn = draw(state.stream)
            fitted, metrics = one_step(key, state.fit, drawn)
            return State(fitted, position), metrics

        return Learner(init, step)

    # with the usual momentum of 0.9 the game swings (Radford et al. 2015)
    short = optax.chain(optax.scale_by_adam(0.5, 0.9), optax.scale(-rate))
    likelihood = vae.gaussian(normal.scale)
    told: tuple[Learner, ...] = ()
    if len(normal.exposed):
        judge = nets.adversarial.discriminator
        told = (
            descend(nets.autoencoder, apart(nets.autoencoder), draw_both),
            descend(judge, gan.discriminate(judge), draw_both),
        )
    three = (
        descend(nets.autoencoder, autoencode.objective(nets.autoencoder, optax.squared_error)),
        descend(nets.variational, vae.objective(nets.variational, likelihood)),
        gan.make(
            nets.adversarial,
            short,
            short,
            rows._replace(next=draw),
            penalty=gan.r1(penalty),
        ),
    )

    def init(key: Key) -> Trained:
        keys = jax.random.split(key, len(three))
        more = tuple(each.init(k) for each, k in zip(told, keys, strict=False))
        return Trained._make((*(each.init(k) for each, k in zip(three, keys, strict=True)), more))

    def step(key: Key, state: Trained) -> tuple[Trained, Metrics]:
        own = state.autoencoder, state.variational, state.adversarial
        keys = jax.random.split(key, len(three))
        pairs = [each.step(k, mine) for each, k, mine in zip(three, keys, own, strict=True)]
        more = [each.step(k, mine) for each, k, mine in zip(told, keys, state.told, strict=False)]
        states, metrics = zip(*pairs, strict=True)
        error, bound, game = metrics
        said = {"error": error["loss"], "bound": bound["loss"], "value": game["value"]}
        return Trained._make((*states, tuple(each for each, _ in more))), said

    return Learner(init, step)


def apart(net: Autoencoder) -> Objective:
    """`e(x) + max(0, m + e(x) - e(y))`, squared errors of normal x and of outliers y [B, ...].

    The margin m is the mean error of the normal, held fixed: so that no scale need be chosen. After
    Hendrycks et al. 2019, section 4.4, where log-densities are so far apart.
    """

    def mean(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        both = jnp.concatenate([batch.x, batch.y])
        back = autoencode.reconstruct(net, params, both)
        errors = vae.total((back - both) ** 2)
        near, far = jnp.split(errors, 2)
        margin = jax.lax.stop_gradient(near.mean())
        return near.mean() + jax.nn.relu(margin + near - far).mean(), (extra, {})

    return mean


def scores(nets: Nets, member: Member, key: Key, x: Array) -> dict[str, Array]:
    """Each network's score [n] of x [n, ...]: the higher, the stranger."""
    state: Trained = member.run.state
    x = unit_scale(x)
    back = autoencode.reconstruct(nets.autoencoder, state.autoencoder.fit.params, x)
    params, likelihood = state.variational.fit.params, vae.gaussian(member.hparams.scale)
    bound = vae.bounds(nets.variational, params, likelihood, key, x)
    more = {}
    if state.told:
        coder, judge = (each.fit for each in state.told)
        again = autoencode.reconstruct(nets.autoencoder, coder.params, x)
        judged = gan.outlier_score(nets.adversarial, judge, x)
        more = dict(zip(TOLD, (vae.total((again - x) ** 2), judged), strict=True))
    return more | {
        "reconstruction": vae.total((back - x) ** 2),
        "bound": bound.distortion + bound.rate.sum(-1),
        "discriminator": gan.outlier_score(nets.adversarial, state.adversarial.discriminator, x),
    }
