"""Many environments played at once: rollouts for learning, fresh episodes for evaluation (S45).

All randomness of a rollout is drawn before its loop: on a CPU a random number drawn for a handful
of environments costs more than their physics.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.envs.environment import Box, Environment
from dljax.errors import InputError
from dljax.learn import shapes
from dljax.ops import policies
from dljax.ops.pick import pick
from dljax.ops.policies import Policy
from dljax.typing import Array, Key, Metrics, PyTree


class Actors(NamedTuple):
    """E environments in play; each leaf leads with E."""

    state: PyTree
    observation: Array
    total: Array  # rewards of the episode so far
    last: Array  # return of the last finished episode
    episodes: Array  # finished episodes, int32


class Transition(NamedTuple):
    """What was seen and done, [T, E, ...]; `next_observation` is the true one, before a reset."""

    observation: Array
    action: Array
    reward: Array
    terminated: Array
    truncated: Array
    next_observation: Array
    extra: Any  # whatever the policy wants to remember: its log-probability, its value


Act = Callable[[Any, Array], tuple[Array, Any]]
"""`(noise [E, ...], observation [E, ...]) -> (action [E, ...], extra)`."""


def policy_for(env: Environment) -> Policy:
    """Softmax for discrete actions, Gaussian for a box."""
    if isinstance(env.actions, Box):
        return policies.gaussian(env.actions.low, env.actions.high)
    return policies.categorical(env.actions)


def check_policy(env: Environment, policy: Policy, net: nn.Module) -> None:
    """Raises InputError unless `net` gives the policy's outputs and a value, and it can act."""
    noise = jax.eval_shape(lambda: policy.noise(jax.random.key(0), (1,)))
    outputs = jax.ShapeDtypeStruct((1, policy.outputs), jnp.float32)
    action = jax.eval_shape(policy.sample, noise, outputs)
    continuous = isinstance(env.actions, Box)
    if continuous != jnp.issubdtype(action.dtype, jnp.floating):
        kinds = ("discrete", "continuous")
        raise InputError(
            f"{env.name} has {kinds[continuous]} actions, and the policy's are "
            f"{kinds[not continuous]}"
        )
    if isinstance(env.actions, Box):
        acts, needed = action.shape[1:], env.actions.low.shape
    else:
        acts, needed = (policy.outputs,), (env.actions,)
    if acts != needed:
        raise InputError(
            f"the policy is for {shapes.said(acts)}; the actions of {env.name} need "
            f"{shapes.said(needed)}"
        )
    outputs, value = shapes.given(net, lambda: jnp.zeros((1, *env.observation_shape)), 2)
    shapes.check(outputs, (policy.outputs,), "the policy needs")
    shapes.check(value, (), "a value is")


def begin(env: Environment, key: Key, actors: int) -> Actors:
    """`actors` fresh episodes."""
    state, observation = jax.vmap(env.reset)(jax.random.split(key, actors))
    zeros = jnp.zeros(actors)
    return Actors(state, observation, zeros, zeros, jnp.zeros(actors, jnp.int32))


def rollout(
    env: Environment, act: Act, noise: PyTree, key: Key, actors: Actors
) -> tuple[Actors, Transition]:
    """T steps of E environments, where `noise` [T, E, ...] is what `act` is given step by step.

    A finished episode, terminated or truncated, is followed by a fresh one.
    """
    steps, size = jax.tree.leaves(noise)[0].shape[:2]
    k_step, k_reset = jax.random.split(key)
    keys = jax.random.split(k_step, (steps, size))
    fresh = jax.vmap(jax.vmap(env.reset))(jax.random.split(k_reset, (steps, size)))

    def one(actors: Actors, drawn: tuple) -> tuple[Actors, Transition]:
        noise, keys, fresh = drawn
        action, extra = act(noise, actors.observation)
        return play(env, keys, fresh, actors, action, extra)

    return jax.lax.scan(one, actors, (noise, keys, fresh))


def play(
    env: Environment, keys: Array, fresh: PyTree, actors: Actors, action: Array, extra: Any = None
) -> tuple[Actors, Transition]:
    """One step of E environments; `fresh` (state, observation) replaces the finished ones."""
    state, after = jax.vmap(env.step)(keys, actors.state, action)
    done = after.terminated | after.truncated
    total = actors.total + after.reward
    state, observation = pick(done, fresh, (state, after.observation))
    seen = Transition(
        actors.observation,
        action,
        after.reward,
        after.terminated,
        after.truncated,
        after.observation,
        extra,
    )
    total, last = jnp.where(done, 0.0, total), jnp.where(done, total, actors.last)
    return Actors(state, observation, total, last, actors.episodes + done), seen


def episodes(
    env: Environment, act: Callable[[Key, Array], Array], key: Key, count: int
) -> Transition:
    """All that `count` environments show under `act(key, observations)` in `env.limit` steps.

    An episode that ends earlier is followed by another.
    """
    k_begin, k_play, k_act = jax.random.split(key, 3)
    keys = jax.random.split(k_act, (env.limit, count))

    def acts(keys: Array, seen: Array) -> tuple[Array, None]:
        return act(keys[0], seen), None

    return rollout(env, acts, keys, k_play, begin(env, k_begin, count))[1]


def statistics(actors: Actors, reward: Array) -> Metrics:
    """`return` of each actor's last finished episode (0 before any), `episodes`, mean `reward`.

    A reward that is not finite shows in `reward`, and so stops the run at that step.
    """
    some = actors.episodes > 0
    mean = jnp.where(some, actors.last, 0).sum() / jnp.maximum(some.sum(), 1)
    episodes = actors.episodes.sum().astype(jnp.float32)
    return {"return": mean, "episodes": episodes, "reward": reward.mean()}


def evaluate(
    env: Environment, act: Callable[[Key, Array], Array], key: Key, episodes: int
) -> Metrics:
    """Mean undiscounted `return` and `length` of fresh episodes under `act(key, observations)`.

    A greedy policy ignores its key; a sampled one uses it. `length` counts the steps of the
    underlying environment where actions are held, rounded up to whole holds.
    """
    k_reset, k_play = jax.random.split(key)
    state, observation = jax.vmap(env.reset)(jax.random.split(k_reset, episodes))
    zeros = jnp.zeros(episodes)
    carry = (jnp.int32(0), state, observation, zeros, zeros, jnp.zeros(episodes, bool))

    def going(carry: tuple) -> Array:
        return (~carry[-1]).any() & (carry[0] < env.limit)

    def one(carry: tuple) -> tuple:
        t, state, observation, total, length, done = carry
        k_act, k_env = jax.random.split(jax.random.fold_in(k_play, t))
        action = act(k_act, observation)
        state, after = jax.vmap(env.step)(jax.random.split(k_env, episodes), state, action)
        total, length = total + jnp.where(done, 0, after.reward), length + ~done
        done |= after.terminated | after.truncated
        return t + 1, state, after.observation, total, length, done

    _, _, _, total, length, _ = jax.lax.while_loop(going, one, carry)
    return {"return": total.mean(), "length": length.mean() * env.repeat}
