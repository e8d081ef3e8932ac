"""A generative model adds samples to 50, 200 and 1000 labelled images, for a classifier to gain by.

System S43 of the syllabus. A conditional GAN (Mirza and Osindero 2014) learns from the labelled
images alone, and its samples are mixed with them. The same classifier learns from what else makes
more of few images: shifts, bends (Simard et al. 2003), mixup (Zhang et al. 2018), and samples of a
Gaussian a class. Each way's setting is chosen by the mean accuracy on the validation images, for
each number of labels, and tested once; the labelled images, the first weights and the batches of a
seed are the same in all ways, so that gains are paired. Beside them stand the nearest neighbours,
a support vector machine, logistic regression and linear discriminants.

    python -m experiments.generative.augment  # 5 min on 2 cores
    python -m experiments.generative.augment --preset standard

On digits the samples help where there are 50 labels (0.014) or 200 (0.005), less than shifts (0.06,
0.02); of 1000 they cost 0.008. Support vectors alone beat all these nets (0.863, 0.958, 0.991).
"""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, MinLen

from dljax import Batch, Learner, Member, sweep
from dljax.data import ImageData
from dljax.data.stream import take_rows, unit_scale
from dljax.host import experiment
from dljax.host.config import (
    Common,
    Count,
    NotNegative,
    Positive,
    Share,
    Widths,
    require,
    require_images,
)
from dljax.host.experiment import Study
from dljax.host.fit import Watch
from dljax.host.function import classifier
from dljax.host.result import Result
from dljax.learn import classify, gan, risk
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import params_of
from dljax.nets import CNN
from dljax.nets.adversarial import Discriminator, Generator
from dljax.typing import Array, Key, Metrics, PyTree
from experiments.generative import _augment, _images, _told
from experiments.generative._augment import OWN, Setting

NAME = "generative.augment"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a classifier on few images, and on what can be made of them."""

    steps: Count = 600
    """Training steps of the classifier."""
    seeds: Count = 10
    """Independent runs, each with its own labelled images, in one compiled program."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with images x and labels y."""
    labels: Annotated[tuple[Annotated[int, Ge(2)], ...], MinLen(1)] = (50, 200, 1000)
    """Numbers of labelled images, equally many of each class."""
    channels: Widths = (8, 16)
    """Feature maps of each convolution of the classifier."""
    hidden: Count = 64
    """Width of the classifier's dense layer."""
    game: Count = 1500
    """Training steps of the generator."""
    width: Count = 128
    """Width of the hidden layers of the generator and of its discriminator."""
    latent: Count = 16
    """Dimensions of the generator's input."""
    penalty: NotNegative = 1.0
    """The weight of R1, which smooths the discriminator."""
    pool: Count = 4000
    """Images that each way makes of the labelled ones, to learn from."""
    shares: Annotated[tuple[Share, ...], MinLen(1)] = (0.3, 1.0)
    """Shares of made images among those in a step, to choose from."""
    batch: Count = 32
    """Examples in a step."""
    rate: Positive = 5e-3
    """The learning rate of the classifier's Adam at its highest; it falls to 0."""


PRESETS = {
    "quick": Config(),
    "standard": Config(data="mnist", steps=1500, game=5000, width=256, latent=32, pool=3000),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S43"], config) as run:
        data = _images.pictures(config.data, config.batch)
        require_images(data, config.channels)
        require("--labels", max(config.labels), below=config.pool + 1)
        require("--batch", config.batch, below=max(config.labels) + 1)
        rows = _augment.subsets(config.labels, run.seeds, data, config.pool)
        net = network(config, data)
        known, options = rows[..., : max(config.labels)], (config.game, config.batch)
        names = run.named(f"{n} labels" for n in config.labels)
        params = _told.play(run, net, data, known, names, *options, config.penalty)
        draw = functools.partial(_told.draw, run, net, params)
        sets = _augment.made(data, config.labels, rows, run.seeds, draw)
        settings = _augment.settings([*sets][1:], config.shares)
        tested = classified(run, config, data, sets, settings)
        _augment.report(run, data, config.labels, rows, tested)
        run.figure("augment.png", _augment.gains, config.labels, tested)
        first = {n: t * config.seeds for t, n in enumerate(config.labels)}
        shown = {
            f"{way}, {n}": unit_scale(each.x[first[n]][: 2 * len(data.classes)])
            for way, each in sets.items()
            for n in (min(first), max(first))
        }
        title = f"{data.name}: what is made of the fewest and of the most labelled images"
        run.figure("images.png", _images.mosaic, shown, title)
    return run.result


def network(config: Config, data: ImageData) -> gan.GAN:
    layers = (config.width,) * 2
    generator = Generator(data.train.x.shape[1:], layers, squash=jax.nn.sigmoid)
    return gan.GAN(generator, Discriminator(layers), config.latent)


def classified(
    run: Study,
    config: Config,
    data: ImageData,
    sets: dict[str, Batch],
    settings: Sequence[Setting],
) -> dict[str, np.ndarray]:
    """Test accuracies [T, S] of each way, at the share of the best mean validation accuracy.

    Members run over number of labels x seed x setting.
    """
    net = CNN(config.channels, (config.hidden, len(data.classes)))
    ways, shape = [*sets], (len(config.labels), config.seeds, len(settings))
    x, y = (np.stack([each[i] for each in sets.values()], 1) for i in (0, 1))
    size, x, y = config.pool, *(jnp.asarray(a.reshape(-1, *a.shape[3:])) for a in (x, y))
    t, seed, setting = np.indices(shape).reshape(3, -1)
    way = np.array([ways.index(each.way) for each in settings])
    share = np.array([each.share for each in settings], np.float32)
    first = (t * config.seeds + seed) * len(ways)
    hparams = tuple(map(jnp.asarray, (first, way[setting], share[setting])))
    tx = optimizer("adam", config.rate, steps=config.steps, schedule="cosine")

    def make(hparams: tuple[Array, Array, Array]) -> Learner:
        first, way, share = hparams

        def mixed(key: Key, batch: Batch) -> Batch:
            new = jax.random.bernoulli(key, share, batch.x.shape)
            rows = batch.x + size * (first + jnp.where(new, way, 0))
            return Batch(unit_scale(take_rows(x, rows)), take_rows(y, rows))

        goal, places = risk.objective(net, optax.softmax_cross_entropy), jnp.arange(size)
        every = Batch(places, places)
        return risk.descend(net, goal, tx, every, batch=config.batch, augment=mixed)

    def evaluate(member: Member) -> Metrics:
        return classify.evaluate(net, (params_of(member), {}), data.validation)

    fitted = run.fit(
        sweep(make, hparams, jnp.asarray(config.seed + seed)),
        config.steps,
        Watch(evaluate),
        part="classifier",
        names=[
            f"{n} labels, seed {seed}, {each.share:g} {each.way}"
            for n, seed, each in itertools.product(config.labels, run.seeds, settings)
        ],
        shown=("train/loss", "validation/accuracy"),
    )
    scores = np.reshape(fitted.records[-1]["validation/accuracy"], shape)
    best = _augment.chosen(settings, scores)  # [T] of each way
    members = np.arange(t.size).reshape(shape)
    at = {way: members[range(shape[0]), :, which].ravel() for way, which in best.items()}
    every = params_of(fitted.run.state)
    own = jax.tree.map(lambda leaf: leaf[at[OWN]], every)
    told = run.named(f"{n} labels" for n in config.labels)
    run.model({"params": own}, {"predict": classifier(net, data)}, part="classifier", names=told)

    def test(params: PyTree) -> Array:
        return classify.evaluate(net, (params, {}), data.test, "test")["test/accuracy"]

    picked = jax.tree.map(lambda leaf: leaf[np.concatenate([*at.values()])], every)
    tested = np.asarray(run.each(test, picked, at_once=1)).reshape(len(at), *shape[:2])
    return dict(zip(at, tested, strict=True))


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
