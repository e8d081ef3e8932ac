"""A variational autoencoder learns the density of digits, in nats, with its prior and without.

Systems S33 and S36 to S38 of the syllabus: Kingma and Welling 2014; log p(x) by importance weights,
and active units, by Burda et al. 2016. Pixels are bits: drawn anew for every batch with the grey
level as their chance, and once, by a fixed key, for the validation and the test set (`--pixels
stochastic`, Salakhutdinov and Murray 2008); `threshold` makes a bit of 0.5 and above, and `grey`
keeps the levels, whose cross-entropy is no log-probability. Beside it stand mixtures of Bernoullis
on the same bits. The same network also trains without the rate (S37): then its posteriors narrow,
and its means scatter. Of both, measured: how images change along lines between codes (continuity),
and how many samples of the prior a classifier takes for digits (completeness).

    python -m experiments.generative.vae --preset standard  # digits, 5 min
    python -m experiments.generative.vae --preset full  # MNIST, 81 min on 2 cores (60 asked)
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import MinLen

from dljax import Learner, Member, sweep
from dljax.data import ImageData
from dljax.host import experiment
from dljax.host.config import (
    Common,
    Count,
    NotNegative,
    Number,
    Positive,
    ShareBelow1,
    Widths,
    require,
)
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
from experiments.generative._density import pixels
from experiments.generative._images import pictures

NAME = "generative.vae"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Learn the density of images, and measure what its rate is good for."""

    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    pixels: Literal["stochastic", "threshold", "grey"] = "stochastic"
    """What a pixel is: a bit drawn by its level, a bit by threshold, or a grey level."""
    net: Literal["dense", "conv"] = "conv"
    """The network."""
    latent: Count = 8
    """Units of the code."""
    hidden: Widths = (128,)
    """Widths of the dense layers between image and code."""
    channels: Widths = (16, 32)
    """Feature maps of each convolution of the conv encoder."""
    blocks: Number = 0
    """Residual blocks at each of its resolutions."""
    dropout: ShareBelow1 = 0.0
    """Share of hidden dense units that are dropped in training."""
    beta: Positive = 1.0
    """Weight of the rate; beside it, the same network is trained with a weight of 0."""
    contrasts: Count = 3
    """Of the seeds, at most so many are trained with that weight of 0 too."""
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
    weight_decay: NotNegative = 0.0
    """Decoupled decay of matrices and kernels."""
    samples: Count = 1000
    """Samples of the code for each test image's log p(x)."""
    components: Annotated[Widths, MinLen(1)] = (10, 30, 100)
    """Sizes of the mixtures of Bernoullis to choose the baseline from."""


PRESETS = {
    "quick": Config(),
    "standard": Config(latent=12, channels=(32, 64), blocks=1, dropout=0.1, epochs=250),
    "full": Config(
        data="mnist",
        latent=32,
        hidden=(256,),
        contrasts=1,  # six networks, three a core
        epochs=60,
        batch=128,
        samples=100,
        components=(10, 100, 500),
    ),
}
KINDS = ("with the rate", "without the rate")
GOALS = {"digits": (22.5, "issue"), "mnist": (92.0, "issue: of 100 samples")}


def main(config: Config) -> Result:
    with Study(NAME, ["S33", "S36", "S37", "S38"], config) as run:
        data = pictures(config.data, config.batch)
        require("--components", max(config.components), below=len(data.train.x) + 1)
        net = network(config, data)
        fitted = train(run, config, net, data)
        test = np.asarray(pixels(config.pixels, 3, data.test.x))
        tested = run.each(
            lambda params: _latents.measured(net, params, test, config.samples),
            fitted.kept,
            at_once=1,  # of each, a hundred samples for every image
        )
        both = (fitted.kept, tested)
        networks = {
            kind: jax.tree.map(lambda leaf, i=i: jnp.split(leaf, [config.seeds])[i], both)
            for i, kind in enumerate(KINDS)
        }
        times = max(1, 10_000 // len(data.train.x))  # few images give several draws of their bits
        many = pixels(config.pixels, 0, np.concatenate([data.train.x] * times))
        sets = many, pixels(config.pixels, 1, data.validation.x), jnp.asarray(test)
        mixture, plain = _density.beside(run, *sets, config.components)
        goal = GOALS.get(data.name, plain) if config.pixels == "stochastic" else plain
        goal = None if config.pixels == "grey" else goal  # its cross-entropy is no log-probability
        _latents.report(run, networks, data, mixture, plain[0], goal)
        seen = _model.bits if config.pixels == "threshold" else _model.levels
        told = _model.variational(net, config.latent, reads(data), vae.BERNOULLI, seen)
        run.model(networks[KINDS[0]][0], told)
        _latents.draw(run, net, fitted, data, test, networks)
    return run.result


def network(config: Config, data: ImageData) -> Variational:
    shape = data.train.x.shape[1:]
    common: dict[str, Any] = {"variational": True, "dropout": config.dropout}
    if config.net == "dense":
        return dense(shape, config.latent, config.hidden, **common)
    # ELU: of few values after each layer, ReLU loses half (see `autoencoder`)
    common |= {"blocks": config.blocks, "activation": jax.nn.elu}
    return convolutional(shape, config.latent, config.channels, config.hidden, **common)


def train(run: Study, config: Config, net: Variational, data: ImageData) -> Fitted:
    """Every seed with the rate, then the first seeds without."""
    drawn, kind = config.pixels == "stochastic", config.pixels
    x = data.train.x if drawn else np.asarray(pixels(kind, 0, data.train.x))
    validation = pixels(kind, 1, data.validation.x)
    per_epoch = len(x) // config.batch
    steps = config.steps or config.epochs * per_epoch
    how = {"schedule": config.schedule, "weight_decay": config.weight_decay}
    tx = optimizer("adam", config.rate, steps=steps, **how)

    def make(beta: Array) -> Learner:
        return vae.make(
            *(net, tx, x),
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

    given = [(KINDS[0], config.beta, seed) for seed in run.seeds]
    given += [(KINDS[1], 0.0, seed) for seed in run.seeds[: config.contrasts]]
    _, betas, seeds = zip(*given, strict=True)
    return run.fit(
        sweep(make, jnp.array(betas, jnp.float32), jnp.array(seeds)),
        steps,
        Watch(
            evaluate,
            min(steps, max(per_epoch, steps // 20)),
            Selection("validation/objective", params_of, lowest=True),
        ),
        names=[f"{kind}, seed {seed}" for kind, _, seed in given],
        shown=("train/loss", "validation/negative_elbo"),
        chunk=50,
    )


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
