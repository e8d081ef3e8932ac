"""Three learners of what is normal, side by side in one: an autoencoder, a VAE and a GAN."""

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
from dljax.typing import Array, Key, Metrics


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


class Normal(NamedTuple):
    """A design's training images, as rows [n] of all, and the deviation of a pixel."""

    rows: Array
    scale: Array


def learner(
    nets: Nets, x: Array, normal: Normal, *, batch: int, rate: float, steps: int, penalty: float
) -> Learner:
    """The three side by side, each with its own key and its own order of the normal images."""
    tx = optimizer("adam", rate, steps=steps, schedule="warmup-cosine")
    rows = epochs(normal.rows, batch)

    def draw(position):
        position, drawn = rows.next(position)
        return position, Batch(unit_scale(x[drawn]), jnp.float32(1))  # the rate's weight

    def descend(net, objective: Objective) -> Learner:
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
        return Trained(*(each.init(k) for each, k in zip(three, keys, strict=True)))

    def step(key: Key, state: Trained) -> tuple[Trained, Metrics]:
        keys = jax.random.split(key, len(three))
        pairs = [each.step(k, own) for each, k, own in zip(three, keys, state, strict=True)]
        states, metrics = zip(*pairs, strict=True)
        error, bound, game = metrics
        said = {"error": error["loss"], "bound": bound["loss"], "value": game["value"]}
        return Trained(*states), said

    return Learner(init, step)


def scores(nets: Nets, member: Member, key: Key, x: Array) -> dict[str, Array]:
    """Each network's score [n] of x [n, ...]: the higher, the stranger."""
    state: Trained = member.run.state
    x = unit_scale(x)
    back = autoencode.reconstruct(nets.autoencoder, state.autoencoder.fit.params, x)
    params, likelihood = state.variational.fit.params, vae.gaussian(member.hparams.scale)
    bound = vae.bounds(nets.variational, params, likelihood, key, x)
    return {
        "reconstruction": vae.total((back - x) ** 2),
        "bound": bound.distortion + bound.rate.sum(-1),
        "discriminator": gan.outlier_score(nets.adversarial, state.adversarial.discriminator, x),
    }
