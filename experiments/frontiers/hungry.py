"""How much data a network needs: test accuracy against training size, beside the nearest neighbour.

System S55 of the syllabus, data-hungry. A convolutional network, a multi-layer perceptron and a
linear model learn the first n examples of each seed's order, so that a smaller set is part of a
larger one; all sizes and seeds of a network are one program. A set of n comes with as many more
examples, at most all of the validation part, by which the step of the least loss is chosen: of
MNIST 55,000 to learn from and 5,000 to choose by are all 60,000. The strongest simple baseline
is the nearest neighbour, which chooses nothing.

    python -m experiments.frontiers.hungry  # 4 min on 2 cores
    python -m experiments.frontiers.hungry --preset standard
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import MinLen

from dljax import Learner, Member, grid, sweep
from dljax.data import ImageData, load
from dljax.data.stream import take_rows, unit_scale
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive, Share, Widths, require, require_images
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.function import classifier
from dljax.host.result import Result
from dljax.learn import classify, risk
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import params_of
from dljax.nets import CNN, MLP
from dljax.typing import Array, Batch, Key, Metrics, PyTree
from experiments.frontiers import _hungry
from experiments.frontiers._hungry import ordered

NAME = "frontiers.hungry"
NEAREST, EVALUATIONS = "nearest neighbour", 20


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train three networks on ever more examples."""

    steps: Count = 500
    """Training steps of each size."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with images x and labels y."""
    sizes: Annotated[Widths, MinLen(1)] = (10, 20, 50, 100, 200, 500, 1257)
    """Numbers of training examples."""
    channels: Widths = (16, 32)
    """Feature maps of each convolution of the CNN."""
    hidden: Count = 64
    """Width of the dense layer of the CNN and of the MLP."""
    batch: Count = 64
    """Examples in a step; a smaller set is seen several times in one."""
    rate: Positive = 2e-3
    """The learning rate of Adam, which falls as a cosine; the linear model's is ten times that."""
    at_once: Count | None = None
    """Members of a step that are taken together, by default all: a few of larger images are faster,
    since their activations stay in the cache."""
    level: Share = 0.9
    """The accuracy for which the examples are counted."""


PRESETS = {
    "quick": Config(),
    "standard": Config(
        data="mnist",
        sizes=(10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 55_000),
        steps=4000,
        channels=(8, 16),
        hidden=128,
        at_once=3,
    ),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S55"], config) as run:
        data, sizes = load(config.data), sorted(set(config.sizes))
        nets = networks(config, data)
        require("--sizes", sizes[-1], below=len(data.train.y) + 1)
        require("--batch", config.batch, below=len(data.train.y) + 1)
        found = {NEAREST: np.stack([_hungry.nearest(data, s, sizes) for s in run.seeds], 1)}
        for name, net in nets.items():
            found[name] = learn(run, config, data, name, net, sizes)
        measure(run, config.level, sizes, found)
        title = f"{data.name}, {config.seeds} seeds: mean, and from least to greatest"
        run.figure("hungry.png", _hungry.draw, title, sizes, found)
    return run.result


def networks(config: Config, data: ImageData) -> dict[str, nn.Module]:
    """From the simplest to the most particular."""
    require_images(data, config.channels)
    head = config.hidden, len(data.classes)
    return {"linear": MLP(head[1:]), "mlp": MLP(head), "cnn": CNN(config.channels, head)}


def learn(
    run: Study, config: Config, data: ImageData, name: str, net: nn.Module, sizes: Sequence[int]
) -> np.ndarray:
    """Test accuracies [T, S], each of the step that its own part of the validation prefers."""
    axes = grid(size=jnp.array(sizes), seed=jnp.array(run.seeds))
    x, y = map(jnp.asarray, data.train)
    asked, answers = map(jnp.asarray, data.validation)
    numbers, places = jnp.arange(len(y)), jnp.arange(len(answers))
    rate = config.rate * (10 if name == "linear" else 1)
    tx = optimizer("adam", rate, steps=config.steps, schedule="cosine")

    def make(hparams: dict[str, Array]) -> Learner:
        def own(_: Key, drawn: Batch) -> Batch:
            # an epoch of all places is as many of a smaller set: shapes do not depend on its size
            rows = ordered(hparams["seed"], drawn.x % hparams["size"], len(y))
            return Batch(unit_scale(take_rows(x, rows)), y[rows])

        goal, all_places = classify.objective(net), Batch(numbers, numbers)
        return risk.descend(net, goal, tx, all_places, batch=config.batch, augment=own)

    def evaluate(member: Member) -> Metrics:
        logits = classify.predict(net, (params_of(member), {}), asked, chunk=100)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, answers)
        few = ordered(member.hparams["seed"], places, len(answers)) < member.hparams["size"]
        return {"validation/loss": jnp.mean(losses, where=few)}

    def score(params: PyTree) -> Array:
        return classify.evaluate(net, (params, {}), data.test, "test")["test/accuracy"]

    fitted = run.fit(
        sweep(make, axes, axes["seed"], at_once=config.at_once),
        config.steps,
        Watch(
            evaluate,
            max(1, config.steps // EVALUATIONS),
            Selection("validation/loss", params_of, lowest=True),
        ),
        part=name,
        names=run.named(f"{size} examples" for size in sizes),
        shown=("train/loss", "validation/loss"),
        chunk=50,
        saves=config.steps,
    )
    most = jax.tree.map(lambda leaf: leaf[-config.seeds :], fitted.kept)  # of the largest size
    run.model({"params": most}, {"predict": classifier(net, data)}, part=name)
    tested = run.each(score, fitted.kept, at_once=1)
    return np.asarray(tested).reshape(len(sizes), -1)


def measure(run: Study, level: float, sizes: list[int], found: dict[str, np.ndarray]) -> None:
    """Every accuracy, and what the mean curves [T] say: who needs what, and who is above whom."""
    means = {name: values.mean(1) for name, values in found.items()}
    for name, values in found.items():
        for size, own in zip(sizes, values, strict=True):
            run.metric(f"test accuracy, {name}, {size} examples", own)
    for name, curve in means.items():
        enough = _hungry.needed(curve, level, sizes)
        run.metric(f"examples for {level:g}, {name}", [enough], "lower")
    for plain, name in itertools.combinations(means, 2):
        size = _hungry.overtakes(means[name], means[plain], sizes)
        run.metric(f"examples from which {name} beats {plain}", [size], "lower")
    plain = run.result.metrics[f"examples for {level:g}, {NEAREST}"]["mean"]
    run.baseline(NEAREST, f"examples for {level:g}", plain)
    last = f"{sizes[-1]} examples"
    run.baseline(f"{NEAREST}, {last}", "test accuracy", found[NEAREST][-1])


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
