"""What autoencoders are used for: to compress, mend, enlarge and colour photographs, and to search.

System S35 of the syllabus: Hinton and Salakhutdinov 2006; denoising by Vincent et al. 2008;
enlarging by Dong et al. 2014. Each network learns from one photograph and is tested on another,
beside JPEG at equal bytes, filters, interpolation and PCA.

    python -m experiments.generative.uses
    python -m experiments.generative.uses --train mine.jpg --test yours.jpg
"""

import dataclasses
import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from dljax import sweep
from dljax.data import ImageData, load
from dljax.host import experiment, figures
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import fit
from dljax.learn import autoencode
from dljax.learner import Learner
from dljax.nets.coders import dense
from dljax.nets.restore import Restorer
from dljax.ops import scores
from dljax.typing import PyTree
from experiments.generative import _photos

NAME = "generative.uses"
NEAREST = 10


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train small networks on one photograph, and test what they are good for on another."""

    train: str = "china"
    """china or flower, the photographs that scikit-learn ships, or an image file."""
    test: str = "flower"
    """Another of them."""
    latent: int = 8
    """Numbers that code a block of 8 x 8 pixels, and an image that is searched for."""
    batch: int = 32
    """Pieces of the photograph in a step."""
    rate: float = 3e-3
    """Learning rate of Adam at its highest; it falls to 0."""


PRESETS = {"quick": Config(steps=600), "standard": Config(steps=3000), "full": Config(steps=20000)}


def main(config: Config) -> Result:
    begun = time.monotonic()
    digits = load("digits")
    require("--latent", config.latent, at_least=1, below=digits.train.x[0].size + 1)
    require("--rate", config.rate, at_least=1e-9)
    experiment.check_common(config)
    train, test = (_photos.photo(name) / np.float32(255) for name in (config.train, config.test))
    pieces = np.round(255 * _photos.crops(train, 16, 4)).astype(np.uint8)  # to learn to mend
    most = min(len(pieces), len(digits.train.x) // 4)
    require("--batch", config.batch, at_least=1, below=most + 1)
    out = experiment.open_folder(NAME, config)
    result = Result(NAME, ["S35"], dataclasses.asdict(config), experiment.seeds(config))
    states = [mend(result, out, config, pieces, train, test, task) for task in _photos.SPOIL]
    states.append(compress(result, out, config, train, test))
    states.append(search(result, out, config, digits))
    return experiment.finish(result, out, states, begun)


LONGER = 10  # dense networks of a few thousand weights: their steps cost little


def trained(
    result: Result, out: Path, config: Config, name: str, learner: Learner, times: int = 1
) -> PyTree:
    """The parameters of every seed after `times` the `--steps` steps."""
    fitted = fit(
        sweep(lambda _: learner, None, jnp.array(result.seeds)),
        jax.random.key(0),
        times * (config.steps or 1),
        out=out / name,
        checkpoint_every=config.checkpoint_every,
        resume=config.resume,
        quiet=config.quiet,
        shown=("train/loss",),
    )
    result.add(fitted.seconds)
    return fitted.run.state.run.state.fit.params


def falling(config: Config, times: int = 1) -> optax.GradientTransformation:
    steps = times * (config.steps or 1)
    return optax.adam(optax.cosine_decay_schedule(config.rate, steps))


def told(result: Result, what: str, found: np.ndarray, test: np.ndarray, baseline: str) -> None:
    """PSNR and SSIM of images [N, h, w, 3] into the metrics, or their means into a baseline's."""
    for name, score in (("PSNR", scores.psnr), ("SSIM", scores.ssim)):
        metric = f"{what} {name}"
        values = [float(score(jnp.asarray(each), jnp.asarray(test))) for each in found]
        if baseline:
            mean = float(np.mean(values))
            result.baselines[f"{baseline}, {metric}"] = {"metric": metric, "mean": mean}
        else:
            result.metrics[metric] = experiment.summary(values, "higher")


def mend(
    result: Result,
    out: Path,
    config: Config,
    pieces: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    task: str,
) -> PyTree:
    """Learn to undo one way of spoiling; the pieces are spoilt anew at each step."""
    spoil, net = _photos.SPOIL[task], Restorer()
    learner = autoencode.make(
        net, falling(config), pieces, optax.squared_error, batch=config.batch, corrupt=spoil
    )
    params = trained(result, out, config, task, learner)
    key = jax.random.key(1)
    spoilt, spoilt_train = (np.asarray(spoil(key, jnp.asarray(x)[None])) for x in (test, train))
    mended = jax.jit(lambda p: jax.lax.map(lambda p: net.apply({"params": p}, spoilt)[0], p))
    found = np.clip(np.asarray(mended(params)), 0, 1)
    told(result, task, found, test, "")
    plain = {
        "denoise": ("Gaussian filter", _photos.smooth),
        "enlarge": ("cubic interpolation", lambda spoilt, *_: spoilt),
        "colour": ("mean tint", _photos.tint),
    }
    name, way = plain[task]
    other = np.clip(way(spoilt[0], train, spoilt_train[0]), 0, 1)
    told(result, task, other[None], test, name)
    shown = {"given": np.clip(spoilt[0], 0, 1), name: other, "network": found[0], "true": test}
    strip(out / "figures" / f"{task}.png", shown)
    return params


def compress(
    result: Result, out: Path, config: Config, train: np.ndarray, test: np.ndarray
) -> PyTree:
    """Code each block by a few numbers; JPEG may use as many bytes as each seed's file.

    The decoder, like JPEG's tables of a standard, is known to both sides; its size is told apart.
    """
    side = _photos.BLOCK
    pieces = _photos.crops(train, side, 2)
    net = dense((side, side, 3), config.latent, (256,))
    learner = autoencode.make(
        net, falling(config, LONGER), pieces, optax.squared_error, batch=4 * config.batch
    )
    params = trained(result, out, config, "compress", learner, LONGER)
    blocks = _photos.crops(test, side, side)
    h, w = test.shape[0] // side, test.shape[1] // side

    def whole(blocks: Any) -> np.ndarray:
        tiled = np.asarray(blocks).reshape(h, w, side, side, 3).swapaxes(1, 2)
        return np.clip(tiled.reshape(test.shape), 0, 1)

    def through(codes: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, int]:
        codes, file = _photos.packed(codes, seen.min(0), seen.max(0))
        return codes, len(file)

    encode = jax.jit(functools.partial(autoencode.encode, net))
    decode = jax.jit(functools.partial(autoencode.decode, net))
    found, sizes = [], []
    for i in range(config.seeds):
        own = jax.tree.map(lambda leaf, i=i: leaf[i], params)
        codes, size = through(*(np.asarray(encode(own, x)) for x in (blocks, pieces)))
        found.append(whole(decode(own, jnp.asarray(codes, jnp.float32))))
        sizes.append(size)
    told(result, "compress", np.stack(found), test, "")
    result.metrics["compressed bytes"] = experiment.summary(sizes, "lower")
    decoder = sum(leaf[0].nbytes for leaf in jax.tree.leaves(params["decoder"]))
    result.metrics["bytes of the decoder"] = experiment.summary([decoder], "lower")
    pca = PCA(config.latent, random_state=0).fit(pieces.reshape(len(pieces), -1))
    codes, size = through(*(pca.transform(x.reshape(len(x), -1)) for x in (blocks, pieces)))
    linear = whole(pca.inverse_transform(codes))
    told(result, "compress", linear[None], test, "PCA")
    files, lengths = zip(*(_photos.jpeg(test, most) for most in sizes), strict=True)
    told(result, "compress", np.stack(files), test, "JPEG of equal bytes")
    for name, bytes in (("PCA", float(size)), ("JPEG", float(np.mean(lengths)))):
        result.baselines[name] = {"metric": "compressed bytes", "mean": bytes}
    shown = {"autoencoder": found[0], "PCA": linear, "JPEG": files[0], "true": test}
    strip(out / "figures" / "compress.png", shown)
    return params


def search(result: Result, out: Path, config: Config, digits: ImageData) -> PyTree:
    """Which images are alike: the labels of the nearest by code, and a map of two numbers."""
    x, y = np.asarray(digits.train.x), digits.train.y
    asked, answers = np.asarray(digits.test.x), digits.test.y
    flat, questions = x.reshape(len(x), -1), asked.reshape(len(asked), -1)
    every = []
    for latent, name in ((config.latent, "search"), (2, "map")):
        net = dense(x.shape[1:], latent, (128, 64))
        learner = autoencode.make(
            net, falling(config, LONGER), x, optax.squared_error, batch=4 * config.batch
        )
        params = trained(result, out, config, name, learner, LONGER)
        encode = jax.jit(jax.vmap(functools.partial(autoencode.encode, net), (0, None)))
        codes, theirs = np.asarray(encode(params, x)), np.asarray(encode(params, asked))
        pca = PCA(latent, random_state=0).fit(flat)
        linear, linear_asked = pca.transform(flat), pca.transform(questions)
        score = precision if name == "search" else neighbours
        metric = f"precision of {NEAREST} found" if name == "search" else "label by a map of two"
        values = [score(c, y, t, answers) for c, t in zip(codes, theirs, strict=True)]
        result.metrics[metric] = experiment.summary(values, "higher")
        mean = score(linear, y, linear_asked, answers)
        result.baselines[f"PCA, {metric}"] = {"metric": metric, "mean": mean}
        if name == "search":
            mean = score(flat, y, questions, answers)
            result.baselines[f"pixels, {metric}"] = {"metric": metric, "mean": mean}
        else:
            maps(out / "figures" / "map.png", theirs[0], linear_asked, answers)
        every.append(params)
    return every


def precision(known: np.ndarray, labels: np.ndarray, asked: np.ndarray, answers: np.ndarray):
    """The share of the `NEAREST` known codes that have the label of the one asked for."""
    near = KNeighborsClassifier(NEAREST).fit(known, labels).kneighbors(asked)[1]
    return float((labels[near] == answers[:, None]).mean())


def neighbours(known: np.ndarray, labels: np.ndarray, asked: np.ndarray, answers: np.ndarray):
    """The accuracy of the label of the nearest five."""
    return float(KNeighborsClassifier(5).fit(known, labels).score(asked, answers))


def strip(path: Path, images: dict[str, np.ndarray]) -> None:
    """The middle of each image, side by side."""
    figure, axes = figures.panels(len(images), size=(2.6, 2.7))
    for ax, (name, image) in zip(axes, images.items(), strict=True):
        h, w = (max(0, side // 2 - 48) for side in image.shape[:2])
        ax.imshow(image[h : h + 96, w : w + 96], interpolation="nearest")
        ax.set_title(name, fontsize=10)
        ax.set_axis_off()
    figures.save(figure, path)


def maps(path: Path, codes: np.ndarray, linear: np.ndarray, labels: np.ndarray) -> None:
    figure, axes = figures.panels(2, size=(4.2, 3.8))
    for ax, points, name in zip(axes, (codes, linear), ("autoencoder", "PCA"), strict=True):
        shown = ax.scatter(*points.T, c=labels, cmap="tab10", s=10, vmin=-0.5, vmax=9.5)
        ax.set_title(f"test digits by two numbers: {name}", fontsize=10)
    figure.colorbar(shown, ax=list(axes), ticks=range(10), label="digit")
    figures.save(figure, path)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
