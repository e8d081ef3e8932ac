"""Tomorrow's temperature, or the next steps of any series, beside straight lines.

Systems S17 and S23 of the syllabus. The last fifth of the series is for testing, the tenth before
for every choice: how long to train is told by it, and then training begins anew with it. A GRU
corrects a linear forecast, an autoregression with harmonics of the year where there are dates;
beside it that forecast alone, and persistence.

    python -m experiments.sequences.weather
    python -m experiments.sequences.weather --data max-temperatures --past 14
    python -m experiments.sequences.weather --data my.csv --horizon 24
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from dljax import Learner, Member, sweep
from dljax.data.series import Series, gaps, load_series, scaling, windows
from dljax.errors import InputError
from dljax.host import experiment, figures
from dljax.host.config import Common, Count, NotNegative, Number, Positive, ShareBelow1, Widths
from dljax.host.experiment import Study
from dljax.host.fit import Watch
from dljax.host.result import Result
from dljax.learn import forecast, risk
from dljax.learn.optimizers import optimizer
from dljax.nets.forecaster import Forecaster
from dljax.typing import Array, Batch, Metrics, PyTree

NAME = "sequences.weather"
YEAR = 365.25 * 24 * 3600  # seconds
GOALS = {("min-temperatures", 1): (2.13, "our goal; an autoregression with harmonics gives 2.152")}


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a GRU to correct a linear forecast of a series."""

    data: str = "min-temperatures"
    """min-temperatures, max-temperatures, ETTh1, or the path of a CSV file."""
    horizon: Count = 1
    """Steps to tell."""
    past: Count = 7
    """Steps that the linear forecast sees."""
    window: Count = 28
    """Steps that the network sees."""
    harmonics: Number = 3
    """Of the year, where the series has dates."""
    hidden: Widths = (16,)
    """Units of each recurrent layer."""
    epochs: Count = 60
    """Passes over the windows at most, where --steps is not given."""
    batch: Count = 64
    """Windows in a step."""
    rate: Positive = 1e-3
    """The learning rate of Adam."""
    dropout: ShareBelow1 = 0.0
    """Share of features dropped in training."""
    weight_decay: NotNegative = 1e-2
    """Decoupled decay of matrices."""


PRESETS = {"quick": Config()}


class Task:
    """A series as windows: what the network sees, what is to be told, and the linear forecast."""

    def __init__(self, series: Series, config: Config, seen: int):
        """All that is learnt here is learnt from the first `seen` steps."""
        self.scaling = scaling(series.values[:seen])
        values = self.scaling.scale(series.values)
        season = harmonics(series, config.harmonics)
        reach = max(config.window, config.past)
        x, y = windows(np.concatenate([values, season], 1), reach, config.horizon)
        columns = len(series.columns)
        self.target, self.x = y[..., :columns], x[:, -config.window :].astype(np.float32)
        known = (len(x), -1)
        lags = x[:, -config.past :, :columns].reshape(known)
        calendar = y[:, :, columns:].reshape(known)  # dates to come are known
        self.inputs = np.concatenate([lags, calendar, np.ones((len(x), 1))], 1)
        # of each window, the number of the step behind its last
        self.ends = np.arange(len(x)) + reach + config.horizon
        rows = self.ends <= seen
        flat = self.target.reshape(known)
        weights = np.linalg.lstsq(self.inputs[rows], flat[rows], rcond=None)[0]
        self.linear = (self.inputs @ weights).reshape(self.target.shape)

    def rows(self, begin: int, end: int) -> np.ndarray:
        """The windows whose every told step lies within [begin, end)."""
        horizon = self.target.shape[1]
        return (self.ends - horizon >= begin) & (self.ends <= end)

    def batch(self, begin: int, end: int) -> Batch:
        """What the network sees, and what the linear forecast gets wrong."""
        rows = self.rows(begin, end)
        return Batch(self.x[rows], (self.target - self.linear)[rows].astype(np.float32))

    def errors(self, told: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        """Of forecasts in the series' own units."""
        scale = self.scaling.unscale
        found = forecast.series_errors(
            jnp.asarray(scale(told)), jnp.asarray(scale(self.target[rows]))
        )
        return {name: float(value) for name, value in found.items()}


def harmonics(series: Series, count: int) -> np.ndarray:
    """`cos, sin` of k turns a year for k = 1..count, [N, 2 count]; none without dates."""
    if series.times is None:
        return np.zeros((len(series), 0))
    turns = series.times.astype("datetime64[s]").astype(np.int64) / YEAR
    angles = 2 * np.pi * turns[:, None] * np.arange(1, count + 1)
    return np.concatenate([np.cos(angles), np.sin(angles)], 1)


def main(config: Config) -> Result:
    with Study(NAME, ["S17", "S23"], config) as run:
        series = load_series(config.data)
        if (found := gaps(series)) and not config.quiet:
            print(f"{series.name}: {found}; all steps are taken as equal")
        total = len(series)
        chosen, tested = total * 7 // 10, total * 8 // 10
        need = max(config.window, config.past) + config.horizon
        if chosen <= need or total - tested < config.horizon or tested - chosen < config.horizon:
            raise InputError(f"{config.data} has {total} steps; too few for windows of {need}")
        net = Forecaster(config.horizon, len(series.columns), config.hidden, dropout=config.dropout)
        task = Task(series, config, chosen)
        train, validation = task.batch(0, chosen), task.batch(chosen, tested)
        per_epoch = max(1, len(train.y) // config.batch)

        def validate(member: Member) -> Metrics:
            wrong = predict(net, weights(member), validation.x) - validation.y
            return {"validation/loss": jnp.mean(wrong**2)}

        most = config.steps or config.epochs * per_epoch
        search = run.fit(
            sweep(lambda _: learner(config, net, train), None, run.seeds),
            most,
            Watch(validate, per_epoch),
            part="search",
            shown=("train/loss", "validation/loss"),
        )
        steps, losses = figures.curve(search.records, "validation/loss")
        best = int(steps[losses.mean(1).argmin()])
        task = Task(series, config, tested)
        again = learner(config, net, task.batch(0, tested))
        fitted = run.fit(
            sweep(lambda _: again, None, run.seeds), best, part="final", shown=("train/loss",)
        )
        rows = task.rows(tested, total)
        added = run.each(
            lambda member: predict(net, weights(member), task.x[rows]), fitted.run.state
        )
        told = task.linear[rows] + np.asarray(added)
        report(run, config, task, rows, told, best)
        run.figure("series.png", draw, series, task, rows, told)
    return run.result


def learner(config: Config, net: Forecaster, data: Batch) -> Learner:
    tx = optimizer("adam", config.rate, weight_decay=config.weight_decay)
    return risk.make(net, tx, data, optax.squared_error, batch=config.batch)


def weights(member: Member) -> PyTree:
    return member.run.state.fit.params


def predict(net: Any, params: PyTree, x: np.ndarray) -> Array:
    return net.apply({"params": params}, jnp.asarray(x))


def report(
    run: Study, config: Config, task: Task, rows: np.ndarray, told: np.ndarray, steps: int
) -> None:
    """Errors of every seed in the series' own units, and those of the two plain forecasts."""
    found = [task.errors(each, rows) for each in told]
    for name in ("RMSE", "MAE"):
        goal = GOALS.get((config.data, config.horizon)) if name == "RMSE" else None
        metric = f"test {name}"
        run.metric(metric, [each[name] for each in found], "lower", goal, steps=steps)
        linear = task.errors(task.linear[rows], rows)[name]
        run.baseline(f"autoregression({config.past}) with harmonics, {name}", metric, linear)
        last = task.x[rows][:, -1:, : task.target.shape[-1]]
        last = np.broadcast_to(last, task.target[rows].shape)
        run.baseline(f"persistence, {name}", metric, task.errors(last, rows)[name])


def draw(path: Path, series: Series, task: Task, rows: np.ndarray, told: np.ndarray) -> None:
    """The first column at the first step told, over the test's first 120 windows."""
    figure, (ax,) = figures.panels(1, size=(9, 3))
    scale = task.scaling.unscale
    true = scale(task.target[rows])[:120, 0, 0]
    each = np.stack([scale(one)[:120, 0, 0] for one in told], 1)
    when = np.arange(len(true))
    ax.plot(when, true, color=figures.INK, lw=1, label="true")
    figures.spread(ax, when.tolist(), each, "told a step ahead", figures.COLORS[1])
    ax.set(xlabel="step of the test", ylabel=series.columns[0])
    ax.legend(fontsize=8)
    figures.save(figure, path)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
