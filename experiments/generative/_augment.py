"""What is made of a few labelled images, what else learns from them, and what it is worth."""

import dataclasses
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax.data import ImageData, shift
from dljax.data.augment import mixup
from dljax.data.augment_masks import bend
from dljax.data.groups import thinned
from dljax.data.stream import unit_scale
from dljax.errors import InputError
from dljax.host import baselines, figures
from dljax.host.experiment import Study
from dljax.host.figures import INK
from dljax.typing import Array, Batch, Key

NONE, OWN, RIVAL = "no augmentation", "generated", "Gaussian"
Make = Callable[[Key, Batch], Batch]
"""`(key, labelled images) -> as many made of them`; x in [0, 1], y [n, K] shares of classes."""


class Setting(NamedTuple):
    """A way to make images, and how many of those learnt from are made."""

    way: str
    share: float


def settings(ways: Sequence[str], shares: Sequence[float]) -> list[Setting]:
    """The plain one, then each way with each share."""
    return [Setting(NONE, 0.0), *(Setting(way, share) for way in ways for share in shares)]


def subsets(labels: Sequence[int], seeds: Sequence[int], data: ImageData, size: int) -> np.ndarray:
    """Rows of the training images, as many of each class; a seed's fewer are part of its more.

    [T, S, size]: each of the T sets again and again, so that all are of one shape. Raises
    InputError for numbers that are no multiples of the classes, at least two a class, as many as
    there are.
    """
    classes, most = len(data.classes), max(labels)
    have = int(np.bincount(data.train.y).min()) * classes
    for each in labels:
        if each % classes or not 2 * classes <= each <= have:
            accepted = f"multiples of the {classes} classes, from {2 * classes} to {have}"
            raise InputError(f"--labels must be {accepted}; got {each}")
    found = []
    for seed in seeds:
        own = thinned(jax.random.key(seed), data.train.y, [most // classes] * classes)
        in_turn = own.reshape(classes, -1).T.ravel()
        found.append([np.resize(in_turn[:each], size) for each in labels])
    return np.array(found).swapaxes(0, 1)


def classical(side: int) -> dict[str, Make]:
    """Ways that need no density of the images."""

    def shifts(key: Key, few: Batch) -> Batch:
        return few._replace(x=shift(key, few.x, max(1, side // 14)))

    def bends(key: Key, few: Batch) -> Batch:
        blank = jnp.zeros(few.x.shape[:3], jnp.int32)  # no mask bends with the image
        return few._replace(x=bend(key, Batch(few.x, blank), 10.0, side / 30).x)

    return {"shifts": shifts, "bends": bends, "mixup": lambda key, few: mixup(key, few, 0.4)}


def gaussian(seed: Sequence[int], x: np.ndarray, y: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Images of the labels `wanted`: a Gaussian a class, of one covariance, in [0, 1].

    x [n, ...] and y [n] are what is known. The covariance is about the classes' means, shrunk as
    Ledoit and Wolf (2004) say: few images are of fewer dimensions than their pixels.
    """
    from sklearn.covariance import LedoitWolf

    flat = x.reshape(len(x), -1).astype(np.float64)
    means = np.array([flat[y == k].mean(0) for k in range(y.max() + 1)])
    spread = LedoitWolf(assume_centered=True).fit(flat - means[y]).covariance_
    rng, still = np.random.default_rng(seed), np.zeros(flat.shape[1])
    # by eigenvalues, which may be zero: as where a class has one image
    noise = rng.multivariate_normal(still, spread, len(wanted), method="eigh")
    made = means[wanted] + noise
    return made.clip(0, 1).astype(np.float32).reshape(-1, *x.shape[1:])


def keys_of(key: Key, seeds: Sequence[int], sets: int) -> Array:
    """A key for each seed's of each of the sets, [T * S], whichever seeds are beside it."""
    each = jax.vmap(jax.random.fold_in, (None, 0))
    begun = each(key, jnp.arange(sets))
    return jax.vmap(each, (0, None))(begun, jnp.asarray(seeds)).reshape(-1)


def made(
    data: ImageData,
    labels: Sequence[int],
    rows: np.ndarray,
    seeds: Sequence[int],
    own: Callable[[Array], Array],
) -> dict[str, Batch]:
    """The labelled images and what each way makes of them, x uint8 [T * S, n, ...], y [.., K].

    rows [T, S, n]; `own(y [T * S, n, K])` are the generators' images.
    """
    flat = rows.reshape(-1, rows.shape[-1])
    known = np.asarray(unit_scale(jnp.asarray(data.train.x)))
    label = data.train.y[flat]
    few = Batch(jnp.asarray(known[flat]), jax.nn.one_hot(label, len(data.classes)))
    keys = keys_of(jax.random.key(2), seeds, len(labels))
    found = {NONE: few}
    for name, make in classical(known.shape[1]).items():
        found[name] = jax.jit(jax.vmap(make))(keys, few)
    plain = [
        gaussian((n, seed), known[each[:n]], data.train.y[each[:n]], wanted)
        for (n, seed), each, wanted in zip(product(labels, seeds), flat, label, strict=True)
    ]
    found[RIVAL] = few._replace(x=jnp.asarray(np.stack(plain)))
    found[OWN] = few._replace(x=own(few.y))
    return {name: Batch(in_bytes(x), np.asarray(y)) for name, (x, y) in found.items()}


def in_bytes(x: Array) -> np.ndarray:
    """Images in [0, 1] in a quarter of the memory."""
    return np.asarray(jnp.round(255 * x).astype(jnp.uint8))


def chosen(settings: Sequence[Setting], scores: np.ndarray) -> dict[str, np.ndarray]:
    """Of each way, the setting of the best mean over seeds, [T]: scores [T, S, settings]."""
    means, ways = scores.mean(1), np.array([each.way for each in settings])
    return {way: np.where(ways == way, means, -1).argmax(1) for way in dict.fromkeys(ways.tolist())}


def simple(data: ImageData, rows: np.ndarray) -> dict[str, float]:
    """Test accuracy of what scikit-learn makes of the labelled images `rows`."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.neighbors import KNeighborsClassifier

    few = dataclasses.replace(data, train=Batch(data.train.x[rows], data.train.y[rows]))
    train, validation, test = map(baselines.flat, (few.train, data.validation, data.test))
    near = [KNeighborsClassifier(k).fit(*train) for k in (1, 3, 5)]
    linear: Any = LinearDiscriminantAnalysis("lsqr", shrinkage="auto")
    return {
        "support vectors": baselines.kernel_machine(few)["mean"],
        "nearest neighbours": float(baselines.chosen(near, validation).score(*test)),
        "logistic regression": baselines.logistic_regression(few)["mean"],
        "Gaussian classifier": float(linear.fit(*train).score(*test)),
    }


def report(
    run: Study,
    data: ImageData,
    labels: Sequence[int],
    rows: np.ndarray,
    tested: dict[str, np.ndarray],
) -> None:
    """Accuracies [T, S] of each way, and its gain over none, paired by seed, for each size."""
    for t, n in enumerate(labels):
        said = f"{n} labels"
        gains = {way: values[t] - tested[NONE][t] for way, values in tested.items() if way != NONE}
        source = "two standard errors of the paired gain"
        run.gain(f"gain of augmentation, {said}", gains[OWN], source, seeds=5)
        for way, gain in gains.items():
            if way != OWN:
                run.baseline(f"{way}, {said}", f"gain of augmentation, {said}", gain)
    for t, n in enumerate(labels):
        metric = f"test accuracy, {n} labels"
        run.metric(metric, tested[OWN][t])
        others = {way: values[t] for way, values in tested.items() if way != OWN}
        each = [simple(data, own[:n]) for own in rows[t]]
        others |= {name: np.array([found[name] for found in each]) for name in each[0]}
        for name, values in others.items():
            run.baseline(f"{name}: {n} labels", metric, values)


def gains(path: Path, labels: Sequence[int], tested: dict[str, np.ndarray]) -> Path:
    """Each seed's gain over no augmentation, a panel for each number of labels."""
    figure, axes = figures.panels(len(labels), size=(4.2, 3.4))
    for t, (ax, n) in enumerate(zip(axes, labels, strict=True)):
        ways = {way: v[t] - tested[NONE][t] for way, v in tested.items() if way != NONE}
        figures.dots(ax, {way: gain.tolist() for way, gain in ways.items()})
        ax.axhline(0, color=INK, lw=1, ls="--")
        ax.set_title(f"{n} labels: {tested[NONE][t].mean():.3f} without", fontsize=10)
    axes[0].set_ylabel("gain in test accuracy")
    figure.suptitle("each seed, the mean and two standard errors", fontsize=10)
    return figures.save(figure, path)
