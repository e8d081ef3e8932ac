"""Dropout, weight decay and early stopping for a network that overfits 200 noisy digits.

Systems S13 and S14 of the syllabus; dropout by Srivastava et al. 2014. Every seed draws its own
small training set, and a fifth of its labels are wrong by default; validation and test labels are
right. Strengths and seeds all train in one program, and a seed has the same examples, first weights
and batches under every strength, so that differences are paired. Strengths, and the step to stop
at, are chosen by validation loss; the notes stop by test loss.

    python -m experiments.foundations.regularize  # 40 s on 2 cores
    python -m experiments.foundations.regularize --noise 0
    python -m experiments.foundations.regularize --preset standard
"""

import dataclasses
from dataclasses import dataclass
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import MinLen

from dljax import Batch, Learner, Member, grid, sweep
from dljax.data import ImageData, load
from dljax.host import experiment
from dljax.host.baselines import logistic_regression
from dljax.host.config import Common, Count, NotNegative, Positive, ShareBelow1, Widths, require
from dljax.host.experiment import Study
from dljax.host.fit import Fitted, Selection, Watch
from dljax.host.result import Result
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import weights_of
from dljax.nets import MLP
from dljax.typing import Array, Metrics
from experiments.foundations import _curves as curves

NAME = "foundations.regularize"
EVALUATIONS = 50


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Overfit a small training set, and compare what is said to help."""

    steps: Count = 1000
    """Training steps."""
    seeds: Count = 20
    """Independent runs, each with its own training set, in one compiled program."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    examples: Count = 200
    """Training examples of each seed."""
    noise: ShareBelow1 = 0.2
    """Share of the training labels that are replaced by a wrong one."""
    hidden: Widths = (128,)
    """Widths of the hidden layers."""
    dropout: Annotated[tuple[ShareBelow1, ...], MinLen(1)] = (0.5, 0.75)
    """Shares of hidden features dropped in training, to choose from."""
    weight_decay: Annotated[tuple[NotNegative, ...], MinLen(1)] = (0.3, 1.0)
    """Decoupled decays of the kernels, to choose from."""
    batch: Count = 50
    """Examples in a step."""
    rate: Positive = 2e-3
    """The learning rate of Adam."""
    patience: Count = 10
    """Evaluations, of 50 in a run, without a lower validation loss before a seed stops early."""


PRESETS = {
    "quick": Config(),
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
# which of the strengths [dropouts, decays], the first of each none, to choose from; and if early
WAYS = {
    "plain": (np.s_[:1, :1], False),
    "dropout": (np.s_[1:, :1], False),
    "weight decay": (np.s_[:1, 1:], False),
    "early stopping": (np.s_[:1, :1], True),
    "all three": (np.s_[1:, 1:], True),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S13", "S14"], config) as run:
        data = load(config.data)
        require("--examples", config.examples, below=len(data.train.y) + 1)
        require("--batch", config.batch, below=config.examples + 1)
        drawn = subsets(config, data)
        net = MLP((*config.hidden, len(data.classes)))
        fitted = train(run, config, net, data, drawn)
        sets = [dataclasses.replace(data, train=Batch(x, y)) for x, y in zip(*drawn, strict=True)]
        plain = [logistic_regression(each)["mean"] for each in sets]
        run.baseline("logistic regression", "test accuracy", plain)
        members = compare(run, config, net, data, fitted)
        said = f"{config.examples} examples, {100 * config.noise:g} % wrong labels"
        title = f"{config.data}: {said}, {config.seeds} seeds"
        run.figure("regularize.png", curves.ways, title, fitted, members, run.result)
    return run.result


def subsets(config: Config, data: ImageData) -> Batch:
    """Each seed's training set, drawn without replacement: x [S, n, ...], noisy y [S, n]."""
    drawn: list[Batch] = []
    for seed in config.each_seed:
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(data.train.y))[: config.examples]
        wrong = np.arange(config.examples) < round(config.noise * config.examples)
        shift = rng.integers(1, len(data.classes), config.examples)  # never to the right class
        y = (data.train.y[rows] + wrong * shift) % len(data.classes)
        drawn.append(Batch(data.train.x[rows], y.astype(np.int32)))
    return Batch(*map(np.stack, zip(*drawn, strict=True)))


def train(run: Study, config: Config, net: MLP, data: ImageData, drawn: Batch) -> Fitted:
    """Members run over dropout x weight decay x seed; the first of each strength is none."""
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
        own = classify.evaluate(net, weights_of(member), member.hparams["data"], "own")
        return classify.evaluate(net, weights_of(member), data.validation) | own

    def keep(member: Member) -> tuple[classify.Weights, Array]:
        return weights_of(member), member.run.step

    steps = config.steps
    every = max(1, steps // EVALUATIONS)
    return run.fit(
        # the seed alone, whatever the strengths: so that differences are paired
        sweep(make, hparams, config.seed + axes["number"]),
        steps,
        Watch(evaluate, every, Selection("validation/loss", keep, True, config.patience)),
        names=run.named(
            f"dropout {dropout:g}, weight decay {decay:g}"
            for dropout in (0, *config.dropout)
            for decay in (0, *config.weight_decay)
        ),
        shown=("own/loss", "validation/loss"),
        chunk=every,
        saves=steps,
    )


def compare(
    run: Study, config: Config, net: MLP, data: ImageData, fitted: Fitted
) -> dict[str, np.ndarray]:
    """Test each way to train at the strengths of the least mean validation loss.

    Records accuracies, gains over plain and their targets; gives each way's members [S].
    """

    def score(weights: classify.Weights) -> Metrics:
        test = classify.evaluate(net, weights, data.test, "test")
        return test | classify.evaluate(net, weights, data.validation)

    early_weights, early_steps = fitted.kept
    ends = weights_of(fitted.run.state), early_weights
    scores = [jax.device_get(run.each(score, end)) for end in ends]
    shape = (1 + len(config.dropout), 1 + len(config.weight_decay), config.seeds)
    numbers = np.arange(np.prod(shape)).reshape(shape)
    members, tested = {}, {}
    for way, (choice, early) in WAYS.items():
        rows, found = numbers[choice].reshape(-1, config.seeds), scores[early]
        members[way] = rows[found["validation/loss"][rows].mean(1).argmin()]
        tested[way] = found["test/accuracy"][members[way]]
        run.metric(f"test accuracy {way}", tested[way])
        if way != "plain":
            said = "two standard errors of the paired gain over plain"
            run.gain(f"gain of {way}", tested[way] - tested["plain"], said)
    run.metric("step of early stopping", early_steps[members["early stopping"]], "lower")
    return members


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
