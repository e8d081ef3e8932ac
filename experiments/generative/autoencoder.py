"""Autoencoders with codes of 2 to 64 units, linear, dense, convolutional and deep, beside PCA.

System S34 of the syllabus. All codes and seeds of a kind train in one program: a code of L units is
the first L of the widest. A linear autoencoder, on all of `--examples` at every step, must span the
subspace of their first principal components (Baldi and Hornik 1989). A deep network of sigmoids
trains from fresh layers, and, after `--pretrain` more steps of each layer, from layers trained one
after another (Bengio et al. 2007).

    python -m experiments.generative.autoencoder
    python -m experiments.generative.autoencoder --data mnist --preset standard
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Learner, Member, grid, sweep
from dljax.data import ImageData, load
from dljax.errors import InputError, unknown
from dljax.host import experiment
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import Fitted, Selection, fit
from dljax.learn import autoencode
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import Loss
from dljax.nets.coders import Autoencoder, convolutional, dense
from dljax.typing import Array, Key, Metrics, PyTree
from experiments.generative import _codes
from experiments.generative._codes import Narrow, scaled

NAME = "generative.autoencoder"
LOSSES = {  # and the pixels of the network's outputs
    "mse": (optax.squared_error, lambda outputs: outputs),
    "bce": (optax.sigmoid_binary_cross_entropy, jax.nn.sigmoid),
}
STRAIGHT = 1e-3  # radians: the largest angle between subspaces that are one


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Press images through codes of several sizes."""

    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    latents: tuple[int, ...] = (2, 5, 16, 64)
    """Units of the codes, rising."""
    loss: str = "mse"
    """What all but the linear one lower: mse, or bce, of every pixel."""
    hidden: tuple[int, ...] = (128,)
    """Widths of the dense layers between image and code."""
    channels: tuple[int, ...] = (16, 32)
    """Feature maps of each convolution."""
    deep: tuple[int, ...] = (64, 48, 32, 16)
    """Widths of the deep network's layers between image and code."""
    deep_latent: int = 5
    """Units of the deep network's code."""
    pretrain: int = 300
    """Steps of each layer that is trained by itself."""
    batch: int = 64
    """Examples in a step."""
    rate: float = 3e-3
    """The learning rate of Adam at its highest."""
    examples: int = 1000
    """Training images of the linear one and of its principal components."""
    linear_steps: int = 3000
    """Steps of the linear one."""


PRESETS = {
    "quick": Config(steps=1000),
    "standard": Config(
        steps=4000, hidden=(500,), channels=(32, 64), deep=(500, 250, 100, 50), batch=128, rate=1e-3
    ),
}


class Kind(NamedTuple):
    """A sort of autoencoder; it is made from one of its choices, such as the units of its code."""

    choices: list[int]
    mean: np.ndarray  # subtracted from the images, and added to the pixels
    net: Callable[[Array], Autoencoder]
    make: Callable[[Array], Learner]
    loss: Loss
    pixels: Callable[[Array], Array]
    steps: int


def check(config: Config) -> ImageData:
    if config.loss not in LOSSES:
        raise unknown("--loss", config.loss, LOSSES)
    if not config.latents or list(config.latents) != sorted(set(config.latents)):
        raise InputError(f"--latents must be some rising numbers; got {config.latents}")
    for flag in ("latents", "hidden", "channels", "deep"):
        for width in getattr(config, flag):
            require(f"--{flag}", width, at_least=1)
    for flag in ("deep_latent", "batch", "pretrain", "linear_steps", "examples"):
        require(f"--{flag.replace('_', '-')}", getattr(config, flag), at_least=1)
    require("--rate", config.rate, at_least=1e-9)
    data = load(config.data)
    if data.train.x.ndim != 4:
        raise InputError(f"--data must hold images; {config.data} is a table")
    for flag in ("batch", "examples"):
        require(f"--{flag}", getattr(config, flag), below=len(data.train.x) + 1)
    return data


def kinds(config: Config, data: ImageData) -> dict[str, Kind]:
    x, widest = data.train.x, config.latents[-1]
    shape, steps, units = x.shape[1:], config.steps or 1000, list(config.latents)
    tx = optimizer("adam", config.rate, steps=steps, schedule="warmup-cosine")
    loss, pixels = LOSSES[config.loss]

    def narrow(whole: Any, mean: np.ndarray, tx: Any, x: np.ndarray, batch: int, *ends):
        def net(units: Array) -> Narrow:
            return Narrow(whole.encoder, whole.decoder, units)

        def make(units: Array) -> Learner:
            return autoencode.make(net(units), tx, x, ends[0], batch=batch)

        return Kind(units, mean, net, make, *ends)

    deep = dense(shape, config.deep_latent, config.deep, activation=jax.nn.sigmoid)
    args = (deep, tx, x, loss)
    fresh = autoencode.make(*args, batch=config.batch)
    stacked = autoencode.stacked(*args, batch=config.batch, pretrain=config.pretrain)

    def in_turn(choice: Array) -> Learner:
        def init(key: Key) -> Any:
            state, other = fresh.init(key), stacked.init(key)
            pick = jax.tree.map(lambda a, b: jnp.where(choice, b, a), state.fit, other.fit)
            return state._replace(fit=pick)

        return Learner(init, fresh.step)

    some, straight = scaled(x[: config.examples]), config.linear_steps
    mean, none = some.mean(0), np.zeros(shape, np.float32)
    slow = optimizer("adam", 0.02, steps=straight, schedule="cosine")
    linear, small = dense(shape, widest, ()), dense(shape, widest, config.hidden)
    conv = convolutional(shape, widest, config.channels, config.hidden)
    return {
        # with a mean, its direction would outweigh all others, and descent crawl
        "linear": narrow(linear, mean, slow, some - mean, len(some), *LOSSES["mse"], straight),
        "dense": narrow(small, none, tx, x, config.batch, loss, pixels, steps),
        "conv": narrow(conv, none, tx, x, config.batch, loss, pixels, steps),
        "deep": Kind([0, 1], none, lambda _: deep, in_turn, loss, pixels, steps),
    }


def weights(member: Member) -> PyTree:
    return member.run.state.fit.params


def train(config: Config, name: str, kind: Kind, data: ImageData, out: Path) -> Fitted:
    """Every seed of every choice in one program; validation says which step is kept."""
    seeds = experiment.seeds(config)
    axes = grid(choice=jnp.array(kind.choices), seed=jnp.array(seeds))

    validation = scaled(data.validation.x) - kind.mean

    def evaluate(member: Member) -> Metrics:
        net = kind.net(member.hparams)
        return autoencode.evaluate(net, weights(member), validation, kind.loss)

    every = max(1, kind.steps // 20)
    return fit(
        sweep(kind.make, *axes.values()),
        jax.random.key(0),
        kind.steps,
        evaluate=jax.vmap(evaluate),
        every=every,
        select=Selection("validation/loss", weights, lowest=True),
        chunk=every,
        out=out / name,
        checkpoint_every=config.checkpoint_every or kind.steps,
        resume=config.resume,
        quiet=config.quiet,
        names=[f"{name} {choice}, seed {seed}" for choice in kind.choices for seed in seeds],
        shown=("train/loss", "validation/loss"),
    )


def main(config: Config) -> Result:
    begun = time.monotonic()
    experiment.check_common(config)
    data = check(config)
    trained = kinds(config, data)
    out = experiment.open_folder(NAME, config)
    fits = {name: train(config, name, kind, data, out) for name, kind in trained.items()}
    result = Result(NAME, ["S34"], dataclasses.asdict(config), experiment.seeds(config))
    for fitted in fits.values():
        result.add(fitted.seconds)
    test = scaled(data.test.x)
    kept = {name: fitted.kept for name, fitted in fits.items()}
    # where descent ends: the least validation loss may come before it has converged
    kept["linear"] = jax.vmap(weights)(fits["linear"].run.state)
    passed = {k: _codes.passed(trained[k], kept[k], test, config.seeds) for k in trained}
    angles = _codes.angles(kept["linear"], data.train.x[: config.examples], config.latents)
    plain = _codes.principal(data, config.latents)
    for units, images in plain.items():
        error = float(np.mean((images - test) ** 2))
        result.baselines[f"PCA, {units} units"] = {"metric": "test error", "mean": error}
    report(config, result, {name: each.errors for name, each in passed.items()}, angles)
    _codes.draw(out / "figures", data, fits["deep"], passed, plain, result)
    return experiment.finish(result, out, {k: fitted.run for k, fitted in fits.items()}, begun)


def report(
    config: Config,
    result: Result,
    errors: dict[str, np.ndarray],
    angles: dict[int, np.ndarray],
) -> None:
    """Into `result`: errors [choices, seeds], mean squares of pixels, and angles [seeds]."""
    for units, values in angles.items():
        name = f"angle to PCA, {units} units"
        result.metrics[name] = experiment.summary(values, "lower")
        met = len(values) >= 5 and max(result.metrics[name]["values"]) <= STRAIGHT
        result.targets[name] = {"value": STRAIGHT, "source": "our goal, every seed", "met": met}
    for kind in ("dense", "conv"):
        for units, gain in zip(config.latents[1:], -np.diff(errors[kind], axis=0), strict=True):
            name = f"gain of {kind}, {units} units"
            found = result.metrics[name] = experiment.summary(gain, "higher")
            said = "two standard errors of the gain over the next smaller code"
            result.targets[name] = experiment.gain_target(found, said, seeds=5, digits=None)
    for kind in ("linear", "dense", "conv"):
        for units, values in zip(config.latents, errors[kind], strict=True):
            name = f"test error of {kind}, {units} units"
            result.metrics[name] = experiment.summary(values, "lower")
    for way, values in zip(_codes.WAYS, errors["deep"], strict=True):
        result.metrics[f"test error of deep, {way}"] = experiment.summary(values, "lower")


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
