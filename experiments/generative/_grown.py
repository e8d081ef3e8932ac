"""Images for networks that grow, and what growing gains: time, and samples more like the data."""

import dataclasses

import numpy as np

from dljax.data import ImageData
from dljax.data.domains import emoji_designs
from dljax.errors import InputError
from dljax.host.experiment import Study
from dljax.host.fit import Fitted
from dljax.typing import Batch
from experiments.generative import _images

KINDS = ("grown", "fixed")
EQUAL = "fixed, in the time of the grown"
DISTANCE = "Frechet distance"
SOURCE = "issue: no worse than the fixed network's, in less time"


def pictures(name: str, batch: int) -> ImageData:
    """A set of `_images.pictures`, or the emoji of both designs, whose classes are the designs."""
    if name != "emoji":
        return _images.pictures(name, batch)
    blob, new, things = emoji_designs()
    groups = np.random.RandomState(0).permutation(np.unique(things))
    cuts = [8 * len(groups) // 10, 9 * len(groups) // 10]

    def part(group: np.ndarray) -> Batch:  # no thing is in two parts
        rows = np.isin(things, group)
        labels = np.repeat(np.arange(2, dtype=np.int32), rows.sum())
        return Batch(np.concatenate([blob[rows], new[rows]]), labels)

    train, validation, test = map(part, np.split(groups, cuts))
    return ImageData("emoji", train, validation, test, ("blob", "redrawn"))


def padded(data: ImageData, side: int) -> ImageData:
    """Images in the middle of squares of `side` pixels, black around them.

    Raises InputError if they are larger.
    """
    h, w = data.train.x.shape[1:3]
    if max(h, w) > side:
        raise InputError(f"--side must be at least {max(h, w)} for {data.name}; got {side}")
    widths = [(0, 0), *(((side - n) // 2, side - n - (side - n) // 2) for n in (h, w)), (0, 0)]
    parts = {
        name: Batch(np.pad(part.x, widths), part.y)
        for name in ("train", "validation", "test")
        for part in [getattr(data, name)]
    }
    return dataclasses.replace(data, **parts)


def enlarged(x: np.ndarray, side: int) -> np.ndarray:
    """Images [n, h, w, c] with each pixel as many, so that they have `side` pixels a side."""
    times = side // x.shape[1]
    return x.repeat(times, 1).repeat(times, 2)


def spent(fitted: Fitted) -> dict[int, float]:
    """Seconds of training up to each logged step, compiling apart.

    The first lap was traced as well, which may take longer than it: it counts as the second does.
    """
    steps, seconds = (
        np.array([record[name] for record in fitted.records]) for name in ("step", "seconds")
    )
    if len(steps) > 1:
        pace = (seconds[1] - seconds[0]) / (steps[1] - steps[0])
        seconds = seconds - seconds[0] + steps[0] * pace
    return dict(zip(steps.tolist(), seconds.tolist(), strict=True))


def whole(fitted: Fitted) -> float:
    """Seconds of training in all."""
    return [*spent(fitted).values()][-1]


def stage_of(fits: dict[str, Fitted], at: list[int]) -> int:
    """The stage at which the fixed network had trained for as long as the grown one in all.

    The first that is not before it: in doubt the fixed network has more time.
    """
    fixed, grown = spent(fits["fixed"]), whole(fits["grown"])
    return next((i for i, step in enumerate(at) if fixed[step] >= grown), len(at) - 1)


def report(run: Study, fits: dict[str, Fitted], step: int) -> None:
    """Time, and the goals: the grown network's distance against either of the fixed one's."""
    for kind, fitted in fits.items():
        run.metric(f"seconds of training, {kind}", [whole(fitted)], "lower")
    run.metric(f"steps of {EQUAL}", [step], "lower")
    found = run.result.metrics
    own, fixed = (found[f"{DISTANCE}, {kind}"]["mean"] for kind in KINDS)
    quicker = whole(fits["grown"]) < whole(fits["fixed"])
    run.target(f"{DISTANCE}, grown", fixed, SOURCE, own <= fixed and quicker)
