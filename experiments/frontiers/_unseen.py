"""What `experiments.frontiers.unseen` shows that was never learnt, and how each method tells."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from dljax.data import ImageData, load
from dljax.data.stream import unit_scale
from dljax.host import figures
from dljax.host.function import Function, classifier
from dljax.learn import risk, uncertainty
from dljax.learn.uncertainty import Told
from dljax.nets import CNN
from dljax.typing import Array, Batch, PyTree

MOST = 2000  # examples of a test or of what is strange


class Task(NamedTuple):
    """What is learnt, and by name what is strange to it, images [n, h, w, c] as the known."""

    known: ImageData
    strange: dict[str, np.ndarray]


def task(name: str) -> Task:
    """digits without the 9; mnist, and clothes; cats and dogs of cifar10, and horses.

    Each with two of its classes overlaid: the maximum of two digits' ink, the mean of two photos.
    """
    data = load(name)
    if name == "cifar10":
        known, horses = only(data, (3, 5)), only(data, (7,))
        return Task(known, {"horses": horses.test.x, "overlaid": overlaid(known.test, mean=True)})
    if name == "digits":
        known, nines = only(data, range(9)), only(data, (9,))
        strange = np.concatenate([part.x for part in (nines.train, nines.validation, nines.test)])
        return Task(known, {"nines": strange, "overlaid": overlaid(known.test)})
    clothes = load("fashion_mnist").test.x[:MOST]
    return Task(data, {"clothes": clothes, "overlaid": overlaid(data.test)})


def only(data: ImageData, classes: Iterable[int]) -> ImageData:
    """The examples of some classes, numbered anew in their order."""
    classes = [*classes]

    def part(split: Batch) -> Batch:
        rows = np.isin(split.y, classes)
        return Batch(split.x[rows], np.searchsorted(classes, split.y[rows]).astype(np.int32))

    parts = {each: part(getattr(data, each)) for each in ("train", "validation", "test")}
    return dataclasses.replace(data, **parts, classes=tuple(data.classes[k] for k in classes))


def overlaid(test: Batch, mean: bool = False) -> np.ndarray:
    """Pairs of test images of two classes, one over the other."""
    rng = np.random.default_rng(0)
    a, b = (rng.permutation(len(test.y))[:MOST] for _ in range(2))
    apart = test.y[a] != test.y[b]
    a, b = test.x[a[apart]], test.x[b[apart]]
    return ((a.astype(np.float32) + b) / 2).astype(a.dtype) if mean else np.maximum(a, b)


def by_ensemble(net: CNN, params: PyTree, x: Array) -> Told:
    logits = jax.lax.map(lambda own: risk.predict(net, (own, {}), x), params)
    return uncertainty.chances(jax.nn.softmax(logits))


def doubt(net: CNN, x: Array, params: PyTree) -> Array:
    """What one network leaves for all classes but the likeliest, [n]."""
    return 1 - jax.nn.softmax(risk.predict(net, (params, {}), x)).max(-1)


def by_dropout(net: CNN, count: int, params: PyTree, x: Array) -> Told:
    def one(x: Array) -> Array:
        # one key for all: each draw is one network, which sees every image
        return uncertainty.draws(net, params, unit_scale(x)[None], jax.random.key(0), count)[:, 0]

    logits = jax.lax.map(one, x, batch_size=100)
    return uncertainty.chances(jax.nn.softmax(logits.swapaxes(0, 1)))


def by_evidence(net: CNN, params: PyTree, x: Array) -> Told:
    return uncertainty.of_dirichlet(risk.predict(net, (params, {}), x))


def asked(net: CNN, known: ImageData, evidence: bool = False) -> dict[str, Function]:
    """What networks are asked of images: the classes, and by evidence how little is known of it."""
    predict = classifier(net, known)
    if not evidence:
        return {"predict": predict}

    def of(name: str) -> Function:
        def call(weights: PyTree, x: Array) -> Array:
            return getattr(by_evidence(net, weights["params"], x), name)

        return dataclasses.replace(predict, call=call, says="scores")

    doubt = dataclasses.replace(of("epistemic"), says="values", names=("doubt",))
    return {"predict": of("mean"), "doubt": doubt}


def draw(path: Path, told: dict[str, dict[str, Told]], title: str) -> Path:
    """How epistemic variance is spread, for each method, over what is known and what is not."""
    figure, axes = figures.panels(len(told))
    for ax, (name, by) in zip(axes, told.items(), strict=True):
        for (key, each), color in zip(by.items(), figures.COLORS, strict=False):
            values = np.sort(np.asarray(each.epistemic[0]))
            ax.plot(values, np.linspace(0, 1, len(values)), color=color, lw=1.6, label=key)
        ax.set_xscale("symlog", linthresh=1e-3)
        ax.set_title(name, fontsize=9)
        ax.set_xlabel("epistemic variance", fontsize=8)
    axes[0].set_ylabel("share of images below it", fontsize=8)
    axes[0].legend(fontsize=7, frameon=False)
    figure.suptitle(title, fontsize=9)
    return figures.save(figure, path)
