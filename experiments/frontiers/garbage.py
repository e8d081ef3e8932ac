"""Garbage in, garbage out: a colouriser trained on tinted photographs paints the tint.

System S52 of the syllabus: what the notes show as a dog painted pink. A small convolutional network
learns the colours of photographs from their grey, which a share of the training set wears a tint
above: none, some or all of them. Then it paints the grey of other photographs, whose true colours
have no tint, and of even greys, which have no colour at all. How much of the tint it paints is told
along the tint's direction, beside the same network, from the same weights, whose photographs had
none: 1 is the whole tint. Grey pictures stay what they were: the tint leaves them as they are, so
nothing but the colours in training can be the cause. Beside it stands what needs no network, the
mean colour of the training set over every grey.

    python -m experiments.frontiers.garbage
    python -m experiments.frontiers.garbage --preset standard  # 24 min on 2 cores
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import MinLen

from dljax import Learner, sweep
from dljax.data import load
from dljax.data.stream import unit_scale
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive, Share, require
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.learn import risk
from dljax.learn.optimizers import optimizer
from dljax.nets.restore import Restorer
from dljax.ops.scores import psnr
from dljax.typing import Array, Batch, Key, PyTree
from experiments.frontiers import _garbage
from experiments.frontiers._garbage import grey, ranks, tinted
from experiments.generative import _photos
from experiments.generative._images import mosaic

NAME = "frontiers.garbage"
SHOWN = 10  # photographs in a figure


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Tint a share of the photographs that a colouriser learns from, and see what it paints."""

    steps: Count = 600
    """Training steps."""
    data: Literal["photos", "cifar10"] = "photos"
    """The two photographs of scikit-learn in pieces, one to learn from, or CIFAR-10's images."""
    shares: Annotated[tuple[Share, ...], MinLen(2)] = (0.0, 0.5, 1.0)
    """Shares of tinted photographs, in rising order from 0."""
    strength: Share = 0.3
    """Of the tint: at 1 it adds half of the whole range to red."""
    channels: Annotated[tuple[Count, ...], MinLen(1)] = (16, 16)
    """Feature maps of each hidden convolution."""
    batch: Count = 32
    """Photographs in a step."""
    rate: Positive = 3e-3
    """The learning rate of Adam, which falls as a cosine."""
    images: Count = 500
    """Photographs that are painted, at most."""


PRESETS = {
    "quick": Config(),
    "standard": Config(data="cifar10", steps=2000, shares=(0.0, 0.25, 0.5, 0.75, 1.0)),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S52"], config) as run:
        if list(config.shares) != sorted(set(config.shares)) or config.shares[0]:
            raise InputError(f"--shares must rise from 0; got {config.shares}")
        require("--strength", config.strength, at_least=0.01)
        train, test = photographs(config.data, config.images)
        require("--batch", config.batch, below=len(train) + 1)
        net = Restorer(config.channels)

        def make(share: Array) -> Learner:
            def pair(key: Key, batch: Batch) -> Batch:
                del key
                strength = config.strength * (batch.y < share)
                return Batch(grey(batch.x), tinted(batch.x, strength))

            tx = optimizer("adam", config.rate, steps=config.steps, schedule="cosine")
            goal = risk.objective(net, optax.squared_error)
            return risk.descend(
                net, goal, tx, Batch(train, ranks(len(train))), batch=config.batch, augment=pair
            )

        shares = np.repeat(np.array(config.shares, np.float32), config.seeds)
        fitted = run.fit(
            sweep(make, jnp.asarray(shares), run.seeds * len(config.shares)),
            config.steps,
            names=run.named(f"share {share:g}" for share in config.shares),
            shown=("train/loss",),
        )
        params = risk.params_of(fitted.run.state)
        least = config.seeds * int(np.argmin(config.shares))  # what a person would use
        own = jax.tree.map(lambda leaf: leaf[least : least + config.seeds], params)
        run.model(own, _garbage.paints(net, train.shape[1:3]))
        measure(run, config, net, params, train, test)
    return run.result


def photographs(name: str, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Photographs to learn from and at most so many to paint, uint8 [n, h, w, 3]."""
    if name == "cifar10":
        data = load(name)
        return data.train.x, data.test.x[:most]
    train, test = (_photos.crops(_photos.photo(each), 16, 8) for each in ("china", "flower"))
    return train, test[:: max(1, len(test) // most)][:most]


def measure(
    run: Study, config: Config, net: Restorer, params: PyTree, train: np.ndarray, test: np.ndarray
) -> None:
    """How much of the tint is painted on grey pictures, how far that is from true, and how good."""
    true, shades = unit_scale(jnp.asarray(test)), jnp.linspace(0.1, 0.9, 9)
    even = jnp.broadcast_to(shades[:, None, None, None], (9, *test.shape[1:]))
    some = slice(None, None, max(1, len(test) // SHOWN))
    tint, worn = _garbage.colours(train, config.shares, config.strength)

    def paint(own: PyTree) -> tuple[Array, ...]:
        """The mean colour of what is painted, also on even greys, its PSNR, and some of it."""
        found = jnp.clip(risk.predict(net, (own, {}), grey(true)), 0, 1)
        blank = risk.predict(net, (own, {}), even)
        return (
            *(each.mean((0, 1, 2)) for each in (found, blank)),
            psnr(found, true).mean(),
            found[some][:SHOWN],
        )

    told = run.each(paint, params, at_once=1)
    shape = len(config.shares), config.seeds
    painted, blank, quality, shown = (
        np.asarray(each).reshape(*shape, *each.shape[1:]) for each in told
    )

    def part(mean: np.ndarray) -> np.ndarray:
        """Of the tint, what a mean colour [..., 3] has of it, beyond the plain training's."""
        return mean @ tint / (tint @ tint)

    doses = {"painted tint": painted, "painted tint, even greys": blank}
    doses = {name: part(each - each[0]) for name, each in doses.items()}
    off = np.linalg.norm(painted - np.asarray(true.mean((0, 1, 2))), axis=-1)
    for i, share in enumerate(config.shares):
        for name, dose in doses.items():
            goal = (0.9, "our goal: nearly all") if (name, share) == ("painted tint", 1) else None
            run.metric(f"{name}, share {share:g}", dose[i], goal=goal)
        run.metric(f"mean colour off, share {share:g}", off[i], "lower")
        run.metric(f"PSNR, share {share:g}", quality[i])
        plain = jnp.clip(grey(true) + worn[i].reshape(1, 1, 1, 3), 0, 1)
        away = np.linalg.norm((plain - true).mean((0, 1, 2)))
        for name, value in (
            ("painted tint", part(worn[i] - worn[0])),
            ("mean colour off", away),
            ("PSNR", psnr(plain, true).mean()),
        ):
            run.baseline(f"mean colour, {name}, {share:g}", f"{name}, share {share:g}", value)
    names = [f"{share:.0%} tinted" for share in config.shares]
    rows = {"given": grey(true[some][:SHOWN])} | dict(zip(names, shown[:, 0], strict=True))
    rows["true"] = true[some][:SHOWN]
    run.figure("painted.png", mosaic, rows, "the first seed, after so many tinted photographs")
    run.figure("doses.png", _garbage.draw, config.shares, doses)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
