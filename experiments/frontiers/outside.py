"""Outside its data a network errs more the farther it goes, and is often as sure as ever.

System S52 of the syllabus. First three curves are learnt on [-1, 1], by networks of ReLU and of
tanh, and asked for up to 3 beyond. Then tables are split by one feature after another: networks
learn from the rows below a quantile and are asked for rows beyond it, and so are networks that saw
as many rows of all kinds. Beside them stand nearest neighbours, straight lines, a Gaussian process
and extra trees. Each goes on in its own way outside: no data say which is right. Last a classifier
of images is shown others: its own turned, inverted and permuted, noise, another data set, and its
own at rising strengths of six variations. It has no way to say that it knows none of them
(Hendrycks and Gimpel 2017), which the distance to the nearest training image has.

    python -m experiments.frontiers.outside
    python -m experiments.frontiers.outside --preset standard  # 11 min on 2 cores
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Lt, MinLen

from dljax import sweep
from dljax.data import ImageData, load, uci
from dljax.host import experiment
from dljax.host.config import Common, Count, NotNegative, Positive, Widths, require, require_images
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.function import classifier, variables
from dljax.host.result import Result
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import weights_of
from dljax.nets import CNN
from dljax.typing import Batch
from experiments.frontiers import _outside, _shown, _support
from experiments.frontiers._shown import Sort

NAME = "frontiers.outside"
SURELY = "beyond two standard errors, of at least 10 seeds"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Learn on a part of what there is, and ask for the rest."""

    seeds: Count = 10
    """Independent runs of every network, each with its own examples."""
    steps: Count = 800
    """Training steps of the networks that tell numbers."""
    hidden: Widths = (64, 64)
    """Widths of their hidden layers."""
    batch: Count = 32
    """Examples in a step, of all networks."""
    rate: Positive = 3e-3
    """The learning rate of Adam, which falls as a cosine, of all networks."""
    examples: Annotated[int, Ge(20)] = 100
    """Examples of a curve."""
    noise: NotNegative = 0.05
    """Standard deviation of what is added to them."""
    tables: Annotated[tuple[str, ...], MinLen(1)] = ("diabetes",)
    """diabetes, or UCI tables: boston, concrete, energy, wine, yacht and more."""
    quantile: Annotated[float, Gt(0), Lt(1)] = 0.6
    """Of a feature; the rows below are learnt from."""
    features: Count = 10
    """Features of a table to split by, at most, the first that can be."""
    plain: Count = 2
    """Seeds, the first of all, whose numbers are told by the plain methods too."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    other: str = ""
    """Images of the same size that are shown too; none by default."""
    channels: Widths = (16, 32)
    """Feature maps of the classifier."""
    classify_steps: Count = 800
    """Training steps of the classifier."""
    images: Count = 1000
    """Images of a sort that are shown, at most."""
    points: Annotated[int, Ge(2)] = 6
    """Strengths from 0 to 1 on a curve."""


PRESETS = {
    "quick": Config(),
    "standard": Config(
        steps=3000,
        plain=5,
        tables=("boston", "concrete", "energy", "yacht"),
        data="mnist",
        other="fashion_mnist",
        classify_steps=3000,
        batch=64,
        rate=2e-3,
    ),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S52"], config) as run:
        require("--plain", config.plain, below=config.seeds + 1)
        require("--batch", config.batch, below=config.examples + 1)
        tables = [uci.load(name) for name in config.tables]
        features = [_support.splittable(t, config.quantile, config.features) for t in tables]
        data = load(config.data)
        sorts = _shown.sorts(data, config.other, config.images)
        require_images(data, config.channels)
        shared = ("hidden", "steps", "batch", "rate", "plain")
        options = {name: getattr(config, name) for name in shared}
        curves(run, config, options)
        given = zip(tables, features, strict=True)
        found = {table.name: split(run, config, table, *own, options) for table, own in given}
        run.figure("tables.png", _outside.draw_tables, found)
        images(run, config, data, sorts)
    return run.result


def curves(run: Study, config: Config, options: dict[str, Any]) -> None:
    """The error on each curve against the distance, and whether it grows."""
    tasks = {
        name: [_support.curve(name, seed, config.examples, config.noise) for seed in run.seeds]
        for name in _support.CURVES
    }
    said = _outside.learn(
        run, "curves", [own for each in tasks.values() for own in each], **options
    )
    shown = {name: {way: told[i] for way, told in said.items()} for i, name in enumerate(tasks)}
    for name, own in tasks.items():
        errors = {way: _support.errors(told, own) for way, told in shown[name].items()}
        _outside.report(run, name, errors)
        for net in _outside.NETS:
            grown = errors[net][:, -1] - errors[net][:, 0]
            run.gain(f"growth of error, {name}, {net}", grown, SURELY)
    first = {name: own[0] for name, own in tasks.items()}
    run.figure("curves.png", _outside.draw_curves, first, shown)


def split(
    run: Study, config: Config, table: uci.Table, features: list[int], asked: int, options: dict
) -> dict[str, np.ndarray]:
    """RMSE as a share of the target's deviation, the mean over features, [2, N, 4].

    First of who knows the rows below the quantile alone, then of who knows all kinds.
    """
    pairs = [
        [_support.split(table, feature, asked, seed, config.quantile) for seed in run.seeds]
        for feature in features
    ]
    groups = [[pair[way] for pair in each] for way in (0, 1) for each in pairs]
    said = _outside.learn(run, table.name, [own for each in groups for own in each], **options)
    found = {}
    for way, told in said.items():
        each = [_support.errors(own, group) for own, group in zip(told, groups, strict=True)]
        found[way] = np.stack(each).reshape(2, len(features), -1, 4).mean(1) / table.y.std()
    for i, more in enumerate(("", ", seen")):
        _outside.report(run, table.name, {way: each[i] for way, each in found.items()}, more)
    for net in _outside.NETS:
        lost = found[net][0, :, -1] - found[net][1, :, -1]
        run.gain(f"lost far outside, {table.name}, {net}", lost, SURELY)
    return found


def images(run: Study, config: Config, data: ImageData, sorts: dict[str, Sort]) -> None:
    """How sure a classifier is of what it has never seen, and when what it knows is spoilt."""
    net = CNN(config.channels, (128, len(data.classes)), dropout=0.3)
    steps = config.classify_steps
    tx = optimizer("adam", config.rate, steps=steps, schedule="cosine")
    learner = classify.make(net, tx, data.train, batch=config.batch)
    fitted = run.fit(
        sweep(lambda _: learner, None, run.seeds),
        steps,
        Watch(
            lambda member: classify.evaluate(net, weights_of(member), data.validation),
            steps // 8 or 1,
            Selection("validation/accuracy", weights_of),
        ),
        part="images",
        shown=("train/loss", "validation/accuracy"),
        chunk=50,
        saves=steps,
    )
    run.model(variables(fitted.kept), {"predict": classifier(net, data)})
    plain = _shown.Plain(data)
    _shown.strange(run, net, fitted.kept, plain, sorts)
    x, y = data.test.x[: config.images], data.test.y[: config.images]
    _shown.spoilt(run, net, fitted.kept, plain, Batch(x, y), np.linspace(0, 1, config.points))


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
