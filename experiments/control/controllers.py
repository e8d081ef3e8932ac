"""Policies that nobody learnt, to stand beside those that were: random, and simple known rules."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from dljax.envs import arm, thermostat
from dljax.envs.environment import Box, Environment
from dljax.typing import Array, Key

Act = Callable[[Key, Array], Array]
"""`(key, observations [E, ...]) -> actions [E, ...]`."""


def controllers(env: Environment) -> dict[str, Act]:
    """Uniformly random actions, and the environment's rule where there is one."""
    known = {"random policy": random(env)}
    if env.name in RULES:
        name, rule = RULES[env.name]
        known[name] = lambda key, seen: jax.vmap(rule)(seen)
    return known


def random(env: Environment) -> Act:
    def act(key: Key, seen: Array) -> Array:
        if isinstance(env.actions, Box):
            low, high = env.actions
            return jax.random.uniform(key, (len(seen), *low.shape), minval=low, maxval=high)
        return jax.random.randint(key, (len(seen),), 0, env.actions)

    return act


def lean(seen: Array) -> Array:
    """Push to the side to which the pole leans and falls, and a little to where the cart is."""
    x, x_dot, angle, turn = seen
    return (angle + 0.4 * turn + 0.02 * x + 0.05 * x_dot > 0).astype(jnp.int32)


def along(seen: Array) -> Array:
    """Push the way the car moves."""
    return jnp.where(seen[1] >= 0, 2, 0)


def along_box(seen: Array) -> Array:
    return jnp.where(seen[1:] >= 0, 1.0, -1.0)


def pump(seen: Array) -> Array:
    """Turn the second link the way it turns, which adds energy."""
    return jnp.where(seen[5] >= 0, 2, 0)


def swing(seen: Array) -> Array:
    """Add or take energy until it is that of standing upright; near there, spring and damper."""
    cosine, sine, turn = seen
    energy = turn**2 / 6 + 5 * cosine - 5
    angle = jnp.arctan2(sine, cosine)
    torque = jnp.where(cosine > 0.9, -20 * angle - 4 * turn, -2 * energy * turn)
    return jnp.clip(torque, -2, 2)[None]


RULES: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "CartPole-v1": ("linear rule", lean),
    "MountainCar-v0": ("push the way it moves", along),
    "MountainCarContinuous-v0": ("push the way it moves", along_box),
    "Acrobot-v1": ("turn the way it turns", pump),
    "Pendulum-v1": ("energy rule", swing),
    "thermostat": ("PI controller", thermostat.proportional_integral),
    "arm": ("computed torque", arm.computed_torque),
}
"""By environment, the name of a rule and what it does with one observation."""
