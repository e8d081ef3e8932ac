"""The loss around trained deep networks, with shortcuts and without, and the path that led there.

System S12 of the syllabus: Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets". Two
networks of equal layers learn digits from the same batches, in one program over all seeds. The
loss of each is evaluated over a plane along two random filter-normalised directions, where equal
distances are equal relative changes of every unit's weights; and, for the first seed, over the
plane of the two principal components of the path, which random directions would not show.

    python -m experiments.foundations.landscape

Expected: residual networks win on every measure: 1.5 points of test accuracy, a lower training
loss, and a slice that is a wide bowl where the plain network's is a narrow pit between slopes of
negative curvature. On digits the plain network is level with logistic regression.
"""

import dataclasses
import functools
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Learner, Member, grid, sweep
from dljax.data import load
from dljax.host import experiment
from dljax.host.baselines import logistic_regression
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import fit
from dljax.host.mesh import spread
from dljax.learn import classify, landscape
from dljax.learn.optimizers import optimizer
from dljax.nets.residual import ResidualMLP
from dljax.typing import Array, Metrics, PyTree
from experiments.foundations._terrain import Terrain, contours, surfaces

NAME = "foundations.landscape"
KINDS = ("plain", "residual")


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train plain and residual networks, and draw the loss around where they end."""

    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    depth: int = 16
    """Layers between the first and the last."""
    width: int = 32
    """Units of each layer."""
    epochs: int = 40
    """Passes over the training data, where --steps is not given."""
    batch: int = 64
    """Examples in a step."""
    rate: float = 5e-3
    """Adam's rate at its highest; of 0.002 and 0.005 the better on validation, on other seeds."""
    radius: float = 1.0
    """Half the side of a slice; at 1 a direction is as large as the weights."""
    points: int = 33
    """Points on each side of a slice."""
    examples: int = 1000
    """Training examples over which the loss of a slice is the mean."""


PRESETS = {
    "quick": Config(),
    "standard": Config(data="mnist", depth=20, width=64, epochs=4, batch=128, points=51),
}


def main(config: Config) -> Result:
    begun = time.monotonic()
    experiment.check_common(config)
    for flag in ("depth", "width", "epochs", "batch", "examples"):
        require(f"--{flag}", getattr(config, flag), at_least=1)
    require("--points", config.points, at_least=9)
    require("--radius", config.radius, at_least=0.01)
    require("--rate", config.rate, at_least=1e-9, below=float("inf"))
    data = load(config.data)
    require("--batch", config.batch, below=len(data.train.y) + 1)
    steps = config.steps or config.epochs * (len(data.train.y) // config.batch)
    every = max(1, steps // 40)
    tx = optimizer("adam", config.rate, steps=steps, schedule="warmup-cosine")

    def net(member: dict[str, Array]) -> ResidualMLP:
        return ResidualMLP(len(data.classes), config.depth, config.width, member["skip"])

    def make(member: dict[str, Array]) -> Learner:
        learner = classify.make(net(member), tx, data.train, batch=config.batch)
        return landscape.record(learner, lambda s: s.fit.params, every, -(-steps // every) + 1)

    def judge(member: Member, split: str = "validation") -> Metrics:
        weights = member.run.state.state.fit.params, {}
        return classify.evaluate(net(member.hparams), weights, getattr(data, split), split)

    seeds = experiment.seeds(config)
    members = grid(skip=jnp.arange(2.0), seed=jnp.array(seeds))
    out = experiment.open_folder(NAME, config)
    fitted = fit(
        sweep(make, members, members["seed"]),
        jax.random.key(0),
        steps,
        evaluate=jax.vmap(judge),
        every=5 * every,
        chunk=50,
        out=out,
        checkpoint_every=config.checkpoint_every,
        resume=config.resume,
        place=functools.partial(spread, members=2 * config.seeds),
        quiet=config.quiet,
        names=[f"{kind}, seed {seed}" for kind in KINDS for seed in seeds],
        shown=("train/loss", "validation/accuracy"),
    )
    x, y = (jnp.asarray(part[: config.examples]) for part in data.train)

    @jax.jit
    @jax.vmap
    def heights(member: dict[str, Array], plane: landscape.Plane, a: Array, b: Array) -> Array:
        def loss(params: PyTree) -> Array:
            logits = classify.predict(net(member), (params, {}), x, len(x))
            return classify.scores(logits, y)["loss"]

        return landscape.heights(loss, plane, a, b)

    result = Result(NAME, ["S12"], dataclasses.asdict(config), seeds)
    result.seconds |= fitted.seconds
    result.baselines["logistic regression"] = logistic_regression(data)
    ends = jax.jit(jax.vmap(lambda m: judge(m, "train") | judge(m, "test")))(fitted.run.state)
    explore(result, out / "figures", heights, fitted.run.state, ends, config)
    return experiment.finish(result, out, fitted.run, begun)


def explore(result, folder: Path, heights, trained: Member, ends: Metrics, config: Config) -> None:
    """Every member's slice measured, and those of the first seed drawn, with its paths."""
    keys = jax.vmap(jax.random.key)(trained.hparams["seed"])
    planes = jax.jit(jax.vmap(landscape.random_plane))(keys, trained.run.state.state.fit.params)
    axis = jnp.linspace(-config.radius, config.radius, config.points)
    axes = jnp.tile(axis, (len(keys), 1))
    slices = heights(trained.hparams, planes, axes, axes)
    distance = jnp.hypot(axis[:, None], axis[None])
    ring = np.asarray(abs(distance - config.radius / 4) <= config.radius / (config.points - 1))
    found = {
        "train loss": (ends["train/loss"], "lower"),
        "test accuracy": (ends["test/accuracy"], "higher"),
        "loss at radius / 4": (slices[:, ring].mean(1), "lower"),
        "non-convexity": (jax.vmap(landscape.non_convexity)(slices), "lower"),
    }
    for name, (values, better) in found.items():
        for kind, part in zip(KINDS, np.split(np.asarray(values), 2), strict=True):
            result.metrics[f"{kind} {name}"] = experiment.summary(part, better)

    first = slice(None, None, config.seeds)  # the plain and the residual network of one seed
    member, path = jax.tree.map(lambda leaf: leaf[first], (trained.hparams, trained.run.state.path))
    shown = jax.jit(jax.vmap(landscape.path_plane))(path)
    window = functools.partial(landscape.window, points=config.points)
    a, b = jax.vmap(window)(shown.coordinates)
    around = heights(member, shown.plane, a, b)
    rows = zip(KINDS, a, b, slices[first], around, shown.coordinates, shown.share, strict=True)
    tops, ways = [], []
    for kind, a, b, top, way, path, share in rows:
        tops.append(Terrain(f"{kind}: random directions", axis, axis, top))
        shows = f"{kind}: the path's two components, {float(share.sum()):.0%} of it"
        ways.append(Terrain(shows, a, b, way, path))
    contours(folder / "contours.png", [tops, ways])
    surfaces(folder / "surfaces.png", tops)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
