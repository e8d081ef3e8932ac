"""Imitation: an expert's actions learnt as labels, on its own states or on the learner's (S49).

Behaviour cloning (Pomerleau 1989) learns from states that the expert reaches; a learner that errs
reaches others, and errs more. DAgger (Ross, Gordon and Bagnell 2011) lets the learner play, asks
the expert what it would have done there, and learns from all that it was ever told.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike, DTypeLike

from dljax.data.stream import unit_scale
from dljax.envs.environment import Box, Environment
from dljax.errors import InputError, check_count, check_unit
from dljax.learn import play, shapes
from dljax.learn.replay import Replay, Ring, places, ring
from dljax.learner import Fit, Learner, Objective, gradient_step
from dljax.typing import Array, Key, Metrics, PyTree

Expert = Callable[[PyTree], Array]
"""`state -> action`, of one environment: it knows what the learner does not see."""


class Told(NamedTuple):
    """What is learnt from, [B, ...]: what was seen, and what the expert would have done."""

    observation: Array
    action: Array


class State(NamedTuple):
    fit: Fit
    actors: play.Actors
    replay: Replay
    taken: Array  # environment steps so far, those before learning included, int32


def box(env: Environment) -> Box:
    """The box of actions. Raises InputError if they are discrete."""
    if not isinstance(env.actions, Box):
        raise InputError(f"{env.name} has discrete actions; imitation needs continuous ones")
    return env.actions


def apply(net: nn.Module, params: PyTree, within: Box, observation: Array) -> Array:
    """The learner's actions [B, D]: `middle + half width f(o)`; an environment clips them."""
    middle, width = (within.low + within.high) / 2, (within.high - within.low) / 2
    outputs = net.apply({"params": params}, observation)
    return middle[None] + width[None] * outputs  # pyright: ignore[reportOperatorIssue]


def greedy(net: nn.Module, params: PyTree, env: Environment) -> Callable[[Key, Array], Array]:
    """The learner's policy, for `play.evaluate`."""
    within = box(env)
    return lambda key, observation: apply(net, params, within, observation)


def objective(net: nn.Module, within: Box) -> Objective:
    """`J = mean |(a - a*) / half width|^2`, a* the expert's actions, over a Told and dimensions."""
    width = (within.high - within.low) / 2

    def mean(params: PyTree, extra: PyTree, batch: Told, key: Key):
        del key
        error = (apply(net, params, within, batch.observation) - batch.action) / width[None]
        return jnp.square(error).mean(), (extra, {"off": jnp.abs(error).mean()})

    return mean


class Parts(NamedTuple):
    """What both learners are made of."""

    init: Callable[[Key], State]
    played: Callable[[Key, State, int, Array], tuple[State, Array]]
    learnt: Callable[[Key, State], tuple[State, Metrics]]


def parts(
    env: Environment,
    expert: Expert,
    net: nn.Module,
    tx: optax.GradientTransformation,
    actors: int,
    capacity: int,
    warmup: int,
    batch: int,
    updates: int,
    store: DTypeLike,
) -> Parts:
    within = box(env)
    check_count(actors=actors, updates=updates, batch=batch)
    if not batch <= warmup <= capacity or capacity % actors or warmup % actors:
        raise InputError(
            "batch <= warmup <= capacity, both multiples of actors, are needed; "
            f"got {batch}, {warmup}, {capacity} and {actors} actors"
        )
    outputs = shapes.given(net, lambda: jnp.zeros((1, *env.observation_shape)))
    shapes.check(outputs, within.low.shape, f"the actions of {env.name} need")
    told = Told(jnp.zeros(env.observation_shape, store), jnp.zeros(within.low.shape))
    memory: Ring = ring(told, capacity)
    descend = gradient_step(objective(net, within), tx)

    def kept(observation: Array) -> Array:
        if jnp.dtype(store) == jnp.uint8:
            return jnp.round(255 * observation).astype(store)
        return observation.astype(store)

    def played(key: Key, state: State, steps: int, share: Array) -> tuple[State, Array]:
        """`steps` steps; the expert tells at each what it would do, and does `share` of them."""
        k_coin, k_step, k_reset = jax.random.split(key, 3)
        shape = (steps, actors)
        coin = jax.random.uniform(k_coin, shape) < share
        fresh = jax.vmap(jax.vmap(env.reset))(jax.random.split(k_reset, shape))
        drawn = coin, jax.random.split(k_step, shape), fresh

        def one(carry: tuple[play.Actors, Replay], drawn: tuple) -> tuple[tuple, Array]:
            (actors, replay), (coin, keys, fresh) = carry, drawn
            asked = jax.vmap(expert)(actors.state)
            own = apply(net, state.fit.params, within, actors.observation)
            replay = memory.add(replay, Told(kept(actors.observation), asked))
            action = jnp.where(coin[:, None], asked, own)
            actors, seen = play.play(env, keys, fresh, actors, action)
            return (actors, replay), seen.reward

        (after, replay), reward = jax.lax.scan(one, (state.actors, state.replay), drawn)
        taken = state.taken + steps * actors * env.repeat
        return State(state.fit, after, replay, taken), reward

    def init(key: Key) -> State:
        k_net, k_begin, k_play = jax.random.split(key, 3)
        params = net.init(k_net, jnp.zeros((1, *env.observation_shape)))["params"]
        begun = play.begin(env, k_begin, actors)
        state = State(Fit(params, {}, tx.init(params)), begun, memory.init(), jnp.int32(0))

        def one(state: State, key: Key) -> tuple[State, None]:  # fresh episodes of one step at once
            return played(key, state, 1, jnp.ones(()))[0], None

        return jax.lax.scan(one, state, jax.random.split(k_play, warmup // actors))[0]

    def learnt(key: Key, state: State) -> tuple[State, Metrics]:
        noise = jax.random.uniform(key, (updates, batch + 1))
        rows = places(noise, state.replay.written, capacity, capacity)

        def one(fit: Fit, rows: Array) -> tuple[Fit, Metrics]:
            batch = memory.take(state.replay, rows)
            seen = unit_scale(batch.observation)
            return descend(key, fit, batch._replace(observation=seen))  # it draws nothing

        fit, metrics = jax.lax.scan(one, state.fit, rows)
        return state._replace(fit=fit), {name: value.mean() for name, value in metrics.items()}

    return Parts(init, played, learnt)


def clone(
    env: Environment,
    expert: Expert,
    net: nn.Module,
    tx: optax.GradientTransformation,
    *,
    actors: int,
    capacity: int,
    batch: int,
    updates: int = 1,
    store: DTypeLike = jnp.float32,
) -> Learner:
    """Behaviour cloning: a step is `updates` descents on what the expert did on its own states.

    In `init` it plays `capacity` steps, and each batch is drawn from all of them. Metrics: the
    objective's, and `off`, the mean distance to the expert's action in half widths. Images from 0
    to 1 are kept in a quarter of the memory as `store` uint8. Raises InputError as `dagger` does.
    """
    made = parts(env, expert, net, tx, actors, capacity, capacity, batch, updates, store)

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        return made.learnt(key, state)

    return Learner(made.init, step)


def dagger(
    env: Environment,
    expert: Expert,
    net: nn.Module,
    tx: optax.GradientTransformation,
    *,
    actors: int,
    horizon: int,
    capacity: int,
    warmup: int,
    batch: int,
    updates: int = 1,
    share: ArrayLike | optax.Schedule = 0.0,
    store: DTypeLike = jnp.float32,
) -> Learner:
    """DAgger: a step is `horizon` steps of `actors` environments, then `updates` descents.

    The learner plays, but for a `share` of the steps that the expert does, a number or a schedule
    of the environment steps taken (the paper's beta); the expert says at every state what it would
    do. In `init` it plays `warmup` steps by itself. The newest `capacity` answers are kept, and
    each batch is drawn from all of them. Raises InputError for discrete actions, a network of
    another number of outputs, counts that do not fit each other, and a share outside [0, 1].
    """
    check_unit(share=share)
    check_count(horizon=horizon)
    made = parts(env, expert, net, tx, actors, capacity, warmup, batch, updates, store)
    chance = share if callable(share) else lambda taken: jnp.asarray(share)

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        k_play, k_learn = jax.random.split(key)
        state, reward = made.played(k_play, state, horizon, jnp.asarray(chance(state.taken)))
        state, metrics = made.learnt(k_learn, state)
        return state, play.statistics(state.actors, reward) | metrics

    return Learner(made.init, step)
