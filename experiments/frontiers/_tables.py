"""Regression tables as `experiments.frontiers.uncertainty` sees them, and plain models of them."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dljax.data.uci import Table
from dljax.host import figures
from dljax.host.result import Result
from dljax.typing import Array

# RMSE over the 20 splits: Gal and Ghahramani 2016 (dropout), Lakshminarayanan et al. 2017
# (ensemble), Amini et al. 2020 (evidential), Hernandez-Lobato and Adams 2015 (Bayes by backprop is
# not among them; theirs is probabilistic backpropagation)
PUBLISHED = {
    "boston": {"dropout": 2.97, "ensemble": 3.28, "evidential": 3.06},
    "concrete": {"dropout": 5.23, "ensemble": 6.03, "evidential": 5.85},
    "energy": {"dropout": 1.66, "ensemble": 2.09, "evidential": 2.06},
    "wine": {"dropout": 0.62, "ensemble": 0.64, "evidential": 0.61},
    "yacht": {"dropout": 1.11, "ensemble": 1.58, "evidential": 1.57},
}


class Splits(NamedTuple):
    """Each split's own numbers: by means and deviations of its training part.

    x [S, n, f] and y [S, n] standardised, the unit of y [S], rows to learn from [S, m] and to test.
    """

    x: Array
    y: Array
    unit: np.ndarray
    train: Array
    test: Array


def standardised(table: Table, which: list[int]) -> Splits:
    """Of the chosen splits; a feature that is constant in a training part is 0 there."""
    x, y, unit = [], [], []
    for i in which:
        rows = table.train[i]
        spread = table.x[rows].std(0)
        x.append((table.x - table.x[rows].mean(0)) / np.where(spread > 0, spread, 1))
        unit.append(table.y[rows].std())
        y.append((table.y - table.y[rows].mean()) / unit[-1])
    x, y = (jnp.asarray(np.stack(each), jnp.float32) for each in (x, y))
    train, test = (jnp.asarray(rows[which]) for rows in (table.train, table.test))
    return Splits(x, y, np.array(unit), train, test)


def plain_models() -> dict[str, Callable[[], Any]]:
    """scikit-learn's regressors, by name, with its defaults but for what is said here."""
    from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
    from sklearn.linear_model import LinearRegression

    def process() -> Any:
        kernel = ConstantKernel() * RBF() + WhiteKernel(0.1)
        return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)

    return {
        "linear": LinearRegression,
        "extra trees": lambda: ExtraTreesRegressor(300, random_state=0),
        "gradient boosting": lambda: GradientBoostingRegressor(
            n_estimators=500, learning_rate=0.1, max_depth=4, subsample=0.7, random_state=0
        ),
        "Gaussian process": process,
    }


def plain(splits: Splits) -> dict[str, list[float]]:
    """Test RMSE of each plain model, one a split, in the unit of y."""
    found: dict[str, list[float]] = {name: [] for name in plain_models()}
    x, y, train, test = (
        np.asarray(each) for each in (splits.x, splits.y, splits.train, splits.test)
    )
    for i, unit in enumerate(splits.unit):
        for name, make in plain_models().items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a Gaussian process' length at its bound
                model = make().fit(x[i][train[i]], y[i][train[i]])
            wrong = model.predict(x[i][test[i]]) - y[i][test[i]]
            found[name].append(float(unit * np.sqrt(np.square(wrong).mean())))
    return found


def draw(path: Path, found: Result, table: str) -> Path:
    """Each method's error and likelihood on a table, a dot a split, beside what is plain."""
    figure, axes = figures.panels(3, size=(5.2, 3.4))
    titles = [name.rpartition(", ")[2] for name in found.metrics if f"RMSE, {table}," in name]
    for ax, score in zip(axes, ("RMSE", "NLL", "coverage"), strict=True):
        groups = {t: found.metrics[f"test {score}, {table}, {t}"]["values"] for t in titles}
        figures.dots(ax, {t.replace(" by ", "\nby "): values for t, values in groups.items()})
        ax.set_title(f"{table}: {score} of each split's test part", fontsize=9)
        if score == "coverage":
            ax.axhline(0.9, color=figures.INK, lw=0.8, ls=":")
    plain = [(k, v) for k, v in found.baselines.items() if k.endswith(f", {table}") and "sd" in v]
    for (name, value), color in zip(plain, figures.COLORS, strict=False):
        axes[0].axhline(value["mean"], color=color, lw=0.8, ls="--", label=name.partition(",")[0])
    axes[0].legend(fontsize=7, frameon=False)
    return figures.save(figure, path)
