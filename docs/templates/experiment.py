"""WHAT it shows, in a sentence that ends with a full stop.

Systems ROW of the syllabus: SOURCE.

    python -m experiments.CHAPTER.TOPIC  # 20 s on 2 cores
"""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

from dljax import Batch, sweep
from dljax.host import experiment, figures
from dljax.host.config import Common, Count, Positive, Widths
from dljax.host.experiment import Study
from dljax.host.fit import Fitted, Selection, Watch
from dljax.host.function import Function, Input, variables
from dljax.host.result import Result
from dljax.learn import risk
from dljax.learn.optimizers import optimizer
from dljax.nets import MLP
from dljax.typing import Array

NAME = "CHAPTER.TOPIC"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """What the flags say; bounds stand in the annotations."""

    steps: Count = 1000
    """Training steps."""
    hidden: Widths = (32,)
    """Widths of the hidden layers."""
    rate: Positive = 1e-3
    """The learning rate of Adam."""


PRESETS = {"quick": Config(), "standard": Config(seeds=20, steps=4000)}


def main(config: Config) -> Result:
    with Study(NAME, ["ROW"], config) as run:
        train, validation, test = parts()
        mean, sd = train.y.mean(), train.y.std()
        net = MLP((*config.hidden, 1))
        tx = optimizer("adam", config.rate)
        learner = risk.make(net, tx, Batch(train.x, (train.y - mean) / sd), squared_error, batch=32)

        def told(weights, x: Array) -> Array:
            return mean + sd * net.apply(weights, x)

        def error(weights, seen: Batch) -> Array:
            return jnp.sqrt(jnp.mean((told(variables(weights), seen.x)[:, 0] - seen.y) ** 2))

        fitted = run.fit(
            sweep(lambda _: learner, None, run.seeds),
            config.steps,
            Watch(
                lambda member: {"validation/RMSE": error(risk.weights_of(member), validation)},
                max(1, config.steps // 20),
                Selection("validation/RMSE", risk.weights_of, lowest=True),
            ),
            shown=("train/loss", "validation/RMSE"),
        )
        line = LinearRegression().fit(train.x, train.y).predict(test.x)
        run.baseline("linear regression", "test RMSE", np.sqrt(np.mean((line - test.y) ** 2)))
        values = jax.vmap(lambda weights: error(weights, test))(fitted.kept)
        run.metric("test RMSE", values, "lower", goal=(55.0, "SOURCE of the goal"))
        columns = train.x.shape[1]
        run.model(variables(fitted.kept), {"predict": Function(told, (Input((columns,)),))})
        run.figure("curves.png", draw, fitted)
    return run.result


def squared_error(outputs: Array, targets: Array) -> Array:
    return (outputs - targets) ** 2


def parts() -> tuple[Batch, Batch, Batch]:
    """Rows to learn from, to choose by, and to test on once."""
    x, y = (each.astype(np.float32) for each in load_diabetes(return_X_y=True))
    x, x_test, y, y_test = train_test_split(10 * x, y, test_size=0.2, random_state=0)
    x, x_val, y, y_val = train_test_split(x, y, test_size=0.2, random_state=0)
    return Batch(x, y), Batch(x_val, y_val), Batch(x_test, y_test)


def draw(path: Path, fitted: Fitted) -> None:
    figure, (ax,) = figures.panels(1)
    steps, values = figures.curve(fitted.records, "validation/RMSE")
    figures.spread(ax, steps, values, "validation", figures.COLORS[0])
    ax.set(xlabel="step", ylabel="RMSE")
    figures.save(figure, path)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
