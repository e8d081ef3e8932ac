"""A series as windows, the linear forecast that a network is to correct, and a picture."""

from pathlib import Path
from typing import Any

import numpy as np

from dljax.data.series import Series, degrees, scaling, windows
from dljax.host import figures
from dljax.learn import forecast
from dljax.typing import Batch

YEAR = 365.25 * 24 * 3600  # seconds


class Task:
    """A series as windows: what the network sees, what is to be told, and the linear forecast.

    Columns are told together, or, `shared`, each from its own past by what is learnt from all; a
    window is then one column's. x [n, window, C] and target [n, horizon, C], standardised, less
    the last value where `level` is "last".
    """

    def __init__(self, series: Series, config: Any, horizon: int, scaled: int, seen: int):
        """The scale is learnt from the first `scaled` steps, the forecast from the first `seen`."""
        self.scaling = scaling(series.values[:scaled])
        self.columns, self.circles = len(series.columns), len(config.directions)
        reach = max(config.window, config.past)
        self.each = self.columns if config.shared else 1  # windows that end at one step
        x, target = windows(self.scaling.scale(series.values), reach, horizon)
        calendar = windows(harmonics(series, config.harmonics), reach, horizon).y
        self.ends = np.arange(len(x)).repeat(self.each) + reach + horizon
        if config.shared:
            x, target = (np.moveaxis(a, 2, 1).reshape(-1, a.shape[1], 1) for a in (x, target))
        self.last = x[:, -1:] if config.level == "last" else np.zeros_like(x[:, -1:])
        x, self.target = x - self.last, target - self.last
        self.x = x[:, -config.window :].astype(np.float32)
        # the calendar's days to come are known
        known = calendar.reshape(len(calendar), -1).repeat(self.each, 0)
        inputs = np.concatenate([x[:, -config.past :].reshape(len(x), -1), known], 1)
        self.linear = ridge(inputs, self.target, self.ends <= seen, config.penalty)

    def rows(self, begin: int, end: int) -> np.ndarray:
        """The windows whose every told step lies within [begin, end)."""
        return (self.ends - self.target.shape[1] >= begin) & (self.ends <= end)

    def batch(self, begin: int, end: int) -> Batch:
        """What the network sees, and what the linear forecast gets wrong."""
        rows = self.rows(begin, end)
        return Batch(self.x[rows], (self.target - self.linear)[rows].astype(np.float32))

    def series(self, told: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Standardised values [n, horizon, columns] of what was told of some windows."""
        whole = told + self.last[rows]
        if self.each == 1:
            return whole
        return np.moveaxis(whole.reshape(-1, self.columns, whole.shape[1]), 1, 2)

    def errors(self, told: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        """RMSE and MAE in the series' own units, MSE of the standardised series, degrees off."""
        told, true = self.series(told, rows), self.series(self.target[rows], rows)
        scale = self.scaling.unscale
        own = forecast.series_errors(scale(told), scale(true))
        found = {name: float(own[name]) for name in ("RMSE", "MAE")}
        found["MSE"] = float(np.mean((told - true) ** 2))
        if self.circles:
            first = self.columns - 2 * self.circles
            found["degrees off"] = float(degrees_apart(scale(told), scale(true), first).mean())
        return found

    def persistence(self, rows: np.ndarray) -> np.ndarray:
        """The last value for every step to come."""
        return np.broadcast_to(self.x[rows][:, -1:], self.target[rows].shape)


def degrees_apart(told: np.ndarray, true: np.ndarray, first: int) -> np.ndarray:
    """From 0 to 180 between directions, of columns from `first` on: [..., 2 D] -> [..., D]."""
    pair = (*told.shape[:-1], -1, 2)
    apart = degrees(told[..., first:].reshape(pair)) - degrees(true[..., first:].reshape(pair))
    return np.abs((apart + 180) % 360 - 180)


def ridge(x: np.ndarray, y: np.ndarray, rows: np.ndarray, penalty: float) -> np.ndarray:
    """Forecasts y' [n, ...] of all x [n, D] by `min |y - x w - c|^2 / n + penalty |w|^2`.

    Learnt from `rows` alone.
    """
    from sklearn.linear_model import Ridge

    flat = y.reshape(len(y), -1)
    model = Ridge(max(penalty, 1e-9) * rows.sum()).fit(x[rows], flat[rows])
    return np.reshape(model.predict(x), y.shape)


def harmonics(series: Series, count: int) -> np.ndarray:
    """`cos, sin` of k turns a year for k = 1..count, [N, 2 count]; none without dates."""
    if series.times is None:
        return np.zeros((len(series), 0))
    turns = series.times.astype("datetime64[s]").astype(np.int64) / YEAR
    angles = 2 * np.pi * turns[:, None] * np.arange(1, count + 1)
    return np.concatenate([np.cos(angles), np.sin(angles)], 1)


def draw(path: Path, series: Series, task: Task, rows: np.ndarray, told: np.ndarray) -> None:
    """The last column at the last step told, over the test's first 240 steps."""
    figure, (ax,) = figures.panels(1, size=(9, 3))

    def shown(values: np.ndarray) -> np.ndarray:
        return task.scaling.unscale(task.series(values, rows))[:240, -1, -1]

    when = np.arange(len(shown(task.target[rows])))
    ax.plot(when, shown(task.target[rows]), color=figures.INK, lw=1, label="true")
    each = np.stack([shown(one) for one in told], 1)
    label = f"told {task.target.shape[1]} before"
    figures.spread(ax, when.tolist(), each, label, figures.COLORS[1])
    ax.set(xlabel="step of the test", ylabel=series.columns[-1])
    ax.legend(fontsize=8)
    figures.save(figure, path)
