"""However many labels are random, a network learns all by heart; only its test accuracy tells.

System S51 of the syllabus: Zhang et al. 2017, figure 1 b and c, and what the notes call "no matter
how much they randomized the labels". One program trains every seed on the same images at each share
of random labels. A random label is drawn from all classes, so a tenth of them stay right; what is
random at one share is so at all greater ones. Beside the network after its last step stands the one
that validation prefers (its labels are true), and logistic regression and the nearest neighbours at
the same noise, their strength and number chosen there too.

    python -m experiments.foundations.label_noise
    python -m experiments.foundations.label_noise --preset standard  # 11 min on 2 cores
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import MinLen
from sklearn.neighbors import KNeighborsClassifier

from dljax.data import ImageData, load
from dljax.errors import InputError
from dljax.host import experiment, figures
from dljax.host.baselines import chosen, flat, linear_classifier
from dljax.host.config import Count, Share, require
from dljax.host.experiment import Study
from dljax.host.fit import Fitted
from dljax.host.result import Result
from dljax.learn import classify
from dljax.learn.risk import weights_of
from dljax.nets import MLP
from dljax.typing import Array, Batch
from experiments.foundations import random_labels
from experiments.foundations.random_labels import FITS

NAME = "foundations.label_noise"
Curves = dict[str, np.ndarray]
"""By metric and method: [P, N], a row for each share and a column for each seed."""
PLAIN = {
    "logistic regression": lambda own: [linear_classifier(own, c) for c in (0.01, 0.1)],
    "nearest neighbours": lambda own: [
        KNeighborsClassifier(k).fit(*own) for k in (1, 5, 20, 50) if k <= len(own.y)
    ],
}
OTHERS = tuple(f", {name}" for name in PLAIN)


@dataclass(frozen=True, kw_only=True)
class Config(random_labels.Config):
    """Replace a share of the training labels by random ones, from none to all."""

    seeds: Count = 5
    """Independent runs at each share, each with its own examples and noise."""
    shares: Annotated[tuple[Share, ...], MinLen(1)] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    """Shares of random labels, in rising order."""


PRESETS = {
    "quick": Config(epochs=120),
    "standard": Config(
        data="fashion_mnist",
        examples=2000,
        epochs=150,
        rate=2e-3,
        shares=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    ),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S51"], config) as run:
        if list(config.shares) != sorted(set(config.shares)):
            raise InputError(f"--shares must rise; got {config.shares}")
        data = load(config.data)
        require("--examples", config.examples, below=len(data.train.y) + 1)
        require("--batch", config.batch, below=config.examples + 1)
        sets = [noisy(seed, config, data) for seed in run.seeds]  # one a seed: y is [P, n]
        net = MLP((*config.hidden, len(data.classes)))
        # shares vary fastest: those of a seed start from the same weights and share their images
        first = np.repeat(config.examples * np.arange(config.seeds), len(config.shares))
        fitted = random_labels.train(
            run,
            config,
            net,
            np.concatenate([own.x for own in sets]),
            {"first": first, "y": np.concatenate([own.y for own in sets])},
            np.repeat(run.seeds, len(config.shares)).tolist(),
            [f"share {share:g}, seed {seed}" for seed in run.seeds for share in config.shares],
            data.validation,
        )
        curves = measure(run, net, data, fitted) | plain(run, data, sets)
        title = f"{data.name}: {config.examples} examples, {config.seeds} seeds"
        run.figure("label_noise.png", draw, title, config.shares, curves, len(data.classes))
    return run.result


def noisy(seed: int, config: Config, data: ImageData) -> Batch:
    """A seed's images x [n, features] and their labels at each share of random ones, y [P, n]."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(data.train.y))[: config.examples]
    x, y = data.train.x[rows].reshape(len(rows), -1), data.train.y[rows]
    labels = rng.integers(len(data.classes), size=len(y), dtype=np.int32)
    order = rng.permutation(len(y))  # the first of them are random, as many as the share says
    return Batch(
        x, np.stack([np.where(order < round(p * len(y)), labels, y) for p in config.shares])
    )


def measure(run: Study, net: MLP, data: ImageData, fitted: Fitted) -> Curves:
    """What is told of each share, and whether all was learnt by heart at every one."""
    shares = run.result.config["shares"]

    def score(weights: classify.Weights) -> Array:
        return classify.evaluate(net, weights, data.test, "test")["test/accuracy"]

    own, when = random_labels.fits(fitted)
    found = {
        "train accuracy": own,
        "test accuracy": run.each(score, weights_of(fitted.run.state)),
        "test accuracy, stopped early": run.each(score, fitted.kept),
        "steps to fit": when,
    }
    curves = {name: np.asarray(each).reshape(-1, len(shares)).T for name, each in found.items()}
    for name, each in curves.items():
        for share, values in zip(shares, each, strict=True):
            better = "lower" if name == "steps to fit" else "higher"
            run.metric(f"{name}, share {share:g}", values, better)
    goal = (FITS, "at every share; Zhang et al. 2017 reach 100 %")
    run.metric("least train accuracy", curves["train accuracy"].min(0), goal=goal)
    run.metric("slowdown", curves["steps to fit"][-1] / curves["steps to fit"][0], "lower")
    if shares[-1] == 1:
        random_labels.chance(run, "test accuracy, share 1", len(data.classes))
    return curves


def plain(run: Study, data: ImageData, sets: list[Batch]) -> Curves:
    """How well each plain classifier fits the same noise, and tests."""
    shape, validation, test = data.train.x.shape[1:], flat(data.validation), flat(data.test)
    shares, curves = run.result.config["shares"], {}
    for name, fits in PLAIN.items():
        found = np.empty((2, len(shares), len(sets)))
        for i, j in np.ndindex(*found.shape[1:]):
            own = flat(Batch(sets[j].x.reshape(-1, *shape), sets[j].y[i]))
            best = chosen(fits(own), validation)
            found[:, i, j] = best.score(*own), best.score(*test)
        for metric, each in zip(("train accuracy", "test accuracy"), found, strict=True):
            curves[f"{metric}, {name}"] = each
            for share, values in zip(shares, each, strict=True):
                run.baseline(f"{name}, {metric}, {share:g}", f"{metric}, share {share:g}", values)
    return curves


def draw(path: Path, title: str, shares: Sequence[float], curves: Curves, classes: int) -> Path:
    """Accuracy on the own labels and on the test, and the steps to fit, against the share."""
    figure, axes = figures.panels(3)
    for ax, metric in zip(axes, ("train accuracy", "test accuracy", "steps to fit"), strict=True):
        for color, way in zip(figures.COLORS, ("", ", stopped early", *OTHERS), strict=False):
            if (name := f"{metric}{way}") in curves:
                label = way.removeprefix(", ") or "network, last step"
                figures.spread(ax, shares, curves[name], label, color)
        ax.set(xlabel="share of random labels", ylabel=metric)
    axes[2].set_ylim(bottom=0)
    for ax in axes[:2]:
        ax.set_ylim(0, 1.05)
    axes[1].axhline(1 / classes, color=figures.INK, lw=1, ls="--", label="chance")
    axes[1].legend(frameon=False, fontsize=7, loc="lower left")
    figure.suptitle(title, fontsize=10)
    return figures.save(figure, path)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
