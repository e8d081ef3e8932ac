"""Speeds of traffic at sensors along roads (S57): Los-loop, one's own tables, and a ring."""

import os
from dataclasses import dataclass

import numpy as np

from dljax.data.series import number, read_numbers
from dljax.data.store import fetch, is_path
from dljax.data.text import read_rows
from dljax.errors import InputError, check_count, unknown
from dljax.typing import Graph

SPEEDS, ROADS = "los_loop/los_speed.csv", "los_loop/los_adj.csv"
NAMES = ("ring", "los-loop")
DAY = 288  # steps of five minutes


@dataclass(frozen=True, eq=False)
class Traffic:
    """Speeds float64 [T, n] of n sensors every five minutes from a midnight on, and their roads.

    Each of the roads' edges carries how near its ends are, in (0, 1], float32 [e]; none is from a
    sensor to itself.
    """

    name: str
    sensors: tuple[str, ...]
    speeds: np.ndarray
    roads: Graph


def load(name: str, roads: str = "") -> Traffic:
    """One of `NAMES`, or tables of one's own: `name` the path of speeds, `roads` that of nearness.

    los-loop: 207 sensors of Los Angeles' motorways over the seven days from 1 March 2012, as Zhao
    et al. (T-GCN, 2019) have them; missing readings were filled in by them. Papers say km/h; that
    all stays below 70 looks like miles. Raises InputError for another name, and for tables that
    `read` refuses.
    """
    if roads and name in NAMES:
        raise InputError(f"--roads goes with speeds of one's own; {name} has its own roads")
    if name == "ring":
        return ring()
    if name == "los-loop":
        return read(fetch(SPEEDS), fetch(ROADS), name)
    if not is_path(name):
        raise unknown("traffic", name, [*NAMES, "path/to/speeds.csv"])
    if not roads:
        raise InputError(f"{name} needs --roads, a table of how near its sensors are to each other")
    return read(name, roads, name)


def read(speeds: str | os.PathLike[str], roads: str | os.PathLike[str], name: str) -> Traffic:
    """A CSV of speeds, a column a sensor below its name, and one of n x n weights without names.

    Weights are of the edge from the row's sensor to the column's, 0 for none. Raises InputError
    that names the file, the sensor and the line of a reading that is missing (also as nan), below 0
    or no number; and for a table of roads that is not n x n of weights from 0 to 1.
    """
    names, *lines = read_rows(speeds)
    for line, row in enumerate(lines, start=2):
        if len(row) != len(names):
            raise InputError(f"{speeds}, line {line} has {len(row)} readings of {len(names)}")
    if len(set(names)) < len(names):
        raise InputError(f"{speeds}: each sensor must have a name of its own")
    if not lines:
        raise InputError(f"{speeds} has no readings")
    columns = zip(names, zip(*lines, strict=True), strict=True)
    values = np.stack([read_numbers(speeds, *column) for column in columns], 1)
    if not named(names, values.max()):
        first = ",".join(names)[:40]
        raise InputError(f"{speeds}, line 1 must hold the sensors' names; got {first!r}")
    if (values < 0).any():
        line, sensor = np.argwhere(values < 0)[0]
        said = f"line {line + 2}: a speed of {values[line, sensor]:g} is below 0"
        raise InputError(f"{speeds}: column {names[sensor]!r}, {said}")
    return Traffic(name, tuple(names), values, read_roads(roads, len(names)))


def named(names: list[str], fastest: float) -> bool:
    """Whether names are no readings: some are words, or they count, or exceed all speeds."""
    found = [number(each) for each in names]
    if None in found:
        return True
    if not all(each.isdigit() for each in names):
        return False
    numbers = np.array([*map(int, names)])
    return bool((np.diff(numbers) == 1).all() or numbers.min() > fastest)


def read_roads(path: str | os.PathLike[str], n: int) -> Graph:
    """A CSV of n x n weights as edges, see `read`."""
    lines = read_rows(path)
    if len(lines) != n or {len(row) for row in lines} != {n}:
        lengths = sorted({len(row) for row in lines})
        raise InputError(f"{path} must be {n} x {n}, a row a sensor; got {len(lines)} x {lengths}")
    try:
        weights = np.array(lines, np.float64)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    wrong = ~((weights >= 0) & (weights <= 1))  # as nan is
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        bad = weights[row, column]
        raise InputError(f"{path}, line {row + 1}, column {column + 1}: {bad} is not from 0 to 1")
    return edges_of(weights)


def edges_of(weights: np.ndarray) -> Graph:
    """The edges of weights [n, n] above 0, from row to column, without those to oneself."""
    senders, receivers = np.nonzero(weights * (1 - np.eye(len(weights))))
    ends = senders.astype(np.int32), receivers.astype(np.int32)
    return Graph(None, *ends, weights[ends].astype(np.float32))


def ring(sensors: int = 16, days: int = 6, seed: int = 0) -> Traffic:
    """A simulated ring road: jams are born at rush hours and travel against the traffic.

    A jam takes up to 40 from the speed of 65 at its place, which moves to the sensor before every
    ten minutes, for half an hour to two; readings have noise of sd 2. So what a sensor will read is
    read by the one ahead now. Raises InputError for fewer than 3 sensors.
    """
    check_count(days=days)
    if sensors < 3:
        raise InputError(f"a ring needs at least 3 sensors; got {sensors}")
    # the legacy generator: NumPy promises that its numbers never change
    rng, t = np.random.RandomState(seed), np.arange(days * DAY)
    hour = t % DAY / 12
    rush = np.exp(-((hour - 8) ** 2) / 3) + np.exp(-((hour - 17.5) ** 2) / 5)
    speeds = (65 - 8 * rush)[:, None] + 2 * rng.randn(len(t), sensors)
    for begin in np.flatnonzero(rng.rand(len(t)) < 0.02 + 0.25 * rush):
        place, deep, lasts = rng.randint(sensors), rng.uniform(15, 40), rng.randint(6, 25)
        when = np.arange(begin, min(begin + lasts, len(t)))
        at = place - (when - begin) / 2
        off = (np.arange(sensors) - at[:, None] + sensors / 2) % sensors - sensors / 2
        speeds[when] -= deep * np.exp(-(off**2) / 2)
    near = np.roll(np.eye(sensors), 1, 1)
    names = tuple(f"km {i}" for i in range(sensors))
    return Traffic("ring", names, speeds.clip(3, 70), edges_of(near + near.T))
