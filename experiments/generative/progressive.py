"""A GAN grows to large images, beside a fixed one: on MNIST, by the mean alone, it is better.

System S44 of the syllabus: Karras et al. 2018. Both end as the same networks after equally many
images, of which the growing one sees most small; the fixed one is also judged as it was when that
had finished. On MNIST of 32 x 32 pixels growing takes half the time and fails in no seed, with a
Frechet distance of 28 +- 4; fixed networks reach 9 and 10 in two seeds, 31 and 40 by then, and
never begin in the third (537): the goal is met by the mean, not the median. Digits need no growing
(31 in 42 s; fixed, 28 by then, 22 in 80 s), emoji little (233; 253, 172; a mixture 143): missed.

    python -m experiments.generative.progressive  # 4 min on 2 cores
    python -m experiments.generative.progressive --preset standard  # 49 min
    python -m experiments.generative.progressive --preset full --seeds 2 --steps 4000  # 42 min
"""

from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Gt, Le

from dljax import sweep
from dljax.data import ImageData
from dljax.data.stream import Stream, epochs
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.config import Common, Count, NotNegative, Positive, ShareBelow1, Widths
from dljax.host.experiment import Study
from dljax.host.fit import Fitted, Watch
from dljax.host.result import Result
from dljax.learn import gan, landscape, progressive
from dljax.learn.gan import GAN
from dljax.learner import Learner
from dljax.nets.progressive import Growing, Shrinking
from dljax.typing import Array
from experiments.generative import _grown, _images, _model, _stages
from experiments.generative._grown import EQUAL, KINDS

NAME = "generative.progressive"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a growing and a fixed GAN, and compare their samples and their time."""

    seeds: Count = 3
    """Independent runs of either, in one compiled program."""
    steps: Count = 1500
    """Steps of either network, each on as many images."""
    data: str = "digits"
    """digits, mnist, fashion_mnist or emoji, or the path of an .npz file with images x and y."""
    side: Count = 16
    """Pixels of a side, to which images are padded; halved once for each level but the first."""
    channels: Widths = (48, 32, 16)
    """Feature maps of each level, of which every one doubles the sides."""
    latent: Count = 32
    """Dimensions of the generator's input."""
    batch: Count = 32
    """Real images, and samples, in a step."""
    fading: ShareBelow1 = 0.5
    """The share of a level's steps in which it fades in."""
    last: Annotated[float, Gt(0), Le(1)] = 0.4
    """The share of all steps which are of the last level; the others have equally many."""
    rate: Positive = 2e-3
    """The learning rate of both Adams; it falls to 0 over the second half."""
    penalty: NotNegative = 1.0
    """The weight of R1 at the last level; where pixels are means of four, a fourth of it."""
    average: ShareBelow1 = 0.99
    """The decay of the generator's running average, which is what is sampled."""


PRESETS = {
    "quick": Config(),
    "standard": Config(
        data="mnist",
        side=32,
        channels=(64, 64, 32, 16),
        steps=6000,
        latent=64,
        rate=1e-3,
        average=0.999,
    ),
    "full": Config(
        data="emoji",
        side=64,
        channels=(128, 64, 64, 32, 16),
        steps=10_000,
        latent=64,
        batch=16,
        rate=1e-3,
        average=0.999,
    ),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S44"], config) as run:
        data = _grown.padded(_grown.pictures(config.data, config.batch), config.side)
        begins = grows(config)
        stream = epochs(data.train, config.batch)
        fits = {
            kind: train(run, config, kind, stream, data, each)
            for kind, each in zip(KINDS, (begins, (0,) * len(begins)), strict=True)
        }
        at = _stages.stages(config.steps)
        same = _grown.stage_of(fits, at)
        net = networks(config, data)(len(begins) - 1, 1.0)
        count = min(2000, len(data.test.y), len(data.validation.y))
        paths = {kind: _stages.path(fitted) for kind, fitted in fits.items()}
        ends = {kind: jax.tree.map(lambda leaf: leaf[:, -1], path) for kind, path in paths.items()}
        ends[EQUAL] = jax.tree.map(lambda leaf: leaf[:, same], paths["fixed"])
        drawn = {
            kind: np.asarray(
                run.each(lambda params: gan.sample(net, params, jax.random.key(1), count), each)
            )
            for kind, each in ends.items()
        }
        _images.report(run, list(drawn), data, np.stack(list(drawn.values())))
        _grown.report(run, fits, at[same])
        both = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *(ends[k] for k in KINDS))
        asked = _model.sample(lambda params, z: gan.generate(net, params, z), net.latent)
        run.model(both, {"sample": asked}, names=run.named(KINDS))
        for kind, name in zip(KINDS, ("grown.png", "fixed.png"), strict=True):
            first = {}
            for i, step in enumerate(at):
                told = progressive.stage(begins, fade(config, begins), step - 1)
                level, share = told if kind == "grown" else (len(begins) - 1, 1.0)
                at_step = networks(config, data)(int(level), float(share))
                params = jax.tree.map(lambda leaf, i=i: leaf[0, i], paths[kind])
                small = gan.sample(at_step, params, jax.random.key(1), 14)
                first[step] = _grown.enlarged(np.asarray(small), config.side)
            run.figure(name, _images.draw, kind, data, first)
    return run.result


def grows(config: Config) -> tuple[int, ...]:
    """The step at which each level begins. Raises InputError for a side that has not so many."""
    levels = len(config.channels)
    if config.side % 2 ** (levels - 1) or config.side >> (levels - 1) < 1:
        raise InputError(
            f"--side must be a multiple of {2 ** (levels - 1)} for {levels} levels of --channels; "
            f"got {config.side}"
        )
    before = round((1 - config.last) * config.steps)
    return tuple(i * before // max(1, levels - 1) for i in range(levels))


def fade(config: Config, begins: tuple[int, ...]) -> int:
    """Steps in which a level fades in."""
    return max(1, round(config.fading * begins[1])) if len(begins) > 1 else 1


def networks(config: Config, data: ImageData) -> progressive.Networks:
    def at(level: int, share: float | Array) -> GAN:
        shape = data.train.x.shape[1:]
        maker = Growing(shape, config.channels, level, share, jax.nn.sigmoid)
        return GAN(maker, Shrinking(config.channels, level, share), config.latent)

    return at


def train(
    run: Study,
    config: Config,
    kind: str,
    stream: Stream,
    data: ImageData,
    begins: tuple[int, ...],
) -> Fitted:
    """Every seed of one kind, its generators' averages at each stage on record."""

    def rate(step: Any) -> Array:
        return -config.rate * jnp.clip(2 - 2 * step / config.steps, 0, 1)

    def game(net: GAN, seen: Stream) -> Learner:
        tx = optax.chain(optax.scale_by_adam(0.5, 0.9), optax.scale_by_schedule(rate))
        pixels = 4 ** (len(begins) - 1 - net.discriminator.level)  # of which one is the mean
        cost = gan.r1(config.penalty / pixels)
        return gan.make(net, tx, tx, seen, penalty=cost, average=config.average)

    learner = progressive.make(
        networks(config, data), game, stream, begins=begins, fade=fade(config, begins)
    )
    at = _stages.stages(config.steps)
    recorded = landscape.record(
        learner, lambda state: gan.best(state.game.generator), at[0], len(at) + 1
    )
    return run.fit(
        sweep(lambda _: recorded, None, run.seeds),
        config.steps,
        Watch(every=at[0]),
        part=kind,
        shown=("train/value",),
    )


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
