"""Dropout, weight decay and early stopping for a network that overfits 200 noisy digits.

Systems S13 and S14 of the syllabus; dropout by Srivastava et al. 2014. Every seed draws its own
small training set, and a fifth of its labels are wrong by default; validation and test labels are
right. Strengths and seeds all train in one program, and a seed has the same examples, first weights
and batches under every strength, so that differences are paired. Strengths, and the step to stop
at, are chosen by validation loss; the notes stop by test loss.

    python -m experiments.foundations.regularize
    python -m experiments.foundations.regularize --noise 0
    python -m experiments.foundations.regularize --preset standard
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Batch, Learner, Member, grid, sweep
from dljax.data import ImageData, load
from dljax.host import experiment, figures
from dljax.host.baselines import logistic_regression
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import Fitted, Selection, fit
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.nets import MLP
from dljax.typing import Array, Metrics

NAME = "foundations.regularize"
EVALUATIONS = 50


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Overfit a small training set, and compare what is said to help."""

    seeds: int = 20
    """Independent runs, each with its own training set, in one compiled program."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    examples: int = 200
    """Training examples of each seed."""
    noise: float = 0.2
    """Share of the training labels that are replaced by a wrong one."""
    hidden: tuple[int, ...] = (128,)
    """Widths of the hidden layers."""
    dropout: tuple[float, ...] = (0.5, 0.75)
    """Shares of hidden features dropped in training, to choose from."""
    weight_decay: tuple[float, ...] = (0.3, 1.0)
    """Decoupled decays of the kernels, to choose from."""
    batch: int = 50
    """Examples in a step."""
    rate: float = 2e-3
    """The learning rate of Adam."""
    patience: int = 10
    """Evaluations, of 50 in a run, without a lower validation loss before a seed stops early."""


PRESETS = {
    "quick": Config(steps=1000),
    "standard": Config(
        steps=2000,
        seeds=10,
        data="fashion_mnist",
        examples=1000,
        hidden=(256,),
        dropout=(0.5,),
        weight_decay=(1.0,),
    ),
}


class Stopped(NamedTuple):
    """What early stopping keeps of each member, and when that was."""

    weights: classify.Weights
    step: Array


def weights(member: Member) -> classify.Weights:
    return member.run.state.fit.params, member.run.state.fit.extra


def check(config: Config, data: ImageData) -> None:
    require("--patience", config.patience, at_least=1)
    require("--rate", config.rate, at_least=1e-9, below=float("inf"))
    require("--examples", config.examples, at_least=1, below=len(data.train.y) + 1)
    require("--batch", config.batch, at_least=1, below=config.examples + 1)
    require("--noise", config.noise, at_least=0, below=1)
    for width in config.hidden:
        require("--hidden", width, at_least=1)
    for flag, below in (("dropout", 1), ("weight_decay", None)):
        name, values = f"--{flag.replace('_', '-')}", getattr(config, flag)
        require(f"the count of {name}", len(values), at_least=1)
        for value in values:
            require(name, value, at_least=0, below=below)


def subsets(config: Config, data: ImageData) -> Batch:
    """Each seed's training set, drawn without replacement: x [S, n, ...], noisy y [S, n]."""
    drawn: list[Batch] = []
    for seed in experiment.seeds(config):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(data.train.y))[: config.examples]
        wrong = np.arange(config.examples) < round(config.noise * config.examples)
        shift = rng.integers(1, len(data.classes), config.examples)  # never to the right class
        y = (data.train.y[rows] + wrong * shift) % len(data.classes)
        drawn.append(Batch(data.train.x[rows], y.astype(np.int32)))
    return Batch(*map(np.stack, zip(*drawn, strict=True)))


def train(config: Config, data: ImageData, drawn: Batch, out: Path) -> Fitted:
    """Members run over dropout x weight decay x seed; the first of each strength is none."""
    net = MLP((*config.hidden, len(data.classes)))
    axes = grid(
        dropout=jnp.array([0, *config.dropout], float),
        weight_decay=jnp.array([0, *config.weight_decay], float),
        number=jnp.arange(config.seeds),
    )
    hparams = axes | {"data": jax.tree.map(lambda leaf: jnp.asarray(leaf)[axes["number"]], drawn)}

    def make(hparams: dict) -> Learner:
        tx = optimizer("adam", config.rate, weight_decay=hparams["weight_decay"])
        masked = net.clone(dropout=hparams["dropout"])
        return classify.make(masked, tx, hparams["data"], batch=config.batch)

    def evaluate(member: Member) -> Metrics:
        own = classify.evaluate(net, weights(member), member.hparams["data"], "own")
        return classify.evaluate(net, weights(member), data.validation) | own

    steps = config.steps or 1000
    every = max(1, steps // EVALUATIONS)
    return fit(
        sweep(make, hparams, config.seed + axes["number"]),
        jax.random.key(0),
        steps,
        evaluate=jax.vmap(evaluate),
        every=every,
        select=Selection(
            "validation/loss",
            keep=lambda member: Stopped(weights(member), member.run.step),
            lowest=True,
            patience=config.patience,
        ),
        chunk=every,
        out=out,
        checkpoint_every=config.checkpoint_every or steps,
        resume=config.resume,
        quiet=config.quiet,
        shown=("own/loss", "validation/loss"),
    )


def main(config: Config) -> Result:
    begun = time.monotonic()
    experiment.check_common(config)
    data = load(config.data)
    check(config, data)
    drawn = subsets(config, data)
    out = experiment.open_folder(NAME, config)
    fitted = train(config, data, drawn, out)
    result = Result(NAME, ["S13", "S14"], dataclasses.asdict(config), experiment.seeds(config))
    result.seconds |= fitted.seconds
    sets = [dataclasses.replace(data, train=Batch(x, y)) for x, y in zip(*drawn, strict=True)]
    found = experiment.summary([logistic_regression(each)["mean"] for each in sets], "higher")
    result.baselines["logistic regression"] = {"metric": "test accuracy"} | found
    members = compare(config, data, fitted, result)
    draw(out / "figures" / "regularize.png", config, fitted, members, result)
    return experiment.finish(result, out, fitted.run, begun)


def compare(config: Config, data: ImageData, fitted: Fitted, result: Result) -> dict:
    """Test each way to train at the strengths of the least mean validation loss.

    Puts accuracies, gains over plain and their targets into `result`; gives each way's members [S].
    """
    net = MLP((*config.hidden, len(data.classes)))
    score = jax.jit(jax.vmap(lambda w, on: classify.evaluate(net, w, on, "on"), (0, None)))
    last, best = jax.vmap(weights)(fitted.run.state), fitted.kept.weights
    shape = (1 + len(config.dropout), 1 + len(config.weight_decay), config.seeds)
    numbers = np.arange(np.prod(shape)).reshape(shape)
    members, plain = {}, np.array(0)
    for way, kept, choice in (
        ("plain", last, np.s_[:1, :1]),
        ("dropout", last, np.s_[1:, :1]),
        ("weight decay", last, np.s_[:1, 1:]),
        ("early stopping", best, np.s_[:1, :1]),
        ("all three", best, np.s_[1:, 1:]),
    ):
        rows = numbers[choice].reshape(-1, config.seeds)
        losses = score(take(kept, rows.ravel()), data.validation)["on/loss"]
        chosen = rows[losses.reshape(rows.shape).mean(1).argmin()]
        members[way] = chosen
        accuracy = np.asarray(score(take(kept, chosen), data.test)["on/accuracy"])
        result.metrics[f"test accuracy {way}"] = experiment.summary(accuracy, "higher")
        if way == "plain":
            plain = accuracy
            continue
        gain = result.metrics[f"gain of {way}"] = experiment.summary(accuracy - plain, "higher")
        said = "two standard errors of the paired gain over plain"
        result.targets[f"gain of {way}"] = experiment.gain_target(gain, said)
    steps = np.asarray(fitted.kept.step)[members["early stopping"]]
    result.metrics["step of early stopping"] = experiment.summary(steps, "lower")
    return members


def take(tree, rows: np.ndarray):
    return jax.tree.map(lambda leaf: leaf[rows], tree)


def draw(path: Path, config: Config, fitted: Fitted, members: dict, result: Result) -> None:
    """Losses of the first three ways, and each way's test accuracy."""
    figure, axes = figures.panels(2, 2)
    steps, own = figures.curve(fitted.records, "own/loss")
    _, validation = figures.curve(fitted.records, "validation/loss")
    for ax, way in zip(axes, ("plain", "dropout", "weight decay"), strict=False):
        rows = members[way]
        figures.spread(ax, steps, own[:, rows], "training", figures.COLORS[0])
        figures.spread(ax, steps, validation[:, rows], "validation", figures.COLORS[1])
        hparams = take(fitted.run.state.hparams, rows[0])
        strength = "" if way == "plain" else f" {hparams[way.replace(' ', '_')]:g}"
        ax.set_title(way + strength, fontsize=10)
        ax.set_yscale("log")
        ax.set_ylim(max(1e-3, own[:, members["plain"]].min()), 1.1 * validation.max())
        ax.set_xlabel("step")
        ax.set_ylabel("cross-entropy")
    mean = result.metrics["step of early stopping"]["mean"]
    axes[0].axvline(mean, color=figures.INK, lw=1, ls=":")
    axes[0].annotate("early stopping\n(mean)", (1.1 * mean, own.max()), va="top", fontsize=8)
    axes[2].legend(frameon=False, fontsize=8, loc="lower left")
    ways = {way: result.metrics[f"test accuracy {way}"]["values"] for way in members}
    figures.dots(axes[3], {way.replace(" ", "\n"): values for way, values in ways.items()})
    logistic = result.baselines["logistic regression"]["mean"]
    axes[3].axhline(logistic, color=figures.INK, lw=1, ls="--", label="logistic regression, mean")
    axes[3].legend(frameon=False, fontsize=8, loc="lower right")
    axes[3].set_ylabel("test accuracy")
    said = f"{config.examples} examples, {100 * config.noise:g} % wrong labels"
    figure.suptitle(f"{config.data}: {said}, {config.seeds} seeds", fontsize=10)
    figures.save(figure, path)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
