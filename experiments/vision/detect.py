"""A detector finds digits in composed scenes, or blood cells, beside plain image processing.

System S32 of the syllabus: objects as points, Zhou, Wang and Kraehenbuehl 2019. A map of heat tells
each object's centre, and at the centre stand its size and offset. Precision is averaged over recall
for each class as COCO counts it, at an overlap of .5 and the mean of .5 to .95. Blood cells (BCCD)
are seen at 320 x 240 pixels, half of the pictures' resolution. Beside the network stands what finds
things without learning: colour, connected components and circles, with a classifier for digits.

    python -m experiments.vision.detect
    python -m experiments.vision.detect --data bccd --preset standard  # 95 min on 2 cores
"""

import functools
import itertools
from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from annotated_types import Ge, Le, MinLen

from dljax import Batch, sweep
from dljax.data.augment import flip, recolour, rescale
from dljax.data.objects import load_objects
from dljax.host import experiment, figures
from dljax.host.config import (
    Common,
    Count,
    NotNegative,
    Number,
    Positive,
    Share,
    ShareBelow1,
    Widths,
    require,
)
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.result import Result
from dljax.learn import detect
from dljax.learn.optimizers import Optimizer, optimizer
from dljax.learn.risk import params_of
from dljax.nets.trunk import Detect, Found, Trunk, Vision
from dljax.typing import Key
from experiments.vision import _detect
from experiments.vision._detect import named, scores

NAME = "vision.detect"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a detector on marked pictures and compare it with plain image processing."""

    data: str = "digits"
    """digits, bccd, or the path of a folder as of Pascal VOC."""
    shrink: Count = 1
    """Pixels of a side that become one."""
    patch: Count = 2
    """Pixels of a side that are taken together before the first layer."""
    channels: Annotated[Widths, MinLen(1)] = (16, 32, 64)
    """Feature maps of each resolution; each halves the one before it."""
    level: Number = 0
    """Which of the resolutions the map of heat has, 0 the finest."""
    epochs: Count = 8
    """Passes over the training pictures, where --steps is not given."""
    batch: Count = 16
    """Pictures in a step."""
    optimizer: Optimizer = "adam"
    """The rule of descent."""
    rate: Positive = 3e-3
    """The learning rate at its highest."""
    weight_decay: NotNegative = 0.0
    """Decoupled decay of kernels."""
    flip: bool = False
    """Mirror training pictures at random, and try the mean of all four mirrored at the test."""
    zoom: Annotated[float, Ge(1), Le(4)] = 1.15
    """Enlarge or reduce each training picture by up to this factor, and move it."""
    colour: ShareBelow1 = 0.1
    """Change contrast and colours of each training picture by up to this share."""
    overlaps: Annotated[tuple[Share, ...], MinLen(1)] = (0.3, 0.5, 0.7)
    """Overlaps above which the weaker of two of a class is dropped, to choose from."""
    most: Count = 40
    """Objects that are looked for in a picture."""


CELLS = Config(
    shrink=2,
    patch=4,
    channels=(32, 64, 128, 128),
    level=1,
    epochs=80,
    batch=8,
    rate=1e-3,
    weight_decay=1e-2,
    flip=True,
    zoom=1.3,
    colour=0.2,
    overlaps=(0.3, 0.4, 0.5, 0.6, 0.7),
    most=60,
)
PRESETS = {"quick": Config(seeds=1), "standard": CELLS}
GOALS = {"AP50, WBC": 0.95, "AP50, RBC": 0.80, "AP50, platelets": 0.70}


def main(config: Config) -> Result:
    with Study(NAME, ["S32"], config) as run:
        data = load_objects(config.data, config.shrink)
        count, names = len(data.classes), [said(each) for each in data.classes]
        if data.dropped and not config.quiet:
            print(f"{data.dropped} boxes of no area are left out")
        require("--level", config.level, below=len(config.channels))
        cell = config.patch << config.level  # pixels of a side
        h, w = (-(-side // cell) for side in data.train.x.shape[1:3])
        require("--most", config.most, below=h * w * count + 1)
        net = Vision(Trunk(config.channels, patch=config.patch), Detect(count, config.level))
        per_epoch = max(1, len(data.train.x) // config.batch)
        steps = config.steps or config.epochs * per_epoch
        tx = optimizer(
            config.optimizer,
            config.rate,
            steps=steps,
            schedule="warmup-cosine",
            weight_decay=config.weight_decay,
        )
        augment = functools.partial(changed, config=config)
        options = {"batch": config.batch, "cell": cell, "augment": augment}
        learner = detect.make(net, tx, data.train, **options)
        decode = functools.partial(detect.decode, cell=cell, most=config.most)
        fitted = run.fit(
            sweep(lambda _: learner, None, run.seeds),
            steps,
            Watch(
                lambda own: detect.evaluate(net, params_of(own), data.validation, decode),
                max(1, -(-steps // 10)),
                Selection("validation/AP50", params_of),
            ),
            shown=("train/loss", "validation/AP50"),
            chunk=20,
        )

        def look(x: Any, flips: bool) -> Found:
            return run.each(lambda own: detect.predict(net, own, x, flips=flips), fitted.kept)

        told = {flips: look(data.validation.x, flips) for flips in sorted({False, config.flip})}
        boxes = jax.jit(jax.vmap(lambda told, overlap: decode(told, overlap=overlap), (0, None)))

        def value(way: tuple[bool, float]) -> float:
            own = boxes(told[way[0]], way[1])
            return float(jnp.nanmean(scores(own, data.validation, count)[0]))

        flips, overlap = max(itertools.product(told, config.overlaps), key=value)
        found = boxes(look(data.test.x, flips), overlap)
        for metric, each in named(names, scores(found, data.test, count)).items():
            chosen = {"overlap": overlap, "flips": flips}
            mean = run.metric(f"test {metric}", each, chosen=chosen)["mean"]
            if goal := GOALS.get(metric):  # of one seed and of three, as the issue asks
                run.target(f"test {metric}", goal, f"our goal; {config.seeds} seeds", mean >= goal)
        say = functools.partial(detect.predict, net, flips=flips)
        find = _detect.boxed(lambda own, x: decode(say(own, x), overlap=overlap), data.train.x)
        run.model(fitted.kept, {"predict": find})
        plain, settings, seen = _detect.baseline(data)
        seen = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], seen)
        for metric, each in named(names, scores(seen, data.test, count)).items():
            run.baseline(f"{plain}, {metric}", f"test {metric}", each[0], chosen=settings)
        shown = fitted.records, ("loss", "AP50"), data.name
        run.figure("curves.png", figures.learning_curves, *shown)
        known, found = jax.device_get((boxes(told[flips], overlap), found))
        run.figure("boxes.png", _detect.draw_boxes, data, known, found, names)
        methods = {"network": found, "plain": seen}
        run.figure("precision.png", _detect.draw_curves, data, methods, names)
    return run.result


def changed(key: Key, batch: Batch, config: Config) -> Batch:
    """A training batch as it is never seen twice."""
    k_flip, k_zoom, k_colour = jax.random.split(key, 3)
    if config.flip:
        batch = flip(k_flip, batch)
    if config.zoom > 1:
        batch = rescale(k_zoom, batch, config.zoom)
    return batch._replace(x=recolour(k_colour, batch.x, config.colour))


def said(name: str) -> str:
    """A class as the result calls it."""
    return name.lower() if name == "Platelets" else name


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
