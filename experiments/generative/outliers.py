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

    python -m experiments.generative.outliers  # 35 s on 2 cores
    python -m experiments.generative.outliers --exposed 3 --examples 700  # 5 min
    python -m experiments.generative.outliers --data fashion_mnist --exposed 3 --examples 3000
    python -m experiments.generative.outliers --preset standard

With `--exposed` there are outliers in training (Hendrycks et al. 2019), of kinds other than that
which is tested: an autoencoder is to err more on them, a discriminator to tell them from the
normal, each beside its twin that sees none.

On digits, with each held out in turn, the distance to the nearest image is best (mean AUROC 0.99),
then the autoencoder's error (0.91). The bound (0.85) is below the Gaussian's density (0.88); the
discriminator (0.63) knows little, as one that has lost its game should. With MNIST and Fashion
each strange to the other, and 1 and 9 held out, all three (0.69 to 0.70) are below it too (0.76):
on 1 the bound (0.42) and the error (0.37) are below chance, on 9 the bound (0.46).

Outliers of three kinds in training make the autoencoder no better on a fourth (0.947 and 0.942, the
nearest image 0.989), and near perfect on new images of the three (0.992). The discriminator gains
0.07 (0.70), but is below chance on three kinds of ten (0, 3 and 6): it tells two sorts apart, and
knows nothing of a third; nor do support vectors (0.81, below chance on 0; 0.999 on kinds seen).

Of clothes both gain (`--hidden 128 --latents 16`): the autoencoder 0.066 (0.770), the discriminator
0.228 (0.748), over the nearest normal image (0.740); support vectors, told as much, are best
(0.786; of seen kinds 0.974).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Member, sweep
from dljax.data import load
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.config import Common, Count, NotNegative, Number, Positive, require
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.learn import gan
from dljax.nets.adversarial import Discriminator, Generator
from dljax.nets.coders import Autoencoder, Variational, dense
from experiments.generative import _strange, _three
from experiments.generative._groups import check_labels
from experiments.generative._strange import SEEN, Design, Sorts
from experiments.generative._three import Nets, Normal

NAME = "generative.outliers"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train on what is normal, and tell it from what is not."""

    steps: Count = 1000
    """Training steps."""
    seeds: Count = 5
    """Independent runs of each design, in one compiled program."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with images x and labels y."""
    other: str | None = None
    """A data set that is strange to the first, and the first to it."""
    held_out: tuple[Number, ...] = tuple(range(10))
    """Labels that are held out as strange, each in a design of its own."""
    exposed: Number = 0
    """Labels after the one held out that are strange too, and seen as such in training."""
    examples: Count = 1000
    """Normal images to train on, in each design."""
    tested: Count = 1000
    """Images of either sort to test with, at most."""
    hidden: Count = 64
    """Width of the hidden layer of every network."""
    latents: Count = 8
    """Latent variables of every network, and principal components."""
    batch: Count = 64
    """Examples in a step."""
    rate: Positive = 2e-3
    """The learning rate of Adam: of the GAN throughout, of the others at its highest."""
    penalty: NotNegative = 1.0
    """The weight of R1, which smooths the discriminator."""


PRESETS = {
    "quick": Config(),
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
    """The images in use, and the designs, in rows of them.

    Raises InputError for flags that do not fit the data.
    """
    require("--batch", config.batch, below=config.examples + 1)
    data = load(config.data)
    other = None if config.other is None else load(config.other)
    if data.train.x.ndim != 4 or (other and other.train.x.shape[1:] != data.train.x.shape[1:]):
        raise InputError("--data and --other must be images of one size")
    if other and other.train.x.dtype != data.train.x.dtype:
        raise InputError("--data and --other must both be integers, or both floats")
    check_labels("--held-out", config.held_out, len(data.classes))
    require("--latents", config.latents, below=min(config.examples, data.train.x[0].size))
    if config.exposed and other:
        raise InputError(
            f"--exposed is of labels, and --other has none of them; got {config.other}"
        )
    require("--exposed", config.exposed, below=len(data.classes) - 1)
    sizes = config.examples, config.tested, config.exposed
    return _strange.designs(data, other, config.held_out, *sizes)


def networks(config: Config, shape: tuple[int, ...]) -> Nets:
    hidden, size = (config.hidden,), config.latents
    plain, variational = (dense(shape, size, hidden, variational=each) for each in (False, True))
    assert isinstance(plain, Autoencoder) and isinstance(variational, Variational)
    generator = Generator(shape, hidden, squash=jax.nn.sigmoid)
    return Nets(plain, variational, gan.GAN(generator, Discriminator(hidden), size))


def main(config: Config) -> Result:
    with Study(NAME, ["S40"], config) as run:
        x, designs = prepare(config)
        nets, pixels = networks(config, x.shape[1:]), jnp.asarray(x)
        plain = [_strange.plain(x, design, config.latents) for design in designs]
        design, seed = np.indices((len(designs), config.seeds)).reshape(2, -1)
        rows, exposed = (
            jnp.asarray(np.stack(each), jnp.int32)
            for each in zip(*((each.train, each.exposed) for each in designs), strict=True)
        )
        scales = jnp.array([each.scale for each in plain], jnp.float32)
        steps = config.steps
        options = {"batch": config.batch, "rate": config.rate, "penalty": config.penalty}
        seeds = config.seed + seed
        fitted = run.fit(
            sweep(
                lambda normal: _three.learner(nets, pixels, normal, steps=steps, **options),
                Normal(rows[design], scales[design], exposed[design]),
                jnp.asarray(seeds),
            ),
            steps,
            names=run.named(design.name for design in designs),
            shown=("train/error", "train/bound", "train/value"),
        )
        learnt = judge(run, nets, x, designs, fitted.run.state)
        found = _strange.report(run, designs, learnt, plain)
        _strange.draw(run, x, designs, learnt, plain, found)
    return run.result


def judge(
    run: Study, nets: Nets, x: np.ndarray, designs: Sequence[Design], members: Member
) -> list[dict[str, Sorts]]:
    """Each design's scores [seeds, n], by its own members."""
    used = np.unique(np.concatenate([np.concatenate(each[2:4] + each[5:]) for each in designs]))
    tested = jnp.asarray(x[used])  # every member sees them all: one shape is one compilation
    score = lambda member: _three.scores(nets, member, jax.random.key(1), tested)  # noqa: E731
    every = run.each(score, members, at_once=1)
    # members run over design x seed
    scores = {k: np.reshape(v, (len(designs), -1, len(used))) for k, v in every.items()}
    found = []
    for i, design in enumerate(designs):
        parts = (design.inside, design.outside, design.seen)
        inside, outside, seen = (np.searchsorted(used, rows) for rows in parts)
        found.append({k: Sorts(v[i][:, inside], v[i][:, outside]) for k, v in scores.items()})
        if len(seen):
            for k in _three.TOLD:
                found[-1][k + SEEN] = Sorts(scores[k][i][:, inside], scores[k][i][:, seen])
    return found


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
