"""Frames of the driving simulator's camera, beside steps of gymnax's Pendulum as a scale.

Cars are driven by pure pursuit, and each step paints a frame of 16 x 24 pixels in a look of its
own; the same cars without a camera show what the road and the car take. As many pendulums swing by
an action that never changes. Equal shares of each are on every device, on a CPU one a core. The
work is the same number of steps on either side; `a second` are steps of all cars.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.measure import everywhere, interleaved, row
from dljax import envs
from dljax.envs import driving, tracks
from dljax.envs.environment import Environment
from dljax.host.devices import local
from dljax.typing import Array

CARS, STEPS, REPEATS = 256, 20, 9  # cars and steps of a device in a call


def stepping(env: Environment, act: Callable[[Any], Array], cars: int, steps: int) -> Callable:
    """A call that takes `steps` steps of `cars` environments on each device."""

    def play(state: Any) -> tuple[Any, Array]:
        def one(state: Any, _: None) -> tuple[Any, Array]:
            keys = jnp.broadcast_to(jax.random.key(0), (cars,))
            state, seen = jax.vmap(env.step)(keys, state, jax.vmap(act)(state))
            return state, seen.observation.reshape(cars, -1).max(1)  # every pixel is needed

        return jax.lax.scan(one, state, None, length=steps)

    begin = jax.vmap(jax.vmap(lambda key: env.reset(key)[0]))
    keys = jax.random.split(jax.random.key(0), (len(local()), cars))
    return everywhere(lambda state: play(state)[1], jax.jit(begin)(keys))


def main(peak: float, cars: int = CARS, steps: int = STEPS) -> list[dict[str, Any]]:
    del peak
    roads = jax.jit(tracks.random, static_argnums=1)(jax.random.key(1), 64)
    expert = driving.expert(roads)
    sides = {
        "camera": stepping(driving.make(roads), expert, cars, steps),
        "without a camera": stepping(driving.make(roads, observe="state"), expert, cars, steps),
        "gymnax's Pendulum": stepping(
            envs.make("Pendulum-v1"), lambda state: jnp.zeros(1), cars, steps
        ),
    }
    times = interleaved(sides, REPEATS)
    count = len(local())
    a_second = {
        name: round(1e3 * count * cars * steps / each["median_ms"]) for name, each in times.items()
    }
    work = f"{steps} steps of {count * cars} cars with a camera"
    return [row(work, times, ours="camera", a_second=a_second, devices={"camera": count})]
