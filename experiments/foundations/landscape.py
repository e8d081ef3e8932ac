"""The loss around trained deep networks, with shortcuts and without, and the path that led there.

System S12 of the syllabus: Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets". Two
networks of equal layers, or a convolutional one, learn digits from the same batches, in one program
over all seeds. The loss of each is evaluated over a plane along two random filter-normalised
directions, where equal distances are equal relative changes of every unit's weights; and, for the
first seed, over the plane of the two principal components of the path, which random directions
would not show.

    python -m experiments.foundations.landscape  # 100 s on 2 cores
    python -m experiments.foundations.landscape --preset full  # MNIST, 3 min

Expected: residual networks win on every measure: 1.5 points of test accuracy, a lower training
loss, and a slice that is a wide bowl where the plain network's is a narrow pit between slopes of
negative curvature. On digits the plain network is level with logistic regression.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge

from dljax import Learner, Member, grid, sweep
from dljax.data import ImageData, load
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.baselines import logistic_regression
from dljax.host.config import Common, Count, Positive, require
from dljax.host.experiment import Study
from dljax.host.fit import Watch
from dljax.host.result import Result
from dljax.learn import classify, landscape
from dljax.learn.optimizers import optimizer
from dljax.nets import CNN
from dljax.nets.residual import ResidualMLP
from dljax.typing import Array, Metrics, PyTree
from experiments.foundations._terrain import Terrain, contours, surfaces

NAME = "foundations.landscape"
KINDS = {"mlp": ("plain", "residual"), "cnn": ("cnn",)}  # of networks that train beside each other
AT_ONCE = {"mlp": 32, "cnn": 1}  # points of a slice: feature maps take memory


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train plain and residual networks, and draw the loss around where they end."""

    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with x and y."""
    net: Literal["mlp", "cnn"] = "mlp"
    """Deep dense networks, with shortcuts and without, or a convolutional one."""
    depth: Count = 16
    """Layers between the first and the last; of the cnn two convolutions."""
    width: Count = 32
    """Units of each layer; of the cnn of its dense one, and twice the channels of its last."""
    epochs: Count = 40
    """Passes over the training data, where --steps is not given."""
    batch: Count = 64
    """Examples in a step."""
    rate: Positive = 5e-3
    """Adam's rate at its highest; of 0.002 and 0.005 the better on validation, on other seeds."""
    radius: Annotated[float, Ge(0.01)] = 1.0
    """Half the side of a slice; at 1 a direction is as large as the weights."""
    points: Annotated[int, Ge(9)] = 33
    """Points on each side of a slice."""
    examples: Count = 1000
    """Training examples over which the loss of a slice is the mean."""


PRESETS = {
    "quick": Config(),
    "standard": Config(data="mnist", depth=20, width=64, epochs=4, batch=128, points=51),
    "full": Config(data="mnist", net="cnn", epochs=4, batch=128, points=25, examples=500),
}


def network(config: Config, data: ImageData, skip: Array) -> CNN | ResidualMLP:
    """Of one member; the convolutional one has no shortcuts."""
    if config.net == "mlp":
        return ResidualMLP(len(data.classes), config.depth, config.width, skip)
    channels = max(1, config.width // 4), max(1, config.width // 2)
    return CNN(channels, (config.width, len(data.classes)))


def main(config: Config) -> Result:
    with Study(NAME, ["S12"], config) as run:
        data = load(config.data)
        require("--batch", config.batch, below=len(data.train.y) + 1)
        if config.net == "cnn" and data.train.x.ndim != 4:
            raise InputError(f"--net cnn needs images, and {config.data} is a table")
        steps = config.steps or config.epochs * (len(data.train.y) // config.batch)
        every = max(1, steps // 40)
        tx = optimizer("adam", config.rate, steps=steps, schedule="warmup-cosine")

        def net(member: dict[str, Array]) -> CNN | ResidualMLP:
            return network(config, data, member["skip"])

        def make(member: dict[str, Array]) -> Learner:
            learner = classify.make(net(member), tx, data.train, batch=config.batch)
            return landscape.record(learner, lambda s: s.fit.params, every, -(-steps // every) + 1)

        def judge(member: Member, split: str = "validation") -> Metrics:
            weights = member.run.state.state.fit.params, {}
            return classify.evaluate(net(member.hparams), weights, getattr(data, split), split)

        kinds = KINDS[config.net]
        # kinds vary slowest: the first half of the members is plain, the second residual
        members = grid(skip=jnp.arange(float(len(kinds))), seed=jnp.array(run.seeds))
        fitted = run.fit(
            sweep(make, members, members["seed"]),
            steps,
            Watch(judge, 5 * every),
            chunk=50,
            names=run.named(kinds),
            shown=("train/loss", "validation/accuracy"),
        )
        x, y = (jnp.asarray(part[: config.examples]) for part in data.train)

        def heights(member: dict[str, Array], plane: landscape.Plane, a: Array, b: Array) -> Array:
            def loss(params: PyTree) -> Array:
                logits = classify.predict(net(member), (params, {}), x, len(x))
                return classify.scores(logits, y)["loss"]

            return landscape.heights(loss, plane, a, b, AT_ONCE[config.net])

        run.baseline("logistic regression", **logistic_regression(data))
        trained = fitted.run.state
        ends = run.each(lambda member: judge(member, "train") | judge(member, "test"), trained)
        explore(run, functools.partial(run.each, heights), trained, ends, config)
    return run.result


def explore(run: Study, heights: Callable, trained: Member, ends: Metrics, config: Config) -> None:
    """Every member's slice measured, and those of the first seed drawn, with its paths."""
    keys = jax.vmap(jax.random.key)(trained.hparams["seed"])
    planes = run.each(landscape.random_plane, keys, trained.run.state.state.fit.params)
    axis = jnp.linspace(-config.radius, config.radius, config.points)
    axes = jnp.tile(axis, (len(keys), 1))
    slices = heights(trained.hparams, planes, axes, axes)
    distance = jnp.hypot(axis[:, None], axis[None])
    # the grid's points nearest to a circle: half a spacing to either side
    ring = np.asarray(abs(distance - config.radius / 4) <= config.radius / (config.points - 1))
    kinds = KINDS[config.net]
    found = {
        "train loss": (ends["train/loss"], "lower"),
        "test accuracy": (ends["test/accuracy"], "higher"),
        "loss at radius / 4": (slices[:, ring].mean(1), "lower"),
        "non-convexity": (jax.vmap(landscape.non_convexity)(slices), "lower"),
    }
    for name, (values, better) in found.items():
        for kind, part in zip(kinds, np.split(np.asarray(values), len(kinds)), strict=True):
            run.metric(f"{kind} {name}", part, better)
    firsts = jax.tree.map(lambda leaf: leaf[:: config.seeds], trained)  # one of each kind
    tops = [
        Terrain(f"{kind}: random directions", axis, axis, top)
        for kind, top in zip(kinds, slices[:: config.seeds], strict=True)
    ]

    def beside_paths(path: Path) -> None:  # evaluates two planes more, so only when it is drawn
        contours(path, [tops, ways(run, heights, firsts, config)])

    run.figure("contours.png", beside_paths)
    run.figure("surfaces.png", surfaces, tops)


def ways(run: Study, heights: Callable, trained: Member, config: Config) -> list[Terrain]:
    """The loss around each member's path, over the plane that shows the most of it."""
    shown = run.each(landscape.path_plane, trained.run.state.path)
    a, b = jax.vmap(functools.partial(landscape.window, points=config.points))(shown.coordinates)
    around = heights(trained.hparams, shown.plane, a, b)
    kinds, shares = KINDS[config.net], shown.share.sum(1).tolist()
    return [
        Terrain(f"{kind}: the path's two components, {share:.0%} of it", *rest)
        for kind, share, *rest in zip(kinds, shares, a, b, around, shown.coordinates, strict=True)
    ]


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
