"""A series as windows, the linear forecast that a network is to correct, and a picture."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from dljax.data.scaling import standard
from dljax.data.series import Series, commonest_step, degrees, windows, years
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.learn import forecast
from dljax.typing import Batch

Forecast = Callable[[np.ndarray], np.ndarray]


class Line(NamedTuple):
    """`x w + c` [n, ...] of x [n, D], NumPy's arrays or JAX's."""

    w: np.ndarray
    c: np.ndarray
    shape: tuple[int, ...]

    def __call__(self, x: Any) -> Any:
        return (x @ self.w + self.c[None]).reshape(len(x), *self.shape)


class Task:
    """A series as windows: what the network sees, what is to be told, and the linear forecast.

    Columns are told together, or, `shared`, each from its own past by what is learnt from all; a
    window is then one column's. x [n, window, C] and target [n, horizon, C], standardised, less
    the last value where `level` is "last".
    """

    def __init__(self, series: Series, config: Any, horizon: int, scaled: int, seen: int):
        """The scale is learnt from the first `scaled` steps, the forecast from the first `seen`."""
        self.scaling = standard(series.values[:scaled])
        self.columns, self.circles = len(series.columns), len(config.directions)
        self.config, self.reach = config, max(config.window, config.past)
        self.each = self.columns if config.shared else 1  # windows that end at one step
        x, target = windows(self.scaling.scale(series.values), self.reach, horizon)
        calendar = harmonics(series.times, len(series), config.harmonics)
        calendar = windows(calendar, self.reach, horizon).y
        self.ends = np.arange(len(x)).repeat(self.each) + self.reach + horizon
        self.x, inputs, self.last = self.seen(x, calendar)
        self.target = self.apart(target) - self.last
        self.learnt = self.ends <= seen  # rows
        self.ridge = ridge(inputs, self.target, self.learnt, config.penalty)
        self.linear = self.ridge(inputs)

    def apart(self, x: Any) -> Any:
        """Columns as rows of their own where they are told by what is `shared`."""
        if not self.config.shared:
            return x
        return x.swapaxes(2, 1).reshape(-1, x.shape[1], 1)

    def seen(self, x: Any, known: Any) -> tuple[Any, Any, Any]:
        """What the network and the linear forecast see of windows, and what is taken off both.

        x [n, reach, C], and the calendar of the days to come, which is known; NumPy's or JAX's.
        """
        xp: Any = np if isinstance(x, np.ndarray) else jnp
        config, x = self.config, self.apart(x)
        last = x[:, -1:] if config.level == "last" else xp.zeros_like(x[:, -1:])
        x, known = x - last, known.reshape(len(known), -1).repeat(self.each, 0)
        inputs = xp.concatenate([x[:, -config.past :].reshape(len(x), -1), known], 1)
        return x[:, -config.window :].astype(np.float32), inputs, last

    def going_on(self, series: Series, begin: int, count: int, correct: Forecast) -> np.ndarray:
        """`count` steps from `begin` on in the series' units, each told from those told before.

        `correct(x)` is added to the linear forecast. Nothing from `begin` on is looked at.
        """
        horizon = self.target.shape[1]
        values = list(self.scaling.scale(series.values[begin - self.reach : begin]))
        until = begin + count + horizon
        calendar = harmonics(prolonged(series, until), until, self.config.harmonics)
        for at in range(begin, begin + count, horizon):
            window = np.stack(values[-self.reach :])[None]
            x, inputs, last = self.seen(window, calendar[None, at : at + horizon])
            told = self.ridge(inputs) + correct(x) + last
            values += list(self.together(told)[0])
        return self.scaling.unscale(np.stack(values[self.reach :][:count]))

    def rows(self, begin: int, end: int) -> np.ndarray:
        """The windows whose every told step lies within [begin, end)."""
        return (self.ends - self.target.shape[1] >= begin) & (self.ends <= end)

    def batch(self, begin: int, end: int) -> Batch:
        """What the network sees, and what the linear forecast gets wrong."""
        rows = self.rows(begin, end)
        return Batch(self.x[rows], (self.target - self.linear)[rows].astype(np.float32))

    def series(self, told: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Standardised values [n, horizon, columns] of what was told of some windows."""
        return self.together(told + self.last[rows])

    def together(self, told: Any) -> Any:
        """`apart` undone."""
        if not self.config.shared:
            return told
        return told.reshape(-1, self.columns, told.shape[1]).swapaxes(1, 2)

    def errors(self, told: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        """Of one column RMSE and MAE in its units, of several MSE and MAE of them standardised.

        Of directions also degrees off.
        """
        told, true = self.series(told, rows), self.series(self.target[rows], rows)
        scale, alone = self.scaling.unscale, self.columns == 1
        own = forecast.series_errors(*map(scale if alone else np.asarray, (told, true)))
        found = {name: float(own[name]) for name in ("RMSE" if alone else "MSE", "MAE")}
        if self.circles:
            first = self.columns - 2 * self.circles
            found["degrees off"] = float(degrees_apart(scale(told), scale(true), first).mean())
        return found

    def chances(self, told: np.ndarray, spread: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        """Mean nats of standardised values under Gaussians, and the share within their 90 %."""
        true = self.target[rows]
        within = np.abs(true - told) <= norm.ppf(0.95) * spread
        nats = -norm.logpdf(true, told, spread)
        return {"nats": float(nats.mean()), "share within 90 %": float(within.mean())}

    def persistence(self, rows: np.ndarray) -> np.ndarray:
        """The last value for every step to come."""
        return np.broadcast_to(self.x[rows][:, -1:], self.target[rows].shape)


def report(
    run: Study,
    task: Task,
    rows: np.ndarray,
    told: np.ndarray,
    goals: Mapping[tuple[str, str], tuple[float, str]],
    log_spread: np.ndarray | None = None,
    **more: Any,
) -> None:
    """Errors of every seed, and those of the two plain forecasts."""
    horizon, linear = task.target.shape[1], task.linear[rows]
    line = f"linear in {task.config.past} steps"
    sides = {line: task.errors(linear, rows)}
    sides["persistence"] = task.errors(task.persistence(rows), rows)
    found = [task.errors(each, rows) for each in told]
    if log_spread is not None:
        spread = (task.target[task.learnt] - task.linear[task.learnt]).std(0)  # [horizon, C]
        sides[line] |= task.chances(linear, spread[None], rows)
        each = zip(told, np.exp(log_spread), strict=True)
        found = [a | task.chances(*b, rows) for a, b in zip(found, each, strict=True)]
    for name in found[0]:
        metric = f"test {name}" if horizon == 1 else f"test {name}, horizon {horizon}"
        goal = goals.get((task.config.data, metric))
        better = "higher" if name.startswith("share") else "lower"
        run.metric(metric, [each[name] for each in found], better, goal, **more)
        for side, errors in sides.items():
            if name in errors:
                run.baseline(f"{side}, {metric.removeprefix('test ')}", metric, errors[name])


def degrees_apart(told: np.ndarray, true: np.ndarray, first: int) -> np.ndarray:
    """From 0 to 180 between directions, of columns from `first` on: [..., 2 D] -> [..., D]."""
    pair = (*told.shape[:-1], -1, 2)
    apart = degrees(told[..., first:].reshape(pair)) - degrees(true[..., first:].reshape(pair))
    return np.abs((apart + 180) % 360 - 180)


def ridge(x: np.ndarray, y: np.ndarray, rows: np.ndarray, penalty: float) -> Line:
    """Tells y [n, ...] from x [n, D] by `min |y - x w - c|^2 / n + penalty |w|^2` over `rows`."""
    from sklearn.linear_model import Ridge

    flat = y.reshape(len(y), -1)
    model = Ridge(max(penalty, 1e-9) * rows.sum()).fit(x[rows], flat[rows])
    weights: Any = model.coef_.reshape(flat.shape[1], -1)
    return Line(weights.T, np.reshape(model.intercept_, -1), y.shape[1:])


def prolonged(series: Series, count: int) -> np.ndarray | None:
    """The times of `count` steps or more, the new ones as far apart as most."""
    if series.times is None:
        return None
    new = np.arange(1, count - len(series) + 1) * commonest_step(series.times)
    return np.append(series.times, series.times[-1] + new)


def harmonics(times: np.ndarray | None, steps: int, count: int) -> np.ndarray:
    """`cos, sin` of k turns a year for k = 1..count, [steps, 2 count]; none without times."""
    if times is None:
        return np.zeros((steps, 0))
    return turning(years(times), count)


def turning(turns: Any, count: int) -> Any:
    """`cos, sin` of k times so many turns [N], k = 1..count: [N, 2 count]."""
    xp: Any = np if isinstance(turns, np.ndarray) else jnp
    angles = 2 * np.pi * turns[:, None] * np.arange(1, count + 1)[None]
    return xp.concatenate([xp.cos(angles), xp.sin(angles)], 1)


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
