"""Generative adversarial networks (S42, S43): `min_G max_D E log D(x) + E log(1 - D(G(z)))`.

D = sigmoid(logit) is the chance that a sample is real. Goodfellow et al. 2014. Where both players
are told y, of which x is to be an example, the game is conditional: Mirza and Osindero 2014.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from dljax.data.stream import Stream
from dljax.errors import InputError, check_count, check_unit
from dljax.learn import shapes
from dljax.learner import Fit, Learner, Objective, gradient_step, unfitted
from dljax.typing import Array, Batch, Key, Metrics, PyTree

Penalty = Callable[[Callable[[Array], Array], Array, Array, Key], Array]
"""`(logit, real [B, ...], fake [B, ...], key) -> penalties [B]`, with `logit` x [B, ...] -> [B]."""

Contest = Callable[[Array, Array], Array]
"""`(logits of the real, logits of the fake) -> the discriminator's loss`, of logits [B, ...]."""


@dataclass(frozen=True)
class GAN:
    """Two networks: `generator` z [B, latent] -> x [B, ...] and `discriminator` x -> logits [B].

    In a conditional game they are called with y [B, ...] as well, (z, y) and (x, y).
    """

    generator: nn.Module
    discriminator: nn.Module
    latent: int

    def __post_init__(self):
        if self.latent < 1:
            raise InputError(f"a latent needs at least 1 dimension; got {self.latent}")


class State(NamedTuple):
    """Both networks in training; `generator.extra` holds the average of its parameters, if any."""

    generator: Fit
    discriminator: Fit
    stream: PyTree


class Told(NamedTuple):
    """What the discriminator of a conditional game learns from: both sorts are of the same y."""

    real: Array
    fake: Array
    y: Array


class Pair(NamedTuple):
    """The parameters of both networks, for one descent on the sum of their objectives."""

    generator: PyTree
    discriminator: PyTree


def non_saturating(logits: Array) -> Array:
    """`-log D(G(z))` for each logit of a sample: steep where D is sure that it is a fake."""
    return optax.sigmoid_binary_cross_entropy(logits, jnp.ones_like(logits))


def minimax(logits: Array) -> Array:
    """`log(1 - D(G(z)))`, the game itself, whose slope `-D(G(z))` vanishes where D is sure."""
    return -optax.sigmoid_binary_cross_entropy(logits, jnp.zeros_like(logits))


def value(real: Array, fake: Array) -> Array:
    """`V = mean log D(x) + mean log(1 - D(G(z)))` of logits: -log 4 where D knows nothing.

    At the best D for densities p and q, which is `p / (p + q)`, it is `-log 4 + 2 JS(p, q)`, with
    JS in nats; so it is -log 4 if and only if q = p. Goodfellow et al. 2014, theorem 1.
    """
    return minimax(fake).mean() - non_saturating(real).mean()


def cross_entropy(real: Array, fake: Array) -> Array:
    """`-V`: real or fake, as two classes; against `minimax` or `non_saturating`."""
    return -value(real, fake)


def hinge(real: Array, fake: Array) -> Array:
    """`mean max(0, 1 - real) + mean max(0, 1 + fake)`, against `linear`: a margin, no more.

    Lim and Ye 2017; Miyato et al. 2018, eqs. 16 and 17.
    """
    return jax.nn.relu(1 - real).mean() + jax.nn.relu(1 + fake).mean()


def linear(logits: Array) -> Array:
    """`-logit` for each of a sample."""
    return -logits


def least_squares(real: Array, fake: Array) -> Array:
    """`mean (real - 1)^2 / 2 + mean fake^2 / 2`, against `squared`; Mao et al. 2017, eq. 9."""
    return ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2


def squared(logits: Array) -> Array:
    """`(logit - 1)^2 / 2` for each of a sample: it pulls back what is judged too real as well."""
    return (logits - 1) ** 2 / 2


def none(logit: Callable[[Array], Array], real: Array, fake: Array, key: Key) -> Array:
    return jnp.zeros(len(real))


def r1(weight: float | Array) -> Penalty:
    """`weight / 2 ||d logit / dx||^2` at real x, where the best is flat. Mescheder et al. 2018."""

    def penalty(logit, real, fake, key):
        return weight / 2 * squared_slope(logit, real)

    return penalty


def squared_slope(logit: Callable[[Array], Array], x: Array) -> Array:
    """`||d logit_i / dx_i||^2`, [B], for a network that treats each example alone."""
    logits, pull = jax.vjp(logit, x)
    (slope,) = pull(jnp.ones_like(logits))
    return jnp.sum(slope.reshape(len(x), -1) ** 2, 1)


def discriminate(
    net: nn.Module, penalty: Penalty = none, contest: Contest = cross_entropy
) -> Objective:
    """The contest's loss and the mean penalty, over the discriminator's parameters.

    The batch is (real x, fake y), or `Told`.
    """

    def objective(params: PyTree, extra: PyTree, batch: Batch | Told, key: Key):
        real, fake, *y = batch

        def apply(x: Array):
            return net.apply({"params": params, **extra}, x, *y, train=True, mutable=list(extra))

        # not as one batch: the logits of the real are then the penalty's too, computed once
        on_real, learnt = apply(real)
        on_fake, _ = apply(fake)
        cost = penalty(lambda x: apply(x)[0], real, fake, key).mean()
        metrics = {
            "value": value(on_real, on_fake),
            "real": jax.nn.sigmoid(on_real).mean(),
            "fake": jax.nn.sigmoid(on_fake).mean(),
        }
        return contest(on_real, on_fake) + cost, (learnt, metrics)

    return objective


def make(
    gan: GAN,
    generator_tx: optax.GradientTransformation,
    discriminator_tx: optax.GradientTransformation,
    stream: Stream,
    *,
    goal: Callable[[Array], Array] = non_saturating,
    penalty: Penalty = none,
    contest: Contest = cross_entropy,
    rounds: int = 1,
    average: float | Array | None = None,
    conditional: bool = False,
    error: Callable[[Array, Array], Array] | None = None,
) -> Learner:
    """`rounds` steps of the discriminator, each on a batch of `stream`, then one of the generator.

    Goodfellow et al. 2014, algorithm 1, but that the generator learns from the samples of the last
    round, judged anew. `goal` is its loss of their logits, `contest` the discriminator's;
    `average`, if any, the decay of a mean of its parameters, for `best`. Where the game is
    `conditional`, a sample is of the y of the real one beside it, and `error(samples, real)`, if
    any, is added to the generator's goal: the discriminator is then a part of a loss (Isola et al.
    2017, eq. 4). Raises InputError if `rounds` is below 1, `average` outside [0, 1], for an error
    of a game that is not conditional, or if the samples or logits are of another shape than needed.
    """
    check_unit(average=average)
    check_count(rounds=rounds)
    if error is not None and not conditional:
        raise InputError("an error needs a conditional game, or samples stand for no example")
    real, answer = drawn(stream)
    told = (blank(answer),) if conditional else ()
    made = shapes.given(
        gan.generator, lambda: (jnp.zeros((1, gan.latent)), *(each() for each in told))
    )
    shapes.check(made, real.shape[1:], "x has")
    judged = shapes.given(gan.discriminator, lambda: (blank(real)(), *(each() for each in told)))
    shapes.check(judged, (), "a logit is")
    judge = gradient_step(discriminate(gan.discriminator, penalty, contest), discriminator_tx)

    def init(key: Key) -> State:
        k_generator, k_discriminator, k_stream = jax.random.split(key, 3)
        position = stream.init(k_stream)
        _, batch = stream.next(position)
        y = (batch.y[:1],) if conditional else ()
        params = gan.generator.init(k_generator, jnp.zeros((1, gan.latent)), *y)["params"]
        begun = gan.discriminator.init(k_discriminator, batch.x[:1], *y)
        return State(
            Fit(params, {} if average is None else {"average": params}, generator_tx.init(params)),
            unfitted(begun, discriminator_tx),
            position,
        )

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        fit, discriminator, position = state
        # unrolled: with a scan within the run's, single steps gave other bits than many
        for k_round in jax.random.split(key, rounds):
            k_latent, k_penalty = jax.random.split(k_round)
            position, batch = stream.next(position)
            x, y = batch.x, (batch.y,) if conditional else ()
            z = jax.random.normal(k_latent, (len(x), gan.latent))
            # the last round's pass of the generator serves its own step too
            last, pull = jax.vjp(lambda params, z=z, y=y: generate(gan, params, z, *y), fit.params)
            both = Told(x, last, *y) if y else Batch(x, last)
            discriminator, metrics = judge(k_penalty, discriminator, both)

        def cost(fake: Array) -> Array:
            found = goal(logits(gan, discriminator, fake, *y)).mean()
            return found if error is None else found + error(fake, x).mean()

        loss, slope = jax.value_and_grad(cost)(last)
        updates, opt = generator_tx.update(pull(slope)[0], fit.opt, fit.params)
        params = optax.apply_updates(fit.params, updates)
        metrics |= {"generator_loss": loss}
        fit = Fit(params, averaged(fit.extra, params, average), opt)
        return State(fit, discriminator, position), metrics

    return Learner(init, step)


def drawn(stream: Stream) -> Any:
    """The shapes of a batch's x and y."""
    return jax.eval_shape(lambda: stream.next(stream.init(jax.random.key(0)))[1])


def blank(x: jax.ShapeDtypeStruct) -> Callable[[], Array]:
    """Makes one example of a batch's shape, of zeros."""
    return functools.partial(jnp.zeros, (1, *x.shape[1:]), x.dtype)


def averaged(extra: PyTree, params: PyTree, average: float | Array | None) -> PyTree:
    """The running average, if there is one, with a network's new parameters in it."""
    if average is None:
        return extra
    return {"average": optax.incremental_update(params, extra["average"], 1 - average)}


def summed(
    gan: GAN,
    goal: Callable[[Array], Array] = non_saturating,
    penalty: Penalty = none,
    contest: Contest = cross_entropy,
) -> Objective:
    """Both objectives as one sum over the parameters of a `Pair`, each blind to the other's.

    `J(t, p) = contest(stop t, p) + penalty + mean goal(D_{stop p}(G_t(z)))`: its gradient is the
    generator's and the discriminator's side by side. `extra` is the discriminator's; the batch is
    (real x, latents y).
    """
    judge = discriminate(gan.discriminator, penalty, contest)

    def objective(params: Pair, extra: PyTree, batch: Batch, key: Key):
        fake = generate(gan, params.generator, batch.y)
        fixed = jax.lax.stop_gradient(Fit(params.discriminator, extra, ()))
        loss, found = judge(
            params.discriminator, extra, Batch(batch.x, jax.lax.stop_gradient(fake)), key
        )
        return loss + goal(logits(gan, fixed, fake)).mean(), found

    return objective


def best(generator: Fit) -> PyTree:
    """The parameters to sample with: the running average where there is one."""
    return generator.extra.get("average", generator.params)


def generate(gan: GAN, params: PyTree, z: Array, *y: Array) -> Array:
    """Samples G(z) [n, ...] of latents z [n, latent], or G(z, y) of y [n, ...]."""
    return gan.generator.apply({"params": params}, z, *y)  # pyright: ignore


def logits(gan: GAN, discriminator: Fit, x: Array, *y: Array) -> Array:
    """The logits [n] of x [n, ...] being real, of y if one is given, by a trained discriminator."""
    return judged(gan.discriminator, discriminator, x, *y)


def judged(net: nn.Module, fit: Fit, *x: Array) -> Array:
    """What a network in training gives of x [n, ...], as it is used rather than trained."""
    return net.apply({"params": fit.params, **fit.extra}, *x)  # pyright: ignore


def sample(gan: GAN, params: PyTree, key: Key, n: int) -> Array:
    """n samples [n, ...] from standard normal latents."""
    return generate(gan, params, jax.random.normal(key, (n, gan.latent)))


def outlier_score(gan: GAN, discriminator: Fit, x: Array) -> Array:
    """`-logit` for each of x [n, ...]: the higher, the less like the data than like samples.

    It knows outliers of the kind that the generator once made; at the end of the game it is flat on
    the data, and what it says of points that neither player visited was taught by nothing.
    """
    return -logits(gan, discriminator, x)


def between(z: Array, w: Array, steps: int) -> Array:
    """The great arc from latents z [n, d] to w [n, d] in `steps` points, [n, steps, d].

    `(sin((1-t) a) z + sin(t a) w) / sin a` at an angle a: a straight line would pass near 0, where
    no latent of many dimensions lies. From or to 0, which has no angle, it is straight. White 2016.
    """
    lengths = jnp.linalg.norm(z, axis=1), jnp.linalg.norm(w, axis=1)
    known = jnp.minimum(*lengths) > 0
    from_z, to_w = (jnp.where(known, length, 1) for length in lengths)
    cosine = jnp.where(known, jnp.sum(z * w, 1) / from_z / to_w, 1)
    angle = jnp.arccos(jnp.clip(cosine, -1, 1))[:, None, None]
    t = jnp.linspace(0, 1, steps)[None, :, None]
    flat = jnp.sin(angle) < 1e-4
    arc = jnp.where(flat, 1.0, jnp.sin(angle))
    first = jnp.where(flat, 1 - t, jnp.sin((1 - t) * angle) / arc)
    second = jnp.where(flat, t, jnp.sin(t * angle) / arc)
    return first * z[:, None] + second * w[:, None]


def covered(counts: Array, n: int) -> Array:
    """How many of K groups hold at least a quarter of their fair share n / K: counts [..., K].

    Fewer than K of them, though the data have all, is mode collapse.
    """
    return jnp.sum(counts >= n / (4 * counts.shape[-1]), -1)
