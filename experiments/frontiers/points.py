"""Sets of points: digits and parts of shapes by PointNet, and by EdgeConv on a graph it finds.

System S58 of the syllabus. Digits are drawn anew at each step as points of their strokes; shapes
are made of cylinders, boxes and cones, and each point says of which part it is. PointNet (Qi et
al. 2017a) looks at each point alone, EdgeConv (Wang et al. 2019) at the nearest too, found within
the compiled program in every layer. Beside them stand the nearest digit and logistic regression on
the counts of points in a grid, and a random forest on what lies around each point. Then how far the
order of the points changes what is said, fewer points, and turns that training did not show.

On MNIST EdgeConv errs in 1.0 % (PointNet 3.8, nearest digit 4.1), and gets .93 part mIoU (PointNet
.88, a forest .91); with a quarter of the points PointNet is far ahead. No order changes a bit.

    python -m experiments.frontiers.points  # standard: 58 min on 2 cores
    python -m experiments.frontiers.points --data mnist --preset standard --seeds 3
"""

from dataclasses import dataclass
from typing import Annotated

import jax
import numpy as np
from annotated_types import Ge, Le

from dljax import Member, sweep
from dljax.data import ImageData, load
from dljax.data.points import PARTS, strokes, wobbled
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.config import Common, Count, NotNegative, Positive, ShareBelow1, Widths, require
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.function import variables
from dljax.host.result import Result
from dljax.learn import classify, point_segment
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import weights_of
from dljax.nets.points import PointNet
from dljax.typing import Array, Key, Metrics, PyTree
from experiments.frontiers import _points

NAME = "frontiers.points"
ACCURACY, PARTS_IOU = "test accuracy", "test part mIoU"
GOALS = {ACCURACY: 0.99, PARTS_IOU: 0.95}
Angle = Annotated[float, Ge(0), Le(180)]


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Learn digits and parts from sets of points."""

    seeds: Count = 2
    """Independent runs in one compiled program."""
    data: str = "digits"
    """digits, mnist, or the path of an .npz file with images x and labels y."""
    points: Count = 256
    """Points of a digit."""
    neighbours: Count = 16
    """Points that EdgeConv listens to, a point itself among them."""
    dynamic: Count = 2
    """The layer, counted from 0, from which on a digit's are near in features, not in place."""
    keep: Count = 64
    """Points of a digit that are left after EdgeConv's first layer."""
    widths: Widths = (32, 64, 128)
    """Features of a point in each layer, of digits."""
    epochs: Count = 30
    """Passes over the digits, where --steps is not given."""
    shapes: Annotated[int, Ge(50)] = 400
    """Shapes to learn parts from; a quarter as many to choose on, and to test."""
    shape_points: Count = 128
    """Points of a shape."""
    shape_widths: Widths = (32, 64, 64)
    """Features of a point in each layer, of shapes."""
    shape_epochs: Count = 40
    """Passes over the shapes, where --steps is not given."""
    batch: Count = 32
    """Clouds in a step."""
    rate: Positive = 5e-3
    """The learning rate of Adam at its highest."""
    angle: Angle = 15.0
    """Degrees by which a digit is turned at most in training; shapes are turned anyhow, upright."""
    stretch: ShareBelow1 = 0.1
    """Share by which each axis is stretched at most in training."""
    noise: NotNegative = 0.01
    """Standard deviation of the noise on coordinates in training."""
    trees: Count = 30
    """Of the random forest."""
    measured: Count = 500
    """Clouds of the test that are thinned and turned, at most."""


PRESETS = {
    "quick": Config(),
    "standard": Config(
        seeds=3, data="mnist", epochs=7, shapes=3000, shape_points=256, shape_epochs=16,
        trees=100, measured=2000,
    ),
}  # fmt: skip


def main(config: Config) -> Result:
    with Study(NAME, ["S58"], config) as run:
        data = _points.drawn(load(config.data), config.points)
        nets = networks(config, len(data.classes))
        require("--batch", config.batch, below=min(len(data.train.y), config.shapes) + 1)
        made = _points.shapes(config.shapes, config.shape_points)
        digits = told(run, config, data, {name: pair[0] for name, pair in nets.items()})
        parts = told(run, config, made, {name: pair[1] for name, pair in nets.items()})
        beside(run, config, data, made)
        _points.measure_digits(run, data, digits, config.measured)
        _points.measure_parts(run, made, parts, config.measured)
    return run.result


def networks(config: Config, classes: int) -> dict[str, tuple[PointNet, PointNet]]:
    """For digits and for parts, each of PointNet and EdgeConv.

    Raises InputError if there are fewer points than neighbours, or than are kept.
    """
    require("--keep", config.keep, below=config.points + 1)
    for flag, count in (("--keep", config.keep), ("--shape-points", config.shape_points)):
        if count < config.neighbours:
            said = f"{flag} leaves {count} points, fewer than the {config.neighbours}"
            raise InputError(f"{said} of --neighbours")
    digits = PointNet(classes, config.widths, dynamic=config.dynamic)
    widths = config.shape_widths
    parts = PointNet(len(PARTS), widths, widths[-1:], dynamic=None, each=True)
    k = config.neighbours
    edges = digits.clone(neighbours=k, keep=config.keep), parts.clone(neighbours=k)
    return {"EdgeConv": edges, "PointNet": (digits, parts)}


def told(
    run: Study, config: Config, data: ImageData, nets: dict[str, PointNet]
) -> dict[str, tuple[PointNet, PyTree]]:
    """Train each network, and record its test scores: the weights that validation prefers."""
    shapes = data.train.x.ndim == 3
    judge = point_segment.evaluate if shapes else classify.evaluate
    best = "validation/part mIoU" if shapes else "validation/accuracy"
    per_epoch = len(data.train.y) // config.batch
    steps = config.steps or per_epoch * (config.shape_epochs if shapes else config.epochs)
    angle = np.pi if shapes else float(np.radians(config.angle))

    def augment(key: Key, x: Array) -> Array:
        k_draw, k_change = jax.random.split(key)
        points = x if shapes else strokes(k_draw, x, config.points)
        return wobbled(k_change, points, angle, config.stretch, config.noise)

    kept = {}
    for name, net in nets.items():
        part = f"{name}, {data.name}"
        tx = optimizer("adam", config.rate, steps=steps, schedule="warmup-cosine")
        learner = classify.make(net, tx, data.train, batch=config.batch, augment=augment)

        def evaluate(member: Member, net: PointNet = net) -> Metrics:
            return judge(net, weights_of(member), data.validation)

        fitted = run.fit(
            sweep(lambda _, learner=learner: learner, None, run.seeds, at_once=1),
            steps,
            Watch(evaluate, max(1, steps // 8), Selection(best, weights_of)),
            part=part,
            shown=("train/loss", best),
            chunk=50,
            saves=steps,
        )
        kept[name] = net, fitted.kept
        asked = _points.asked(net, data, config.points)
        run.model(variables(fitted.kept), asked, part=part)

        def score(weights: PyTree, net: PointNet = net) -> Metrics:
            return judge(net, weights, data.test, "test")

        scores = run.each(score, fitted.kept, at_once=1)
        size = sum(leaf[0].size for leaf in jax.tree.leaves(fitted.kept))
        metric = PARTS_IOU if shapes else ACCURACY
        aimed = name == "EdgeConv" and (shapes or config.data == "mnist")
        goal = (GOALS[metric], "our goal") if aimed else None
        values = scores[metric.replace(" ", "/", 1)]
        named = metric if name == "EdgeConv" else f"{metric}, {name}"
        run.metric(named, values, goal=goal, parameters=size)
    return kept


def beside(run: Study, config: Config, data: ImageData, made: ImageData) -> None:
    """Record what plain methods get of the same points."""
    for name, value in _points.grids(data, config.points).items():
        run.baseline(name, ACCURACY, value)
    for name, value in _points.forests(made, config.trees).items():
        run.baseline(name, PARTS_IOU, value, points=min(_points.LEARNT, made.train.y.size))


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
