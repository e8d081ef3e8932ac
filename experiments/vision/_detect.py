"""Plain detectors beside the network, and drawings of what was found and what was missed."""

import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from scipy import ndimage
from scipy.signal import fftconvolve

from dljax.data.objects import CELLS, ObjectData
from dljax.host import figures
from dljax.host.baselines import linear_classifier
from dljax.host.function import Function, shown
from dljax.ops.boxes import COCO, matched, precision_at_recall
from dljax.typing import Batch, Boxes, Detections, PyTree

MOST = 40  # detections of an image by one plain detector
RADII = (0.7, 0.85, 1.0, 1.15)  # of red cells, in usual ones
CROP = 8  # pixels of a side of what a classifier sees
Seen = list[tuple[int, float, Sequence[float]]]  # label, score and box of each object
Plain = Callable[[np.ndarray], Seen]
"""A plain detector of an image [h, w, c] in [0, 1]."""


class Candidate(NamedTuple):
    """A plain detector and the numbers that it was made with."""

    settings: dict[str, Any]
    plain: Plain


def baseline(data: ObjectData) -> tuple[str, list[dict[str, Any]], Detections]:
    """A plain method's name, its numbers for each class, and what it finds in the test's images.

    The numbers are those with the best AP50 of the class on validation.
    """
    name, candidates = blobs(data) if data.classes == CELLS else components(data)
    told = [all_of(each.plain, data.validation.x) for each in candidates]
    stacked = Detections(*(jnp.stack(leaves) for leaves in zip(*told, strict=True)))
    best = np.nan_to_num(scores(stacked, data.validation, len(data.classes))[0]).argmax(0)
    parts = []
    for label, which in enumerate(best):
        found = all_of(candidates[which].plain, data.test.x)
        parts.append(found._replace(label=np.where(found.label == label, label, -1)))
    together = Detections(*(np.concatenate(leaves, 1) for leaves in zip(*parts, strict=True)))
    return name, [candidates[which].settings for which in best], together


def all_of(plain: Plain, x: np.ndarray) -> Detections:
    """The strongest of what is found in each image, padded to `MOST`."""
    box = np.zeros((len(x), MOST, 4), np.float32)
    label, score = np.full((len(x), MOST), -1), np.zeros((len(x), MOST), np.float32)
    for row, image in enumerate(x):
        found = sorted(plain(image / np.float32(255)), key=lambda each: -each[1])[:MOST]
        for column, each in enumerate(found):
            label[row, column], score[row, column], box[row, column] = each
    return Detections(box, label, score)


def regions(mask: np.ndarray) -> list[tuple[int, tuple[slice, slice]]]:
    """The area and the place of each connected component."""
    named, count = ndimage.label(mask)  # pyright: ignore[reportGeneralTypeIssues]
    areas = np.bincount(named.ravel(), minlength=count + 1)[1:]
    return list(zip(areas.tolist(), ndimage.find_objects(named), strict=True))


def box_of(place: tuple[slice, slice], factor: float = 1.0) -> list[float]:
    """A component's box, its sides `factor` times as long."""
    rows, columns = place
    low, high = np.array([rows.start, columns.start]), np.array([rows.stop, columns.stop])
    centre, half = (low + high) / 2, factor * (high - low) / 2
    return [*(centre - half), *(centre + half)]


def blobs(data: ObjectData) -> tuple[str, list[Candidate]]:
    """Blood cells by colour and shape, each kind by rules of its own.

    What is bluer than green is stained: large components of it are white cells' nuclei, small ones
    platelets. Red cells are circles, darker inside, of about the training's median size.
    """
    unit = np.sqrt(data.train.x[0, ..., 0].size / (240 * 320))  # lengths below are of 240 x 320
    own = data.train.y.box[data.train.y.label == CELLS.index("RBC")]
    usual = np.median(own[:, 2:] - own[:, :2], 0)

    def stain(image: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(image[..., 2] - image[..., 1], unit)

    def white(image: np.ndarray, least: float, joined: float, factor: float) -> Seen:
        side = 2 * round(joined * unit) + 1
        near = ndimage.maximum_filter(stain(image) > least, side)
        grown = ndimage.minimum_filter(near, side)  # the parts of a nucleus are one
        found = [(a, place) for a, place in regions(grown) if a > 500 * unit**2]
        return [(1, a, box_of(place, factor)) for a, place in found]

    def platelet(image: np.ndarray, least: float, factor: float) -> Seen:
        blue = stain(image)
        small = [p for a, p in regions(blue > least) if 15 * unit**2 < a < 500 * unit**2]
        return [(2, float(blue[place].max()), box_of(place, factor)) for place in small]

    def red(image: np.ndarray, apart: float, width: float, clip: float) -> Seen:
        green = ndimage.gaussian_filter(image[..., 1], unit)
        slope = np.stack([ndimage.sobel(green, axis) for axis in (0, 1)]) / 8
        steep = np.maximum(np.linalg.norm(slope, axis=0), 1e-6)
        slope *= np.minimum(1, clip / steep)  # a nucleus' rim counts no more than a cell's
        votes = np.stack([circles(slope, factor * usual.mean() / 2, width) for factor in RADII])
        votes[:, stain(image) > 0.15] = 0
        best = votes.max(0)
        peak = best == ndimage.maximum_filter(best, int(apart * usual.mean()))
        found = []
        for row, column in np.argwhere(peak & (best > 0)):
            half = RADII[votes[:, row, column].argmax()] * usual / 2
            centre = np.array([row, column]) + 0.5
            box = np.clip([*(centre - half), *(centre + half)], 0, [*image.shape[:2]] * 2)
            found.append((0, float(best[row, column]), box.tolist()))
        return found

    families = {
        white: {"least": (0.1, 0.15, 0.2), "joined": (4, 8), "factor": (1.0, 1.15, 1.3)},
        platelet: {"least": (0.1, 0.13, 0.16), "factor": (1.3, 1.6, 1.9)},
        red: {"apart": (0.4, 0.6), "width": (1.5, 3.0), "clip": (0.01, 0.03)},
    }
    found = []
    for plain, axes in families.items():
        for values in itertools.product(*axes.values()):
            settings = dict(zip(axes, values, strict=True))
            found.append(Candidate(settings, functools.partial(plain, **settings)))
    return "colour, components and circles", found


def circles(slope: np.ndarray, radius: float, width: float) -> np.ndarray:
    """Votes [h, w] for centres of dark discs: how steeply all that is a radius away rises outwards.

    slope [2, h, w]; the ring is `width` pixels wide. Hough's transform for circles with the edges'
    directions: Kimme, Ballard and Sklansky 1975.
    """
    reach = int(radius + 3 * width)
    offsets = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    away = np.linalg.norm(offsets, axis=0)
    ring = np.exp(-0.5 * ((away - radius) / width) ** 2)
    ring = ring / ring.sum() * offsets / np.maximum(away, 1)
    # what lies at +offset from a centre votes for it: a correlation
    pairs = zip(slope, ring[:, ::-1, ::-1], strict=True)
    return np.sum([fftconvolve(one, kernel, mode="same") for one, kernel in pairs], 0)


def components(data: ObjectData) -> tuple[str, list[Candidate]]:
    """What is brighter than a threshold, cut out and named by logistic regression.

    Where there is one class to name, what is brightest in the mean counts most.
    """
    rows = zip(data.train.x, data.train.y.box, data.train.y.label, strict=True)
    cut = [(crop(x, b), c) for x, box, label in rows
           for b, c in zip(box, label, strict=True) if c >= 0]  # fmt: skip
    crops, labels = (np.stack(each) for each in zip(*cut, strict=True))
    alone = labels.max() == labels.min()
    model = None if alone else linear_classifier(Batch(crops, labels), 0.1)

    def plain(image: np.ndarray, least: float) -> Seen:
        found = [place for area, place in regions(image.mean(-1) > least) if area > 8]
        if not found:
            return []
        boxes = [box_of(place) for place in found]
        if model is None:
            bright = [float(image[place].mean()) for place in found]
            return [(int(labels[0]), *each) for each in zip(bright, boxes, strict=True)]
        chances = model.predict_proba(np.stack([crop(image, box).ravel() for box in boxes]))
        best = model.classes_[chances.argmax(1)]
        return list(zip(best.tolist(), chances.max(1).tolist(), boxes, strict=True))

    levels = [{"least": level} for level in (0.35, 0.45, 0.55, 0.65)]
    found = [Candidate(each, functools.partial(plain, **each)) for each in levels]
    return "threshold, components and logistic regression", found


def crop(image: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """What a box shows, `CROP` pixels a side, in [0, 1]."""
    scale = 255.0 if image.dtype == np.uint8 else 1.0
    top, left = (max(0, int(np.floor(n))) for n in box[:2])
    part = image[top : max(top + 1, round(box[2])), left : max(left + 1, round(box[3]))]
    rows, columns = (np.linspace(0, n - 1, CROP).round().astype(int) for n in part.shape[:2])
    return part[rows][:, columns].astype(np.float32) / scale


def boxed(predict: Callable[[PyTree, Any], Detections], x: np.ndarray) -> Function:
    """A detector of images as in x [n, h, w, c]: numbers [n, K, 6], 0s and label -1 for no box."""

    def call(params: PyTree, x: Any) -> jax.Array:
        found = predict(params, x)
        return jnp.concatenate([found.box, found.label[..., None], found.score[..., None]], -1)

    return Function(call, shown(x), "choices", ("top", "left", "bottom", "right", "label", "score"))


def scores(found: Detections, data: Batch, count: int) -> np.ndarray:
    """AP50 and AP of each seed and class, [2, S, K], of detections [S, n, K]."""
    each = precisions(found, Boxes(*map(jnp.asarray, data.y)), count).mean(-1)
    return np.stack([each[:, 0], each.mean(1)])


@functools.partial(jax.jit, static_argnames="count")
def precisions(found: Detections, truth: Boxes, count: int) -> jax.Array:
    """`precision_at_recall` of each seed, [S, T, K, 101], at the overlaps of COCO."""
    least = jnp.array(COCO)
    return jax.vmap(lambda own: precision_at_recall(own, truth, count, least))(found)


def named(names: list[str], values: np.ndarray) -> dict[str, np.ndarray]:
    """Scores [2, S, K] by name: their means over the classes and, of few, each class's."""
    found = {kind: np.nanmean(each, 1) for kind, each in zip(("AP50", "AP"), values, strict=True)}
    if len(names) <= 6:
        for kind, each in zip(("AP50", "AP"), values, strict=True):
            found |= {f"{kind}, {name}": each[:, k] for k, name in enumerate(names)}
    return found


@jax.jit
def hits(found: Detections, truth: Boxes) -> jax.Array:
    """Which detections of n images are right at an IoU of .5, [n, K]."""
    return jax.vmap(matched, (0, 0, None))(found, truth, jnp.array([0.5]))[:, 0]


def operating_points(found: Detections, truth: Boxes, classes: int) -> list[float]:
    """Each class's least score that counts where a figure needs one: that of the greatest F1."""
    right, points = np.asarray(hits(found, truth)), []
    for label in range(classes):
        own = found.label == label
        order = np.argsort(-found.score[own], kind="stable")
        true = np.cumsum(right[own][order])
        f1 = 2 * true / (np.arange(1, len(order) + 1) + (truth.label == label).sum())
        points.append(float(found.score[own][order[f1.argmax()]]) if len(order) else 1.0)
    return points


def draw_boxes(
    path: Path, data: ObjectData, chosen_on: Detections, found: Detections, classes: Sequence[str]
) -> Path:
    """What the first seed finds in six images of the test; misses dotted, false alarms crossed.

    A colour a class; the least scores drawn are those of the greatest F1 on validation. Detections
    [S, n, K] of validation and test.
    """
    known, one = (Detections(*(leaf[0] for leaf in each)) for each in (chosen_on, found))
    points = operating_points(known, data.validation.y, len(classes))
    one = one._replace(label=np.where(one.score >= np.append(points, 2)[one.label], one.label, -1))
    x, truth = data.test
    right = np.asarray(hits(one, truth))
    rest = Boxes(one.box, np.where(right, one.label, -1))
    caught = np.asarray(hits(Detections(truth.box, truth.label, np.ones(truth.label.shape)), rest))
    shown = np.linspace(0, len(x) - 1, min(6, len(x))).round().astype(int)
    figure, axes = figures.panels(min(3, len(shown)), -(-len(shown) // 3), size=(4.2, 3.4))
    for ax in axes[len(shown) :]:
        ax.axis("off")
    for ax, i in zip(axes, shown, strict=False):
        ax.axis("off")
        figures.picture(ax, x[i])
        missed, wrong = (truth.label[i] >= 0) & ~caught[i], (one.label[i] >= 0) & ~right[i]
        for box, label, good in zip(one.box[i], one.label[i], right[i], strict=True):
            if label >= 0:
                outline(ax, box, figures.COLORS[label % 6], "-", crossed=not good)
        for box, label in zip(truth.box[i][missed], truth.label[i][missed], strict=True):
            outline(ax, box, figures.COLORS[label % 6], ":")
        said = f"{right[i].sum()} found, {missed.sum()} missed, {wrong.sum()} false alarms"
        ax.set_title(said, fontsize=8)
    if len(classes) <= 6:
        handles = [Rectangle((0, 0), 1, 1, fill=False, ec=color) for color in figures.COLORS]
        place = {"loc": "outside lower center", "ncols": 6, "frameon": False, "fontsize": 8}
        figure.legend(handles[: len(classes)], classes, **place)
    figure.suptitle("first seed on the test: missed dotted, false alarms crossed", fontsize=10)
    return figures.save(figure, path)


def outline(ax: Axes, box: np.ndarray, color: str, style: str, crossed: bool = False) -> None:
    top, left, bottom, right = box - 0.5  # a pixel's centre is drawn at its number
    halo = [withStroke(linewidth=2.6, foreground="white")]  # of dark pictures too
    ax.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, ec=color,
                           ls=style, lw=1.3, path_effects=halo))  # fmt: skip
    if crossed:
        ax.plot([left, right], [top, bottom], color=color, lw=0.8)
        ax.plot([left, right], [bottom, top], color=color, lw=0.8)


def draw_curves(
    path: Path, data: ObjectData, found: dict[str, Detections], classes: Sequence[str]
) -> Path:
    """Precision at each recall of methods' detections [S, n, K], a panel a class, at most eight."""
    truth, shown = Boxes(*map(jnp.asarray, data.test.y)), range(min(len(classes), 8))
    figure, axes = figures.panels(min(4, len(shown)), -(-len(shown) // 4), size=(2.8, 2.6))
    for (name, own), color in zip(found.items(), figures.COLORS, strict=False):
        curve = np.asarray(precisions(own, truth, len(classes))[:, 0])
        for ax, label in zip(axes, shown, strict=False):
            figures.spread(ax, np.linspace(0, 1, 101).tolist(), curve[:, label].T, name, color)
            ax.set(title=classes[label], xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    axes[0].legend(frameon=False, fontsize=7)
    figure.suptitle(f"{data.name}, test: precision at an overlap of .5", fontsize=10)
    return figures.save(figure, path)
