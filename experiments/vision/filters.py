"""What filters see: the notes' arrays, photographs, and the layers of a network that learnt.

S26: the hand-worked convolutions, printed beside ours. S28: sharpen, edge and strong edge on
scikit-learn's photographs and on a user's own picture, beside scipy. S31: the claim that a network
learns spots and edges, then parts, then objects: for each layer the patches that excite it most,
and how well its units' favourite images agree in class, how much of the class a linear model reads
off it, and how its units prefer an orientation (Ringach et al. 2002), all beside the same network
before it learnt. Every layer has equally many units, so that depth alone differs. On digits classes
come with depth (of a unit's 16 favourites .38, .58, .72 are of one class; unlearnt .38, .42, .44),
but orientation does not go: tuning to it rises (.09, .15, .18), so the measure of edges fails.

    python -m experiments.vision.filters --picture my.png  # 3 min on 2 cores
    python -m experiments.vision.filters --preset standard
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dljax import start, sweep
from dljax.data import ImageData, load, shift
from dljax.data.stream import unit_scale
from dljax.errors import InputError
from dljax.host import experiment, figures, function
from dljax.host.baselines import logistic_regression
from dljax.host.config import Common, Count, Positive, ShareBelow1
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.result import Result
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import weights_of
from dljax.nets import CNN
from dljax.typing import Array, Batch
from experiments.vision import _arrays, _filters
from experiments.vision._filters import FILTERS

NAME = "vision.filters"
DEPTH = 3  # convolutions: for edges, parts and objects
MEASURES = {
    "class purity": 1,
    "linear readout": 1,
    "orientation tuning": -1,
}  # which way with depth


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Filter pictures by hand, and look into a network that learnt its filters."""

    picture: Path | None = None
    """A picture of your own, PNG or JPEG, filtered too."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, cifar10, or the path of an .npz file with images x and y."""
    units: Count = 32
    """Feature maps of each of the three convolutions."""
    hidden: Count = 64
    """Width of the dense layer before the last."""
    epochs: Count = 30
    """Passes over the training data, where --steps is not given."""
    batch: Count = 64
    """Examples in a step."""
    rate: Positive = 2e-3
    """The learning rate at its highest."""
    dropout: ShareBelow1 = 0.3
    """Share of dense features dropped in training."""
    read: Count = 4000
    """Training images that the linear readout learns from, at most."""


PRESETS = {
    "quick": Config(),
    "standard": Config(data="cifar10", epochs=8, hidden=128, batch=128, dropout=0.5),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S26", "S28", "S31"], config) as run:
        images, data = _filters.photographs(config.picture), load(config.data)
        if data.train.x.ndim != 4 or min(data.train.x.shape[1:3]) < 2**DEPTH:
            raise InputError(f"--data {config.data}: images of at least 8 x 8 pixels are needed")
        arrays = _arrays.convolutions()
        _arrays.record(run, "arrays as the notes'", arrays, "S26")
        by_hand(run, images)
        hierarchy(run, config, data)
        if not config.quiet:
            print(_arrays.beside(arrays))
    return run.result


def by_hand(run: Study, images: dict[str, np.ndarray]) -> None:
    """S28: filters on pictures, and on constant images of every grey."""
    for name, kernel in FILTERS.items():
        gaps, metric = _filters.differences(list(images.values()), kernel), f"{name}: off scipy's"
        run.metric(metric, gaps, "lower")
        run.target(metric, 1e-5, "S28: scipy.ndimage's, to float32's rounding", max(gaps) <= 1e-5)
    flat = jnp.broadcast_to(jnp.arange(256.0), (9, 9, 256))  # a channel each
    for name in ("edge", "strong edge"):
        left = float(jnp.abs(_filters.filtered(flat, jnp.asarray(FILTERS[name]))).max())
        run.metric(f"{name} of constant images", [left], "lower")
        run.target(f"{name} of constant images", 0.0, "S28, exactly", left == 0)
    run.figure("photographs.png", _filters.draw_photographs, images)


def hierarchy(run: Study, config: Config, data: ImageData) -> None:
    """S31: a network trained, and what each of its layers responds to, before and after."""
    net = CNN((config.units,) * DEPTH, (config.hidden, len(data.classes)), config.dropout)
    per_epoch = max(1, len(data.train.y) // config.batch)
    steps = config.steps or config.epochs * per_epoch
    tx = optimizer("adam", config.rate, steps=steps, schedule="warmup-cosine")
    augment = functools.partial(shift, by=1)
    learner = classify.make(net, tx, data.train, batch=config.batch, augment=augment)
    seeds = sweep(lambda _: learner, None, run.seeds)
    fitted = run.fit(
        seeds,
        steps,
        Watch(
            lambda member: classify.evaluate(net, weights_of(member), data.validation),
            per_epoch,
            Selection("validation/accuracy", weights_of),
        ),
        shown=("train/loss", "validation/accuracy"),
        chunk=50,
    )
    run.baseline("logistic regression", **logistic_regression(data))
    scores = run.each(lambda own: classify.evaluate(net, own, data.test, "test"), fitted.kept)
    run.metric("test accuracy", scores["test/accuracy"])
    run.model(function.variables(fitted.kept), {"predict": function.classifier(net, data)})
    both = {"trained": fitted.kept, "untrained": weights_of(start(seeds, jax.random.key(0)).state)}
    found = {which: measured(run, config, net, data, own) for which, own in both.items()}
    compare(run, found)
    by_measure = {m: {which: own[m] for which, own in found.items()} for m in MEASURES}
    run.figure("hierarchy.png", _filters.draw_hierarchy, by_measure)
    first = jax.tree.map(lambda leaf: leaf[0], fitted.kept)
    shown = jax.jit(functools.partial(_filters.responses, net))(first, jnp.asarray(data.test.x))
    width = data.test.x.shape[2]
    pixels = np.asarray(unit_scale(jnp.asarray(data.test.x)))
    widths = [width >> layer for layer in range(1, DEPTH + 1)]
    run.figure("patches.png", _filters.draw_patches, pixels, shown, widths)
    run.figure("filters.png", figures.filters, np.asarray(first[0]["Conv_0"]["kernel"]))


def measured(
    run: Study, config: Config, net: CNN, data: ImageData, own: classify.Weights
) -> dict[str, np.ndarray]:
    """Every measure of every layer, [S, layers]."""
    known = data.train.x[: config.read], data.train.y[: config.read]
    splits = [Batch(*known), data.validation, data.test]
    waves = _filters.gratings(data.test.x.shape[1:]).reshape(-1, *data.test.x.shape[1:])

    def values(weights: classify.Weights, x: Array) -> list[Array]:
        return [each.value for each in _filters.responses(net, weights, x)]

    def measure(weights: classify.Weights) -> tuple[Array, Array, list[list[Array]]]:
        *others, test = [values(weights, jnp.asarray(split.x)) for split in splits]
        labels, classes = jnp.asarray(data.test.y), len(data.classes)
        pure = [_filters.purity(layer, labels, classes) for layer in test]
        tuned = [_filters.tuning(layer) for layer in values(weights, jnp.asarray(waves))]
        return jnp.stack(pure), jnp.stack(tuned), [*others, test]

    pure, tuned, features = jax.device_get(run.each(measure, own, at_once=1))
    read = [
        [
            _filters.readout(
                *(
                    Batch(part[layer][seed], split.y)
                    for part, split in zip(features, splits, strict=True)
                )
            )
            for layer in range(DEPTH)
        ]
        for seed in range(len(pure))
    ]
    return dict(zip(MEASURES, (pure, np.array(read), tuned), strict=True))


def compare(run: Study, found: dict[str, dict[str, np.ndarray]]) -> None:
    """Each measure by layer, untrained beside it, and whether it goes with depth as claimed."""
    for measure, way in MEASURES.items():
        trained, untrained = (found[which][measure] for which in ("trained", "untrained"))
        for i in range(DEPTH):
            name = f"{measure}, layer {i + 1}"
            run.metric(name, trained[:, i], "higher" if way > 0 else "lower")
            run.baseline(f"untrained {measure}, layer {i + 1}", name, untrained[:, i])
        verb = "gained" if way > 0 else "lost"
        for which, values in (("", trained), ("untrained ", untrained)):
            change = way * (values[:, -1] - values[:, 0])
            name = f"{which}{measure} {verb} with depth"
            if which:
                run.metric(name, change)
            else:
                run.gain(name, change, "S31's hierarchy: two standard errors", seeds=5)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
