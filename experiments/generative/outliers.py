"""Which images do not belong: an autoencoder's error, a VAE's bound, a discriminator, by AUROC.

System S40 of the syllabus. Three networks see what is normal, and nothing else: all digits but one,
or one whole data set where another is strange to it. Then each scores unseen images of either sort.
The scores are the reconstruction error, the VAE's negative bound on log p(x), and minus the logit
of a GAN's discriminator. That a bound may be the higher on what is strange was seen by Nalisnick et
al. 2019; where it falls below chance, it is said. Beside them stand, from scikit-learn, the error
of as many principal components, the density of the Gaussian that these define (Tipping and Bishop
1999), and the distance to the nearest training image.

All designs, seeds and networks train in one program. No outlier is seen before the test, and so
nothing is chosen by them: the deviation of the VAE's pixels is that of the Gaussian beside it.

    python -m experiments.generative.outliers
    python -m experiments.generative.outliers --preset standard

On digits, with each held out in turn, the distance to the nearest image is best (mean AUROC 0.99),
then the autoencoder's error (0.91). The bound (0.86) is no better than the Gaussian's density, and
the discriminator (0.62) is near chance, as one that has lost its game should be (1 minute).
"""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Member, sweep
from dljax.data import load
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import Fitted, fit
from dljax.learn import gan
from dljax.nets.adversarial import Discriminator, Generator
from dljax.nets.coders import Autoencoder, Variational, dense
from dljax.typing import Array
from experiments.generative import _strange, _three
from experiments.generative._strange import Design, Plain, Sorts
from experiments.generative._three import Nets, Normal

NAME = "generative.outliers"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train on what is normal, and tell it from what is not."""

    seeds: int = 5
    """Independent runs of each design, in one compiled program."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with images x and labels y."""
    other: str | None = None
    """A data set that is strange to the first, and the first to it."""
    held_out: tuple[int, ...] = tuple(range(10))
    """Labels that are held out as strange, each in a design of its own."""
    examples: int = 1000
    """Normal images to train on, in each design."""
    tested: int = 1000
    """Images of either sort to test with, at most."""
    hidden: int = 64
    """Width of the hidden layer of every network."""
    latents: int = 8
    """Latent variables of every network, and principal components."""
    batch: int = 64
    """Examples in a step."""
    rate: float = 2e-3
    """The learning rate of Adam: of the GAN throughout, of the others at its highest."""
    penalty: float = 1.0
    """The weight of R1, which smooths the discriminator."""


PRESETS = {
    "quick": Config(steps=1000),
    "standard": Config(
        steps=700,
        data="mnist",
        other="fashion_mnist",
        held_out=(1, 9),
        examples=10000,
        hidden=128,
        latents=16,
    ),
}


def prepare(config: Config) -> tuple[np.ndarray, list[Design]]:
    """The images in use, and the designs, in rows of them; raises InputError for wrong flags."""
    experiment.check_common(config)
    for flag in ("examples", "tested", "hidden", "latents", "batch"):
        require(f"--{flag}", getattr(config, flag), at_least=1)
    require("--batch", config.batch, below=config.examples + 1)
    require("--rate", config.rate, at_least=1e-9)
    require("--penalty", config.penalty, at_least=0)
    data = load(config.data)
    other = None if config.other is None else load(config.other)
    if data.train.x.ndim != 4 or (other and other.train.x.shape[1:] != data.train.x.shape[1:]):
        raise InputError("--data and --other must be images of one size")
    if other and other.train.x.dtype != data.train.x.dtype:
        raise InputError("--data and --other must both be integers, or both floats")
    labels = set(range(len(data.classes)))
    if not labels >= set(config.held_out) or len(set(config.held_out)) < len(config.held_out):
        raise InputError(f"--held-out must be labels 0 to {max(labels)}; got {config.held_out}")
    require("--latents", config.latents, below=min(config.examples, data.train.x[0].size))
    return _strange.designs(data, other, config.held_out, config.examples, config.tested)


def networks(config: Config, shape: tuple[int, ...]) -> Nets:
    hidden, size = (config.hidden,), config.latents
    plain, variational = (dense(shape, size, hidden, variational=each) for each in (False, True))
    assert isinstance(plain, Autoencoder) and isinstance(variational, Variational)
    generator = Generator(shape, hidden, squash=jax.nn.sigmoid)
    return Nets(plain, variational, gan.GAN(generator, Discriminator(hidden), size))


def train(
    config: Config,
    nets: Nets,
    x: np.ndarray,
    designs: Sequence[Design],
    plain: Sequence[Plain],
    out: Path,
) -> Fitted:
    """Members run over design x seed."""
    pixels = jnp.asarray(x)
    design, seed = np.indices((len(designs), config.seeds)).reshape(2, -1)
    rows = jnp.asarray(np.stack([each.train for each in designs]), jnp.int32)
    steps = config.steps or 1000
    options = {"batch": config.batch, "rate": config.rate, "penalty": config.penalty}
    scales = jnp.array([each.scale for each in plain], jnp.float32)
    return fit(
        sweep(
            lambda normal: _three.learner(nets, pixels, normal, steps=steps, **options),
            Normal(rows[design], scales[design]),
            jnp.asarray(config.seed + seed),
        ),
        jax.random.key(0),
        steps,
        chunk=100,
        out=out,
        checkpoint_every=config.checkpoint_every,
        resume=config.resume,
        quiet=config.quiet,
        names=[
            f"{designs[d].name}, seed {config.seed + s}" for d, s in zip(design, seed, strict=True)
        ],
        shown=("train/error", "train/bound", "train/value"),
    )


def judge(
    config: Config, nets: Nets, x: np.ndarray, designs: Sequence[Design], members: Member
) -> list[dict[str, Sorts]]:
    """Each design's scores [seeds, n], by its own members."""
    used = np.unique(np.concatenate([np.append(each.inside, each.outside) for each in designs]))
    tested = jnp.asarray(x[used])  # every member sees them all: one shape is one compilation

    @jax.jit
    def every(members: Member) -> dict[str, Array]:
        return jax.lax.map(lambda one: _three.scores(nets, one, jax.random.key(1), tested), members)

    scores = {name: np.asarray(each) for name, each in every(members).items()}
    found = []
    for i, design in enumerate(designs):
        inside, outside = (np.searchsorted(used, rows) for rows in (design.inside, design.outside))
        own = slice(i * config.seeds, (i + 1) * config.seeds)
        sorts = ((name, Sorts(s[own][:, inside], s[own][:, outside])) for name, s in scores.items())
        found.append(dict(sorts))
    return found


def main(config: Config) -> Result:
    begun = time.monotonic()
    x, designs = prepare(config)
    nets = networks(config, x.shape[1:])
    out = experiment.open_folder(NAME, config)
    plain = [_strange.plain(x, design, config.latents) for design in designs]
    fitted = train(config, nets, x, designs, plain, out)
    result = Result(NAME, ["S40"], dataclasses.asdict(config), experiment.seeds(config))
    result.seconds |= fitted.seconds
    learnt = judge(config, nets, x, designs, fitted.run.state)
    found = _strange.report(result, designs, learnt, plain)
    _strange.draw(out / "figures", x, designs, learnt, plain, found)
    return experiment.finish(result, out, fitted.run, begun)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
