"""Where people walk next: 4.8 seconds told from 3.2, at places never seen, one answer each.

System S23 of the syllabus. ETH (Pellegrini et al. 2009) and UCY (Lerner et al. 2007), leaving one
place out. A GRU corrects the constant velocity, in coordinates that follow the walker; beside it
that velocity alone (Schoeller et al. 2020: hard to beat) and a ridge regression.

    python -m experiments.sequences.trajectory
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Member, sweep
from dljax.data.paths import FUTURE, PLACES, leave_out
from dljax.host import experiment, figures
from dljax.host.config import Common, Count, NotNegative, Positive, ShareBelow1, Widths
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.result import Result
from dljax.learn import forecast, risk
from dljax.learn.optimizers import optimizer
from dljax.nets.forecaster import Forecaster
from dljax.typing import Array, Batch, Metrics, PyTree

NAME = "sequences.trajectory"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a GRU to correct the constant velocity of walkers."""

    hidden: Widths = (64,)
    """Units of each recurrent layer."""
    epochs: Count = 20
    """Passes over the paths, where --steps is not given."""
    batch: Count = 128
    """Paths in a step."""
    rate: Positive = 1e-3
    """The learning rate of Adam at its highest."""
    dropout: ShareBelow1 = 0.1
    """Share of features dropped in training."""
    weight_decay: NotNegative = 1e-2
    """Decoupled decay of matrices."""


PRESETS = {"quick": Config()}
GOALS = {"ADE": (0.50, "our goal; constant velocity .52"), "FDE": (1.08, "our goal; it gives 1.14")}


def main(config: Config) -> Result:
    with Study(NAME, ["S23"], config) as run:
        net = Forecaster(FUTURE, 2, config.hidden, dropout=config.dropout)
        errors: dict[str, list[np.ndarray]] = {"ADE": [], "FDE": []}
        plain: dict[str, list[Metrics]] = {"constant velocity": [], "ridge": []}
        for place in PLACES:
            train, validation, test = leave_out(place)
            found = told(run, config, net, place, mirrored(straight(train)), validation, test)
            for name, values in found.items():
                errors[name].append(values)
                run.metric(f"{place} {name}", values, "lower")
            plain["constant velocity"].append(
                forecast.path_errors(forecast.constant_velocity(test.x, FUTURE), test.y)
            )
            plain["ridge"].append(ridge(train, test))
        for name, values in errors.items():
            run.metric(f"mean {name}", np.mean(values, 0), "lower", GOALS[name])
            for who, rows in plain.items():
                mean = np.mean([row[name] for row in rows])
                run.baseline(f"{who}, {name}", f"mean {name}", mean)
    return run.result


def told(
    run: Study,
    config: Config,
    net: Forecaster,
    place: str,
    train: Batch,
    validation: Batch,
    test: Batch,
) -> dict[str, np.ndarray]:
    """ADE and FDE of each seed at a place, trained on all others."""
    per_epoch = max(1, len(train.y) // config.batch)
    steps = config.steps or config.epochs * per_epoch
    tx = optimizer(
        "adam", config.rate, steps=steps, schedule="cosine", weight_decay=config.weight_decay
    )
    learner = risk.make(net, tx, train, forecast.distances, batch=config.batch)

    def errors(params: PyTree, data: Batch) -> Metrics:
        return forecast.path_errors(predict(net, params, jnp.asarray(data.x)), data.y)

    def validate(member: Member) -> Metrics:
        found = errors(weights(member), validation)
        return {f"validation/{name}": value for name, value in found.items()}

    fitted = run.fit(
        sweep(lambda _: learner, None, run.seeds),
        steps,
        Watch(validate, per_epoch, Selection("validation/ADE", weights, lowest=True)),
        part=place,
        shown=("train/loss", "validation/ADE"),
    )
    found = run.each(lambda kept: errors(kept, test), fitted.kept)
    paths = run.each(lambda kept: predict(net, kept, jnp.asarray(test.x[:2000])), fitted.kept)
    run.figure(f"{place}.png", draw, place, test, np.asarray(paths[0]))
    return jax.tree.map(np.asarray, found)


def weights(member: Member) -> PyTree:
    return member.run.state.fit.params


def straight(data: Batch) -> Batch:
    """The past in the walker's coordinates, and there what a constant velocity gets wrong."""
    x, y, _, _ = forecast.straightened(jnp.asarray(data.x), jnp.asarray(data.y))
    return Batch(np.asarray(x), np.asarray(y - forecast.constant_velocity(x, FUTURE)))


def mirrored(data: Batch) -> Batch:
    """The paths and their mirror images: people turn left as they turn right."""
    flip = np.array([1, -1], np.float32)
    return Batch(*(np.concatenate([each, each * flip]) for each in data))


def predict(net: Any, params: PyTree, x: Array) -> Array:
    """Paths [n, 12, 2] in the world's coordinates."""
    near, _, turn, end = forecast.straightened(x, x)
    correction: Any = net.apply({"params": params}, near)
    paths = forecast.constant_velocity(near, FUTURE) + correction
    return paths @ jnp.swapaxes(turn, -1, -2) + end


def ridge(train: Batch, test: Batch) -> Metrics:
    """Linear in the straightened past, a penalty of 10."""
    from sklearn.linear_model import Ridge

    def flat(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1)

    past, future = straight(train)
    model = Ridge(10.0).fit(flat(past), flat(future))
    past, future = straight(test)  # distances are the same in the walker's coordinates
    return forecast.path_errors(model.predict(flat(past)).reshape(future.shape), future)


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


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
