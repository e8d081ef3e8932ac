"""A dense layer ignores space, a convolution does not: permuted pixels, six variations, places.

Systems S24 and S25 of the syllabus. An MLP and a CNN of equally many weights (within 2 %) learn
images, and the same under one fixed permutation of the pixels. Then accuracy against the strength
of six variations, for networks that saw none in training, and for such as saw the other five:
so augmentation never does the work of the variation that it is measured on. Last a trunk with a
head of numbers tells the angle and the place of hearts, with and without clutter, beside the mean,
ridge regression on pixels and moments.

    python -m experiments.vision.space  # 3 min on 2 cores
    python -m experiments.vision.space --data mnist --preset standard
"""

from dataclasses import dataclass
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge

from dljax import Learner, Member, sweep
from dljax.data import ImageData, load
from dljax.data.variations import KINDS
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive, Share, Widths, require
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.result import Result
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import params_of
from dljax.typing import Array, Key, Metrics, PyTree
from experiments.vision import _hearts, _space
from experiments.vision._space import Ordered

NAME = "vision.space"
LINEAR = "logistic regression"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Take from images what a convolution relies on, and see who minds."""

    seeds: Count = 10
    """Independent runs in one compiled program."""
    steps: Count = 500
    """Training steps of each network."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    channels: Widths = (16, 32)
    """Feature maps of each convolution of the CNN."""
    hidden: Count = 64
    """Width of its dense layer; the MLP's follows from the number of weights."""
    batch: Count = 64
    """Examples in a step."""
    rate: Positive = 2e-3
    """The learning rate of Adam, which falls as a cosine; the hearts have one of their own."""
    augmented: Count = 5
    """Seeds, the first of all, that learn under augmentation too."""
    most: Share = 0.5
    """The greatest strength of a kind in augmentation; each is in half of the images."""
    points: Annotated[int, Ge(2)] = 6
    """Strengths from 0 to 1 on a curve."""
    images: Count = 1000
    """Images of the test that are varied, at most."""
    hearts: Annotated[int, Ge(100)] = 4000
    """Hearts to learn angles and places from, in twice as many steps."""


PRESETS = {
    "quick": Config(steps=400, augmented=3),
    "standard": Config(steps=800, batch=32, channels=(8, 16), augmented=3),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S24", "S25"], config) as run:
        require("--augmented", config.augmented, below=config.seeds + 1)
        data = load(config.data)
        nets = _space.equal(config.channels, config.hidden, data)
        require("--batch", config.batch, below=len(data.train.y) + 1)
        for name, (_, count) in nets.items():
            run.metric(f"weights, {name}", [count])
        known = {name: permuted(run, config, data, name, net) for name, (net, _) in nets.items()}
        _space.leave(run, data, {name: (net, known[name]) for name, (net, _) in nets.items()})
        variations(run, config, data, nets, known)
        _hearts.tell(run, config.hearts, 2 * config.steps)
    return run.result


def learn(
    run: Study, config: Config, data: ImageData, net: nn.Module, part: str, ways: dict, seeds: int
) -> tuple[PyTree, Array]:
    """The weights [W x S, ...] that validation prefers under each way, and their orders.

    A way is an order of the pixels and which kinds of variation the training images undergo.
    """
    orders, kinds = (np.repeat(each, seeds, 0) for each in zip(*ways.values(), strict=True))
    numbers = run.seeds[:seeds]

    def make(way: tuple[Array, Array]) -> Learner:
        def augment(key: Key, x: Array) -> Array:
            return _space.distorted(key, x, way[1], config.most)

        tx = optimizer("adam", config.rate, steps=config.steps, schedule="cosine")
        options = {"batch": config.batch, "augment": augment if kinds.any() else None}
        return classify.make(Ordered(net, way[0]), tx, data.train, **options)

    def evaluate(member: Member) -> Metrics:
        own = Ordered(net, member.hparams[0])
        return classify.evaluate(own, (params_of(member), {}), data.validation)

    fitted = run.fit(
        sweep(make, (jnp.asarray(orders), jnp.asarray(kinds)), numbers * len(ways)),
        config.steps,
        Watch(
            evaluate, config.steps // 5 or 1, Selection("validation/loss", params_of, lowest=True)
        ),
        part=part,
        names=[f"{way}, seed {seed}" for way in ways for seed in numbers],
        shown=("train/loss", "validation/accuracy"),
        chunk=50,
        saves=config.steps,
    )
    return fitted.kept, jnp.asarray(orders)


def permuted(run: Study, config: Config, data: ImageData, name: str, net: nn.Module) -> PyTree:
    """Learn with pixels in order and permuted; the weights of the former, one a seed."""
    pixels, none = data.train.x[0].size, np.zeros(len(KINDS), bool)
    # NumPy keeps the numbers of its legacy generator for ever
    mixed = np.random.RandomState(0).permutation(pixels)
    ways = {"in order": (np.arange(pixels), none), "permuted": (mixed, none)}
    kept, orders = learn(run, config, data, net, f"{name}-plain", ways, config.seeds)

    def score(params: PyTree, order: Array) -> Array:
        own = Ordered(net, order)
        return classify.evaluate(own, (params, {}), data.test, "test")["test/accuracy"]

    plain, mixed = np.split(np.asarray(run.each(score, kept, orders)), 2)
    run.metric(f"test accuracy, {name}", plain)
    run.metric(f"test accuracy, {name}, pixels permuted", mixed)
    said = "the issue's: {} two standard errors, of at least 10 seeds"
    if name == "CNN":
        run.gain("drop under permutation, CNN", plain - mixed, said.format("beyond"))
    else:
        found = run.metric(change := "change under permutation, MLP", mixed - plain)
        most = 2 * found["sd"] / config.seeds**0.5
        met = config.seeds >= 10 and abs(found["mean"]) <= most
        run.target(change, most, said.format("0 within"), met)
    return jax.tree.map(lambda leaf: leaf[: config.seeds], kept)


def variations(run: Study, config: Config, data: ImageData, nets: dict, known: dict) -> None:
    """Accuracy against the strength of each variation, and the area under it."""
    strengths, y = np.linspace(0, 1, config.points), data.test.y[: config.images]
    x = _space.varied(data.test.x[: config.images], strengths)
    number, pixels = len(KINDS), data.train.x[0].size
    ways = {
        f"not {kind}": (np.arange(pixels), np.arange(number) != i) for i, kind in enumerate(KINDS)
    }
    plain, found = _space.linear(data, x, y)
    run.baseline(LINEAR, "test accuracy, MLP", plain)
    curves: dict[str, np.ndarray] = {}  # [K, S, N]
    for name, (net, _) in nets.items():
        own = Ordered(net, jnp.arange(pixels))

        def score(params: PyTree, kind: Array, own: nn.Module = own) -> Array:
            """The share right at each strength, [S]."""
            images = jnp.asarray(x)[kind]
            logits = classify.predict(own, (params, {}), images.reshape(-1, *images.shape[2:]))
            return (logits.argmax(-1).reshape(images.shape[:2]) == y[None]).mean(1)

        kept, _ = learn(run, config, data, net, f"{name}-augmented", ways, config.augmented)
        every = jax.tree.map(lambda leaf: jnp.concatenate([leaf] * number), known[name])
        for way, params in ((name, every), (f"{name}, augmented", kept)):
            kinds = jnp.repeat(jnp.arange(number), len(jax.tree.leaves(params)[0]) // number)
            right = np.asarray(run.each(score, params, kinds, at_once=1))
            curves[way] = right.reshape(number, -1, config.points).swapaxes(1, 2)
    curves[LINEAR] = found[..., None]
    for i, kind in enumerate(KINDS):
        areas = {way: _space.area(each[i]) for way, each in curves.items()}
        for name in nets:
            run.metric(f"area, {kind}, {name}", areas[name])
            run.metric(f"area, {kind}, {name}, augmented", areas[f"{name}, augmented"])
            gains = areas[f"{name}, augmented"] - areas[name][: config.augmented]
            run.metric(f"gain of other kinds, {kind}, {name}", gains)
        run.baseline(f"{LINEAR}, {kind}", f"area, {kind}, MLP", areas[LINEAR][0])
    shown = [f"{name}{order}" for name in nets for order in ("", ", pixels permuted")]
    right = {name: run.result.metrics[f"test accuracy, {name}"]["values"] for name in shown}
    run.figure("order.png", _space.draw_order, data.name, right)
    title = f"{data.name}, {config.seeds} seeds; augmented: by the other five kinds"
    run.figure("variations.png", _space.draw_kinds, x, strengths)
    run.figure("curves.png", _space.draw_curves, title, strengths, curves)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
