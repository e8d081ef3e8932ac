"""Autoencoders with codes of 2 to 64 units, linear, dense, convolutional and deep, beside PCA.

System S34 of the syllabus. All codes and seeds of a kind train in one program: a code of L units is
the first L of the widest. A linear autoencoder, on all of `--examples` at every step, must span the
subspace of their first principal components (Baldi and Hornik 1989). The dense one is also trained
by the cross-entropy of pixels, and both are measured by both. A deep network of sigmoids trains
from fresh layers, and, after `--pretrain` more steps of each layer, from layers trained one after
another (Bengio et al. 2007).

On test images of MNIST, mean squares with 64 units: PCA .0090, dense .0080, dense but trained by
cross-entropy .0034, convolutional .0036; on digits, of 64 pixels, PCA loses nothing, dense .0008,
convolutional .0013. MNIST's deep one, of 5 units, has .0476 from fresh layers, .0427 from layers
trained in turn (PCA .0445, dense .0272). The linear one misses the subspace of 64 components of its
images by .30 radians, perhaps as the variance of the 65th is only 1.2 % less than the 64th's.

    python -m experiments.generative.autoencoder  # 78 s on 2 cores
    python -m experiments.generative.autoencoder --data mnist --preset standard  # 63 min
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import MinLen

from dljax import Learner, Member, grid, sweep
from dljax.data import ImageData
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive, Widths, require
from dljax.host.experiment import Study
from dljax.host.fit import Fitted, Selection, Watch
from dljax.host.function import reads
from dljax.host.result import Result
from dljax.learn import autoencode
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import Loss, params_of
from dljax.nets.coders import Autoencoder, convolutional, dense
from dljax.typing import Array, Key, Metrics
from experiments.generative import _codes, _model
from experiments.generative._codes import Narrow, scaled
from experiments.generative._images import pictures

NAME = "generative.autoencoder"
LOSSES = {  # and the pixels of the network's outputs
    "mse": (optax.squared_error, lambda outputs: outputs),
    "bce": (optax.sigmoid_binary_cross_entropy, jax.nn.sigmoid),
}


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Press images through codes of several sizes."""

    steps: Count = 1000
    """Training steps."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    latents: Annotated[Widths, MinLen(1)] = (2, 5, 16, 64)
    """Units of the codes, rising."""
    hidden: Widths = (128,)
    """Widths of the dense layers between image and code."""
    channels: Widths = (16, 32)
    """Feature maps of each convolution."""
    deep: Widths = (64, 48, 32, 16)
    """Widths of the deep network's layers between image and code."""
    deep_latent: Count = 5
    """Units of the deep network's code."""
    pretrain: Count = 300
    """Steps of each layer that is trained by itself."""
    batch: Count = 64
    """Examples in a step."""
    rate: Positive = 3e-3
    """The learning rate of Adam at its highest."""
    examples: Count = 1000
    """Training images of the linear one and of its principal components."""
    linear_steps: Count = 3000
    """Steps of the linear one."""


PRESETS = {
    "quick": Config(),
    "standard": Config(steps=4000, hidden=(500,), deep=(500, 250, 100, 50), batch=128, rate=1e-3),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S34"], config) as run:
        if list(config.latents) != sorted(set(config.latents)):
            raise InputError(f"--latents must be some rising numbers; got {config.latents}")
        data = pictures(config.data, config.batch)
        require("--examples", config.examples, below=len(data.train.x) + 1)
        made = kinds(config, data)
        fits = {name: train(run, name, kind, data) for name, kind in made.items()}
        kept = {name: fitted.kept for name, fitted in fits.items()}
        # where descent ends: the least validation loss may come before it has converged
        kept["linear"] = jax.vmap(params_of)(fits["linear"].run.state)
        test = scaled(data.test.x)
        passed = {name: _codes.passed(run, made[name], kept[name], test) for name in made}
        angles = _codes.angles(kept["linear"], data.train.x[: config.examples], config.latents)
        plain = _codes.principal(data, config.latents)
        _codes.report(run, config.latents, passed, angles)
        for units, images in plain.items():
            run.baseline(f"PCA, {units} units", "test error", np.mean((images - test) ** 2))
        net, pixels = made["deep"].net(jnp.array(0)), made["deep"].pixels
        told = _model.coder(net, config.deep_latent, reads(data), pixels)
        run.model(kept["deep"], told, names=run.named(_codes.WAYS))
        _codes.draw(run, data, fits["deep"], passed, plain)
    return run.result


class Kind(NamedTuple):
    """A sort of autoencoder; it is made from one of its choices, such as the units of its code."""

    choices: list[int]
    mean: np.ndarray  # subtracted from the images, and added to the pixels
    net: Callable[[Array], Autoencoder]
    make: Callable[[Array], Learner]
    loss: Loss
    pixels: Callable[[Array], Array]
    steps: int


def kinds(config: Config, data: ImageData) -> dict[str, Kind]:
    x, widest = data.train.x, config.latents[-1]
    shape, steps, units = x.shape[1:], config.steps, list(config.latents)
    tx = optimizer("adam", config.rate, steps=steps, schedule="warmup-cosine")
    mse, bce = LOSSES["mse"], LOSSES["bce"]

    def narrow(whole: Any, mean: np.ndarray, tx: Any, x: np.ndarray, batch: int, *ends):
        def net(units: Array) -> Narrow:
            return Narrow(whole.encoder, whole.decoder, units)

        def make(units: Array) -> Learner:
            return autoencode.make(net(units), tx, x, ends[0], batch=batch)

        return Kind(units, mean, net, make, *ends)

    deep = dense(shape, config.deep_latent, config.deep, activation=jax.nn.sigmoid)
    args = (deep, tx, x, mse[0])
    fresh = autoencode.make(*args, batch=config.batch)
    stacked = autoencode.stacked(*args, batch=config.batch, pretrain=config.pretrain)

    def in_turn(choice: Array) -> Learner:
        def init(key: Key) -> Any:
            # both, and one of them picked: a branch under vmap would compute both too
            state, other = fresh.init(key), stacked.init(key)
            pick = jax.tree.map(lambda a, b: jnp.where(choice, b, a), state.fit, other.fit)
            return state._replace(fit=pick)

        return Learner(init, fresh.step)

    some, straight = scaled(x[: config.examples]), config.linear_steps
    mean, none = some.mean(0), np.zeros(shape, np.float32)
    slow = optimizer("adam", 0.02, steps=straight, schedule="cosine")
    linear, small = dense(shape, widest, ()), dense(shape, widest, config.hidden)
    # Not ReLU, which learns a wide code slowly through many layers of few values, convolutional or
    # not. Digits, 64 units, one seed, 1,000 steps, error on validation images: dense .0007, three
    # dense layers a side .0042, convolutions with ReLU .0054, leaky .0039, ELU .0012, none .0007;
    # 4,000 steps with ReLU .0007 too, so that it is speed, and not what the network can hold
    conv = convolutional(shape, widest, config.channels, config.hidden, activation=jax.nn.elu)
    return {
        # with a mean, its direction would outweigh all others, and descent crawl
        "linear": narrow(linear, mean, slow, some - mean, len(some), *mse, straight),
        "dense": narrow(small, none, tx, x, config.batch, *mse, steps),
        "dense, cross-entropy": narrow(small, none, tx, x, config.batch, *bce, steps),
        "conv": narrow(conv, none, tx, x, config.batch, *mse, steps),
        "deep": Kind([0, 1], none, lambda _: deep, in_turn, mse[0], mse[1], steps),
    }


def train(run: Study, name: str, kind: Kind, data: ImageData) -> Fitted:
    """Every seed of every choice in one program; validation says which step is kept."""
    axes = grid(choice=jnp.array(kind.choices), seed=jnp.array(run.seeds))
    validation = scaled(data.validation.x) - kind.mean

    def evaluate(member: Member) -> Metrics:
        net = kind.net(member.hparams)
        return autoencode.evaluate(net, params_of(member), validation, kind.loss)

    every = max(1, kind.steps // 20)
    return run.fit(
        sweep(kind.make, *axes.values()),
        kind.steps,
        Watch(evaluate, every, Selection("validation/loss", params_of, lowest=True)),
        part=name,
        names=run.named(f"code {choice}" for choice in kind.choices),
        shown=("train/loss", "validation/loss"),
        chunk=every,
        saves=kind.steps,  # each fit is short
    )


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
