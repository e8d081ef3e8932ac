"""Environments by name: our own, and gymnax's behind the same interface.

An environment never resets itself: `step` gives the true next observation, and whoever plays it
(`dljax.learn.play`) puts a fresh episode in place of a finished one. So no final observation is
lost, and the randomness of many resets is drawn at once, outside the loop that plays.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from dljax.envs import ads, aliased, arm, own, thermostat
from dljax.envs.interface import Box, Environment, Step
from dljax.errors import InputError, unknown
from dljax.typing import Array, Key, PyTree

OWN: dict[str, Callable[[], Environment]] = {
    "ads": ads.make,
    "aliased-gridworld": lambda: aliased.environment(aliased.corridor()),
    "arm": arm.make,
    "rock-paper-scissors": lambda: aliased.environment(aliased.rock_paper_scissors()),
    "thermostat": thermostat.make,
}
"""Our own environments that need no arguments, by name."""


def names() -> list[str]:
    """Every environment that `make` knows."""
    import gymnax  # here: importing it starts a JAX backend

    return [*OWN, *gymnax.registered_envs]


def make(env: Any, *, repeat: int = 1) -> Environment:
    """An environment whose actions are held for `repeat` of its steps each.

    `env`: the name of one of ours or of gymnax's; `module:function`, which returns one; or one
    itself, an `Environment` or gymnax's with its default parameters.

    gymnax's integer observations become one-hot vectors. In MountainCarContinuous-v0 the left wall
    stops the car, as in gymnasium and as in MountainCar-v0; gymnax 1.0.1 lets it keep its speed.
    Raises InputError for an unknown name, with the nearest known ones, for an environment that
    does not observe one array, and for one of a user's own that is not as it says.
    """
    return made(env, repeat) if isinstance(env, str) else held(taken(env), repeat)


@functools.cache  # one object a name, so that programs compiled for it are found again
def made(name: str, repeat: int) -> Environment:
    if name in OWN:
        return held(OWN[name](), repeat)
    if ":" in name:
        return held(taken(own.called(name), f"{name} returns"), repeat)
    import gymnax

    if name not in gymnax.registered_envs:
        raise unknown("environment", name, names())
    env, params = gymnax.make(name)
    ours = adapt(env, params)
    if name == "MountainCarContinuous-v0":
        ours = walled(ours, params.min_position)
    return held(ours, repeat)


def taken(env: Any, who: str = "make got") -> Environment:
    """An environment of a user's own, checked; `who` gave it."""
    if isinstance(env, Environment):
        return own.checked(env)
    if hasattr(env, "step_env") and hasattr(env, "default_params"):
        return adapt(env, env.default_params)
    raise InputError(f"{who} a {type(env).__name__}; an Environment, gymnax's or ours, is needed")


def adapt(env: Any, params: Any) -> Environment:
    """A gymnax 1.0 environment with fixed parameters as our `Environment`."""
    space, actions = env.observation_space(params), env.action_space(params)
    discrete = space.n if hasattr(space, "n") else None
    if not hasattr(space, "shape"):
        raise InputError(f"{env.name} observes {type(space).__name__}; one array is accepted")
    state_like = jax.eval_shape(lambda: env.reset_env(jax.random.key(0), params))[1]

    def observed(observation: Array) -> Array:
        if discrete is not None:
            return jax.nn.one_hot(observation, discrete)
        return jnp.asarray(observation, jnp.float32)

    def typed(state: PyTree) -> PyTree:
        """gymnax mixes Python numbers and arrays; a scan wants one type throughout."""
        return jax.tree.map(
            lambda leaf, like: jnp.asarray(leaf, like.dtype).reshape(like.shape), state, state_like
        )

    def reset(key: Key) -> tuple[PyTree, Array]:
        observation, state = env.reset_env(key, params)
        return typed(state), observed(observation)

    def step(key: Key, state: PyTree, action: Array) -> tuple[PyTree, Step]:
        if isinstance(kind, Box):
            action = jnp.clip(action, kind.low, kind.high)
        observation, state, reward, terminated, _ = env.step_env(key, state, action, params)
        truncated = jnp.asarray(env.is_truncated(state, params), bool)
        reward, terminated = jnp.asarray(reward, jnp.float32), jnp.asarray(terminated, bool)
        return typed(state), Step(observed(observation), reward, terminated, truncated)

    kind: int | Box
    if hasattr(actions, "n"):
        kind = int(actions.n)
    else:
        low, high = (jnp.broadcast_to(jnp.asarray(x, jnp.float32), actions.shape)
                     for x in (actions.low, actions.high))  # fmt: skip
        kind = Box(low, high)
    shape = (discrete,) if discrete is not None else tuple(space.shape)
    return Environment(env.name, reset, step, shape, kind, int(params.max_steps_in_episode))


def walled(car: Environment, wall: float) -> Environment:
    """`car`, whose observation is its position and velocity, stopped at a wall to its left.

    gymnax asks instead whether it moves left at the goal, which it never does.
    """

    def step(key: Key, state: PyTree, action: Array) -> tuple[PyTree, Step]:
        state, seen = car.step(key, state, action)
        stopped = (state.position <= wall) & (state.velocity < 0)
        velocity = jnp.where(stopped, 0.0, state.velocity)
        observation = jnp.stack([state.position, velocity])
        return state.replace(velocity=velocity), seen._replace(observation=observation)

    return car._replace(step=step)


def held(env: Environment, repeat: int) -> Environment:
    """`env` with each action held for `repeat` steps, or until the episode ends; rewards add up.

    Held actions explore further than independent ones (Mnih et al. 2015 hold four frames), which
    decides whether a hill can be climbed by chance. The time limit is the underlying one.
    """
    if repeat < 1:
        raise InputError(f"an action must be held for at least 1 step; got {repeat}")
    if repeat == 1:
        return env

    def step(key: Key, state: PyTree, action: Array) -> tuple[PyTree, Step]:
        def again(carry: tuple[PyTree, Step], key: Key) -> tuple[tuple[PyTree, Step], None]:
            state, last = carry
            after, new = env.step(key, state, action)
            over = last.terminated | last.truncated
            new = new._replace(reward=last.reward + new.reward)
            return jax.tree.map(lambda old, new: jnp.where(over, old, new),
                                carry, (after, new)), None  # fmt: skip

        first, *rest = jax.random.split(key, repeat)
        carry = env.step(first, state, action)
        return jax.lax.scan(again, carry, jnp.stack(rest))[0]

    return env._replace(step=step, limit=-(-env.limit // repeat), repeat=repeat)
