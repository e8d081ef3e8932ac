"""Regression tables as `experiments.frontiers.uncertainty` sees them, and plain models of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dljax.data.uci import Table
from dljax.host import figures
from dljax.host.baselines import gaussian_process
from dljax.host.result import Result
from dljax.typing import Array, Batch
from experiments.frontiers._support import Scale

# RMSE and NLL over the 20 splits: Gal and Ghahramani 2016 (dropout), Lakshminarayanan et al. 2017
# (ensemble), Amini et al. 2020 (evidential), Hernandez-Lobato and Adams 2015 (Bayes by backprop is
# not among them; theirs is probabilistic backpropagation)
PUBLISHED = {
    "boston": {"dropout": (2.97, 2.46), "ensemble": (3.28, 2.41), "evidential": (3.06, 2.35)},
    "concrete": {"dropout": (5.23, 3.04), "ensemble": (6.03, 3.06), "evidential": (5.85, 3.01)},
    "energy": {"dropout": (1.66, 1.99), "ensemble": (2.09, 1.38), "evidential": (2.06, 1.39)},
    "wine": {"dropout": (0.62, 0.93), "ensemble": (0.64, 0.94), "evidential": (0.61, 0.89)},
    "yacht": {"dropout": (1.11, 1.55), "ensemble": (1.58, 1.18), "evidential": (1.57, 1.03)},
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
    scales = [[Scale.of(a[table.train[i]]) for a in (table.x, table.y)] for i in which]
    x, y = (
        jnp.asarray(np.stack([scale(a) for scale in own]), jnp.float32)
        for a, own in zip((table.x, table.y), zip(*scales, strict=True), strict=True)
    )
    train, test = (jnp.asarray(rows[which]) for rows in (table.train, table.test))
    return Splits(x, y, np.array([of_y.sd for _, of_y in scales]), train, test)


Tell = Callable[[Batch, np.ndarray], np.ndarray]


def plain_models() -> dict[str, Tell]:
    """What scikit-learn's regressors tell of x, by name, with its defaults but for what is said."""
    from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
    from sklearn.linear_model import LinearRegression

    def fitted(kind: Any, **options: Any) -> Tell:
        return lambda train, x: kind(**options).fit(*train).predict(x)

    return {
        "linear": fitted(LinearRegression),
        "extra trees": fitted(ExtraTreesRegressor, n_estimators=300, random_state=0),
        "gradient boosting": fitted(
            GradientBoostingRegressor,
            n_estimators=500,
            learning_rate=0.1,
            max_depth=4,
            subsample=0.7,
            random_state=0,
        ),
        "Gaussian process": lambda train, x: gaussian_process(train, x)[0],
    }


def plain(splits: Splits) -> dict[str, list[float]]:
    """Test RMSE of each plain model, one a split, in the unit of y."""
    found: dict[str, list[float]] = {}
    x, y, train, test = (
        np.asarray(each) for each in (splits.x, splits.y, splits.train, splits.test)
    )
    for name, tell in plain_models().items():
        found[name] = []
        for i, unit in enumerate(splits.unit):
            known = Batch(x[i][train[i]], y[i][train[i]])
            wrong = tell(known, x[i][test[i]]) - y[i][test[i]]
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
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncol": 4}
    axes[0].legend(fontsize=7, frameon=False, **below)
    return figures.save(figure, path)
