"""Five optimisers over a grid of learning rates: 300 trainings as one compiled program.

System S11 of the syllabus. Rates too small, good and too large on handwritten digits for SGD with
momentum, Adam (Kingma and Ba 2015), Adadelta (Zeiler 2012), Adagrad (Duchi et al. 2011) and RMSProp
(Hinton 2012). Each has its good range, at best a decade wide; where it lies differs by three
decades, and at their best rates all five reach the same test accuracy within a standard deviation.

    python -m experiments.foundations.optimizers  # 35 s on 2 cores
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge

from dljax import Learner, sweep
from dljax.data import ImageData, load
from dljax.host import experiment, figures
from dljax.host.baselines import logistic_regression
from dljax.host.config import Common, Count, Positive, require
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.learn import classify, descent
from dljax.learn.optimizers import Optimizer, optimizer
from dljax.nets import MLP
from dljax.typing import Array, Key, Metrics, PyTree

NAME = "foundations.optimizers"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a small network on digits with every optimiser at every rate."""

    steps: Count = 400
    """Training steps."""
    rates: Count = 12
    """Learning rates from --lowest to --highest, evenly spaced on a logarithmic scale."""
    lowest: Annotated[float, Ge(1e-30)] = 1e-4  # far smaller ones are 0 in float32
    """The lowest rate."""
    highest: Positive = 10**1.5
    """The highest rate."""
    hidden: Count = 32
    """Units of the hidden layer."""
    batch: Count = 32
    """Examples in a step."""


PRESETS = {"quick": Config(), "standard": Config(steps=2000, rates=24)}
ENTRANTS: tuple[Optimizer, ...] = ("momentum", "adam", "adadelta", "adagrad", "rmsprop")
GOOD = 0.01  # a rate is good if its validation accuracy comes within this of the optimiser's best
LIMITS = (5e-3, 50.0)  # of the losses drawn


def main(config: Config) -> Result:
    with Study(NAME, ["S11"], config) as run:
        require("--lowest", config.lowest, below=config.highest)
        data = load("digits")
        require("--batch", config.batch, below=len(data.train.y) + 1)
        net = MLP((config.hidden, len(data.classes)))
        rates = np.geomspace(config.lowest, config.highest, config.rates)
        learner = contest(net, rates, data, config.batch, run.seeds)
        # the highest rates are meant to diverge
        fitted = run.fit(learner, config.steps, may_diverge=True)

        def score(params: PyTree) -> Metrics:
            weights = params, {}
            train = classify.evaluate(net, weights, data.train, "train")
            test = classify.evaluate(net, weights, data.test, "test")
            return train | test | classify.evaluate(net, weights, data.validation)

        fits, scores = fitted.run.state.run.state.fits, {}
        for name in ENTRANTS:
            scores[name] = jax.device_get(run.each(jax.vmap(score), fits[name].params))
            report(run, name, scores[name], rates)
        run.baseline("logistic regression", **logistic_regression(data))
        run.figure("rates.png", draw, run.result, scores, rates)
    return run.result


def contest(net: MLP, rates: np.ndarray, data: ImageData, batch: int, seeds: list[int]) -> Learner:
    """Every optimiser at every rate, for every seed; the only metric is the share still finite."""
    makers = {name: functools.partial(optimizer, name) for name in ENTRANTS}

    def member(rates: Array) -> Learner:
        race = descent.race(net, makers, rates, data.train, batch=batch)

        def step(key: Key, state: PyTree) -> tuple[PyTree, Metrics]:
            state, losses = race.step(key, state)
            return state, {"finite": jnp.mean(jnp.isfinite(jnp.stack([*losses.values()])))}

        return Learner(race.init, step)

    # the rates are one member's, not an axis of the sweep: all of a seed share its batches
    return sweep(member, jnp.tile(jnp.asarray(rates, jnp.float32), (len(seeds), 1)), seeds)


def report(run: Study, name: str, found: dict[str, np.ndarray], rates: np.ndarray) -> None:
    """Of an optimiser the test accuracy at the rate of the least mean validation loss.

    Beside it the range of good rates, and how many runs were lost: at a rate above the best, ended
    no better than a constant guess (training loss log 10), or not finite. Scores [seeds, rates].
    """
    loss, accuracy = found["validation/loss"], found["validation/accuracy"].mean(0)
    best = int(np.argmin(np.where(np.isfinite(loss), loss, np.inf).mean(0)))
    good = rates[accuracy >= accuracy.max() - GOOD]
    run.metric(
        f"test accuracy {name}",
        found["test/accuracy"][:, best],
        rate=rates[best],
        good_rates=[good.min(), good.max()],
        # not "loss >= log 10", which nan is not
        lost=int((~(found["train/loss"] < np.log(10)) & (rates > rates[best])).sum()),
    )


def draw(path: Path, result: Result, scores: dict[str, Any], rates: np.ndarray) -> None:
    """The final training loss against the rate: median and range over seeds; crosses: lost."""
    figure, axes = figures.panels(len(scores), size=(2.6, 3.0))
    for ax, (name, found), color in zip(axes, scores.items(), figures.COLORS, strict=False):
        row = result.metrics[f"test accuracy {name}"]
        losses = np.nan_to_num(found["train/loss"], nan=np.inf)
        middle, drawn = np.median(losses, 0), np.clip(losses, *LIMITS)
        ax.axvspan(*row["good_rates"], color=figures.COLORS[5], alpha=0.12, lw=0)
        ax.fill_between(rates, drawn.min(0), drawn.max(0), color=color, alpha=0.25, lw=0)
        ax.plot(rates, middle.clip(*LIMITS), color=color, marker="o", ms=3, lw=1.6)
        lost = (middle >= np.log(10)) & (rates > row["rate"])
        ax.plot(rates[lost], middle[lost].clip(*LIMITS), "x", color=figures.INK, ms=6)
        ax.axhline(np.log(10), color=figures.INK, lw=0.6, ls=":")
        ax.set(xscale="log", yscale="log", ylim=LIMITS, xlabel="learning rate")
        ax.set_title(f"{name}\n{100 * row['mean']:.1f} % at {row['rate']:.2g}", fontsize=10)
        ax.label_outer()
    axes[0].set_ylabel("final training loss")
    figure.suptitle(
        "Median and range over seeds; crosses: no better than a constant guess; grey: good rates; "
        "titles: test accuracy at the rate chosen on validation data",
        fontsize=9,
    )
    figures.save(figure, path)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
