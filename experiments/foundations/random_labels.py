"""A network fits random labels as perfectly as true ones, and then tests at chance.

System S51 of the syllabus: Zhang et al. 2017, "Understanding deep learning requires rethinking
generalization". One program trains every seed on its own examples four times: with their labels,
with uniform random labels, with one permutation of the pixels for all images, and with another
permutation for each image, whose brightness stays to learn from. The notes say that test accuracy
tends to 0; it tends to chance, since labels drawn without a look at the images favour no class.

    python -m experiments.foundations.random_labels
    python -m experiments.foundations.random_labels --data mnist --preset standard
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Batch, Learner, Member, sweep
from dljax.data import ImageData, load
from dljax.data.stream import unit_scale
from dljax.host import experiment, figures
from dljax.host.baselines import flat, linear_classifier, logistic_regression
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import Fitted, fit
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.nets import MLP
from dljax.typing import Array, Metrics

NAME = "foundations.random_labels"
FITS = 0.995
VARIANTS = ("true labels", "random labels", "shuffled pixels", "random pixels")
LABEL = {"ha": "center", "fontsize": 7}


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Fit a training set whose labels or pixels were replaced by noise."""

    seeds: int = 10
    """Independent runs, each with its own examples and noise, in one compiled program."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    examples: int = 1000
    """Training examples of each seed."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers."""
    epochs: int = 100
    """Passes over the training data, where --steps is not given."""
    batch: int = 100
    """Examples in a step."""
    rate: float = 3e-3
    """The first learning rate of Adam; it falls to 0 as a cosine."""


PRESETS = {
    "quick": Config(),
    "standard": Config(data="fashion_mnist", examples=2000, epochs=150, rate=2e-3),
    "full": Config(data="fashion_mnist", examples=10_000, seeds=5, epochs=150, hidden=(512, 512)),
}


def noisy(seed: int, config: Config, data: ImageData) -> list[tuple[Batch, np.ndarray]]:
    """The training set of each variant, x [n, features] and y [n], and its test inputs."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(data.train.y))[: config.examples]
    x, y = data.train.x[rows].reshape(len(rows), -1), data.train.y[rows]
    test = data.test.x.reshape(len(data.test.y), -1)
    labels = rng.integers(len(data.classes), size=len(y), dtype=np.int32)
    order = rng.permutation(x.shape[1])
    return [
        (Batch(x, y), test),
        (Batch(x, labels), test),
        (Batch(x[:, order], y), test[:, order]),
        (Batch(rng.permuted(x, axis=1), y), rng.permuted(test, axis=1)),
    ]


def memorise(
    config: Config, net: MLP, tx: optax.GradientTransformation, x: Array, member: dict[str, Array]
) -> Learner:
    """A classifier of its own stretch of x [N n, features], drawn as rows of x, which all share."""
    rows = member["first"] + jnp.arange(config.examples)
    return classify.make(
        net,
        tx,
        Batch(rows, member["y"]),
        batch=config.batch,
        augment=lambda _, rows: unit_scale(x[rows]),
    )


def train(config: Config, net: MLP, sets: list[Batch], out: Path, steps: int, every: int) -> Fitted:
    """Members run over seed x variant; the four of a seed start from the same weights."""
    tx = optimizer("adam", config.rate, steps=steps, schedule="cosine")
    x = jnp.asarray(np.concatenate([each.x for each in sets]))
    first = config.examples * jnp.arange(len(sets))
    hparams = {"first": first, "y": jnp.asarray(np.stack([each.y for each in sets]))}

    def evaluate(member: Member) -> Metrics:
        own = jax.lax.dynamic_slice_in_dim(x, member.hparams["first"], config.examples)
        found = classify.evaluate(net, weights(member), Batch(own, member.hparams["y"]), "fit")
        return {"fit/accuracy": found["fit/accuracy"], "fit/loss": found["fit/loss"]}

    return fit(
        sweep(
            lambda member: memorise(config, net, tx, x, member),
            hparams,
            jnp.repeat(jnp.array(experiment.seeds(config)), len(VARIANTS)),
        ),
        jax.random.key(0),
        steps,
        evaluate=jax.vmap(evaluate),
        every=every,
        chunk=every,
        out=out,
        checkpoint_every=config.checkpoint_every or steps,
        resume=config.resume,
        quiet=config.quiet,
        shown=("fit/accuracy", "fit/loss"),
    )


def weights(member: Member) -> classify.Weights:
    return member.run.state.fit.params, {}


def main(config: Config) -> Result:
    begun = time.monotonic()
    data = load(config.data)
    require("--examples", config.examples, at_least=1, below=len(data.train.y) + 1)
    require("--batch", config.batch, at_least=1, below=config.examples + 1)
    require("--epochs", config.epochs, at_least=1)
    require("--rate", config.rate, at_least=1e-9, below=float("inf"))
    for width in config.hidden:
        require("--hidden", width, at_least=1)
    out = experiment.open_folder(NAME, config)
    sets = [each for seed in experiment.seeds(config) for each in noisy(seed, config, data)]
    net = MLP((*config.hidden, len(data.classes)))
    per_epoch = config.examples // config.batch
    steps = config.steps or config.epochs * per_epoch
    fitted = train(config, net, [own for own, _ in sets], out, steps, per_epoch)
    result = Result(NAME, ["S51"], dataclasses.asdict(config), experiment.seeds(config))
    result.seconds |= fitted.seconds
    result.baselines |= linear(data, sets[0][0], sets[1][0])
    measure(net, Batch(np.stack([x for _, x in sets]), data.test.y), fitted, result)
    draw(out / "figures" / "random_labels.png", config, fitted, result)
    return experiment.finish(result, out, fitted.run, begun)


def linear(data: ImageData, true: Batch, random: Batch) -> dict:
    """Of one seed: a linear model's test accuracy, and how well it fits random labels."""
    train = Batch(true.x.reshape(-1, *data.train.x.shape[1:]), true.y)
    plain = logistic_regression(dataclasses.replace(data, train=train))
    fits = float(linear_classifier(random, 100.0).score(*flat(random)))
    return {
        "linear, true labels": plain,
        "linear, random labels": {"metric": "train accuracy", "mean": fits},
    }


def measure(net: MLP, test: Batch, fitted: Fitted, result: Result) -> None:
    """Put each variant's accuracies and steps to fit, and the targets, into `result`.

    test: each member's inputs x [N, m, features], and the true labels y [m].
    """
    steps, own = figures.curve(fitted.records, "fit/accuracy")
    # a member that never fits counts as fitting at the last step
    when = np.array(steps)[np.vstack([own[:-1] >= FITS, own[-1:] > -1]).argmax(0)]
    score = jax.jit(jax.vmap(lambda w, x: classify.evaluate(net, w, Batch(x, test.y), "test")))
    tested = score(jax.vmap(weights)(fitted.run.state), jnp.asarray(test.x))["test/accuracy"]
    for i, name in enumerate(VARIANTS):
        rows = slice(i, None, len(VARIANTS))
        result.metrics[f"train accuracy {name}"] = experiment.summary(own[-1, rows], "higher")
        result.metrics[f"test accuracy {name}"] = experiment.summary(tested[rows], "higher")
        result.metrics[f"steps to fit {name}"] = experiment.summary(when[rows], "lower")
    fits, chance = result.metrics["train accuracy random labels"], 1 / net.sizes[-1]
    goal = experiment.target(fits, FITS, "Zhang et al. 2017 reach 100 %")
    result.targets["train accuracy random labels"] = goal
    guess = result.metrics["test accuracy random labels"]
    error, count = guess["sd"] / len(guess["values"]) ** 0.5, len(guess["values"])
    result.targets["test accuracy random labels"] = {
        "value": chance,
        "source": f"chance, within two standard errors: {2 * error:.4f}",
        "met": count >= 5 and abs(guess["mean"] - chance) <= 2 * error,
    }


def draw(path: Path, config: Config, fitted: Fitted, result: Result) -> None:
    """Training accuracy against steps; training and test accuracy of each variant beside chance."""
    figure, (left, right) = figures.panels(2)
    steps, own = figures.curve(fitted.records, "fit/accuracy")
    for i, name in enumerate(VARIANTS):
        figures.spread(left, steps, own[:, i :: len(VARIANTS)], name, figures.COLORS[i])
        for split, place, alpha in (("train", -0.2, 0.45), ("test", 0.2, 1.0)):
            found = result.metrics[f"{split} accuracy {name}"]
            error = 2 * found["sd"] / len(found["values"]) ** 0.5
            options = {"color": figures.COLORS[i], "alpha": alpha, "yerr": error, "capsize": 3}
            right.bar(i + place, found["mean"], 0.38, **options)
            right.text(i + place, found["mean"] + 0.03, f"{100 * found['mean']:.1f}", **LABEL)
    left.axhline(FITS, color=figures.INK, lw=0.8, ls=":")
    left.set_xlabel("step")
    left.set_ylabel("training accuracy")
    left.legend(frameon=False, fontsize=8, loc="lower right")
    chance = result.targets["test accuracy random labels"]["value"]
    right.axhline(chance, color=figures.INK, lw=1, ls="--")
    right.text(-1.1, chance + 0.015, "chance", fontsize=8)
    right.set_xlim(-1.15, len(VARIANTS) - 0.5)
    right.set_xticks(range(len(VARIANTS)), [name.replace(" ", "\n") for name in VARIANTS])
    right.set_ylim(0, 1.12)
    right.set_ylabel("accuracy: training pale, test full")
    title = f"{config.data}: {config.examples} examples, {config.seeds} seeds"
    figure.suptitle(title, fontsize=10)
    figures.save(figure, path)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
