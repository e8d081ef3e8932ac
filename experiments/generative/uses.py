"""Autoencoders mend and enlarge photographs better than plain ways, but lose in files and search.

System S35 of the syllabus. Residual networks learn from some photographs, or CIFAR-10's, to undo
noise, halving and greyness, and are tested on others, beside the strongest plain ways: non-local
means and sliding cosine transforms, Lanczos and back-projection, colour from the nearest patches.
To denoise and to enlarge they begin as the strongest of these: as cosines, and back-projection.
An autoencoder whose codes are whole numbers is trained for rate and distortion at once; its files
are range-coded, and stand beside JPEG's and WebP's. All choices are made on two further
photographs. Codes of digits are searched, beside PCA's and pixels. Numbers of photographs are means
over seeds, and their spread is that over photographs.

    python -m experiments.generative.uses  # 173 s on 2 cores
    python -m experiments.generative.uses --train my/photos --test my/others
    python -m experiments.generative.uses --preset standard  # 16 min

At `standard` the networks denoise .33 dB better than the sliding cosine transform, and enlarge .41
dB better than back-projection, over two standard errors of six photographs, but not on a retina;
colours gain .21 dB on the mean tint. The codec beats PCA, no JPEG or WebP; pixels search better.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import MinLen
from sklearn.decomposition import PCA

from dljax import Learner, sweep
from dljax.data import ImageData, load
from dljax.host import experiment
from dljax.host.config import Common, Count, Number, Positive, require
from dljax.host.experiment import Study
from dljax.host.fit import Fitted
from dljax.host.result import Result
from dljax.learn import autoencode, compress
from dljax.nets.codec import Codec
from dljax.nets.coders import dense
from dljax.nets.restore import Restorer
from dljax.typing import PyTree
from experiments.generative import _alike, _mending, _photos, _rates

NAME = "generative.uses"
LONGER, WIDER = 10, 4  # steps and batches of dense networks, whose few thousand weights cost little


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train networks on some photographs, and test what they are good for on others."""

    steps: Count = 150
    """Training steps."""
    train: Annotated[tuple[str, ...], MinLen(1)] = ("photos",)
    """What to learn from: photos (three that scikit-learn and scikit-image ship), cifar10, and
    folders of photographs."""
    test: str = "photos"
    """What to test on: photos (six others), or a folder."""
    channels: Count = 24
    """Feature maps of the convolutions."""
    blocks: Number = 3
    """Residual blocks."""
    codes: Count = 48
    """Numbers that code a block of 8 x 8 pixels."""
    weights: Annotated[tuple[Positive, ...], MinLen(1)] = (150.0, 500.0, 1500.0, 5000.0)
    """Bits per pixel that a squared error of 1 is worth, for each rate."""
    latent: Count = 8
    """Numbers that code a digit that is searched for."""
    batch: Count = 16
    """Pieces of photographs in a step."""
    rate: Positive = 1e-3
    """Learning rate of Adam at its highest; it falls to 0."""


PRESETS = {
    "quick": Config(),
    "standard": Config(steps=1000, train=("photos", "cifar10"), channels=32, blocks=4),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S35"], config) as run:
        digits = load("digits")
        require("--latent", config.latent, below=digits.train.x[0].size + 1)
        require("--codes", config.codes, below=3 * _photos.BLOCK**2 + 1)
        _photos.check_apart(config.train, config.test)
        tests, pieces = _photos.tested(config.test), _photos.learnt(config.train)
        most = min(len(pieces), len(digits.train.x) // WIDER)
        require("--batch", config.batch, below=most + 1)
        for task in _mending.TASKS:
            mend(run, config, task, pieces, tests)
        squeeze(run, config, pieces, tests)
        search(run, config, digits)
        run.state = [weights(fitted) for fitted in run.fits.values()]
    return run.result


def weights(fitted: Fitted) -> PyTree:
    return fitted.run.state.run.state.fit.params


def adam(config: Config, steps: int) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(config.rate, steps))


def trained(run: Study, learner: Learner, part: str, steps: int) -> PyTree:
    """The parameters of every seed."""
    many = sweep(lambda _: learner, None, run.seeds)
    return weights(run.fit(many, steps, part=part, shown=("train/loss",)))


def mend(
    run: Study, config: Config, name: str, pieces: np.ndarray, tests: dict[str, np.ndarray]
) -> None:
    """Learn to undo one way of spoiling; the pieces are spoilt anew at each step."""
    task = _mending.TASKS[name]
    net = Restorer((config.channels,), config.blocks, task.fold, task.enlarge, task.begin)
    tx, loss = adam(config, config.steps), autoencode.edge_aware
    learner = autoencode.make(net, tx, pieces, loss, batch=config.batch, corrupt=task.spoil)
    params = trained(run, learner, name, config.steps)
    true, valid = np.stack([*tests.values()]), _photos.validated()
    spoilt, spoilt_valid = (
        np.asarray(task.spoil(jax.random.key(i), jnp.asarray(x)))
        for i, x in enumerate((true, valid))
    )
    run.model(params, _mending.mends(name, net, spoilt.shape[1:]), part=name)
    mended = run.each(lambda own: autoencode.reconstruct(net, own, spoilt, 1), params, at_once=1)
    found = np.clip(np.asarray(mended), 0, 1)
    chosen, best = _mending.best_plain(task.plain(pieces), spoilt_valid, valid)
    others = {way: _mending.all_by(f, spoilt) for way, f in chosen.items()}
    _mending.told(run, name, found, others, best, true, [*tests])
    shown = {"given": np.clip(spoilt[0], 0, 1), best: others[best][0]}
    run.figure(f"{name}.png", _mending.strip, shown | {"network": found[0, 0], "true": true[0]})


def squeeze(run: Study, config: Config, pieces: np.ndarray, tests: dict[str, np.ndarray]) -> None:
    """Rate and distortion of files: the network's, its linear beginning's, JPEG's and WebP's."""
    start = _rates.basis(pieces, config.codes, _photos.BLOCK)
    # steps s lose s^2 / 12 at 3 log2(1 / s) bits of a pixel: of a weight w, s^2 = 26 / w is best
    gains = tuple(float(np.log(weight / 26) / 2) for weight in config.weights)
    net = Codec(lambda: start, gains, config.channels, config.blocks)
    learner = compress.make(
        net, adam(config, config.steps), pieces, config.weights, batch=config.batch
    )
    params = trained(run, learner, "compress", config.steps)
    middle = len(gains) // 2
    run.model(params, _rates.compresses(net, (*_photos.VIEW, 3), middle), part="compress")
    true = np.stack([*tests.values()])
    begun = jax.tree.map(lambda leaf: leaf[None], learner.init(jax.random.key(0)).fit.params)
    own, linear = (_rates.coded(run, net, each, true) for each in (params, begun))
    jpegs = [_rates.library(true, "JPEG", optimize=True, subsampling=s) for s in (2, 0)]
    bare = [_rates.library(true, "JPEG", False, subsampling=s) for s in (2, 0)]
    webp = [_rates.library(true, "WebP")]
    curves = {"autoencoder": [own], "PCA": [linear], "JPEG": jpegs}
    curves |= {"JPEG without its header": bare, "WebP": webp}
    _rates.compare(run, own, {name: each for name, each in curves.items() if name != "autoencoder"})
    run.figure("curve.png", _rates.draw, curves, f"{len(true)} photographs as files")


def codes(run: Study, net: nn.Module, params: PyTree, *sets: np.ndarray) -> list[Any]:
    """Those of each set x [n, ...], [n, L], a tuple a seed."""
    found = run.each(lambda own: [autoencode.encode(net, own, x) for x in sets], params)
    return [*zip(*map(np.asarray, found), strict=True)]


def search(run: Study, config: Config, digits: ImageData) -> None:
    """Which images are alike: the labels of the nearest by code, and a map of two numbers."""
    (x, y), (asked, answers) = digits.train, digits.test
    flat, questions = x.reshape(len(x), -1), asked.reshape(len(asked), -1)
    steps = LONGER * config.steps
    for latent, part in ((config.latent, "search"), (2, "map")):
        net, tx = dense(x.shape[1:], latent, (128, 64)), adam(config, steps)
        batch = WIDER * config.batch
        learner = autoencode.make(net, tx, x, optax.squared_error, batch=batch)
        params = trained(run, learner, part, steps)
        pairs = codes(run, net, params, x, asked)
        pca = PCA(latent, random_state=0).fit(flat)
        linear = pca.transform(flat), pca.transform(questions)
        if part == "map":
            scores = [_alike.neighbours(own, y, other, answers) for own, other in pairs]
            run.metric(metric := "label by a map of two", scores)
            found = _alike.neighbours(linear[0], y, linear[1], answers)
            run.baseline(f"PCA, {metric}", metric, found)
            run.figure("map.png", _alike.maps, pairs[0][1], linear[1], answers)
            continue
        own = [_alike.precision(each, y, other, answers) for each, other in pairs]
        pairs = {"PCA": linear, "pixels": (flat, questions)}
        plain = {
            name: _alike.precision(each, y, other, answers) for name, (each, other) in pairs.items()
        }
        for i, k in enumerate(_alike.FOUND):
            run.metric(metric := f"precision of {k} found", [each[i] for each in own])
            for name, scores in plain.items():
                run.baseline(f"{name}, {metric}", metric, scores[i])


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
