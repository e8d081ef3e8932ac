"""A U-Net outlines the membranes of cells, beside a threshold and a random forest.

System S32 of the syllabus: a trunk and a fully convolutional head with transposed convolutions and
skips (Ronneberger et al. 2015), trained on random crops of slices of the ISBI challenge (Cardona
et al. 2010): 20 to learn from, 4 to choose on and 6 to test, in the volume's order, since
neighbours look alike. Beside it stand the best grey value and a random forest on local features
(as ilastik's); every score has the threshold that validation prefers for it, for all three. Rand
is the challenge's foreground-restricted F-score (Arganda-Carreras et al. 2015). By default the
images are digits in noise, which need no download.

    python -m experiments.vision.segment  # 2 min on 2 cores
    python -m experiments.vision.segment --data isbi --preset standard --seeds 1
    python -m experiments.vision.segment --data my/folder --classes 0 1 2
"""

import functools
from dataclasses import dataclass
from typing import Annotated, Any

import jax
import numpy as np
import optax
from annotated_types import Ge, MinLen

from dljax import Batch, sweep
from dljax.data import masks
from dljax.data.augment import recolour
from dljax.data.augment_masks import bend, turn
from dljax.data.masks import MaskData
from dljax.errors import InputError
from dljax.host import experiment, figures
from dljax.host.config import Common, Count, NotNegative, Number, Positive, ShareBelow1
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.function import Function, Input
from dljax.host.result import Result
from dljax.learn import segment
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import params_of
from dljax.nets.trunk import Segment, Trunk, Vision
from dljax.typing import Key, PyTree
from experiments.vision import _segment

NAME = "vision.segment"
GOALS = {"pixel accuracy": 0.92, "membrane IoU": 0.60}


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a U-Net on images with masks."""

    steps: Count = 300
    """Training steps."""
    data: str = "scenes"
    """scenes, isbi, or the path of a folder with images/ and masks/, or of an .npz file."""
    classes: Annotated[tuple[Number, ...], MinLen(2)] = (0, 255)
    """What a mask of your own holds where each class is."""
    channels: Annotated[tuple[Count, ...], MinLen(1)] = (16, 32)
    """Feature maps at each resolution, the finest first."""
    patch: Count = 1
    """Pixels of a side that make one place of the finest map."""
    side: Count = 64
    """Pixels of the squares that are learnt from."""
    batch: Count = 8
    """Squares in a step, each of another image."""
    rate: Positive = 3e-3
    """The learning rate of Adam at its highest."""
    weight_decay: NotNegative = 1e-4
    """Decoupled decay of kernels."""
    angle: NotNegative = 0.0
    """Degrees by which a square is turned at most, besides quarter turns."""
    bend: NotNegative = 0.0
    """Pixels by which its points are moved, as a standard deviation."""
    light: ShareBelow1 = 0.1
    """Share by which contrast and brightness change at most."""
    pixels: Annotated[int, Ge(100)] = 20_000
    """Training pixels of the random forest."""
    trees: Count = 50
    """Its trees."""


PRESETS = {
    "quick": Config(seeds=2),
    "standard": Config(
        channels=(32, 64, 128), patch=2, side=128, steps=1200, angle=15.0, bend=4.0,
        light=0.15, pixels=200_000, trees=100,
    ),
}  # fmt: skip


def network(config: Config, data: MaskData) -> Vision:
    """Raises InputError for squares that images do not hold, or that cannot be halved so often."""
    h, w = data.train.x.shape[1:3]
    least = config.patch << len(config.channels) - 1
    if not least <= config.side <= min(h, w):
        raise InputError(
            f"--side must be from {least} to the images' {min(h, w)} pixels; got {config.side}"
        )
    trunk = Trunk(config.channels, patch=config.patch)
    return Vision(trunk, Segment(len(data.classes), patch=config.patch))


def main(config: Config) -> Result:
    with Study(NAME, ["S32"], config) as run:
        data = masks.load(config.data, config.classes)
        net = network(config, data)

        def augment(key: Key, batch: Batch) -> Batch:
            k_turn, k_bend, k_light = jax.random.split(key, 3)
            batch = turn(k_turn, batch)
            if config.angle or config.bend:
                batch = bend(k_bend, batch, config.angle, config.bend)
            return batch._replace(x=recolour(k_light, batch.x, config.light))

        rule = optimizer(
            "adam", config.rate, steps=config.steps, schedule="warmup-cosine",
            weight_decay=config.weight_decay,
        )  # fmt: skip
        learner = segment.make(
            net, optax.chain(optax.clip_by_global_norm(1.0), rule), data.train,
            batch=config.batch, side=config.side, augment=augment,
        )  # fmt: skip
        fitted = run.fit(
            sweep(lambda _: learner, None, run.seeds, at_once=1),
            config.steps,
            Watch(
                lambda member: segment.evaluate(net, params_of(member), data.validation),
                max(1, config.steps // 10),
                Selection("validation/loss", params_of, lowest=True),
            ),
            shown=("train/loss", "validation/loss", "validation/accuracy"),
            chunk=50,
        )
        guess = judged(run, net, data, fitted.kept)
        plain = beside(run, config, data)
        run.figure("masks.png", _segment.draw, data.test.x, data.test.y, {"network": guess} | plain)
        title = f"{data.name}: mean over {config.seeds} seeds, band from least to greatest"
        shown = ("loss", "accuracy", "mean IoU")
        run.figure("curves.png", figures.learning_curves, fitted.records, shown, title)
    return run.result


def judged(run: Study, net: Vision, data: MaskData, kept: PyTree) -> np.ndarray:
    """Record the network's test scores; the first seed's masks.

    Whether it looks eight ways at an image is chosen by the validation loss over all seeds.
    """

    def chances(part: Batch, views: bool) -> np.ndarray:
        def one(params: PyTree):
            return segment.predict(net, params, part.x, views=views)

        return np.asarray(run.each(one, kept, at_once=1))

    known = {views: chances(data.validation, views) for views in (False, True)}

    def loss(views: bool) -> float:
        each = [segment.scores(found, data.validation.y)["loss"] for found in known[views]]
        return float(np.mean(each))

    views = min((False, True), key=loss)
    asked = chances(data.test, views)
    predict = functools.partial(segment.predict, net, views=views)
    read = (Input(data.train.x.shape[1:], scaling=data.scaling),)
    told = Function(predict, read, "values", tuple(data.classes), rows=1)
    run.model(kept, {"predict": told})
    found = [
        _segment.judge(seen, data.validation.y, each, data.test.y, data.classes)
        for seen, each in zip(known[views], asked, strict=True)
    ]
    for name in found[0][0]:
        more: Any = {"thresholds": [each[1][name] for each in found]} if found[0][1] else {}
        mean = run.metric(f"test {name}", [each[0][name] for each in found], **more, views=views)
        if data.name == "isbi" and (goal := GOALS.get(name)):  # of as many seeds as are run
            said = f"our goal; {run.result.config['seeds']} seeds"
            run.target(f"test {name}", goal, said, mean["mean"] >= goal)
    return found[0][2]


def beside(run: Study, config: Config, data: MaskData) -> dict[str, np.ndarray]:
    """Record the scores of the plain methods; the masks of the forest."""
    known, asked = _segment.forest(data, config.pixels, config.trees)
    y = data.validation.y, data.test.y
    scores, _, guess = _segment.judge(known, y[0], asked, y[1], data.classes)
    methods = {"random forest": scores}
    if len(data.classes) == 2:
        methods["threshold"] = _segment.threshold(data)
    for method, scores in methods.items():
        for name, value in scores.items():
            run.baseline(f"{method}, {name}", f"test {name}", value)
    return {"random forest": guess}


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
