"""A variational autoencoder learns the density of digits, in nats, with its prior and without.

Systems S33 and S36 to S38 of the syllabus: Kingma and Welling 2014; log p(x) by importance weights,
and active units, by Burda et al. 2016. Pixels are bits: drawn anew for every batch with the grey
level as their chance, and once, by a fixed key, for the validation and the test set (`--pixels
stochastic`, Salakhutdinov and Murray 2008); `threshold` makes a bit of 0.5 and above, and `grey`
keeps the levels, whose cross-entropy is no log-probability. Beside it stand mixtures of Bernoullis
on the same bits. The same network also trains without the rate (S37): then its posteriors narrow,
its means scatter, and the prior's samples fall between them.

    python -m experiments.generative.vae  # 55 s on 2 cores
    python -m experiments.generative.vae --data mnist --preset standard
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import MinLen

from dljax import Learner, Member, sweep
from dljax.data import ImageData
from dljax.data.stream import unit_scale
from dljax.host import experiment
from dljax.host.config import Common, Count, NotNegative, Number, Positive, Widths, require
from dljax.host.experiment import Study
from dljax.host.fit import Fitted, Selection, Watch
from dljax.host.function import reads
from dljax.host.result import Result
from dljax.learn import vae
from dljax.learn.optimizers import Schedule, optimizer
from dljax.learn.risk import params_of
from dljax.nets.coders import Variational, convolutional, dense
from dljax.typing import Array, Metrics
from experiments.generative import _density, _latents, _model
from experiments.generative._images import pictures

NAME = "generative.vae"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Learn the density of images, and measure what its rate is good for."""

    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    pixels: Literal["stochastic", "threshold", "grey"] = "stochastic"
    """What a pixel is: a bit drawn by its level, a bit by threshold, or a grey level."""
    net: Literal["dense", "conv"] = "dense"
    """The network."""
    latent: Count = 8
    """Units of the code."""
    hidden: Widths = (200,)
    """Widths of the dense layers between image and code."""
    channels: Widths = (32, 64)
    """Feature maps of each convolution of the conv encoder."""
    beta: Positive = 1.0
    """Weight of the rate; beside it, the same network is trained with a weight of 0."""
    free_bits: NotNegative = 0.0
    """Nats of each unit that cost nothing more."""
    warmup: Number = 0
    """Steps in which the rate's weight rises from 0."""
    epochs: Count = 150
    """Passes over the training data, where --steps is not given."""
    batch: Count = 64
    """Examples in a step."""
    rate: Positive = 2e-3
    """The learning rate of Adam at its highest."""
    schedule: Schedule = "warmup-cosine"
    """How the rate changes over the steps."""
    samples: Count = 1000
    """Samples of the code for each test image's log p(x)."""
    components: Annotated[Widths, MinLen(1)] = (10, 30, 100)
    """Sizes of the mixtures of Bernoullis to choose the baseline from."""


PRESETS = {
    "quick": Config(),
    "standard": Config(
        latent=20, hidden=(500,), epochs=10, batch=128, samples=100, components=(10, 100, 500)
    ),
}
KINDS = ("with the rate", "without the rate")
GOAL = (104.0, "our goal for MNIST, in 10 epochs of 784-500-20-500-784")


def main(config: Config) -> Result:
    with Study(NAME, ["S33", "S36", "S37", "S38"], config) as run:
        data = pictures(config.data, config.batch)
        require("--components", max(config.components), below=len(data.train.x) + 1)
        net = network(config, data)
        fitted = train(run, config, net, data)
        test = np.asarray(pixels(config, 3, data.test.x))
        tested = run.each(
            lambda params: _latents.measured(net, params, test, config.samples),
            fitted.kept,
            at_once=1,  # of each, a hundred samples for every image
        )
        networks = {
            kind: jax.tree.map(lambda leaf, i=i: jnp.split(leaf, 2)[i], (fitted.kept, tested))
            for i, kind in enumerate(KINDS)
        }
        mixture, plain = baseline(run, config, data, test)
        goal = GOAL if data.name == "mnist" and config.pixels == "stochastic" else plain
        if config.pixels == "grey":  # a cross-entropy, no log-probability
            goal = None
        _latents.report(run, networks, mixture, plain[0], goal)
        seen = _model.bits if config.pixels == "threshold" else _model.levels
        told = _model.variational(net, config.latent, reads(data), vae.BERNOULLI, seen)
        run.model(networks[KINDS[0]][0], told)
        _latents.draw(run, net, fitted, data, test, networks)
    return run.result


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


def train(run: Study, config: Config, net: Variational, data: ImageData) -> Fitted:
    """Every seed with the rate, then every seed without."""
    drawn = config.pixels == "stochastic"
    x = data.train.x if drawn else np.asarray(pixels(config, 0, data.train.x))
    validation = pixels(config, 1, data.validation.x)
    per_epoch = len(x) // config.batch
    steps = config.steps or config.epochs * per_epoch
    tx = optimizer("adam", config.rate, steps=steps, schedule=config.schedule)

    def make(beta: Array) -> Learner:
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
        params, key = params_of(member), jax.random.key(2)
        found = vae.evaluate(net, params, vae.BERNOULLI, key, validation)
        objective = found["validation/distortion"] + member.hparams * found["validation/rate"]
        return found | {"validation/objective": objective}

    # in the order of KINDS, so that halves of the stack are the kinds
    betas = jnp.repeat(jnp.array([config.beta, 0.0]), config.seeds)
    return run.fit(
        sweep(make, betas, jnp.array(run.seeds * 2)),
        steps,
        Watch(
            evaluate,
            min(steps, max(per_epoch, steps // 20)),
            Selection("validation/objective", params_of, lowest=True),
        ),
        names=run.named(KINDS),
        shown=("train/loss", "validation/negative_elbo"),
        chunk=50,
    )


def baseline(
    run: Study, config: Config, data: ImageData, test: np.ndarray
) -> tuple[_density.Mixture, tuple[float, str]]:
    """Beside independent pixels, the mixture that validation chooses; its test nats and name."""
    times = max(1, 10_000 // len(data.train.x))  # few images give several draws of their bits
    x = pixels(config, 0, np.concatenate([data.train.x] * times))
    validation = pixels(config, 1, data.validation.x)
    found = _density.best(jax.random.key(5), x, validation, config.components)
    name, nats = "", 0.0
    for k, mixture in found.items():
        name = "independent pixels" if k == 1 else f"mixture of {k} Bernoullis"
        nats = float(_density.nats(mixture, jnp.asarray(test)))
        run.baseline(name, "test negative log p(x)", nats)
    return list(found.values())[-1], (nats, name)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
