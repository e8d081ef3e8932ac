"""Cases as windows of days, plain forecasts of them, and the figures of `epidemic`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from dljax.data.epidemic import Epidemic
from dljax.errors import InputError
from dljax.host import figures
from dljax.host.function import Function, Input
from dljax.learn.graph_forecast import ahead, lags
from dljax.nets.diffusion import GraphForecaster, walks
from dljax.typing import Array, Batch, Graph, PyTree
from experiments.frontiers._forecasts import fitted

WEEK = 7


class Task:
    """Cases of a week by region, and those `horizon` days after it.

    What is learnt here, scales and autoregressions, is of the days before `end`. Networks correct
    the autoregression of `z = log(1 + cases)`: what they are to tell is what it gets wrong.
    """

    def __init__(self, data: Epidemic, horizon: int, end: int):
        self.cases, self.z, self.horizon = data.cases, np.log1p(data.cases), horizon
        self.learnt = self.days(WEEK - 1 + horizon, end)
        self.center, self.scale = self.z[:end].mean(), self.z[:end].std()
        if not self.scale:
            raise InputError(f"{data.name}: cases never change before day {end}")

    def days(self, begin: int, end: int) -> np.ndarray:
        """The days from which [begin, end) are told."""
        return np.arange(begin, end) - self.horizon

    def true(self, at: np.ndarray) -> np.ndarray:
        return ahead(self.cases, at, self.horizon)[..., -1]

    def line(self, values: np.ndarray, at: np.ndarray, penalty: float = 1e-3) -> np.ndarray:
        """One ridge of all regions on a week of values [T, n], as told for `horizon` later, [m, n].

        Of the values of all seven weekdays, so that the last of the told day's own is among them.
        """
        return self.rule(values, penalty)(lags(values, at, WEEK))[..., 0]

    def rule(self, values: np.ndarray, penalty: float = 1e-3) -> Callable[[Any], Any]:
        """From weeks [..., 7] to what follows [..., 1]."""
        x = lags(values, self.learnt, WEEK).reshape(-1, WEEK)
        return fitted(x, values[self.learnt + self.horizon].reshape(-1, 1), penalty)

    def asked(self, net: GraphForecaster) -> dict[str, Function]:
        """Cases [n] `horizon` days after the last of a week of cases [7, n] of all regions."""
        rule, count = self.rule(self.z), self.cases.shape[1]

        def predict(params: PyTree, past: Array) -> Array:
            week = jnp.log1p(past).swapaxes(1, 2)
            mean = week.mean(-1, keepdims=True)
            x = jnp.concatenate([week - mean, mean - self.center], -1) / self.scale
            found: Any = net.apply({"params": params}, x)
            line = rule(week.reshape(-1, WEEK)).reshape(found[..., 0].shape)
            return jnp.maximum(jnp.expm1(jnp.minimum(line + self.scale * found[..., 0], 20)), 0)

        names = tuple(f"region {i}" for i in range(count))
        return {"predict": Function(predict, (Input((WEEK, count), name="past"),), names=names)}

    def plain(self, at: np.ndarray) -> dict[str, np.ndarray]:
        """What needs no network, each [m, n]."""
        return {
            "persistence": self.cases[at],
            "weekly AR": self.line(self.cases, at),
            "weekly AR of logarithms": self.told(at, np.zeros((len(at), 1, 1))),
        }

    def batch(self, at: np.ndarray) -> Batch:
        """x [m, n, 8], each day less the week's mean, and that; y [m, n, 1]."""
        week = lags(self.z, at, WEEK)
        mean = week.mean(-1, keepdims=True)
        x = np.concatenate([week - mean, mean - self.center], -1) / self.scale
        y = (self.z[at + self.horizon] - self.line(self.z, at))[..., None] / self.scale
        return Batch(x.astype(np.float32), y.astype(np.float32))

    def told(self, at: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Cases, at least 0, of a network's outputs [..., m, n, 1]."""
        z = self.line(self.z, at) + self.scale * outputs[..., 0]
        return np.maximum(np.expm1(np.minimum(z, 20)), 0)


def mean_travels(data: Epidemic, end: int) -> Array:
    """Walks along all journeys between regions on the days before `end`, [2, n, n]."""
    n, travels = data.cases.shape[1], data.travels
    senders, receivers = (ends[:end].ravel() for ends in (travels.senders, travels.receivers))
    away = senders != receivers
    weights = travels.edges[:end].ravel()
    return walks(Graph(None, senders[away], receivers[away], weights[away]), n)


def rmse(told: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Over days and regions: [..., m, n] -> [...]."""
    return np.sqrt(((told - true) ** 2).mean((-2, -1)))


def draw_days(
    path: Path, data: Epidemic, begin: int, told: dict[int, np.ndarray], plain: dict
) -> Path:
    """All regions' cases together by day: told [horizon][seeds, m, n] of the days from `begin`."""
    figure, axes = figures.panels(len(told))
    days = np.arange(begin, len(data.cases))
    for ax, (horizon, each) in zip(axes, told.items(), strict=True):
        ax.plot(data.cases.sum(1), color=figures.INK, lw=1, label="true")
        figures.spread(ax, days.tolist(), each.sum(-1).T, "network", figures.COLORS[0])
        for (name, side), color in zip(plain[horizon].items(), figures.COLORS[1:], strict=False):
            ax.plot(days, side.sum(-1), color=color, lw=1, ls="--", label=name)
        ax.set(title=f"{horizon} days ahead", xlabel="day", ylabel="cases, all regions")
        ax.title.set_fontsize(9)
        ax.set_ylim(0, 1.3 * data.cases.sum(1).max())
    axes[0].legend(frameon=False, fontsize=7)
    return figures.save(figure, path)


def draw_ways(path: Path, found: dict[int, dict[str, np.ndarray]], plain: dict) -> Path:
    """Every seed's RMSE with the graph, shuffled and without, a panel a horizon."""
    figure, axes = figures.panels(len(found))
    for ax, (horizon, ways) in zip(axes, found.items(), strict=True):
        figures.dots(ax, {name.replace(", ", "\n"): each.tolist() for name, each in ways.items()})
        for (name, value), color in zip(plain[horizon].items(), figures.COLORS[1:], strict=False):
            ax.axhline(value, color=color, lw=1, ls="--", label=name)
        ax.set(title=f"{horizon} days ahead", ylabel="test RMSE, cases a region and day")
        ax.title.set_fontsize(9)
    axes[0].legend(frameon=False, fontsize=7, loc="upper right", bbox_to_anchor=(1, 0.94))
    return figures.save(figure, path)
