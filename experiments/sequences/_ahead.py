"""A trained network that tells a series on and on, from what it told itself."""

import csv
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dljax.data.series import Series
from dljax.data.sound import RATE, write_wav
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.nets.forecaster import Forecaster
from dljax.typing import Array, PyTree
from experiments.sequences._series import Task, prolonged


def go_on(
    run: Study, series: Series, task: Task, begin: int, net: Forecaster, kept: PyTree
) -> None:
    """From `begin`, beside what came and the line alone; and from the end, into a table.

    `kept` are each seed's parameters. Of a sound, what came before and what is told are also
    written as one: `true.wav`, and of a horizon of 1 `ahead-1.wav`, by the first seed, and
    `linear-1.wav`.
    """

    @jax.jit
    def correct(params: PyTree, x: Array) -> Array:
        outputs: Any = net.apply({"params": params}, x)
        return outputs[..., 0] if net.spread else outputs

    horizon, config = task.target.shape[1], task.config
    seeds = [jax.tree.map(lambda leaf, i=i: leaf[i], kept) for i in range(len(run.seeds))]
    corrections = [lambda x, own=own: np.asarray(correct(own, x)) for own in seeds]
    count = min(config.ahead, len(series) - begin)
    true = series.values[begin : begin + count]
    told = np.stack([task.going_on(series, begin, count, each) for each in corrections])
    linear = task.going_on(series, begin, count, lambda x: np.zeros(1))
    metric = f"test RMSE, {count} steps by blocks of {horizon}"
    run.metric(metric, np.sqrt(((told - true) ** 2).mean((1, 2))), "lower")
    for name, plain in (("linear", linear), ("the last value", series.values[begin - 1])):
        side = metric.replace("test RMSE", name)
        run.baseline(side, metric, np.sqrt(((plain - true) ** 2).mean()))
    after = task.going_on(series, len(series), config.ahead, corrections[0])
    write_csv(run.out / f"ahead-{horizon}.csv", series, after)
    if config.data == "strings":
        before = series.values[begin - RATE : begin, 0]
        blocks = {"true": true, f"ahead-{horizon}": told[0], f"linear-{horizon}": linear}
        for name, part in blocks.items():
            write_wav(run.out / f"{name}.wav", np.concatenate([before, part[:, 0]]))
    run.figure(f"ahead-{horizon}.png", draw, series, begin, told, linear)


def write_csv(path: Path, series: Series, values: np.ndarray) -> None:
    """Values after the series' end [N, C], with their times where the series has times."""
    times = prolonged(series, len(series) + len(values))
    heads = series.columns if times is None else ("time", *series.columns)
    rows = [[f"{value:.6g}" for value in row] for row in values]
    if times is not None:
        rows = [[str(t), *row] for t, row in zip(times[len(series) :], rows, strict=True)]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(heads)
        csv.writer(file, lineterminator="\n").writerows(rows)


def draw(path: Path, series: Series, begin: int, told: np.ndarray, linear: np.ndarray) -> None:
    """The last column before `begin` and behind it, true and told, in all and its first part."""
    counts = sorted({min(200, len(linear)), len(linear)})
    figure, axes = figures.panels(len(counts), size=(5, 3))
    for ax, count in zip(axes, counts, strict=True):
        when = np.arange(-count // 2, count)
        ax.plot(when, series.values[begin + when, -1], color=figures.INK, lw=1, label="true")
        ax.plot(linear[:count, -1], color=figures.COLORS[0], lw=1, label="linear")
        figures.spread(ax, range(count), told[:, :count, -1].T, "told", figures.COLORS[1])
        ax.axvline(0, color=figures.INK, lw=0.6, ls=":")
        ax.set(xlabel="steps from where it goes on", ylabel=series.columns[-1])
    axes[0].legend(fontsize=8)
    figures.save(figure, path)
