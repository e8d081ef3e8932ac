"""The figures of landscape: a positive height over a plane, on a logarithmic scale."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from dljax.host.figures import INK, panels, save


class Terrain(NamedTuple):
    """Heights [A, B] at coordinates a [A] and b [B]; a path [T, 2] over them, if one is known."""

    title: str
    a: Any
    b: Any
    heights: Any
    path: Any = None


Scale = tuple[float, float]


def scale(terrains: Sequence[Terrain]) -> Scale:
    """One for all, up to the 95th percentile: else the corners would take all the colours."""
    values = np.concatenate([np.ravel(terrain.heights) for terrain in terrains])
    return max(float(values.min()), 1e-4), max(float(np.percentile(values, 95)), 2e-4)


def decades(limits: Scale) -> np.ndarray:
    """The powers of ten within a scale."""
    low, high = np.log10(limits)
    return 10.0 ** np.arange(np.ceil(low), np.floor(high) + 1)


def contours(path: Path, rows: Sequence[Sequence[Terrain]]) -> Path:
    """One panel a terrain, each row on one scale, with the path from its start to its end."""
    figure, axes = panels(len(rows[0]), len(rows), size=(3.6, 3.1))
    for row, terrains in enumerate(rows):
        limits = scale(terrains)
        mine = axes[row * len(terrains) :][: len(terrains)]
        filled = [contour(*pair, limits) for pair in zip(mine, terrains, strict=True)]
        figure.colorbar(filled[-1], ax=mine, label="loss", ticks=decades(limits), pad=0.02)
    return save(figure, path)


def contour(ax: Axes, terrain: Terrain, limits: Scale):
    """Filled contours in equal steps of the logarithm, with lines between them."""
    levels = np.geomspace(*limits, 19)
    heights = np.clip(terrain.heights, *limits).T  # a to the right, b upwards
    filled = ax.contourf(
        terrain.a, terrain.b, heights, levels, norm=LogNorm(*limits), extend="both"
    )
    ax.contour(terrain.a, terrain.b, heights, levels, colors="white", linewidths=0.3, alpha=0.6)
    if terrain.path is not None:
        a, b = np.asarray(terrain.path).T
        ax.plot(a, b, color="white", lw=1, marker="o", ms=2.5)
        ax.plot(a[0], b[0], "s", ms=6, color="white", mec=INK, label="start")
        ax.plot(a[-1], b[-1], "*", ms=11, color="#ffd75e", mec=INK, label="end")
        ax.legend(fontsize=7)
    ax.locator_params(nbins=5)
    ax.set_title(terrain.title, fontsize=9)
    return filled


def surfaces(path: Path, terrains: Sequence[Terrain]) -> Path:
    """The terrains side by side in three dimensions, their heights on one logarithmic scale."""
    limits = scale(terrains)
    low, high = np.log10(limits)
    look = {"rstride": 1, "cstride": 1, "lw": 0.1, "edgecolor": "#ffffff40", "cmap": "viridis"}
    figure = Figure(figsize=(4.2 * len(terrains), 3.7), layout="constrained")
    for place, terrain in enumerate(terrains):
        ax: Any = figure.add_subplot(1, len(terrains), place + 1, projection="3d")
        a, b = np.meshgrid(terrain.a, terrain.b, indexing="ij")
        heights = np.log10(np.clip(terrain.heights, *limits))
        ax.plot_surface(a, b, heights, vmin=low, vmax=high, **look)
        ax.set_zlim(low, high)
        ax.set_zticks(np.log10(decades(limits)), [f"{tick:g}" for tick in decades(limits)])
        ax.locator_params(axis="x", nbins=5)
        ax.locator_params(axis="y", nbins=5)
        ax.view_init(28, -55)
        ax.tick_params(labelsize=7)
        ax.set_title(terrain.title, fontsize=10)
    return save(figure, path)
