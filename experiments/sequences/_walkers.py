"""What stands beside a walker's network: mirror images, a ridge regression, and a picture."""

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from dljax.data.frames import Column
from dljax.data.paths import FUTURE
from dljax.host import figures
from dljax.host.function import Function, Input
from dljax.learn import forecast
from dljax.ops.paths import constant_velocity, straightened
from dljax.typing import Array, Batch, Metrics, PyTree

PENALTIES = 10.0 ** np.arange(-1, 7)  # of the ridge, to choose from


def follows(net: nn.Module, past: int) -> dict[str, Function]:
    """Where a walker goes on to, in metres, after `past` places: columns x and y of a table."""

    def predict(params: PyTree, x: Array) -> Any:
        return net.apply({"params": params}, x)

    columns = Column("x"), Column("y")
    names = tuple(f"{column.name} +{k}" for k in range(1, FUTURE + 1) for column in columns)
    read = (Input((past, 2), name="path", columns=columns),)
    return {"predict": Function(predict, read, names=names)}


def mirrored(data: Batch) -> Batch:
    """The paths and their mirror images: people turn left as they turn right."""
    flip = np.array([1, -1], np.float32)
    return Batch(*(np.concatenate([each, each * flip]) for each in data))


def ridges(train: Batch) -> list[Any]:
    """What a constant velocity gets wrong, linear in the straightened past, for each penalty."""
    from sklearn.linear_model import Ridge

    past, wrong = straight(train)
    return [Ridge(penalty).fit(past, wrong) for penalty in PENALTIES]


def ridge_errors(model: Any, test: Batch) -> Metrics:
    past, wrong = straight(test)  # distances are the same in the walker's coordinates
    shape = test.y.shape
    return forecast.path_errors(model.predict(past).reshape(shape), wrong.reshape(shape))


def straight(data: Batch) -> tuple[np.ndarray, np.ndarray]:
    x, y, _, _ = straightened(jnp.asarray(data.x), jnp.asarray(data.y))
    wrong = y - constant_velocity(x, FUTURE)
    return np.asarray(x).reshape(len(x), -1), np.asarray(wrong).reshape(len(x), -1)


def draw(path: Path, place: str, test: Batch, told: np.ndarray) -> None:
    """Nine paths: seen, true and told."""
    figure, axes = figures.panels(3, 3, size=(2.4, 2.4))
    for ax, i in zip(axes, np.linspace(0, len(told) - 1, 9).astype(int), strict=True):
        for line, color, label in (
            (test.x[i], figures.INK, "seen"),
            (np.concatenate([test.x[i, -1:], test.y[i]]), figures.COLORS[0], "true"),
            (np.concatenate([test.x[i, -1:], told[i]]), figures.COLORS[1], "told"),
        ):
            ax.plot(*line.T, color=color, marker="o", ms=2, lw=1.2, label=label)
        ax.set_aspect("equal", adjustable="datalim")
    axes[0].legend(fontsize=7)
    figure.suptitle(f"{place}: paths in metres", fontsize=9)
    figures.save(figure, path)
