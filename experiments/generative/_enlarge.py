"""Small images, the plain ways to enlarge them, and what all ways are worth."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax.data import ImageData
from dljax.data.stream import unit_scale
from dljax.host.baselines import chosen
from dljax.host.experiment import Study
from dljax.ops.scores import frechet, psnr
from dljax.typing import Array, Batch
from experiments.generative import _images

SOURCE = "two standard errors of the paired gain"


class Sets(NamedTuple):
    """Images x [n, h, w, c] in [0, 1], and y [n, k], the pixels of what they shrink to."""

    train: Batch
    validation: Batch
    test: Batch


def sets(data: ImageData, factor: int) -> Sets:
    """Each pixel of a small image is the mean of `factor` x `factor`."""

    def both(split: Batch) -> Batch:
        x = np.asarray(unit_scale(jnp.asarray(split.x)))
        n, h, w, c = x.shape
        small = x.reshape(n, h // factor, factor, w // factor, factor, c).mean((2, 4))
        return Batch(x, small.reshape(n, -1))

    return Sets(*map(both, (data.train, data.validation, data.test)))


class Judge:
    """A classifier of real images: whether others read as their class, and how real they are."""

    def __init__(self, data: ImageData):
        net, weights = _images.classifier(data)
        self.seen: Callable[[Array], tuple[Array, Array]] = jax.jit(
            lambda x: _images.judged(net, weights, x)
        )

    def accuracy(self, x: np.ndarray, labels: np.ndarray) -> float:
        return float(np.mean(np.asarray(self.seen(jnp.asarray(x))[1]).argmax(1) == labels))

    def distance(self, x: np.ndarray, real: np.ndarray) -> float:
        """The Frechet distance between the features of both."""
        moments = (_images.moments(self.seen(jnp.asarray(each))[0]) for each in (x, real))
        return float(frechet(*next(moments), *next(moments)))


def chosen_weight(judge: Judge, data: ImageData, found: np.ndarray) -> int:
    """Which weight but none reads best, by the mean over seeds: images [weights, S, n, ...]."""
    labels = data.validation.y
    means = [np.mean([judge.accuracy(x, labels) for x in each]) for each in found[1:]]
    return 1 + int(np.argmax(means))


def plain(sets: Sets) -> dict[str, np.ndarray]:
    """The test images by interpolation, by regression and by memory."""
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import NearestNeighbors

    (x, small), validation, test = sets
    n, h, w, c = test.x.shape
    factor = round((h * w * c / small.shape[1]) ** 0.5)
    given = jnp.asarray(test.y.reshape(n, h // factor, w // factor, c))
    flat = x.reshape(len(x), -1)
    lines = (Ridge(alpha).fit(small, flat) for alpha in (1e-3, 1e-1, 10.0))
    ridge = chosen(lines, (validation.y, validation.x.reshape(len(validation.x), -1)))
    near = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(small)
    found = {
        "bicubic": jax.image.resize(given, test.x.shape, "cubic"),
        "Lanczos": jax.image.resize(given, test.x.shape, "lanczos3"),
        "ridge regression": ridge.predict(test.y).reshape(test.x.shape),
        "nearest small image": x[near.kneighbors(test.y)[1][:, 0]],
    }
    return {name: np.clip(np.asarray(each), 0, 1) for name, each in found.items()}


def report(
    run: Study,
    judge: Judge,
    data: ImageData,
    sets: Sets,
    tested: dict[str, np.ndarray],
    others: dict[str, np.ndarray],
) -> None:
    """Accuracy, PSNR and distance of each way: tested [S, n, ...], with and without the game, and
    the `plain` ones."""
    from sklearn.svm import SVC

    real, labels = sets.test.x, data.test.y
    ways: dict[str, Sequence[np.ndarray]] = {way: [*images] for way, images in tested.items()}
    ways |= {name: [x] for name, x in others.items()} | {"the true images": [real]}
    scores = {
        "test accuracy": lambda x: judge.accuracy(x, labels),
        "PSNR": lambda x: float(jnp.minimum(psnr(jnp.asarray(x), jnp.asarray(real)), 99).mean()),
        "Frechet distance": lambda x: judge.distance(x, real),
    }
    found = {
        name: {way: [score(x) for x in images] for way, images in ways.items()}
        for name, score in scores.items()
    }
    accuracy = found["test accuracy"]
    gain = np.subtract(accuracy["with"], accuracy["without"])
    run.gain("gain of the discriminator in accuracy", gain, SOURCE, seeds=5)
    change = np.subtract(found["PSNR"]["with"], found["PSNR"]["without"])
    run.metric("change of PSNR by the discriminator", change)
    for name, values in found.items():
        better = "lower" if name == "Frechet distance" else "higher"
        run.metric(name, values["with"], better)
        for way, each in values.items():
            if way not in ("with", *(["the true images"] if name == "PSNR" else [])):
                run.baseline(f"{way}: {name}", name, each if len(each) > 1 else each[0])
    few = slice(10_000)
    reader = SVC(C=10).fit(sets.train.y[few], data.train.y[few])
    read = float(reader.score(sets.test.y, labels))
    run.baseline("read from the small images: test accuracy", "test accuracy", read)


def draw(
    path: Path,
    data: ImageData,
    sets: Sets,
    tested: dict[str, np.ndarray],
    others: dict[str, np.ndarray],
    count: int = 20,
) -> Path:
    """The first test images, and what each way makes of their small ones."""
    names = ("bicubic", "ridge regression", "nearest small image")
    rows = {"true": sets.test.x} | {name: others[name] for name in names}
    rows |= {"squared error alone": tested["without"][0], "and discriminator": tested["with"][0]}
    title = f"{data.name}: enlarged from {sets.test.y.shape[1]} numbers; one seed"
    return _images.mosaic(path, {name: x[:count] for name, x in rows.items()}, title)
