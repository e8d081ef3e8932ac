"""A network fits random labels as perfectly as true ones, and then tests at chance.

System S51 of the syllabus: Zhang et al. 2017, "Understanding deep learning requires rethinking
generalization". One program trains every seed on its own examples four times: with their labels,
with uniform random labels, with one permutation of the pixels for all images, and with another
permutation for each image, whose brightness stays to learn from. The notes say that test accuracy
tends to 0; it tends to chance, since labels drawn without a look at the images favour no class.

    python -m experiments.foundations.random_labels  # 70 s on 2 cores
    python -m experiments.foundations.random_labels --data mnist --preset standard
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Batch, Learner, Member, sweep
from dljax.data import ImageData, load
from dljax.data.stream import unit_scale
from dljax.host import experiment, figures
from dljax.host.baselines import flat, linear_classifier, logistic_regression
from dljax.host.config import Common, Count, Positive, Widths, require
from dljax.host.experiment import Study
from dljax.host.fit import Fitted, Selection, Watch
from dljax.host.result import Result, two_errors
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import weights_of
from dljax.nets import MLP
from dljax.typing import Array, Metrics
from experiments.foundations import _curves as curves

NAME = "foundations.random_labels"
FITS = 0.995
VARIANTS = ("true labels", "random labels", "shuffled pixels", "random pixels")


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Fit a training set whose labels or pixels were replaced by noise."""

    seeds: Count = 10
    """Independent runs, each with its own examples and noise, in one compiled program."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    examples: Count = 1000
    """Training examples of each seed."""
    hidden: Widths = (256, 256)
    """Widths of the hidden layers."""
    epochs: Count = 100
    """Passes over the training data, where --steps is not given."""
    batch: Count = 100
    """Examples in a step."""
    rate: Positive = 3e-3
    """The first learning rate of Adam; it falls to 0 as a cosine."""


PRESETS = {
    "quick": Config(),
    "standard": Config(data="fashion_mnist", examples=2000, epochs=150, rate=2e-3),
    "full": Config(data="fashion_mnist", examples=10_000, seeds=5, epochs=150, hidden=(512, 512)),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S51"], config) as run:
        data = load(config.data)
        require("--examples", config.examples, below=len(data.train.y) + 1)
        require("--batch", config.batch, below=config.examples + 1)
        sets = [each for seed in run.seeds for each in noisy(seed, config, data)]
        net = MLP((*config.hidden, len(data.classes)))
        # the four of a seed start from the same weights
        seeds = [seed for seed in run.seeds for _ in VARIANTS]
        names = [f"{variant}, seed {seed}" for seed in run.seeds for variant in VARIANTS]
        x = np.concatenate([own.x for own, _ in sets])
        members = {"first": config.examples * np.arange(len(sets)), "y": [own.y for own, _ in sets]}
        fitted = train(run, config, net, x, members, seeds, names)
        linear(run, data, sets[0][0], sets[1][0])
        measure(run, net, Batch(np.stack([x for _, x in sets]), data.test.y), fitted)
        title = f"{config.data}: {config.examples} examples, {config.seeds} seeds"
        options = {"names": VARIANTS, "fits": FITS}
        run.figure("random_labels.png", curves.variants, title, fitted, run.result, **options)
    return run.result


def noisy(seed: int, config: Config, data: ImageData) -> list[tuple[Batch, np.ndarray]]:
    """The training set of each variant, x [n, features] and y [n], and its test inputs."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(data.train.y))[: config.examples]
    x, y = data.train.x[rows].reshape(len(rows), -1), data.train.y[rows]
    test = data.test.x.reshape(len(data.test.y), -1)
    # without a look at the images, and so right by chance at times
    labels = rng.integers(len(data.classes), size=len(y), dtype=np.int32)
    order = rng.permutation(x.shape[1])
    return [
        (Batch(x, y), test),
        (Batch(x, labels), test),
        (Batch(x[:, order], y), test[:, order]),
        (Batch(rng.permuted(x, axis=1), y), rng.permuted(test, axis=1)),
    ]


def train(
    run: Study,
    config: Config,
    net: MLP,
    images: np.ndarray,
    members: dict[str, Any],
    seeds: Sequence[int],
    names: Sequence[str],
    validation: Batch | None = None,
) -> Fitted:
    """Each member learns its y [n] of the n images from its `first` on; the best are kept."""
    per_epoch = config.examples // config.batch
    steps = config.steps or config.epochs * per_epoch
    tx = optimizer("adam", config.rate, steps=steps, schedule="cosine")
    x = jnp.asarray(images)

    def make(hparams: dict[str, Array]) -> Learner:
        # rows of the x that all share: images among the hparams would be in every checkpoint
        rows = hparams["first"] + jnp.arange(config.examples)
        return classify.make(
            net,
            tx,
            Batch(rows, hparams["y"]),
            batch=config.batch,
            augment=lambda _, rows: unit_scale(x[rows]),
        )

    def evaluate(member: Member) -> Metrics:
        own = jax.lax.dynamic_slice_in_dim(x, member.hparams["first"], config.examples)
        found = classify.evaluate(net, weights_of(member), Batch(own, member.hparams["y"]), "fit")
        if validation:
            found |= classify.evaluate(net, weights_of(member), validation)
        return {name: found[name] for name in found if not name.endswith("calibration_error")}

    best = Selection("validation/accuracy", weights_of) if validation else None
    hparams = {name: jnp.asarray(np.asarray(each)) for name, each in members.items()}
    return run.fit(
        sweep(make, hparams, jnp.array(seeds)),
        steps,
        Watch(evaluate, per_epoch, best),
        names=names,
        shown=("fit/accuracy", "fit/loss"),
        chunk=per_epoch,
        saves=steps,
    )


def linear(run: Study, data: ImageData, true: Batch, random: Batch) -> None:
    """Of one seed: a linear model's test accuracy, and how well it fits random labels."""
    train = Batch(true.x.reshape(-1, *data.train.x.shape[1:]), true.y)
    plain = logistic_regression(dataclasses.replace(data, train=train))
    run.baseline("linear, true labels", **plain)
    fits = linear_classifier(random, 100.0).score(*flat(random))
    run.baseline("linear, random labels", "train accuracy", fits)


def measure(run: Study, net: MLP, test: Batch, fitted: Fitted) -> None:
    """Each variant's accuracies and steps to fit, and the targets.

    test: each member's inputs x [N, m, features], and the true labels y [m].
    """
    own, when = fits(fitted)

    def score(weights: classify.Weights, x: Array) -> Array:
        return classify.evaluate(net, weights, Batch(x, test.y), "test")["test/accuracy"]

    tested = run.each(score, weights_of(fitted.run.state), jnp.asarray(test.x))
    goals = {"random labels": (FITS, "Zhang et al. 2017 reach 100 %")}
    for i, name in enumerate(VARIANTS):
        rows = np.s_[i :: len(VARIANTS)]
        run.metric(f"train accuracy {name}", own[rows], goal=goals.get(name))
        run.metric(f"test accuracy {name}", tested[rows])
        run.metric(f"steps to fit {name}", when[rows], "lower")
    chance(run, "test accuracy random labels", net.sizes[-1])


def fits(fitted: Fitted) -> tuple[np.ndarray, np.ndarray]:
    """Every member's last accuracy on its own labels, and the first step at which that is FITS."""
    steps, own = figures.curve(fitted.records, "fit/accuracy")
    # a member that never fits counts as fitting at the last step
    return own[-1], np.array(steps)[np.vstack([own[:-1] >= FITS, own[-1:] > -1]).argmax(0)]


def chance(run: Study, name: str, classes: int) -> None:
    """Whether the accuracy of that name is that of a guess among so many classes."""
    found = run.result.metrics[name]
    most = two_errors(found)
    met = len(found["values"]) >= 5 and abs(found["mean"] - 1 / classes) <= most
    run.target(name, 1 / classes, f"chance, within two standard errors: {most:.4f}", met)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
