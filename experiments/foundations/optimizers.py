"""Five optimisers over a grid of learning rates: 300 trainings as one compiled program.

System S11 of the syllabus. Rates too small, good and too large on handwritten digits for SGD with
momentum, Adam (Kingma and Ba 2015), Adadelta (Zeiler 2012), Adagrad (Duchi et al. 2011) and RMSProp
(Hinton 2012). Each has its good range, at best a decade wide; where it lies differs by three
decades, and at their best rates all five reach the same test accuracy within a standard deviation.

    python -m experiments.foundations.optimizers
"""

import dataclasses
import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Learner, sweep
from dljax.data import ImageData, load
from dljax.host import experiment, figures
from dljax.host.baselines import logistic_regression
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import fit
from dljax.learn import classify, descent
from dljax.learn.optimizers import OPTIMIZERS, optimizer
from dljax.nets import MLP
from dljax.typing import Key, Metrics, PyTree

NAME = "foundations.optimizers"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a small network on digits with every optimiser at every rate."""

    rates: int = 12
    """Learning rates from --lowest to --highest, evenly spaced on a logarithmic scale."""
    lowest: float = 1e-4
    """The lowest rate."""
    highest: float = 10**1.5
    """The highest rate."""
    hidden: int = 32
    """Units of the hidden layer."""
    batch: int = 32
    """Examples in a step."""


PRESETS = {"quick": Config(steps=400), "standard": Config(steps=2000, rates=24)}
GOOD = 0.01  # a rate is good if its validation accuracy comes within this of the optimiser's best
LIMITS = (5e-3, 50.0)  # of the losses drawn


def main(config: Config) -> Result:
    begun = time.monotonic()
    for flag in ("rates", "hidden", "batch"):
        require(f"--{flag}", getattr(config, flag), at_least=1)
    require("--lowest", config.lowest, at_least=1e-30, below=config.highest)
    data = load("digits")
    require("--batch", config.batch, below=len(data.train.y) + 1)
    out, seeds = experiment.open_folder(NAME, config), experiment.seeds(config)
    result = Result(NAME, ["S11"], dataclasses.asdict(config), seeds)
    net = MLP((config.hidden, len(data.classes)))
    rates = np.geomspace(config.lowest, config.highest, config.rates)
    fitted = fit(
        contest(net, rates, data, config.batch, seeds),
        jax.random.key(0),
        config.steps or 400,
        out=out,
        checkpoint_every=config.checkpoint_every,
        resume=config.resume,
        quiet=config.quiet,
        may_diverge=True,
    )
    result.seconds |= fitted.seconds
    scores = evaluate(net, data, fitted.run.state.run.state.fits)
    report(result, scores, rates)
    result.baselines["logistic regression"] = logistic_regression(data)
    draw(out / "figures" / "rates.png", result, scores, rates)
    return experiment.finish(result, out, fitted.run, begun)


def contest(net: MLP, rates: np.ndarray, data: ImageData, batch: int, seeds: list[int]) -> Learner:
    """Every optimiser at every rate, for every seed; its only metric is the share still finite."""
    makers = {name: functools.partial(optimizer, name) for name in OPTIMIZERS}
    racers = sweep(
        lambda rates: descent.race(net, makers, rates, data.train, batch=batch),
        jnp.tile(jnp.asarray(rates, jnp.float32), (len(seeds), 1)),
        jnp.array(seeds),
    )

    def step(key: Key, state: PyTree) -> tuple[PyTree, Metrics]:
        state, losses = racers.step(key, state)
        return state, {"finite": jnp.mean(jnp.isfinite(jnp.stack([*losses.values()])))}

    return Learner(racers.init, step)


def evaluate(net: MLP, data: ImageData, fits: dict[str, Any]) -> dict[str, Any]:
    """Of each optimiser the scores on each split, [seeds, rates]."""

    def one(params: PyTree) -> Metrics:
        splits = {"train": data.train, "validation": data.validation, "test": data.test}
        found = {}
        for split, examples in splits.items():
            found |= classify.evaluate(net, (params, {}), examples, split)
        return found

    every = jax.jit(jax.vmap(jax.vmap(one)))
    return {name: jax.device_get(every(fits[name].params)) for name in OPTIMIZERS}


def report(result: Result, scores: dict[str, Any], rates: np.ndarray) -> None:
    """Of each optimiser the test accuracy at the rate of the least mean validation loss.

    Beside it the range of good rates, and how many runs were lost: at a rate above the best, ended
    no better than a constant guess (training loss log 10), or not finite.
    """
    for name, found in scores.items():
        loss, accuracy = found["validation/loss"], found["validation/accuracy"].mean(0)
        best = int(np.argmin(np.where(np.isfinite(loss), loss, np.inf).mean(0)))
        good = rates[accuracy >= accuracy.max() - GOOD]
        row = experiment.summary(found["test/accuracy"][:, best], "higher")
        row |= {"rate": rates[best], "good_rates": [good.min(), good.max()]}
        row["lost"] = int((~(found["train/loss"] < np.log(10)) & (rates > rates[best])).sum())
        result.metrics[f"test accuracy {name}"] = row


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
    for ax in axes[1:]:
        ax.set_yticklabels([])
    axes[0].set_ylabel("final training loss")
    figure.suptitle(
        "Median and range over seeds; crosses: no better than a constant guess; grey: good rates; "
        "titles: test accuracy at the rate chosen on validation data",
        fontsize=9,
    )
    figures.save(figure, path)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
