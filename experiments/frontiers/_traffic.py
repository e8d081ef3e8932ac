"""Speeds as windows, plain forecasts of them, times of arrival, and the figures of `traffic`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path

from dljax.data.frames import Column
from dljax.data.traffic import DAY, Traffic
from dljax.errors import InputError
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.host.function import Function, Input
from dljax.learn.graph_forecast import ahead, lags
from dljax.nets.diffusion import GraphForecaster
from dljax.typing import Array, Batch, Graph, PyTree
from experiments.frontiers._forecasts import ridge

HORIZON, MINUTES = 12, 5
LINEAR, HISTORY, SEEN = "ridge with time of day", "historical mean", "ridge on what is seen"
PENALTIES = (1e-3, 1e-2, 0.1, 0.3, 1.0, 3.0)


class Task:
    """What is known at a step of all sensors, and the speeds of the hour after it.

    Whatever is learnt here, a scale, a mean day, is of the steps before `end`.
    """

    def __init__(self, speeds: np.ndarray, past: int, harmonics: int, end: int):
        self.speeds, self.past, self.harmonics, self.end = speeds, past, harmonics, end
        self.center, self.scale = speeds[:end].mean(), speeds[:end].std()
        change = self.change(self.steps(0, end))
        self.spread = np.sqrt((change**2).mean((0, 1)))  # of what a persistence gets wrong
        if not self.spread.all():
            raise InputError(f"--data: no speed changes in the first {end} steps")
        self.day = mean_day(speeds, end, HORIZON)

    def steps(self, begin: int, end: int, told: int = HORIZON) -> np.ndarray:
        """The steps of windows, `past` steps and `told` after them, all within [begin, end)."""
        return np.arange(begin + self.past - 1, end - told)

    def seen(self, at: np.ndarray) -> np.ndarray:
        """x [m, n, F]: past speeds less the last, that, the mean day's course, the time of day."""
        known = lags(self.speeds, at, self.past)
        last = known[..., -1:]
        day = ahead(self.day, at, HORIZON)[..., 2::3]
        now = self.day[at][..., None]
        parts = [known[..., :-1] - last, last - self.center, now - last, day - now]
        found = np.concatenate(parts, -1) / self.scale
        clock = harmonics(at, self.harmonics)[:, None].repeat(found.shape[1], 1)
        return np.concatenate([found, clock], -1).astype(np.float32)

    def asked(self, net: GraphForecaster, sensors: Sequence[str]) -> dict[str, Function]:
        """The hour [n, HORIZON] after the speeds of all sensors [past, n], the last at a minute of
        the day."""
        usual = mean_day(self.speeds, self.end, HORIZON, apart=False)[:DAY]

        def predict(params: PyTree, past: Array, minute: Array) -> Array:
            known, at = past.swapaxes(1, 2), minute // MINUTES
            last, now = known[..., -1:], jnp.asarray(usual)[at % DAY][..., None]
            steps = at[:, None] + jnp.arange(3, HORIZON + 1, 3)[None]
            day = jnp.asarray(usual)[steps % DAY].swapaxes(1, 2)
            parts = [known[..., :-1] - last, last - self.center, now - last, day - now]
            turns = at[:, None] / DAY * np.arange(1, self.harmonics + 1)[None] * 2 * np.pi
            clock = jnp.concatenate([jnp.cos(turns), jnp.sin(turns)], 1)[:, None]
            clock = clock.repeat(known.shape[1], 1)
            x = jnp.concatenate([jnp.concatenate(parts, -1) / self.scale, clock], -1)
            return last + self.spread[None, None] * jnp.asarray(net.apply({"params": params}, x))

        columns = tuple(map(Column, sensors))
        read = Input((self.past, len(sensors)), name="past", columns=columns)
        ahead = [f"+{MINUTES * k}" for k in range(1, HORIZON + 1)]
        names = tuple(f"{sensor} {minutes}" for sensor in sensors for minutes in ahead)
        asked = Function(predict, (read, Input((), "int32", "minute")), names=names)
        return {"predict": asked}

    def change(self, at: np.ndarray) -> np.ndarray:
        """How far speeds go from the last, [m, n, HORIZON]."""
        return ahead(self.speeds, at, HORIZON) - self.speeds[at][..., None]

    def batch(self, at: np.ndarray) -> Batch:
        """What the network sees, and what it is to tell, on one scale for all horizons."""
        return Batch(self.seen(at), (self.change(at) / self.spread).astype(np.float32))

    def told(self, at: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Speeds of a network's outputs [..., m, n, HORIZON]."""
        return self.speeds[at][..., None] + self.spread * outputs

    def plain(self, at: np.ndarray, penalty: float) -> dict[str, np.ndarray]:
        """What needs no network, each [m, n, HORIZON]; the penalty is of `line`."""
        last = self.speeds[at][..., None]
        by_time = mean_day(self.speeds, self.end, HORIZON, apart=False, around=0)
        return {
            "persistence": np.broadcast_to(last, (*last.shape[:2], HORIZON)),
            f"AR({self.past})": self.linear(at, 0),
            LINEAR: self.linear(at, self.harmonics),
            SEEN: self.line(at, penalty),
            HISTORY: ahead(by_time, at, HORIZON),
        }

    def line(self, at: np.ndarray, penalty: float) -> np.ndarray:
        """Each sensor's own ridge on what the network sees of it."""
        learnt = self.steps(0, self.end)
        x, asked = (np.moveaxis(self.seen(each).astype(float), 1, 0) for each in (learnt, at))
        found = ridge(x, np.moveaxis(self.change(learnt), 1, 0), asked, penalty)
        return self.speeds[at][..., None] + np.moveaxis(found, 0, 1)

    def best(self, at: np.ndarray) -> float:
        """The penalty of `line` that errs least over the steps `at`."""
        true = ahead(self.speeds, at, HORIZON)
        wrong = [((self.line(at, each) - true) ** 2).mean() for each in PENALTIES]
        return PENALTIES[int(np.argmin(wrong))]

    def linear(self, at: np.ndarray, count: int, penalty: float = 1e-4) -> np.ndarray:
        """Each sensor's own ridge on its past speeds and `count` harmonics of the day."""
        learnt = self.steps(0, self.end)

        def inputs(at: np.ndarray) -> np.ndarray:
            known = np.moveaxis(lags(self.speeds, at, self.past), 1, 0)  # [n, m, past]
            clock = np.broadcast_to(harmonics(at, count), (len(known), len(at), 2 * count))
            return np.concatenate([known, clock], -1)

        y = np.moveaxis(ahead(self.speeds, learnt, HORIZON), 1, 0)
        return np.moveaxis(ridge(inputs(learnt), y, inputs(at), penalty), 0, 1)


def harmonics(at: np.ndarray, count: int) -> np.ndarray:
    """`cos, sin` of k turns a day for k = 1..count, [m, 2 count]."""
    angles = 2 * np.pi * at[:, None] / DAY * np.arange(1, count + 1)
    return np.concatenate([np.cos(angles), np.sin(angles)], 1)


def mean_day(
    values: np.ndarray, end: int, more: int, *, apart: bool = True, around: int = 3
) -> np.ndarray:
    """For each step the mean of values [T, n] at its time of day, on other days than its own.

    [T + more, n], of steps before `end`, and of `around` of them about that time, as a day before
    and after go on. Of its own day too unless `apart`: then a network would find what it is to tell
    in what it sees. Where no other day is known, the mean of all.
    """
    days = -(-(len(values) + more) // DAY)
    known = np.full((days * DAY, values.shape[1]), np.nan)
    known[:end] = values[:end]
    shifts = [np.roll(known, k, 0) for k in range(-around, around + 1)]
    near = np.stack(shifts).reshape(len(shifts), days, DAY, -1)
    total, count = np.nansum(near, 0), np.isfinite(near).sum(0)
    own = float(apart)
    rest = count.sum(0) - own * count
    found = (total.sum(0) - own * total) / np.maximum(rest, 1)
    found = np.where(rest > 0, found, values[:end].mean(0))
    return found.reshape(days * DAY, -1)[: len(values) + more]


class Route(NamedTuple):
    """Sensors that a trip passes [k + 1], and the way from each to the next, [k]."""

    sensors: np.ndarray
    lengths: np.ndarray


def distances(roads: Graph, n: int) -> Any:
    """How far sensors are along the roads, [n, n], and each one's last before; inf if not at all.

    Weights are `exp(-d^2 / s^2)` (Li et al. 2018), so that d is known up to the factor s.
    """
    d = np.sqrt(-np.log(np.minimum(roads.edges, 1 - 1e-6)))
    ways = csr_array((d, (roads.senders, roads.receivers)), (n, n))
    return shortest_path(ways, return_predecessors=True)


def longest(roads: Graph, n: int) -> Route | None:
    """The longest of all shortest ways; None where there are no roads."""
    far, before = distances(roads, n)
    far = np.where(np.isfinite(far), far, -1)
    begin, at = np.unravel_index(far.argmax(), far.shape)
    if begin == at:
        return None
    passed = [int(at)]
    while passed[-1] != begin:
        passed.append(int(before[begin, passed[-1]]))
    passed = passed[::-1]
    return Route(np.array(passed), np.diff(far[begin, passed]))


def arrival(speeds: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Minutes that trips take: speeds [..., k, H] of the k ways in the H steps to come -> [...].

    A way is driven at the speed of the step in which the car enters it; after the last step speeds
    stay. Lengths are in speed x hours.
    """
    minutes = np.zeros(speeds.shape[:-2])
    for way, length in enumerate(lengths):
        step = np.minimum(minutes // MINUTES, speeds.shape[-1] - 1).astype(int)
        own = np.take_along_axis(speeds[..., way, :], step[..., None], -1)[..., 0]
        minutes += 60 * length / own
    return minutes


def between(route: Route, speeds: np.ndarray, axis: int) -> np.ndarray:
    """Speeds of the ways, k on `axis`, of those of all sensors, n there: the mean of both ends'.

    A sensor's is at least 1.
    """
    passed = np.maximum(speeds, 1).take(route.sensors, axis)
    ends = [passed.take(np.arange(len(route.lengths)) + i, axis) for i in (0, 1)]
    return (ends[0] + ends[1]) / 2


def arrive(
    run: Study,
    data: Traffic,
    task: Task,
    at: np.ndarray,
    true: np.ndarray,
    told: dict[str, np.ndarray],
    minutes: float,
) -> None:
    """How far off times of arrival are, of trips whose whole hour is known.

    At the mean speeds of what is learnt from, the trip takes `minutes`. Mean times are, of each
    way, its mean time at that time of day.
    """
    route = longest(data.roads, len(data.sensors))
    if route is None:
        return
    usual = between(route, data.speeds[: task.end].mean(0), 0)
    lengths = route.lengths * minutes / (60 * route.lengths / usual).sum()
    whole = np.isfinite(true).all((1, 2))
    ways = {name: between(route, each[..., whole, :, :], -2) for name, each in told.items()}
    slow = 1 / between(route, data.speeds, 1)
    by_time = mean_day(slow, task.end, HORIZON, apart=False, around=0)
    ways |= {"sum of mean times": 1 / ahead(by_time, at[whole], HORIZON)}
    by = {name: arrival(each, lengths) for name, each in ways.items()}
    taken = arrival(between(route, true[whole], -2), lengths)
    metric = "test MAE of arrival, minutes"
    run.metric(metric, np.abs(by["network"] - taken).mean(-1), "lower")
    for name in ("persistence", LINEAR, SEEN, "sum of mean times"):
        run.baseline(f"{name}, arrival", metric, np.abs(by[name] - taken).mean())
    shown = {name: by[name] for name in ("persistence", "sum of mean times")}
    run.figure("arrival.png", draw_trips, at[whole], taken, {"network": by["network"][0]} | shown)


def places(roads: Graph, n: int) -> np.ndarray:
    """Places [n, 2] in the plane that keep distances along the roads: classical scaling."""
    far = distances(roads, n)[0]
    finite = np.isfinite(far)
    far = np.where(finite, far, 1.2 * far[finite].max())
    far = (far + far.T) / 2
    middle = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-middle @ far**2 @ middle / 2)
    return vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0))


def draw_horizons(path: Path, found: np.ndarray, plain: dict[str, np.ndarray]) -> Path:
    """RMSE and MAE over minutes: found [2, seeds, HORIZON], plain forecasts [2, HORIZON]."""
    figure, axes = figures.panels(2)
    minutes = (MINUTES * np.arange(1, HORIZON + 1)).tolist()
    for ax, own, i, name in zip(axes, found, range(2), ("RMSE", "MAE"), strict=True):
        for (side, each), color in zip(plain.items(), figures.COLORS[1:], strict=False):
            ax.plot(minutes, each[i], color=color, lw=1, ls="--", label=side)
        figures.spread(ax, minutes, own.T, "network", figures.COLORS[0])
        ax.set(
            xlabel="minutes ahead",
            ylabel=f"test {name}",
            ylim=(0, 1.1 * plain["persistence"][i].max()),
        )
    axes[0].legend(frameon=False, fontsize=7)
    return figures.save(figure, path)


def draw_map(path: Path, data: Traffic, sides: dict[str, np.ndarray]) -> Path:
    """Each sensor's RMSE [n] where distances along the roads place it, a panel a forecast."""
    n = len(data.sensors)
    at, top = places(data.roads, n), float(np.quantile(np.stack([*sides.values()]), 0.98))
    figure, axes = figures.panels(len(sides), size=(4.0, 3.6))
    ends = at[np.stack([data.roads.senders, data.roads.receivers])]
    for ax, (title, values) in zip(axes, sides.items(), strict=True):
        ax.plot(*np.moveaxis(ends, -1, 0), color="0.85", lw=0.3, zorder=0)
        dots = ax.scatter(*at.T, c=values, s=16, cmap="viridis_r", vmin=0, vmax=top)
        ax.set(title=title, xticks=[], yticks=[])
        ax.title.set_fontsize(9)
    figure.colorbar(dots, ax=axes, label="test RMSE after 15 minutes", shrink=0.8)
    return figures.save(figure, path)


def draw_trips(path: Path, at: np.ndarray, true: np.ndarray, told: dict[str, np.ndarray]) -> Path:
    """Minutes that a trip took [m] by when it began, and what was told [m] then."""
    figure, (ax,) = figures.panels(1, size=(8, 3))
    hours = at % DAY / 12 + 24 * (at // DAY - at[0] // DAY)
    ax.plot(hours, true, color=figures.INK, lw=1.4, label="taken")
    for (name, each), color in zip(told.items(), figures.COLORS, strict=False):
        ax.plot(hours, each, color=color, lw=1, label=name)
    ax.set(xlabel="hours from the first test day's midnight", ylabel="minutes")
    ax.legend(frameon=False, fontsize=8)
    return figures.save(figure, path)
