"""An X from its parts: three features by hand beside networks, and what pooling does to outliers.

S27: the lecture's three 3x3 features, matched, pooled and added up, find an X that is shifted,
shrunk, rotated and deformed, and cry X at O, +, K and Y: both rates, at a threshold chosen on
validation, beside the whole X as a template, logistic regression, and a small network that learnt
from letters at rest or varied. Of X shifted and deformed the features find .98, and take .04 of the
others for X (.16 at rest); the network of varied letters .998 and .005: it wins (its seeds learn
from the same letters). S30: max, mean or no pooling, on clean digits and with outliers: of which
neither pooling spares a network any.

    python -m experiments.vision.parts  # 2 min on 2 cores
"""

import functools
from dataclasses import dataclass
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, MinLen

from dljax import sweep
from dljax.data import ImageData, load
from dljax.data.letters import Strength
from dljax.data.stream import unit_scale
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.config import Common, Count, NotNegative, Positive, Share, ShareBelow1, Widths
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.result import Result
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import weights_of
from dljax.nets import CNN
from dljax.typing import Array, Batch, Key
from experiments.vision import _arrays, _detectors, _parts
from experiments.vision._detectors import GOAL, Detector, drawn, labelled, threshold
from experiments.vision._pooling import POOLS, Pooled, salt

NAME = "vision.parts"
HELD, LEARNT = 10**6, 2 * 10**6  # added to a seed: letters to choose on, and to learn from


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Find an X among letters, and train networks with and without pooling."""

    steps: Count = 500
    """Training steps of each network."""
    letters: Annotated[int, Ge(200)] = 1000
    """Letters of each seed to choose the threshold on, and of each variation to test on."""
    examples: Annotated[int, Ge(200)] = 4000
    """Letters to learn from."""
    shift: NotNegative = 3.0
    """How many pixels a letter of 9 is moved, at most."""
    shrink: ShareBelow1 = 0.4
    """Share of its size that it loses, at most."""
    turn: NotNegative = 15.0
    """Degrees by which it is turned, at most; at 45 an X is a +."""
    bend: NotNegative = 1.0
    """Pixels by which each of 3 x 3 points of it is displaced, at most."""
    thick: ShareBelow1 = 0.2
    """How much its strokes, of one pixel, are thicker or thinner, at most; in every variation."""
    channels: Widths = (8, 16)
    """Feature maps of each convolution of every network."""
    hidden: Count = 32
    """Width of the letters' network's dense layer."""
    batch: Count = 64
    """Examples in a step."""
    rate: Positive = 3e-3
    """The learning rate at its highest."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file: what is pooled."""
    outliers: Annotated[tuple[Share, ...], MinLen(1)] = (0.02, 0.05, 0.1)
    """Shares of the test's pixels that are set to the greatest value."""


STANDARD = Config(seeds=10, data="mnist", steps=3000, letters=4000)
PRESETS = {"quick": Config(seeds=10), "standard": STANDARD}


def main(config: Config) -> Result:
    with Study(NAME, ["S27", "S30"], config) as run:
        data = load(config.data)
        if data.train.x.ndim != 4 or min(data.train.x.shape[1:3]) >> len(config.channels) == 0:
            raise InputError(f"--data {config.data}: images that --channels can halve are needed")
        arrays = _arrays.pools()
        _arrays.record(run, "pooled arrays as the notes'", arrays, "S30")
        find(run, config)
        pooling(run, config, data)
        if not config.quiet:
            print(_arrays.beside(arrays))
    return run.result


def find(run: Study, config: Config) -> None:
    """S27: every detector's rates under every variation, at its threshold for one of them."""
    most = Strength(config.shift, config.shrink, config.turn, config.bend, config.thick)
    by = _detectors.variations(most)
    held = drawn([HELD + seed for seed in run.seeds], config.letters, by[GOAL])
    tests = {name: drawn(run.seeds, config.letters, strength) for name, strength in by.items()}
    settings = _detectors.choose(held)
    detectors: dict[str, Detector] = {
        "three features": lambda x: _detectors.by_settings(settings, x),
        "features anywhere": _detectors.each_seed(_detectors.anywhere),
        "whole template": _detectors.each_seed(_detectors.template),
        **learnt(run, config, by),
    }
    cuts = {
        name: np.array([threshold(own, held.is_x) for own in np.asarray(score(held.x))])
        for name, score in detectors.items()
    }
    scores = _detectors.score_all(detectors, tests)
    found = _detectors.rate_all(scores, cuts, held.letter)
    _parts.record(run, found, GOAL)
    run.figure("letters.png", _parts.draw_letters, tests, scores["three features"], cuts)
    run.figure("roc.png", _parts.draw_roc, scores, held.is_x, cuts, GOAL)
    run.figure("rates.png", _parts.draw_rates, found)
    few = config.letters // 4
    steps = {k: drawn(run.seeds, few, s) for k, s in _detectors.steps(most).items()}
    scored = _detectors.score_all(detectors, steps)
    farther = _detectors.rate_all(scored, cuts, held.letter[:few])
    run.figure("strengths.png", _parts.draw_strengths, farther)


def learnt(run: Study, config: Config, by: dict[str, Strength]) -> dict[str, Detector]:
    """A network from letters at rest, one from varied ones, and a linear model from these."""
    net = CNN(config.channels, (config.hidden, 2))

    @jax.jit
    @jax.vmap
    def log_odds(own: classify.Weights, x: Array) -> Array:
        logits = classify.predict(net, own, x)
        return logits[:, 1] - logits[:, 0]

    found: dict[str, Detector] = {}
    for name, variation in (("at rest", "at rest"), ("varied", "all at once")):
        known, held = (
            labelled(drawn([first], n, by[variation]))
            for first, n in ((LEARNT, config.examples), (LEARNT + 1, config.letters))
        )
        kept = train(run, config, net, known, held, f"network, {name}")
        _detectors.leave(run, name, net, kept, known.x)
        found[f"network, {name}"] = functools.partial(log_odds, kept)
    return found | {"logistic regression": _detectors.linear(known, held)}


def train(
    run: Study, config: Config, net: nn.Module, known: Batch, held: Batch, part: str
) -> classify.Weights:
    """Every seed's weights of the least validation loss."""
    tx = optimizer("adam", config.rate, steps=config.steps, schedule="warmup-cosine")
    learner = classify.make(net, tx, known, batch=config.batch)
    fitted = run.fit(
        sweep(lambda _: learner, None, run.seeds),
        config.steps,
        Watch(
            lambda member: classify.evaluate(net, weights_of(member), held),
            max(1, config.steps // 10),
            Selection("validation/loss", weights_of, lowest=True),
        ),
        part=part.replace(",", "").replace(" ", "-"),
        shown=("train/loss", "validation/accuracy"),
        saves=config.steps,
    )
    return fitted.kept


def pooling(run: Study, config: Config, data: ImageData) -> None:
    """S30: accuracy with and without outliers of networks that differ in their pooling alone."""
    labels, keys = jnp.asarray(data.test.y), jax.vmap(jax.random.key)(jnp.asarray(run.seeds))
    shares, right = (0.0, *config.outliers), {}
    for name, pool in POOLS.items():
        net = Pooled(pool, config.channels, len(data.classes))
        kept = train(run, config, net, data.train, data.validation, name)

        def accuracy(own: classify.Weights, key: Key, net: Pooled = net) -> Array:
            x = unit_scale(jnp.asarray(data.test.x))

            def at(p: Array) -> Array:
                return (classify.predict(net, own, salt(key, x, p)).argmax(-1) == labels).mean()

            return jax.lax.map(at, jnp.array(shares))

        right[name] = np.asarray(run.each(accuracy, kept, keys))
        for share, values in zip(shares, right[name].T, strict=True):
            run.metric(f"accuracy, {100 * share:g} % outliers, {name}", values)
    lost = {name: found[:, 0] - found[:, 1:].mean(1) for name, found in right.items()}
    said = "S30's claim, that pooling is less subject to outliers: two standard errors"
    for name in ("max pooling", "mean pooling"):
        run.gain(f"spared by {name}", lost["no pooling"] - lost[name], said)
    run.metric("spared by max less by mean pooling", lost["mean pooling"] - lost["max pooling"])
    run.figure("pooling.png", _parts.draw_pooling, data, shares, right)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
