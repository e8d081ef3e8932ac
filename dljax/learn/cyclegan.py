"""Translation between two sets of images without pairs (S44): two GANs, closed to a cycle.

    min_{G, F} max_{C, D}  game(G, D) + game(F, C) + w (|F(G(x)) - x| + |G(F(y)) - y|)

G translates x to y and F back; the critics C and D tell x and y from translations. Zhu et al. 2017,
"Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from dljax.data.stream import Stream
from dljax.errors import InputError, check_unit
from dljax.learn import gan, shapes
from dljax.learn.gan import Contest, Penalty
from dljax.learner import Fit, Learner, Objective, gradient_step, unfitted
from dljax.typing import Array, Batch, Key, Metrics, PyTree


@dataclass(frozen=True)
class CycleGAN:
    """Translators x [B, ...] -> y [B, ...] and back, critics x -> logits [B, ...] and y likewise.

    A critic may give a logit for each of an image's patches.
    """

    forward: nn.Module
    backward: nn.Module
    critic_x: nn.Module
    critic_y: nn.Module


class Both(NamedTuple):
    """What there is of each direction: parameters of the translators, or the images they make."""

    forward: PyTree
    backward: PyTree


class Pool(NamedTuple):
    """Translations of the past, kept [S, ...], of which the first `seen` places are filled."""

    kept: Array
    seen: Array


class State(NamedTuple):
    """All four networks in training; `translators.extra` may hold the average of theirs."""

    translators: Fit  # of Both
    critic_x: Fit
    critic_y: Fit
    pool: Both  # of Pool, translations to y and to x; or () where none is kept
    stream: Both


class Given(NamedTuple):
    """What the translators learn from in a step."""

    x: Array
    y: Array
    critic_x: Fit
    critic_y: Fit


def translate(net: nn.Module, params: PyTree, x: Array) -> Array:
    return net.apply({"params": params}, x)  # pyright: ignore[reportReturnType]


def apart(a: Array, b: Array) -> Array:
    """`mean |a - b|`, over images and pixels."""
    return jnp.abs(a - b).mean()


def objective(
    nets: CycleGAN,
    goal: Callable[[Array], Array],
    cycle: float | Array,
    identity: float | Array,
) -> Objective:
    """The translators' loss, of `Both` parameters and a batch `Given`; it gives `Both` fakes.

    `mean goal(D(G(x))) + mean goal(C(F(y))) + cycle (|F(G(x)) - x| + |G(F(y)) - y|)
    + identity (|G(y) - y| + |F(x) - x|)`, where |.| is the mean over pixels: what is of a
    translator's target already should stay as it is. Zhu et al. 2017, eqs. 1 to 3 and section 5.2.
    """

    def loss(params: Both, extra: PyTree, batch: Given, key: Key):
        x, y, n = batch.x, batch.y, len(batch.x)

        def to_y(x: Array) -> Array:
            return translate(nets.forward, params.forward, x)

        def to_x(y: Array) -> Array:
            return translate(nets.backward, params.backward, y)

        if is_zero(identity):  # then x and y may be of different shapes
            fake, same = Both(to_y(x), to_x(y)), jnp.float32(0)
        else:  # in one batch: a third less to compile
            seen = jnp.concatenate([x, y])
            of_x, of_y = to_x(seen), to_y(seen)
            fake = Both(of_y[:n], of_x[n:])
            same = apart(of_y[n:], y) + apart(of_x[:n], x)
        game = goal(gan.judged(nets.critic_y, batch.critic_y, fake.forward)).mean()
        game += goal(gan.judged(nets.critic_x, batch.critic_x, fake.backward)).mean()
        round_trip = apart(to_x(fake.forward), x) + apart(to_y(fake.backward), y)
        metrics = {"game": game, "cycle": round_trip, "identity": same}
        return game + cycle * round_trip + identity * same, (fake, metrics)

    return loss


def is_zero(weight: Any) -> bool:
    return isinstance(weight, int | float) and weight == 0


def make(
    nets: CycleGAN,
    translators_tx: optax.GradientTransformation,
    critics_tx: optax.GradientTransformation,
    x: Stream,
    y: Stream,
    *,
    cycle: float | Array = 10.0,
    identity: float | Array = 0.0,
    goal: Callable[[Array], Array] = gan.squared,
    contest: Contest = gan.least_squares,
    penalty: Penalty = gan.none,
    pool: int = 4,
    average: float | Array | None = None,
) -> Learner:
    """One step of both translators, then one of each critic, on a batch of either stream.

    A critic is shown, for half of its fakes, older ones, of which as many as are in `pool` batches
    are kept (Shrivastava et al. 2017); with 0, none. `average`, if any, is the decay of a mean of
    the translators' parameters, for `gan.best`. The weights may be a sweep's arrays. Raises
    InputError if `pool` is below 0, `average` outside [0, 1], or the shapes of images and of
    translations do not fit each other.
    """
    check_unit(average=average)
    sample = Both(*(gan.drawn(each).x for each in (x, y)))
    blanks = Both(*map(gan.blank, sample))
    check_shapes(nets, sample, blanks, pool)
    if not is_zero(identity):  # a translator then reads images of either side
        shapes.check(sample.forward, sample.backward.shape[1:], "y has")
    improve = gradient_step(objective(nets, goal, cycle, identity), translators_tx)
    judge_x = gradient_step(gan.discriminate(nets.critic_x, penalty, contest), critics_tx)
    judge_y = gradient_step(gan.discriminate(nets.critic_y, penalty, contest), critics_tx)

    def init(key: Key) -> State:
        k_forward, k_backward, k_x, k_y, *k_streams = jax.random.split(key, 6)
        zeros_x, zeros_y = (make() for make in blanks)
        params = Both(
            nets.forward.init(k_forward, zeros_x)["params"],
            nets.backward.init(k_backward, zeros_y)["params"],
        )
        extra = {} if average is None else {"average": params}
        critic_x = unfitted(nets.critic_x.init(k_x, zeros_x), critics_tx)
        critic_y = unfitted(nets.critic_y.init(k_y, zeros_y), critics_tx)
        pools = Both((), ())
        if pool:
            kept = (
                jnp.zeros((pool * each.shape[0], *each.shape[1:]), each.dtype)
                for each in sample[::-1]
            )
            pools = Both(*(Pool(each, jnp.int32(0)) for each in kept))
        begins = Both(*(each.init(k) for each, k in zip((x, y), k_streams, strict=True)))
        fit = Fit(params, extra, translators_tx.init(params))
        return State(fit, critic_x, critic_y, pools, begins)

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        k_forward, k_backward, k_x, k_y = jax.random.split(key, 4)
        position_x, real_x = x.next(state.stream.forward)
        position_y, real_y = y.next(state.stream.backward)
        given = Given(real_x.x, real_y.x, state.critic_x, state.critic_y)
        fit, metrics = improve(key, state.translators, given)
        fake: Both = fit.extra
        extra = gan.averaged(state.translators.extra, fit.params, average)
        pools = state.pool
        if pool:
            pool_y, fake_y = exchanged(k_forward, pools.forward, fake.forward)
            pool_x, fake_x = exchanged(k_backward, pools.backward, fake.backward)
            pools, fake = Both(pool_y, pool_x), Both(fake_y, fake_x)
        critic_x, of_x = judge_x(k_x, state.critic_x, Batch(real_x.x, fake.backward))
        critic_y, of_y = judge_y(k_y, state.critic_y, Batch(real_y.x, fake.forward))
        metrics |= {"critic_x": of_x["loss"], "critic_y": of_y["loss"]}
        fit = fit._replace(extra=extra)
        return State(fit, critic_x, critic_y, pools, Both(position_x, position_y)), metrics

    return Learner(init, step)


def check_shapes(nets: CycleGAN, sample: Both, blanks: Both, pool: int) -> None:
    """Raises InputError as `make` says."""
    count = sample.forward.shape[0]
    if sample.backward.shape[0] != count:
        raise InputError(
            f"both streams must draw batches of one size; got {count} and "
            f"{sample.backward.shape[0]}"
        )
    if pool < 0:
        raise InputError(f"pool, in batches, must be at least 0; got {pool}")
    made = shapes.given(nets.forward, blanks.forward)
    shapes.check(made, sample.backward.shape[1:], "y has")
    made = shapes.given(nets.backward, blanks.backward)
    shapes.check(made, sample.forward.shape[1:], "x has")
    shapes.given(nets.critic_x, blanks.forward)
    shapes.given(nets.critic_y, blanks.backward)


def exchanged(key: Key, pool: Pool, fakes: Array) -> tuple[Pool, Array]:
    """The pool and what a critic is shown for fakes [B, ...]: themselves or, for half, older ones.

    An older one leaves its place in the pool to the new one; while the pool fills, all are kept and
    shown. Shrivastava et al. 2017, section 2.3, for a pool of a multiple of B.
    """
    k_place, k_swap = jax.random.split(key)
    count, size = len(fakes), len(pool.kept)
    filling = pool.seen < size
    random = jax.random.permutation(k_place, size)[:count]
    place = jnp.where(filling, pool.seen + jnp.arange(count), random)
    swap = jax.random.bernoulli(k_swap, 0.5, (count,)) & ~filling
    old, wide = pool.kept[place], (count,) + (1,) * (fakes.ndim - 1)
    enters = (swap | filling).reshape(wide)
    kept = pool.kept.at[place].set(jnp.where(enters, fakes, old))
    shown = jnp.where(swap.reshape(wide), old, fakes)
    return Pool(kept, jnp.minimum(pool.seen + count, size)), shown
