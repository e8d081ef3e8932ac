"""Figures that a person would rather look at than read. Each draws from arrays and saves a PNG."""

import itertools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from matplotlib.transforms import offset_copy
from numpy.typing import ArrayLike
from PIL.Image import Image, fromarray

from dljax.host.log import Record
from dljax.typing import Array

COLORS = ("#1f5fa8", "#d1603d", "#3d8f5f", "#8a5aa8", "#b8902f", "#5f6b73")
INK = "#24292e"


def panels(
    columns: int, rows: int = 1, size: tuple[float, float] = (4.2, 3.2)
) -> tuple[Figure, list[Axes]]:
    """A figure of `rows x columns` panels in the house style, and its axes in reading order."""
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    axes = list(np.asarray(figure.subplots(rows, columns, squeeze=False)).flat)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(which="both", labelsize=8, colors=INK)
    return figure, axes


def save(figure: Figure, path: Path) -> Path:
    """Write it with its legends below, plain numbers on its logarithmic axes, and nothing cut."""
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            if isinstance(axis.get_major_formatter(), LogFormatter):
                scale: Any = axis.get_transform()
                axis.set_major_formatter(Plain(scale.base))
                axis.set_minor_formatter(Plain(scale.base, labelOnlyBase=False))
    for ax in figure.axes:
        below(ax)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight", pad_inches=0.06)
    return path


class Plain(LogFormatter):
    """`0.01` where matplotlib writes a power of ten."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def below(ax: Axes) -> None:
    """Move the legend under the axis' numbers and name, off the data, unless it has a place.

    Those of twin axes, which share a panel, become one.
    """
    legend, figure = ax.get_legend(), ax.get_figure(root=True)
    if legend is None or figure is None or legend.get_bbox_to_anchor() is not ax.bbox:
        return
    twins = [each for each in figure.axes if each.bbox.bounds == ax.bbox.bounds]
    labels = [each.get_legend_handles_labels() for each in twins]
    drawn = {name: handle for given in labels for handle, name in zip(*given, strict=True)}
    legends = [found for each in twins if (found := each.get_legend()) is not None]
    if not (texts := [text for each in legends for text in each.get_texts()]):
        return
    own = [handle for each in legends for handle in each.legend_handles]
    for each in legends:
        each.remove()
    boxes = [each.xaxis.get_tightbbox(FigureCanvasAgg(figure).get_renderer()) for each in twins]
    lowest = min((box.y0 for box in boxes if box is not None), default=ax.bbox.y0)
    deep = max(0.0, ax.bbox.y0 - lowest) * 72 / figure.dpi
    names, size = [text.get_text() for text in texts], float(texts[0].get_fontsize())
    wide = 0.55 * size * max(map(len, names)) + 35
    # a legend's own handles are plain lines where what was drawn has markers, caps and bars
    handles = [drawn.get(name, handle) for name, handle in zip(names, own, strict=True)]
    ax.legend(
        [handle for handle in handles if handle is not None],
        names,
        ncols=int(np.clip(ax.bbox.width * 72 / figure.dpi / wide, 1, len(names))),
        title=legend.get_title().get_text() or None,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=offset_copy(ax.transAxes, figure, y=-deep - 6, units="points"),
        fontsize=size,
        title_fontsize=size,
        frameon=False,
    )


def film(path: Path, pictures: Sequence[Image], milliseconds: int) -> Path:
    """Pictures one after another, each for so long, as a GIF that begins anew at its end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = pictures
    first.save(path, save_all=True, append_images=others, duration=milliseconds, loop=0)
    return path


def snapshot(figure: Figure, dpi: int = 80) -> Image:
    """What a figure shows now, for a film."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(dpi)
    canvas.draw()
    return fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).quantize(64)


def spread(
    ax: Axes, x: Sequence[float] | np.ndarray, values: np.ndarray, label: str, color: str
) -> None:
    """The mean over members of values [T, N], and a band from their least to their greatest."""
    ax.plot(x, values.mean(1), color=color, lw=1.6, label=label)
    ax.fill_between(x, values.min(1), values.max(1), color=color, alpha=0.2, lw=0)


def curve(records: list[Record], name: str) -> tuple[list[int], np.ndarray]:
    """The steps at which a metric was logged, and its values [T, N]."""
    rows = [record for record in records if name in record]
    return [row["step"] for row in rows], np.array([row[name] for row in rows])


def learning_curves(path: Path, records: list[Record], names: Sequence[str], title: str) -> Path:
    """One panel a metric, training beside validation, with the spread over seeds."""
    figure, axes = panels(len(names))
    for ax, name in zip(axes, names, strict=True):
        for split, color in (("train", COLORS[0]), ("validation", COLORS[1])):
            steps, values = curve(records, f"{split}/{name}")
            if steps:
                spread(ax, steps, values, split, color)
        if name == "loss":
            ax.set_yscale("log")
        ax.set_xlabel("step")
        ax.set_ylabel(name)
        ax.legend(frameon=False, fontsize=8)
    figure.suptitle(textwrap.fill(title, 42 * len(names)), fontsize=10)
    return save(figure, path)


def confusion(
    path: Path, labels: np.ndarray, guesses: np.ndarray, classes: Sequence[str], most: int = 30
) -> Path:
    """Share of each true class (rows) given each guess (columns), in per cent, over all seeds.

    labels [n], guesses [N, n]. The diagonal is left pale, so that the mistakes show. Of more than
    `most` classes, those with most mistakes.
    """
    k = len(classes)
    counts = np.zeros((k, k))
    np.add.at(counts, (np.broadcast_to(labels, guesses.shape), guesses), 1)
    share = 100 * counts / counts.sum(1, keepdims=True).clip(1)
    chosen = ""
    if k > most:
        wrong = counts * (1 - np.eye(k))
        rows = np.sort(np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")[:most])
        share = share[np.ix_(rows, rows)]
        classes = [classes[int(row)] for row in rows]
        k, chosen = most, f", {most} of {k} classes"
    mistakes = share * (1 - np.eye(k))
    figure, (ax,) = panels(1, size=(0.55 * k + 2.2, 0.5 * k + 1.6))
    ax.imshow(mistakes, cmap="Oranges", vmin=0, vmax=max(1.0, mistakes.max()) * 1.3)
    for row, column in np.argwhere(share >= 0.05):
        ax.text(column, row, f"{share[row, column]:.1f}", ha="center", va="center", fontsize=7)
    turned = {"rotation": 45, "ha": "right"} if max(map(len, classes)) > 2 else {}
    ax.set_xticks(range(k), classes, **turned)
    ax.set_yticks(range(k), classes)
    ax.set_xlabel("guess")
    ax.set_ylabel("truth")
    ax.set_title(f"guesses for each class, % ({len(guesses)} seeds{chosen})", fontsize=10)
    return save(figure, path)


def reliability(path: Path, labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> Path:
    """How often guesses of each confidence are right, with the spread over seeds, and how many are.

    labels [n], probabilities [N, n, K]. On the diagonal a network knows how sure it may be. Guo et
    al. 2017, figure 1.
    """
    sure, right = probabilities.max(-1), probabilities.argmax(-1) == labels
    place = np.clip((sure * bins).astype(int), 0, bins - 1)
    inside = place[..., None] == np.arange(bins)  # [N, n, bins]
    count = inside.sum(1)
    with np.errstate(invalid="ignore"):  # no guess of a seed is in a bin
        rate = (inside & right[..., None]).sum(1) / count
        shown = (inside * sure[..., None]).sum((0, 1)) / count.sum(0)
    figure, (ax, below) = panels(1, 2, size=(4.2, 2.4))
    ax.plot([0, 1], [0, 1], color=INK, lw=0.8, ls=":")
    for k in np.flatnonzero(count.sum(0)):
        seeds = rate[:, k][count[:, k] > 0]
        error = [[seeds.mean() - seeds.min()], [seeds.max() - seeds.mean()]]
        ax.errorbar(shown[k], seeds.mean(), error, fmt="o", ms=5, color=COLORS[0], capsize=3)
    ax.set(xlim=(0, 1.02), ylim=(0, 1.05), ylabel="share that is right")
    below.bar((np.arange(bins) + 0.5) / bins, count.mean(0), 0.9 / bins, color=COLORS[5])
    below.set(xlim=(0, 1.02), xlabel="probability of the guess", ylabel="guesses")
    figure.suptitle("how sure, and how often right (from least to greatest seed)", fontsize=10)
    return save(figure, path)


def worst(
    path: Path, x: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> Path:
    """Up to 24 images guessed wrong by the mean over seeds, the truth's least probability first.

    x [n, h, w, c], labels [n], probabilities [N, n, K].
    """
    mean = probabilities.mean(0)
    figure, axes = panels(8, 3, size=(1.25, 1.5))
    for ax in axes:
        ax.axis("off")
    order = np.argsort(np.take_along_axis(mean, labels[:, None], 1)[:, 0])
    wrong = [i for i in order.tolist() if mean[i].argmax() != labels[i]]
    for ax, i in zip(axes, wrong, strict=False):
        picture(ax, x[i])
        truth = int(labels[i])
        rival = int(np.argmax(np.where(np.arange(len(classes)) == truth, -1, mean[i])))
        said = (f"{classes[k]}: {100 * mean[i, k]:.0f} %" for k in (truth, rival))
        ax.set_title("\n".join(said), fontsize=7)
    said = "the worst mistakes: the truth, then the strongest rival"
    figure.suptitle(said if wrong else "nothing is guessed wrong", fontsize=10)
    return save(figure, path)


def filters(path: Path, kernel: np.ndarray) -> Path:
    """First-layer filters, kernel [h, w, c, n], on one scale: blue below zero, red above."""
    count = kernel.shape[-1]
    columns = min(8, count)
    figure, axes = panels(columns, -(-count // columns), size=(0.8, 0.8))
    limit = np.abs(kernel).max()
    for ax in axes:
        ax.axis("off")
    for ax, each in zip(axes, np.moveaxis(kernel, -1, 0), strict=False):
        ax.imshow(each.mean(-1), cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.suptitle("first-layer filters of the first seed", fontsize=10)
    return save(figure, path)


def picture(ax: Axes, image: np.ndarray) -> None:
    """An image [h, w, c]: colour for three channels, else grey, the mean over its channels."""
    colored = image.shape[-1] == 3
    ax.imshow(image if colored else image.mean(-1), cmap=None if colored else "gray_r")


def dots(
    ax: Axes, groups: Mapping[str, Sequence[float] | np.ndarray], colors: Sequence[str] = COLORS
) -> None:
    """One column a group: every seed's value as a dot, and its mean with two standard errors."""
    for column, (values, color) in enumerate(zip(groups.values(), itertools.cycle(colors))):
        places = column + np.linspace(-0.22, 0.22, len(values)) if len(values) > 1 else [column]
        ax.scatter(places, values, s=9, color=color, alpha=0.45, lw=0)
        error = 2 * np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        ax.errorbar(column, np.mean(values), error, fmt="o", ms=5, color=INK, capsize=4, lw=1.4)
    ax.set_xticks(range(len(groups)), list(groups), fontsize=8)
    ax.set_xlim(-0.5, len(groups) - 0.5)


def regions(
    ax: Axes,
    f: Callable[[Array], ArrayLike],
    box: tuple[float, float, float, float],
    limits: tuple[float, float] = (-4.0, 4.0),
    boundary: float = 0.0,
) -> QuadMesh:
    """f [n, 2] -> [n] over a box of the plane (x1 from, to, x2 from, to), and where it decides.

    Blue below, red above the middle of `limits`; a line where f is `boundary`, unless f is flat.
    """
    x1, x2 = np.meshgrid(np.linspace(*box[:2], 121), np.linspace(*box[2:], 121))
    points = jnp.stack([x1.ravel(), x2.ravel()], 1)
    values = np.asarray(f(points)).reshape(x1.shape)
    low, high = limits
    mesh = ax.pcolormesh(
        x1, x2, values, cmap="RdBu_r", vmin=low, vmax=high, alpha=0.75, rasterized=True, lw=0
    )
    if values.min() < boundary < values.max() and np.ptp(values) > 1e-4 * (high - low):
        ax.contour(x1, x2, values, [boundary], colors=INK, linewidths=1.4)
    return mesh
