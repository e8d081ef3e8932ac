"""Drawings of `experiments.frontiers.cubic`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dljax.host import figures
from dljax.learn.uncertainty import Told


def draw(
    path: Path,
    told: dict[str, dict[int, Told]],
    sizes: Sequence[int],
    places: np.ndarray,
    truth: np.ndarray,
) -> Path:
    """Each method's curve of one seed with two deviations, from the fewest and most examples."""
    few, many = min(sizes), max(sizes)
    figure, axes = figures.panels(len(told), 2, size=(3.2, 2.8))
    order = np.argsort(places)
    x = places[order]
    for row, n in enumerate((few, many)):
        for column, (name, by) in enumerate(told.items()):
            ax, own = axes[row * len(told) + column], by[n]
            mean, sd, part = (
                np.asarray(each[0])[order] for each in (own.mean, own.sd, np.sqrt(own.epistemic))
            )
            ax.fill_between(
                x,
                mean - 2 * sd,
                mean + 2 * sd,
                color=figures.COLORS[0],
                alpha=0.15,
                label="2 sd, all",
            )
            ax.fill_between(
                x,
                mean - 2 * part,
                mean + 2 * part,
                color=figures.COLORS[1],
                alpha=0.3,
                label="2 sd, epistemic",
            )
            ax.plot(x, truth[order], color=figures.INK, lw=0.8, ls="--", label="truth")
            ax.plot(x, mean, color=figures.COLORS[0], lw=1.2)
            ax.set_ylim(-250, 250)
            ax.set_title(f"{name}, {n} examples", fontsize=8)
            for edge in (-4, 4):
                ax.axvline(edge, color=figures.INK, lw=0.5, ls=":")
    axes[0].legend(fontsize=7, frameon=False, loc="upper left")
    return figures.save(figure, path)
