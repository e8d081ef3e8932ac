"""Air conditioning of a room for two days, as a pure function (S45).

The room is a circuit of two heat capacities: the air with what stands in it, and the walls, behind
which the weather is. A heat pump brings heat in or takes it out; electricity has a price by the
hour. Two capacities and three resistances are the grey box of Bacher and Madsen 2011. Only the air
is measured: what the walls hold shows in how the air changed. kWh, kW, degrees Celsius, hours, and
euro.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse
from scipy.linalg import expm
from scipy.optimize import linprog

from dljax.envs.interface import Box, Environment, Step
from dljax.errors import InputError
from dljax.typing import Array, Key

TICK = 0.25  # hours
LIMIT = 192  # steps: two days
BAND = (21.0, 25.0)  # in which nobody complains
DISCOMFORT = 0.5  # euro for an hour of a degree outside the band
PRICES = (0.15,) * 7 + (0.30,) * 10 + (0.45,) * 4 + (0.15,) * 3  # of a kWh, by the hour
MEANS, SWINGS = (0.0, 32.0), (3.0, 8.0)  # of the weather's day, drawn by episode
WARMEST = 15.0  # o'clock
MEMORY, GUST = 0.95, 1.5  # of the weather's noise: correlation of two steps, standard deviation
GAIN, RESET = 0.5, 0.3  # of the PI controller, by degree and by step: the best of a coarse grid
MARGIN = 0.1  # how far within the band it aims


class Room(NamedTuple):
    air: float = 1.0  # heat capacity of the air and what stands in it, kWh/K
    wall: float = 6.0
    inner: float = 2.0  # resistance between air and walls, K/kW
    outer: float = 10.0  # between walls and weather
    window: float = 20.0  # between air and weather
    power: float = 4.0  # the most heat that is brought in or taken out, kW
    efficiency: float = 3.0  # heat moved for electricity


class House(NamedTuple):
    air: Array
    wall: Array
    before: Array  # the air's temperature a step ago
    heat: Array  # the last share of the power, from -1, all of it taken out, to 1
    mean: Array  # of the weather's day
    swing: Array
    drift: Array  # the weather's noise
    time: Array  # steps so far, int32; an episode begins at midnight


def transition(room: Room, hours: float) -> tuple[np.ndarray, np.ndarray]:
    """A [2, 2], B [2, 2] of `x' = A x + B (heat, weather)`, exact while both inputs stay.

    `C_a T_a' = (T_w - T_a) / R_i + (T_o - T_a) / R_v + q`, `C_w T_w' = (T_a - T_w) / R_i +
    (T_o - T_w) / R_o`; x is (T_a, T_w), and the exponential of the system with its inputs holds
    both. Raises InputError unless capacities, resistances and power are above 0.
    """
    if min(room) <= 0:
        raise InputError(f"a room's numbers must be above 0; got {room}")
    joined = np.zeros((4, 4))
    joined[:2, :2] = np.array(
        [
            [-1 / room.inner - 1 / room.window, 1 / room.inner],
            [1 / room.inner, -1 / room.inner - 1 / room.outer],
        ]
    )
    joined[:2, 2:] = [[1, 1 / room.window], [0, 1 / room.outer]]
    joined[:2] /= [[room.air], [room.wall]]
    exact = expm(hours * joined)
    return exact[:2, :2], exact[:2, 2:]


def price(time: Array) -> Array:
    """Euro for a kWh at a step."""
    hour = (time * TICK).astype(jnp.int32) % 24
    return jnp.array(PRICES)[hour]


def weather(house: House) -> Array:
    angle = 2 * jnp.pi * (house.time * TICK - WARMEST) / 24
    return house.mean + house.swing * jnp.cos(angle) + house.drift


def observed(house: House) -> Array:
    """Air now and a step ago, last heat, weather, price, and the hour as an angle: [7]."""
    angle = 2 * jnp.pi * house.time * TICK / 24
    seen = (house.air, house.before, house.heat, weather(house), price(house.time),
            jnp.sin(angle), jnp.cos(angle))  # fmt: skip
    return jnp.stack(seen)


def beyond(air: Array) -> Array:
    """Degrees outside the band."""
    return jnp.maximum(jnp.maximum(BAND[0] - air, air - BAND[1]), 0.0)


def make(room: Room = Room()) -> Environment:  # noqa: B008 - immutable
    """Actions are the share of the power, from -1 to 1; a reward is minus what a step costs.

    `-(price power |u| / efficiency + DISCOMFORT beyond(T')) TICK`, T' the air after the step.
    Raises InputError for a room that cannot be.
    """
    stays, comes = transition(room, TICK)

    def reset(key: Key) -> tuple[House, Array]:
        mean, swing, air, drift = jax.random.uniform(key, (4,))
        mean = MEANS[0] + (MEANS[1] - MEANS[0]) * mean
        swing = SWINGS[0] + (SWINGS[1] - SWINGS[0]) * swing
        air = BAND[0] + (BAND[1] - BAND[0]) * air
        none = jnp.zeros(())
        house = House(air, air, air, none, mean, swing, GUST * (2 * drift - 1), jnp.int32(0))
        return house, observed(house)

    def step(key: Key, house: House, action: Array) -> tuple[House, Step]:
        heat = jnp.clip(action[0], -1, 1)
        outside = weather(house)
        air, wall = (
            stays[row, 0] * house.air + stays[row, 1] * house.wall
            + comes[row, 0] * room.power * heat + comes[row, 1] * outside
            for row in (0, 1)
        )  # fmt: skip
        bill = price(house.time) * room.power * jnp.abs(heat) / room.efficiency
        reward = -TICK * (bill + DISCOMFORT * beyond(air))
        noise = (1 - MEMORY**2) ** 0.5 * GUST * jax.random.normal(key)
        drift, time = MEMORY * house.drift + noise, house.time + 1
        house = House(air, wall, house.air, heat, house.mean, house.swing, drift, time)
        return house, Step(observed(house), reward, jnp.zeros((), bool), time >= LIMIT)

    box = Box(-jnp.ones(1), jnp.ones(1))
    return Environment("thermostat", reset, step, (7,), box, LIMIT)


def on_off(seen: Array) -> Array:
    """All of the power or none: on at half a degree within the band, off at one and a half."""
    air, heat = seen[0], seen[2]
    warm = (air < BAND[0] + 0.5) | ((heat > 0) & (air < BAND[0] + 1.5))
    cool = (air > BAND[1] - 0.5) | ((heat < 0) & (air > BAND[1] - 1.5))
    return (warm * 1.0 - cool)[None]


def proportional_integral(
    seen: Array, gain: float | Array = GAIN, reset: float | Array = RESET
) -> Array:
    """`u = u_before + gain (e - e_before) + reset e`, e the distance to the near end of the band.

    Which end that is, and whether to heat or to cool, the weather says. In this form the integral
    is the last action, which its limits keep from winding up. Astrom and Hagglund 1995, chapter 3.
    """
    air, before, heat, outside = seen[0], seen[1], seen[2], seen[3]
    winter = outside < (BAND[0] + BAND[1]) / 2
    aim = jnp.where(winter, BAND[0] + MARGIN, BAND[1] - MARGIN)
    heat = heat + gain * (before - air) + reset * (aim - air)
    return jnp.where(winter, jnp.clip(heat, 0, 1), jnp.clip(heat, -1, 0))[None]


def hindsight(air: float, outside: np.ndarray, room: Room = Room()) -> float:  # noqa: B008
    """The least that a day can cost, known its weather [T] beforehand: no controller is better.

    A linear programme in heating, cooling, discomfort, air and wall at each step; both begin at
    `air`. Exact, since the room is linear and costs are convex and linear in pieces.
    """
    steps = len(outside)
    stays, comes = transition(room, TICK)
    cost = np.array(PRICES)[(np.arange(steps) * TICK).astype(int) % 24]
    cost = TICK * cost * room.power / room.efficiency
    eye, none = sparse.eye(steps), sparse.csr_matrix((steps, steps))
    late = sparse.eye(steps, k=-1)
    states = sparse.bmat([[eye - stays[i, j] * late if i == j else -stays[i, j] * late
                           for j in (0, 1)] for i in (0, 1)])  # fmt: skip
    heat = sparse.bmat([[-room.power * comes[i, 0] * eye, room.power * comes[i, 0] * eye, none]
                        for i in (0, 1)])  # fmt: skip
    known = np.concatenate([row[1] * outside for row in comes])
    known[[0, steps]] += stays.sum(1) * air
    outside_band = sparse.bmat([[none, none, -eye, -eye, none], [none, none, -eye, eye, none]])
    found = linprog(
        np.concatenate([cost, cost, np.full(steps, TICK * DISCOMFORT), np.zeros(2 * steps)]),
        A_ub=outside_band,
        b_ub=np.repeat([-BAND[0], BAND[1]], steps),
        A_eq=sparse.hstack([heat, states]),
        b_eq=known,
        bounds=[(0, 1)] * (2 * steps) + [(0, None)] * steps + [(None, None)] * (2 * steps),
    )
    return float(found.fun)
