"""What autoencoders are used for: to compress, mend, enlarge and colour photographs, and to search.

System S35 of the syllabus: Hinton and Salakhutdinov 2006; denoising by Vincent et al. 2008;
enlarging by Dong et al. 2014. Each network learns from one photograph and is tested on another,
beside JPEG at equal bytes, filters, interpolation and PCA.

    python -m experiments.generative.uses  # 4 min on 2 cores
    python -m experiments.generative.uses --train mine.jpg --test yours.jpg
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.decomposition import PCA

from dljax import sweep
from dljax.data import ImageData, load
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive, require
from dljax.host.experiment import Study
from dljax.host.fit import Fitted
from dljax.host.result import Result
from dljax.learn import autoencode
from dljax.learn.autoencode import Corrupt
from dljax.nets.coders import dense
from dljax.nets.restore import Restorer
from dljax.ops import scores
from dljax.typing import PyTree
from experiments.generative import _alike, _photos

NAME = "generative.uses"
LONGER, WIDER = 10, 4  # steps and batches of dense networks, whose few thousand weights cost little


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train small networks on one photograph, and test what they are good for on another."""

    steps: Count = 600
    """Training steps."""
    train: str = "china"
    """china or flower, the photographs that scikit-learn ships, or an image file."""
    test: str = "flower"
    """Another of them."""
    latent: Count = 8
    """Numbers that code a block of 8 x 8 pixels, and an image that is searched for."""
    batch: Count = 32
    """Pieces of the photograph in a step."""
    rate: Positive = 3e-3
    """Learning rate of Adam at its highest; it falls to 0."""


PRESETS = {"quick": Config(), "standard": Config(steps=3000), "full": Config(steps=20000)}


def main(config: Config) -> Result:
    with Study(NAME, ["S35"], config) as run:
        digits = load("digits")
        require("--latent", config.latent, below=digits.train.x[0].size + 1)
        train, test = (
            _photos.photo(name) / np.float32(255) for name in (config.train, config.test)
        )
        pieces = np.round(255 * _photos.crops(train, 16, 4)).astype(np.uint8)  # to learn to mend
        most = min(len(pieces), len(digits.train.x) // WIDER)
        require("--batch", config.batch, below=most + 1)
        for task in _photos.TASKS:
            mend(run, config, task, pieces, train, test)
        compress(run, config, train, test)
        search(run, config, digits)
        run.state = [weights(fitted) for fitted in run.fits.values()]
    return run.result


def weights(fitted: Fitted) -> PyTree:
    return fitted.run.state.run.state.fit.params


def trained(
    run: Study,
    config: Config,
    part: str,
    net: nn.Module,
    x: np.ndarray,
    longer: int = LONGER,
    wider: int = WIDER,
    corrupt: Corrupt | None = None,
) -> PyTree:
    """The parameters of every seed, after `longer` the steps on `wider` the batch."""
    steps, batch = longer * config.steps, wider * config.batch
    tx = optax.adam(optax.cosine_decay_schedule(config.rate, steps))
    learner = autoencode.make(net, tx, x, optax.squared_error, batch=batch, corrupt=corrupt)
    many = sweep(lambda _: learner, None, run.seeds)
    return weights(run.fit(many, steps, part=part, shown=("train/loss",)))


def told(run: Study, what: str, found: np.ndarray, test: np.ndarray, baseline: str = "") -> None:
    """PSNR and SSIM of images [N, h, w, 3] into the metrics, or their means into a baseline's."""
    for name, score in (("PSNR", scores.psnr), ("SSIM", scores.ssim)):
        metric = f"{what} {name}"
        values = [float(score(jnp.asarray(each), jnp.asarray(test))) for each in found]
        if baseline:
            run.baseline(f"{baseline}, {metric}", metric, np.mean(values))
        else:
            run.metric(metric, values)


def mend(
    run: Study, config: Config, name: str, pieces: np.ndarray, train: np.ndarray, test: np.ndarray
) -> None:
    """Learn to undo one way of spoiling; the pieces are spoilt anew at each step."""
    task, net, key = _photos.TASKS[name], Restorer(), jax.random.key(1)
    params = trained(run, config, name, net, pieces, 1, 1, task.spoil)
    run.model(params, _photos.mends(net, test.shape), part=name)
    spoilt, spoilt_train = (
        np.asarray(task.spoil(key, jnp.asarray(x)[None])) for x in (test, train)
    )
    mended = run.each(lambda params: net.apply({"params": params}, spoilt)[0], params, at_once=1)
    found = np.clip(np.asarray(mended), 0, 1)
    told(run, name, found, test)
    other = np.clip(task.mend(spoilt[0], train, spoilt_train[0]), 0, 1)
    told(run, name, other[None], test, task.plain)
    given = np.clip(spoilt[0], 0, 1)
    shown = {"given": given, task.plain: other, "network": found[0], "true": test}
    run.figure(f"{name}.png", _photos.strip, shown)


def codes(run: Study, net: nn.Module, params: PyTree, *sets: np.ndarray) -> list[np.ndarray]:
    """Those of each set x [n, ...] by every seed: [S, n, L]."""
    found = run.each(lambda own: [autoencode.encode(net, own, x) for x in sets], params)
    return [np.asarray(each) for each in found]


def compress(run: Study, config: Config, train: np.ndarray, test: np.ndarray) -> None:
    """Code each block by a few numbers; JPEG may use as many bytes as each seed's file.

    The decoder, like JPEG's tables of a standard, is known to both sides; its size is told apart.
    """
    side = _photos.BLOCK
    pieces, blocks = _photos.crops(train, side, 2), _photos.crops(test, side, side)
    net = dense((side, side, 3), config.latent, (256,))
    params = trained(run, config, "compress", net, pieces)
    seen, own = codes(run, net, params, pieces, blocks)
    files = [_photos.packed(*each) for each in zip(own, seen.min(1), seen.max(1), strict=True)]
    read = jnp.asarray(np.stack([levels for levels, _ in files]), jnp.float32)
    decoded = run.each(lambda own, z: autoencode.decode(net, own, z), params, read)
    found = np.stack([_photos.whole(each, test.shape) for each in np.asarray(decoded)])
    told(run, "compress", found, test)
    sizes = [len(file) for _, file in files]
    run.metric("compressed bytes", sizes, "lower")
    decoder = sum(leaf[0].nbytes for leaf in jax.tree.leaves(params["decoder"]))
    run.metric("bytes of the decoder", [decoder], "lower")
    pca = PCA(config.latent, random_state=0).fit(pieces.reshape(len(pieces), -1))
    seen, own = (pca.transform(x.reshape(len(x), -1)) for x in (pieces, blocks))
    levels, file = _photos.packed(own, seen.min(0), seen.max(0))
    linear = _photos.whole(pca.inverse_transform(levels), test.shape)
    told(run, "compress", linear[None], test, "PCA")
    images, lengths = zip(*(_photos.jpeg(test, most) for most in sizes), strict=True)
    told(run, "compress", np.stack(images), test, "JPEG of equal bytes")
    run.baseline("PCA", "compressed bytes", len(file))
    run.baseline("JPEG", "compressed bytes", np.mean(lengths))
    shown = {"autoencoder": found[0], "PCA": linear, "JPEG": images[0], "true": test}
    run.figure("compress.png", _photos.strip, shown)


def search(run: Study, config: Config, digits: ImageData) -> None:
    """Which images are alike: the labels of the nearest by code, and a map of two numbers."""
    (x, y), (asked, answers) = digits.train, digits.test
    flat, questions = x.reshape(len(x), -1), asked.reshape(len(asked), -1)
    for latent, part, metric, score in (
        (config.latent, "search", f"precision of {_alike.NEAREST} found", _alike.precision),
        (2, "map", "label by a map of two", _alike.neighbours),
    ):
        net = dense(x.shape[1:], latent, (128, 64))
        params = trained(run, config, part, net, x)
        known, theirs = codes(run, net, params, x, asked)
        pca = PCA(latent, random_state=0).fit(flat)
        linear, linear_asked = pca.transform(flat), pca.transform(questions)
        pairs = zip(known, theirs, strict=True)
        run.metric(metric, [score(own, y, other, answers) for own, other in pairs])
        run.baseline(f"PCA, {metric}", metric, score(linear, y, linear_asked, answers))
        if part == "search":
            run.baseline(f"pixels, {metric}", metric, score(flat, y, questions, answers))
        else:
            run.figure("map.png", _alike.maps, theirs[0], linear_asked, answers)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
