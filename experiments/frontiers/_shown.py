"""Images of another kind than those learnt from, and how sure of them one is (S52)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from dljax.data import ImageData, load
from dljax.data.stream import unit_scale
from dljax.data.variations import KINDS
from dljax.errors import InputError
from dljax.host import figures
from dljax.host.baselines import chosen, flat, linear_classifier, nearest
from dljax.host.experiment import Study
from dljax.learn import risk
from dljax.learn.classify import calibration_error
from dljax.typing import Array, Batch
from experiments.generative._strange import Sorts
from experiments.vision import _space

SURE = 0.9
OWN = "its own"


class Sort(NamedTuple):
    """Images [m, h, w, c] in [0, 1] of one sort, and their labels [m] where they have any."""

    x: np.ndarray
    y: np.ndarray | None


def sorts(data: ImageData, other: str, count: int) -> dict[str, Sort]:
    """At most `count` images of the test as they are and changed, noise, and another data set's.

    Raises InputError if the data are a table or not square, or the other's size differs.
    """
    if data.test.x.ndim != 4 or data.test.x.shape[1] != data.test.x.shape[2]:
        raise InputError(f"--data: square images are needed, and {data.name} holds none")
    x, y = unit(data.test.x[:count]), data.test.y[:count]
    rng = np.random.RandomState(0)  # whose numbers NumPy keeps for ever
    flat = x.reshape(len(x), -1)
    found = {
        OWN: Sort(x, y),
        "upside down": Sort(x[:, ::-1, ::-1], y),
        "on its side": Sort(np.rot90(x, axes=(1, 2)), y),
        "inverted": Sort(1 - x, y),
        "pixels permuted": Sort(flat[:, rng.permutation(flat.shape[1])].reshape(x.shape), y),
        "noise": Sort(rng.random_sample(x.shape).astype(np.float32), None),
    }
    if other:
        given = load(other)
        if given.test.x.shape[1:] != x.shape[1:]:
            sizes = [*given.test.x.shape[1:]], [*x.shape[1:]]
            raise InputError(f"--other {other}: its images are {sizes[0]}, and not {sizes[1]}")
        found[given.name] = Sort(unit(given.test.x[:count]), None)
    return found


def sureness(
    chances: np.ndarray, own: np.ndarray | None, labels: np.ndarray | None
) -> dict[str, float]:
    """What probabilities [m, K] of a sort say, beside those of the test's `own` [M, K].

    The share that is called with more than 90 %, the mean confidence, and the AUROC by which
    confidence tells the sort from the own; of labelled ones accuracy and calibration error too.
    """
    top = chances.max(1)
    found = {"sure": float((top > SURE).mean()), "confidence": float(top.mean())}
    if own is not None:
        found["AUROC"] = auroc(-own.max(1), -top)
    if labels is not None:
        found["accuracy"] = float((chances.argmax(1) == labels).mean())
        error = calibration_error(jnp.asarray(chances), jnp.asarray(labels))
        found["calibration error"] = float(error)
    return found


def auroc(own: np.ndarray, strange: np.ndarray) -> float:
    """How often a strange score is above an own one: 1 tells them apart, .5 is chance."""
    return float(Sorts(own[None], strange[None]).auroc()[0])


class Plain:
    """Logistic regression, and the nearest training image: its label, and how far it is."""

    def __init__(self, data: ImageData):
        fits = [linear_classifier(data.train, strength) for strength in (0.01, 0.1, 1.0)]
        self.linear, self.train = chosen(fits, flat(data.validation)), data.train

    def chances(self, x: np.ndarray) -> np.ndarray:
        return self.linear.predict_proba(x.reshape(len(x), -1))

    def nearest(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The label of the nearest training image of each, and its distance."""
        return nearest(self.train, x)


def strange(
    run: Study, net: nn.Module, weights: risk.Weights, plain: Plain, found: dict[str, Sort]
) -> None:
    """How sure each network, logistic regression and the nearest image are of every sort."""
    ends = np.cumsum([len(sort.x) for sort in found.values()])
    every = np.concatenate([sort.x for sort in found.values()])
    said = np.asarray(run.each(lambda own: softmax(net, own, every), weights, at_once=1))
    chances = dict(zip(found, np.split(said, ends[:-1], 1), strict=True))
    linear = {name: plain.chances(sort.x) for name, sort in found.items()}
    near = {name: plain.nearest(sort.x) for name, sort in found.items()}
    for name, sort in found.items():
        pairs = zip(chances[name], chances[OWN], strict=True)
        each = [sureness(said, None if name == OWN else own, sort.y) for said, own in pairs]
        for score in each[0]:
            better = "lower" if score in ("sure", "confidence", "calibration error") else "higher"
            run.metric(f"{score}, {name}", [scores[score] for scores in each], better)
        own = None if name == OWN else linear[OWN]
        for score, value in sureness(linear[name], own, sort.y).items():
            run.baseline(f"logistic regression, {score}, {name}", f"{score}, {name}", value)
        labels, distance = near[name]
        if sort.y is not None:
            right = (labels == sort.y).mean()
            run.baseline(f"nearest image, accuracy, {name}", f"accuracy, {name}", right)
        if own is not None:
            apart = auroc(near[OWN][1], distance)
            run.baseline(f"nearest image, AUROC, {name}", f"AUROC, {name}", apart)
    first = {name: each[0] for name, each in chances.items()}
    run.figure("sorts.png", draw_sorts, found, first)
    tops = {"network": first, "logistic regression": linear}
    run.figure(
        "sure.png",
        draw_sure,
        {way: {name: p.max(1) for name, p in each.items()} for way, each in tops.items()},
    )


def spoilt(
    run: Study,
    net: nn.Module,
    weights: risk.Weights,
    plain: Plain,
    test: Batch,
    strengths: np.ndarray,
) -> None:
    """Accuracy and confidence on the test at every strength of each of six variations."""
    varied = _space.varied(test.x, strengths)
    shape, labels = varied.shape[:2], jnp.asarray(test.y)
    sets = jnp.asarray(varied.reshape(-1, *varied.shape[2:]))

    def score(own: risk.Weights) -> Array:
        """Accuracy, confidence and calibration error on every set, [K S, 3]."""

        def one(x: Array) -> Array:
            chances = softmax(net, own, x)
            right, sure = (chances.argmax(-1) == labels).mean(), chances.max(-1).mean()
            return jnp.stack([right, sure, calibration_error(chances, labels)])

        return jax.lax.map(one, sets)

    told = np.asarray(run.each(score, weights, at_once=1)).reshape(-1, *shape, 3)
    curves = {"network": np.moveaxis(told, 0, -1).transpose(2, 0, 1, 3)[:2]}
    flat = [unit(x) for x in varied.reshape(-1, *varied.shape[2:])]
    linear = [plain.chances(x) for x in flat]
    right = [[(p.argmax(1) == test.y).mean() for p in linear], [p.max(1).mean() for p in linear]]
    near = [[(plain.nearest(x)[0] == test.y).mean() for x in flat], [np.nan] * len(flat)]
    curves["logistic regression"], curves["nearest image"] = (
        np.reshape(each, (2, *shape, 1)) for each in (right, near)
    )
    for k, kind in enumerate(KINDS):
        for (what, better), each in zip(
            (("accuracy", "higher"), ("confidence", "lower")), curves["network"], strict=True
        ):
            run.metric(f"area under {what}, {kind}", _space.area(each[k]), better)
            run.metric(f"{what}, {kind}, full strength", each[k, -1], better)
        run.metric(f"calibration error, {kind}, full strength", told[:, k, -1, 2], "lower")
        for way in ("logistic regression", "nearest image"):
            area = _space.area(curves[way][0, k])[0]
            run.baseline(f"{way}, area, {kind}", f"area under accuracy, {kind}", area)
    run.figure("strengths.png", draw_strengths, strengths.tolist(), curves)


def softmax(net: nn.Module, weights: risk.Weights, x: Any) -> Array:
    return jax.nn.softmax(risk.predict(net, weights, x))


def unit(x: np.ndarray) -> np.ndarray:
    """uint8 in 0..255 to float32 in [0, 1]; anything else as it is."""
    return np.asarray(unit_scale(jnp.asarray(x)))


def draw_sorts(path: Path, found: dict[str, Sort], chances: dict[str, np.ndarray]) -> Path:
    """Of each sort the images that the first seed is surest of and wrong, with what it says.

    chances: {sort: [m, K]}. Of what has no label every answer is wrong.
    """
    columns = 8
    figure, axes = figures.panels(columns, len(found), size=(1.1, 1.3))
    for row, (name, sort) in enumerate(found.items()):
        top, guess = chances[name].max(1), chances[name].argmax(1)
        if sort.y is not None:
            top = np.where(guess == sort.y, -1, top)
        for ax, i in zip(axes[columns * row :], np.argsort(-top)[:columns], strict=False):
            figures.picture(ax, sort.x[i])
            ax.images[0].set_clim(0, 1)
            ax.set_title(f"{guess[i]}: {100 * chances[name][i].max():.0f} %", fontsize=7)
            if sort.y is not None and guess[i] == sort.y[i]:
                ax.title.set_color("#b0b8be")  # right: there are no more mistakes
            ax.set(xticks=[], yticks=[])
        axes[columns * row].set_ylabel(name, fontsize=7)
    figure.suptitle("the surest mistakes of the first seed (grey: right)", fontsize=10)
    return figures.save(figure, path)


def draw_sure(path: Path, confidence: dict[str, dict[str, np.ndarray]]) -> Path:
    """How the confidence of each method spreads over each sort: {method: {sort: [m]}}."""
    figure, axes = figures.panels(len(confidence), size=(4.6, 3.2))
    for ax, (method, each) in zip(axes, confidence.items(), strict=True):
        for i, (name, top) in enumerate(each.items()):
            color = figures.INK if name == OWN else figures.COLORS[(i - 1) % len(figures.COLORS)]
            ordered, ls = np.sort(top), "-" if name == OWN else "--"
            ax.plot(ordered, 1 - np.arange(len(top)) / len(top), color=color, ls=ls, label=name)
        ax.axvline(SURE, color=figures.INK, lw=0.8, ls=":")
        ax.set(xlabel="confidence", title=method, ylim=(0, 1.02))
    axes[0].set_ylabel("share of images above it")
    axes[0].legend(frameon=False, fontsize=7, loc="lower left")
    return figures.save(figure, path)


def draw_strengths(path: Path, strengths: Sequence[float], found: dict[str, np.ndarray]) -> Path:
    """Accuracy and, dashed, confidence against the strength of each kind: {method: [2, K, S, N]}.

    Of a method without a confidence that is nan.
    """
    figure, axes = figures.panels(3, 2, size=(3.4, 2.7))
    for k, (ax, kind) in enumerate(zip(axes, KINDS, strict=True)):
        for (method, values), color in zip(found.items(), figures.COLORS, strict=False):
            for values_k, ls, what in zip(
                values[:, k], ("-", "--"), ("right", "sure"), strict=True
            ):
                if np.isfinite(values_k).all():
                    figures.spread(ax, strengths, values_k, f"{method}: {what}", color)
                    ax.lines[-1].set_linestyle(ls)
        ax.set(title=kind, xlabel="strength", ylim=(0, 1.02))
    axes[0].legend(frameon=False, fontsize=7, loc="lower left")
    return figures.save(figure, path)
