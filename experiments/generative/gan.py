"""A generator and a discriminator play, on a ring of 8 Gaussians or on images of digits.

Systems S42 and S43 of the syllabus: Goodfellow et al. 2014; the ring of Metz et al. 2017; R1 by
Mescheder et al. 2018. The recommended setting (non-saturating, R1, Adam with short memories) trains
beside the plain one (minimax, no penalty, Adam's default memories), in one program and at one rate,
and the running average of either generator is what is sampled. Images are judged by a classifier of
the package's own: the Frechet distance is between its features, and so is not the usual FID.

    python -m experiments.generative.gan
    python -m experiments.generative.gan --settings recommended minimax unpenalised slow plain
    python -m experiments.generative.gan --preset standard
    python -m experiments.generative.gan --preset full

On the ring the recommended setting covers all 8 modes, with 90 % of its samples within three
standard deviations, for at least 8 of 10 seeds; the plain one collapses (1 minute on 2 cores).
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Batch, Learner, grid, sweep
from dljax.data import ImageData, gaussians, load
from dljax.data.gaussians import Ring
from dljax.data.stream import epochs
from dljax.errors import InputError, unknown
from dljax.host import experiment
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import Fitted, fit
from dljax.learn import gan
from dljax.nets.adversarial import Discriminator, Generator
from experiments.generative import _images, _ring

NAME = "generative.gan"
STAGES = 8  # at which samples are kept, for the figures


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a GAN under one or more settings, and look for the modes that it misses."""

    seeds: int = 10
    """Independent runs of each setting, in one compiled program."""
    steps: int = 5000
    """Steps of the generator."""
    data: str = "ring"
    """ring, digits, mnist, fashion_mnist, or the path of an .npz file with images x and y."""
    settings: tuple[str, ...] = ("recommended", "plain")
    """Those to compare: recommended, minimax, unpenalised, slow, plain."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the dense layers of either network."""
    channels: tuple[int, ...] = ()
    """For images: feature maps of the discriminator's convolutions; the generator's in reverse."""
    spectral: bool = False
    """Divide the discriminator's kernels by their spectral norms."""
    latent: int = 8
    """Dimensions of the generator's input."""
    batch: int = 128
    """Real examples, and samples, in a step."""
    rounds: int = 1
    """Steps of the discriminator for each of the generator."""
    rate: float = 5e-3
    """The learning rate of both Adams; it falls to 0 over the second half."""
    penalty: float = 0.1
    """The weight of R1 where a setting has it."""
    average: float = 0.99
    """The decay of the generator's running average, which is what is sampled."""


PRESETS = {
    "quick": Config(),
    "standard": Config(
        steps=4000,
        seeds=5,
        data="digits",
        hidden=(256, 256),
        latent=32,
        batch=64,
        rate=2e-3,
        penalty=1.0,
    ),
    "full": Config(
        steps=12000,
        seeds=3,
        data="mnist",
        settings=("recommended",),
        hidden=(),
        channels=(32, 64),
        latent=64,
        batch=64,
        rate=1e-3,
        penalty=1.0,
    ),
}


class Setting(NamedTuple):
    """What is compared: the generator's goal, whether R1 is on, and Adam's two memories."""

    saturating: float  # 1 is minimax, 0 is not saturating
    penalised: float
    b1: float
    b2: float


SETTINGS = {
    "recommended": Setting(0, 1, 0.5, 0.9),
    "minimax": Setting(1, 1, 0.5, 0.9),
    "unpenalised": Setting(0, 0, 0.5, 0.9),
    "slow": Setting(0, 1, 0.9, 0.999),
    "plain": Setting(1, 0, 0.9, 0.999),
}


def check(config: Config) -> None:
    experiment.check_common(config)
    for name in config.settings:
        if name not in SETTINGS:
            raise unknown("--settings", name, SETTINGS)
    if not 0 < len(set(config.settings)) == len(config.settings):
        raise InputError(f"--settings must name at least one, each once; got {config.settings}")
    for flag in ("latent", "batch", "rounds"):
        require(f"--{flag}", getattr(config, flag), at_least=1)
    for width in (*config.hidden, *config.channels):
        require("--hidden and --channels", width, at_least=1)
    require("--rate", config.rate, at_least=1e-9)
    require("--penalty", config.penalty, at_least=0)
    require("--average", config.average, at_least=0, below=1)


def network(config: Config, shape: tuple[int, ...]) -> gan.GAN:
    """Both networks for samples of a shape: (2,) of the ring, [h, w, c] of images."""
    judge = Discriminator(config.hidden, config.channels, config.spectral)
    back = config.hidden[::-1], config.channels[::-1]
    if len(shape) != 3:
        if config.channels:
            raise InputError("--channels needs images; give none for points or a table")
        return gan.GAN(Generator(shape, *back), judge, config.latent)
    if (side := min(shape[:2])) >> len(config.channels) == 0:
        raise InputError(f"--channels must halve {side} pixels fewer times; got {config.channels}")
    return gan.GAN(Generator(shape, *back, jax.nn.sigmoid), judge, config.latent)


def make(config: Config, net: gan.GAN, data: Batch | None, setting: Setting) -> Learner:
    """The learner of one setting, whose fields may be a sweep's arrays; without data, the ring."""

    def rate(step):
        return -config.rate * jnp.clip(2 - 2 * step / config.steps, 0, 1)

    tx = optax.chain(optax.scale_by_adam(setting.b1, setting.b2), optax.scale_by_schedule(rate))

    def goal(logits):
        share = setting.saturating
        return share * gan.minimax(logits) + (1 - share) * gan.non_saturating(logits)

    stream = gaussians.fresh(Ring(), config.batch) if data is None else epochs(data, config.batch)
    penalty = gan.r1(config.penalty * setting.penalised)
    options = {"goal": goal, "penalty": penalty, "rounds": config.rounds}
    return gan.make(net, tx, tx, stream, **options, average=config.average)


def train(
    config: Config, net: gan.GAN, data: Batch | None, out: Path, n: int
) -> tuple[Fitted, dict[int, np.ndarray]]:
    """Members run over setting x seed; n samples of each by stage, in files, for a resumed run."""
    axes = grid(setting=jnp.arange(len(config.settings)), seed=jnp.array(experiment.seeds(config)))
    table = Setting(*np.array([SETTINGS[name] for name in config.settings], np.float32).T)
    hparams = jax.tree.map(lambda leaf: jnp.asarray(leaf)[axes["setting"]], table)
    learner = sweep(lambda setting: make(config, net, data, setting), hparams, axes["seed"])

    @jax.jit
    def sample(members):
        generators = members.run.state.generator
        return jax.vmap(lambda g: gan.sample(net, gan.best(g), jax.random.key(1), n))(generators)

    (out / "samples").mkdir(exist_ok=True)
    apart = max(1, config.steps // STAGES)
    apart -= apart % 50 if apart > 50 else 0
    stages = [*range(apart, config.steps - apart + 1, apart), config.steps]
    # one length for nearly all chunks, since each length is a compilation
    chunk = max(n for n in range(1, min(250, apart) + 1) if apart % n == 0)
    resume, compiling, kept, fitted = config.resume, 0.0, {}, None
    for stage in stages:
        path = out / "samples" / f"{stage}.npy"
        if stage == config.steps or not path.exists():
            fitted = fit(
                learner,
                jax.random.key(0),
                stage,
                chunk=chunk,
                out=out,
                checkpoint_every=config.checkpoint_every,
                resume=resume,
                quiet=config.quiet,
                shown=("train/value",),
            )
            np.save(part := path.with_suffix(".part.npy"), np.asarray(sample(fitted.run.state)))
            part.replace(path)  # whole or not at all
            resume, compiling = True, compiling + fitted.seconds["compile"]
        drawn = np.load(path)
        kept[stage] = drawn.reshape(len(config.settings), config.seeds, *drawn.shape[1:])
    assert fitted is not None
    return fitted._replace(seconds=fitted.seconds | {"compile": compiling}), kept


def main(config: Config) -> Result:
    begun = time.monotonic()
    check(config)
    data: ImageData | None = None if config.data == "ring" else load(config.data)
    if data is not None:
        if data.train.x.ndim != 4:
            raise InputError(f"--data needs images; {config.data} is a table")
        require("--batch", config.batch, below=len(data.train.y) + 1)
    net = network(config, (2,) if data is None else data.train.x.shape[1:])
    out = experiment.open_folder(NAME, config)
    # as many as of each real set: the Frechet distance falls with the number of images
    sets = () if data is None else (data.test, data.validation)
    count = min([_images.SAMPLES, *(len(each.y) for each in sets)]) if sets else _ring.SAMPLES
    fitted, kept = train(config, net, data and data.train, out, count)
    result = Result(NAME, ["S42", "S43"], dataclasses.asdict(config), experiment.seeds(config))
    result.seconds |= fitted.seconds
    equilibrium(result, config, fitted)
    if data is None:
        _ring.report(result, config.settings, kept)
        _ring.draw(out / "figures" / "ring.png", config.settings, kept)
    else:
        _images.report(result, config.settings, data, kept)
        _images.draw(out / "figures", config.settings, data, kept)
        first = jax.tree.map(lambda leaf: leaf[0], fitted.run.state.run.state.generator)
        _images.arcs(out / "figures" / "interpolation.png", net, gan.best(first))
    return experiment.finish(result, out, fitted.run, begun)


def equilibrium(result: Result, config: Config, fitted: Fitted) -> None:
    """The value and the chances over the last records, to stand beside -log 4 and 1/2."""
    last = fitted.records[-max(1, len(fitted.records) // 20) :]
    for metric, name in (("value", "V + log 4"), ("real", "D of data"), ("fake", "D of samples")):
        values = np.mean([record[f"train/{metric}"] for record in last], 0)
        values = values.reshape(-1, config.seeds) + (np.log(4) if metric == "value" else 0)
        for setting, row in zip(config.settings, values, strict=True):
            result.metrics[f"{name}, {setting}"] = experiment.summary(row, "lower")


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
