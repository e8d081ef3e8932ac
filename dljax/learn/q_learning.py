"""Tabular Q-learning with many actors (S46). Watkins and Dayan 1992."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike

from dljax.envs.environment import Environment
from dljax.errors import InputError, check_unit
from dljax.learn import play
from dljax.learner import Learner
from dljax.typing import Array, Key, Metrics

Rate = Callable[[Array], Array]
"""`n -> alpha_n`, the rate of a cell's update after n earlier ones; optax's schedules are such."""


class State(NamedTuple):
    table: Array  # Q [S, A]
    updates: Array  # of each cell so far, [S, A] int32
    actors: play.Actors


def decay(first: ArrayLike, power: ArrayLike, speed: ArrayLike = 1.0) -> Rate:
    """`alpha_n = first / (1 + speed n)^power`; constant for power 0.

    For convergence under random transitions, power is in (1/2, 1] (Robbins and Monro 1951). At
    power 1 and speed 1 the bias falls as n^-(1 - gamma) only, so prefer a power of about 0.8
    (Even-Dar and Mansour 2003) or a speed of at most 1 - gamma (Wainwright 2019).
    """
    return lambda count: jnp.asarray(first * jnp.power(1 + speed * count, -jnp.asarray(power)))


def target(reward: Array, terminated: Array, next_q: Array, gamma: ArrayLike) -> Array:
    """`r + gamma (1 - terminated) max_a Q(s', a)`, with s' the true next state; next_q [..., A]."""
    return reward + gamma * jnp.where(terminated, 0.0, next_q.max(-1))


def make(
    env: Environment,
    rate: Rate,
    *,
    gamma: ArrayLike,
    epsilon: ArrayLike = 1.0,
    actors: int = 16,
    length: int = 100,
) -> Learner:
    """`Q(s,a) += alpha_n (mean target - Q(s,a))`, the mean over the actors that did a in s.

    A step plays `length` steps with `actors`, epsilon-greedy with ties broken at random, and
    updates after each. At random (epsilon 1) every cell is tried, whatever Q says. If transitions
    are deterministic, a constant rate converges linearly, to rounding. If they are random, it ends
    in noise, and a falling rate gets there at best as one over the root of the updates. Raises
    InputError if the environment has no one-hot states or no discrete actions, or if gamma or
    epsilon is outside [0, 1].
    """
    check_unit(gamma=gamma, epsilon=epsilon)
    states, actions = sizes(env)

    def init(key: Key) -> State:
        table, updates = jnp.zeros((states, actions)), jnp.zeros((states, actions), jnp.int32)
        return State(table, updates, play.begin(env, key, actors))

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        k_act, k_step, k_reset = jax.random.split(key, 3)
        shape = (length, actors)
        coin = jax.random.uniform(k_act, (*shape, 1 + actions))
        explore, noise = coin[..., 0] < epsilon, coin[..., 1:]
        fresh = jax.vmap(jax.vmap(env.reset))(jax.random.split(k_reset, shape))
        drawn = (explore, noise, jax.random.split(k_step, shape), fresh)
        state, (error, reward) = jax.lax.scan(iterate, state, drawn)
        loss = {"loss": (error**2).mean()}
        return state, play.statistics(state.actors, reward) | loss

    def iterate(state: State, drawn: tuple) -> tuple[State, tuple[Array, Array]]:
        table, updates, playing = state
        explore, noise, keys, fresh = drawn
        at = playing.observation.argmax(-1)
        q = jnp.where(explore[:, None], 0.0, table[at])
        action = jnp.where(q == q.max(-1, keepdims=True), noise, -1.0).argmax(-1)
        playing, seen = play.play(env, keys, fresh, playing, action)
        goal = target(seen.reward, seen.terminated, table[seen.next_observation.argmax(-1)], gamma)
        cell = at * actions + action
        same = (cell[:, None] == cell[None]).astype(jnp.float32)
        now, count = table[at, action], updates[at, action]
        new = now + rate(count) * ((same * goal[None]).sum(-1) / same.sum(-1) - now)
        # the actors of one cell write the same value, so their order does not matter
        table, updates = table.at[at, action].set(new), updates.at[at, action].set(count + 1)
        return State(table, updates, playing), (goal - now, seen.reward)

    return Learner(init, step)


def sizes(env: Environment) -> tuple[int, int]:
    """The numbers of states and of actions. Raises InputError unless both are finite."""
    if not isinstance(env.actions, int):
        raise InputError(f"{env.name} has continuous actions; Q-learning needs discrete ones")
    with jax.ensure_compile_time_eval():
        _, first = env.reset(jax.random.key(0))
    known = not isinstance(first, Tracer)  # unknown where a sweep's members differ in env
    if first.ndim != 1 or (known and sorted(first.tolist()) != [0.0] * (len(first) - 1) + [1.0]):
        raise InputError(f"{env.name} has no one-hot states; Q-learning needs them")
    return len(first), env.actions


def greedy(table: Array) -> Callable[[Key, Array], Array]:
    """The policy `argmax_a Q(s, a)`, for `play.evaluate`."""
    return lambda key, observation: (observation @ table).argmax(-1)
