"""WHAT is to be done (ROW of the syllabus), in a sentence. SOURCE."""

import jax
import jax.numpy as jnp

from dljax.envs.interface import Box, Environment, Step
from dljax.typing import Array, Key, PyTree

LIMIT = 50  # steps, after which an episode is cut, and not ended


def TOPIC() -> Environment:
    """Push a point by a force in [-1, 1] to rest at 0; a step costs `x^2 + 0.1 force^2`.

    Observation: place and speed, float32 [2]. Ends where the place leaves [-4, 4].
    """

    def seen(state: PyTree) -> Array:
        return jnp.stack([state["place"], state["speed"]])

    def reset(key: Key) -> tuple[PyTree, Array]:
        place = jax.random.uniform(key, minval=-1.0, maxval=1.0)
        state = {"place": place, "speed": jnp.zeros(()), "steps": jnp.int32(0)}
        return state, seen(state)

    def step(key: Key, state: PyTree, action: Array) -> tuple[PyTree, Step]:
        force = jnp.clip(action[0], -1, 1)
        speed = 0.9 * state["speed"] + 0.1 * force
        place = state["place"] + 0.1 * speed
        state = {"place": place, "speed": speed, "steps": state["steps"] + 1}
        reward = -(place**2) - 0.1 * force**2
        return state, Step(seen(state), reward, jnp.abs(place) > 4, state["steps"] >= LIMIT)

    return Environment("TOPIC", reset, step, (2,), Box(-jnp.ones(1), jnp.ones(1)), LIMIT)
