"""What a position of a network sees, by formula and by gradient, and what it listens to.

System S29 of the syllabus. The formula of receptive fields (Araujo, Norris and Sim 2019) is held
against the support of the gradient for random stacks of strides, dilations, paddings and pools.
Then the effective receptive field (Luo et al. 2016): of the squared gradient of one position, the
side of the square that holds 95 %, as a share of the field's, before and after the position has
learnt to tell digits; linear and rectified, at several depths, beside the random walk that theory
says a linear network starts as.

    python -m experiments.vision.receptive  # 3 min on 2 cores
    python -m experiments.vision.receptive --data mnist --preset standard
"""

from dataclasses import dataclass
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, MinLen

from dljax import Batch, Learner, Member, grid, start, sweep
from dljax.data import ImageData, load
from dljax.data.stream import unit_scale
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive, require
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.result import Result
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import params_of
from dljax.ops.receptive import effective_width
from dljax.typing import Metrics, PyTree
from experiments.vision import _receptive
from experiments.vision._receptive import Deep

NAME = "vision.receptive"
KINDS, WHEN = ("linear", "ReLU"), ("before", "after")  # slopes of 1 and 0 below zero


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Compare receptive fields by formula, by gradient, and in training."""

    steps: Count = 300
    """Training steps of each network."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    stacks: Count = 6
    """Random stacks of each seed whose formula is held against the gradient."""
    depths: Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)] = (3, 6, 11)
    """Convolutions of the networks, each 3x3."""
    channels: Count = 16
    """Feature maps of each."""
    batch: Count = 32
    """Examples in a step."""
    rate: Positive = 1e-3
    """The learning rate of Adam, which falls as a cosine."""
    images: Count = 64
    """Test images whose gradients an effective field is the mean of."""


PRESETS = {
    "quick": Config(stacks=3, channels=8, images=16),
    "standard": Config(seeds=10, steps=400),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S29"], config) as run:
        data = load(config.data)
        if data.train.x.ndim != 4:
            raise InputError(f"--data: images are needed, and {config.data} is a table")
        require("--batch", config.batch, below=len(data.train.y) + 1)
        formula(run, config)
        found = [listen(run, config, data, depth) for depth in config.depths]
        draw(run, config, found)
    return run.result


def formula(run: Study, config: Config) -> None:
    """The table of known networks, and the share of random stacks whose gradient agrees."""
    text = "\n".join(_receptive.table(name, *each) for name, each in _receptive.known().items())
    (run.out / "table.txt").write_text(text, encoding="utf-8")
    if not config.quiet:
        print(text)
    shares = []
    for seed in run.seeds:
        rng, key = np.random.default_rng(seed), jax.random.key(seed)
        stacks = [_receptive.drawn(rng) for _ in range(config.stacks)]
        equal = [
            _receptive.agree(*each, jax.random.fold_in(key, i)) for i, each in enumerate(stacks)
        ]
        shares.append(np.mean(equal))
    goal = 1.0, "the issue's: exactly, for all"
    run.metric("share of stacks equal", shares, goal=goal, stacks=len(shares) * config.stacks)


def listen(run: Study, config: Config, data: ImageData, depth: int) -> dict[str, np.ndarray]:
    """The masses [N, r, r] of each kind before and after training at one depth."""
    known, held, asked = (seen(split, depth, max(config.depths)) for split in splits(data))
    net = Deep(depth, config.channels, len(data.classes))
    axes = grid(slope=jnp.array([1.0, 0.0]), seed=jnp.array(run.seeds))

    def make(hparams: dict) -> Learner:
        tx = optimizer("adam", config.rate, steps=config.steps, schedule="cosine")
        return classify.make(net.clone(slope=hparams["slope"]), tx, known, batch=config.batch)

    def evaluate(member: Member) -> Metrics:
        own = net.clone(slope=member.hparams["slope"])
        return classify.evaluate(own, (params_of(member), {}), held)

    learner = sweep(make, axes, axes["seed"])
    fitted = run.fit(
        learner,
        config.steps,
        Watch(
            evaluate, config.steps // 6 or 1, Selection("validation/loss", params_of, lowest=True)
        ),
        part=f"depth-{depth}",
        names=run.named(KINDS),
        shown=("train/loss", "validation/accuracy"),
        chunk=50,
        saves=config.steps,
    )

    def measure(slope, params: PyTree) -> tuple:
        own = net.clone(slope=slope)
        mass = _receptive.squares(own, params, asked.x[: config.images])
        return mass, classify.evaluate(own, (params, {}), asked, "test")["test/accuracy"]

    first = params_of(start(learner, jax.random.key(0)).state)
    found: dict[str, np.ndarray] = {}
    for when, params in zip(WHEN, (first, fitted.kept), strict=True):
        mass, right = run.each(measure, axes["slope"], params, at_once=4)
        halves = zip(KINDS, np.split(mass, 2), np.split(right, 2), strict=True)
        for kind, own, accuracy in halves:
            found[f"{kind}, {when}"] = own
            if when == "after":
                run.metric(f"test accuracy, depth {depth}, {kind}", accuracy)
    return found


def splits(data: ImageData) -> tuple[Batch, Batch, Batch]:
    return data.train, data.validation, data.test


def seen(split: Batch, depth: int, deepest: int) -> Batch:
    """The part of each image that a net of `depth` sees, of images that the deepest sees whole."""
    side, off = 2 * deepest + 1, deepest - depth
    x = unit_scale(jnp.asarray(split.x))
    whole = jax.image.resize(x, (len(x), side, side, x.shape[-1]), "linear")
    cut = slice(off, side - off)
    return Batch(np.asarray(whole[:, cut, cut]), split.y)


def draw(run: Study, config: Config, found: list[dict[str, np.ndarray]]) -> None:
    """The widths as metrics and in two figures."""
    fields = [2 * depth + 1 for depth in config.depths]
    width = jax.jit(jax.vmap(effective_width))
    sides = {name: np.stack([np.asarray(width(each[name])) for each in found]) for name in found[0]}
    shares = {name: each / np.array(fields)[:, None] for name, each in sides.items()}
    told = [
        float(effective_width(jnp.asarray(_receptive.walk(depth)))) / field
        for depth, field in zip(config.depths, fields, strict=True)
    ]
    for i, depth in enumerate(config.depths):
        for name, share in shares.items():
            run.metric(f"effective share of the field, depth {depth}, {name}", share[i])
        for kind in KINDS:
            grown = shares[f"{kind}, after"][i] - shares[f"{kind}, before"][i]
            run.metric(f"growth of the effective share, depth {depth}, {kind}", grown)
        linear = f"effective share of the field, depth {depth}, linear, before"
        run.baseline(f"random walk, depth {depth}", linear, told[i])
    masses = {name: [np.asarray(each[name]).mean(0) for each in found] for name in sides}
    means = {name: list(each.mean(1)) for name, each in sides.items()}
    run.figure("fields.png", _receptive.draw_maps, masses, means)
    run.figure("widths.png", _receptive.draw_widths, config.depths, shares, np.array(told))


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
