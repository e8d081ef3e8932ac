"""A variational autoencoder learns the density of digits, in nats, with its prior and without.

Systems S33 and S36 to S38 of the syllabus: Kingma and Welling 2014; log p(x) by importance weights,
and active units, by Burda et al. 2016. Pixels are bits: drawn anew for every batch with the grey
level as their chance, and once, by a fixed key, for the validation and the test set (`--pixels
stochastic`, Salakhutdinov and Murray 2008); `threshold` makes a bit of 0.5 and above, and `grey`
keeps the levels, whose cross-entropy is no log-probability. Beside it stand mixtures of Bernoullis
on the same bits. The same network also trains without the rate (S37): then its posteriors narrow,
its means scatter, and the prior's samples fall between them.

    python -m experiments.generative.vae
    python -m experiments.generative.vae --data mnist --preset standard
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Learner, Member, sweep
from dljax.data import ImageData, load
from dljax.data.stream import unit_scale
from dljax.errors import InputError, unknown
from dljax.host import experiment
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import Fitted, Selection, fit
from dljax.learn import vae
from dljax.learn.optimizers import SCHEDULES, optimizer
from dljax.nets.coders import Variational, convolutional, dense
from dljax.typing import Array, Metrics, PyTree
from experiments.generative import _density, _latents

NAME = "generative.vae"
PIXELS = ("stochastic", "threshold", "grey")


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Learn the density of images, and measure what its rate is good for."""

    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    pixels: str = "stochastic"
    """What a pixel is: stochastic bits, bits by threshold, or grey levels."""
    net: str = "dense"
    """dense or conv."""
    latent: int = 8
    """Units of the code."""
    hidden: tuple[int, ...] = (200,)
    """Widths of the dense layers between image and code."""
    channels: tuple[int, ...] = (32, 64)
    """Feature maps of each convolution of the conv encoder."""
    beta: float = 1.0
    """Weight of the rate; beside it, the same network is trained with a weight of 0."""
    free_bits: float = 0.0
    """Nats of each unit that cost nothing more."""
    warmup: int = 0
    """Steps in which the rate's weight rises from 0."""
    epochs: int = 150
    """Passes over the training data, where --steps is not given."""
    batch: int = 64
    """Examples in a step."""
    rate: float = 2e-3
    """The learning rate of Adam at its highest."""
    schedule: str = "warmup-cosine"
    """constant, linear, cosine or warmup-cosine."""
    samples: int = 1000
    """Samples of the code for each test image's log p(x)."""
    components: tuple[int, ...] = (10, 30, 100)
    """Sizes of the mixtures of Bernoullis to choose the baseline from."""


PRESETS = {
    "quick": Config(),
    "standard": Config(
        latent=20,
        hidden=(500,),
        epochs=10,
        batch=128,
        samples=100,
        components=(10, 100, 500),
    ),
}
KINDS = ("with the rate", "without the rate")
GOAL = (104.0, "our goal for MNIST, in 10 epochs of 784-500-20-500-784")


def check(config: Config) -> ImageData:
    for flag, known in (("pixels", PIXELS), ("net", ("dense", "conv")), ("schedule", SCHEDULES)):
        if getattr(config, flag) not in known:
            raise unknown(f"--{flag}", getattr(config, flag), known)
    for flag in ("epochs", "batch", "samples", "latent"):
        require(f"--{flag}", getattr(config, flag), at_least=1)
    for flag in ("free_bits", "warmup"):
        require(f"--{flag.replace('_', '-')}", getattr(config, flag), at_least=0)
    require("--beta", config.beta, at_least=1e-9)  # the weight of 0 is trained anyhow
    require("--rate", config.rate, at_least=1e-9)
    require("the count of --components", len(config.components), at_least=1)
    for width in (*config.hidden, *config.channels, *config.components):
        require("--hidden, --channels and --components", width, at_least=1)
    data = load(config.data)
    n = len(data.train.x)
    if data.train.x.ndim != 4:
        raise InputError(f"--data must hold images; {config.data} is a table")
    require("--batch", config.batch, below=n + 1)
    require("--components", max(config.components), below=n + 1)
    return data


def network(config: Config, data: ImageData) -> Variational:
    shape = data.train.x.shape[1:]
    if config.net == "dense":
        return dense(shape, config.latent, config.hidden, variational=True)
    return convolutional(shape, config.latent, config.channels, config.hidden, variational=True)


def pixels(config: Config, number: int, x: np.ndarray) -> Array:
    """Images as the network sees them; the bits that are drawn are the same in every run."""
    levels = unit_scale(jnp.asarray(x))
    if config.pixels == "grey":
        return levels
    if config.pixels == "threshold":
        return (levels >= 0.5).astype(jnp.float32)
    return vae.binarise(jax.random.key(number), levels)


def weights(member: Member) -> PyTree:
    return member.run.state.fit.params


def train(config: Config, net: Variational, data: ImageData, out: Path) -> Fitted:
    """Every seed with the rate, then every seed without."""
    drawn = config.pixels == "stochastic"
    x = data.train.x if drawn else np.asarray(pixels(config, 0, data.train.x))
    validation = pixels(config, 1, data.validation.x)
    per_epoch = len(x) // config.batch
    steps = config.steps or config.epochs * per_epoch
    every = min(steps, max(per_epoch, steps // 20))

    def make(beta: Array) -> Learner:
        tx = optimizer("adam", config.rate, steps=steps, schedule=config.schedule)
        return vae.make(
            net,
            tx,
            x,
            batch=config.batch,
            beta=beta,
            free_bits=config.free_bits,
            warmup=config.warmup,
            augment=vae.binarise if drawn else None,
        )

    def evaluate(member: Member) -> Metrics:
        params, key = weights(member), jax.random.key(2)
        found = vae.evaluate(net, params, vae.BERNOULLI, key, validation)
        objective = found["validation/distortion"] + member.hparams * found["validation/rate"]
        return found | {"validation/objective": objective}

    seeds = experiment.seeds(config)
    return fit(
        sweep(make, jnp.repeat(jnp.array([config.beta, 0.0]), len(seeds)), jnp.array(seeds * 2)),
        jax.random.key(0),
        steps,
        evaluate=jax.vmap(evaluate),
        every=every,
        select=Selection("validation/objective", weights, lowest=True),
        chunk=50,
        out=out,
        checkpoint_every=config.checkpoint_every,
        resume=config.resume,
        quiet=config.quiet,
        names=[f"seed {seed} {kind}" for kind in KINDS for seed in seeds],
        shown=("train/loss", "validation/negative_elbo"),
    )


def main(config: Config) -> Result:
    begun = time.monotonic()
    experiment.check_common(config)
    data = check(config)
    net = network(config, data)
    out = experiment.open_folder(NAME, config)
    fitted = train(config, net, data, out)
    systems = ["S33", "S36", "S37", "S38"]
    result = Result(NAME, systems, dataclasses.asdict(config), experiment.seeds(config))
    result.seconds |= fitted.seconds
    test = np.asarray(pixels(config, 3, data.test.x))
    halves = zip(KINDS, (slice(config.seeds), slice(config.seeds, None)), strict=True)
    kept = {kind: jax.tree.map(lambda leaf, h=half: leaf[h], fitted.kept) for kind, half in halves}
    tested = {k: _latents.measured(net, kept[k], test, config.samples) for k in KINDS}
    report(config, data, result, tested, baseline(config, data, test, result))
    networks = {kind: (kept[kind], tested[kind]) for kind in KINDS}
    _latents.draw(out / "figures", net, fitted, data, test, networks)
    return experiment.finish(result, out, fitted.run, begun)


def baseline(config: Config, data: ImageData, test: np.ndarray, result: Result) -> _density.Mixture:
    """Independent pixels, and the mixture that validation chooses, in nats of the test images."""
    times = max(1, 10_000 // len(data.train.x))  # few images give several draws of their bits
    x = pixels(config, 0, np.concatenate([data.train.x] * times))
    validation = pixels(config, 1, data.validation.x)
    found = _density.best(jax.random.key(5), x, validation, config.components)
    for k, mixture in found.items():
        name = "independent pixels" if k == 1 else f"mixture of {k} Bernoullis"
        nats = float(_density.nats(mixture, jnp.asarray(test)))
        result.baselines[name] = {"metric": "test negative log p(x)", "mean": nats}
    return list(found.values())[-1]


def report(
    config: Config,
    data: ImageData,
    result: Result,
    tested: dict[str, _latents.Tested],
    mixture: _density.Mixture,
) -> None:
    def note(name: str, values: Array, better: str = "lower") -> dict[str, Any]:
        result.metrics[name] = experiment.summary(values, better)
        return result.metrics[name]

    judge = jax.vmap(lambda x: _density.nats(mixture, x))
    name, plain = list(result.baselines.items())[-1]
    for each, end in zip(tested.values(), ("", f", {KINDS[1]}"), strict=True):
        note(f"test negative ELBO{end}", each.bound["test/negative_elbo"])
        note(f"test negative log p(x){end}", -each.log_likelihood)
        note(f"test distortion{end}", each.bound["test/distortion"])
        note(f"test rate{end}", each.bound["test/rate"])
        note(f"active units{end}", each.bound["test/active_units"], "higher")
        note(f"posterior deviation{end}", jnp.exp(each.posterior.log_var / 2).mean((1, 2)))
        note(f"spread of means{end}", jnp.sqrt((each.posterior.mean**2).mean((1, 2))))
        off = jnp.abs(judge(each.samples) - plain["mean"])
        note(f"samples by the mixture, off the test bits'{end}", off)
    silent = config.latent - result.metrics["active units"]["mean"]
    if silent > 0:
        print(f"posterior collapse: {silent:g} of {config.latent} units say nothing of the image")
    if config.pixels == "grey":  # a cross-entropy, no log-probability
        return
    goal, source = plain["mean"], name
    if data.name == "mnist" and config.pixels == "stochastic":
        goal, source = GOAL
    result.targets["test negative ELBO"] = experiment.target(
        result.metrics["test negative ELBO"], goal, source
    )


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
