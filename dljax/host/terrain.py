"""Figures of a positive height over a plane, on a logarithmic scale: contours and surfaces."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from dljax.host.figures import INK, panels, save


class Terrain(NamedTuple):
    """Heights [A, B] at coordinates a [A] and b [B]; a path [T, 2] over them, if one is known."""

    title: str
    a: ArrayLike
    b: ArrayLike
    heights: ArrayLike
    path: ArrayLike | None = None


def scale(terrains: Sequence[Terrain]) -> LogNorm:
    """One scale for all, from the least height to the 95th percentile of all heights."""
    values = np.concatenate([np.ravel(terrain.heights) for terrain in terrains])
    return LogNorm(max(values.min(), 1e-4), np.percentile(values, 95), clip=True)


def contours(path: Path, rows: Sequence[Sequence[Terrain]]) -> Path:
    """One panel a terrain, each row on one scale, with the path from its start to its end."""
    figure, axes = panels(len(rows[0]), len(rows), size=(4.0, 3.5))
    for row, terrains in enumerate(rows):
        norm = scale(terrains)
        mine = axes[row * len(terrains) : (row + 1) * len(terrains)]
        for ax, terrain in zip(mine, terrains, strict=True):
            filled = contour(ax, terrain, norm)
        figure.colorbar(filled, ax=mine, label="loss", ticks=decades(norm), pad=0.02)
    return save(figure, path)


def contour(ax: Axes, terrain: Terrain, norm: LogNorm):
    """Filled contours in equal steps of the logarithm, with lines between them."""
    levels = np.geomspace(norm.vmin or 1e-4, norm.vmax or 1.0, 19)
    heights = np.clip(terrain.heights, levels[0], levels[-1]).T  # a to the right, b upwards
    filled = ax.contourf(terrain.a, terrain.b, heights, levels, norm=norm, cmap="viridis")
    ax.contour(terrain.a, terrain.b, heights, levels, colors="white", linewidths=0.3, alpha=0.6)
    if terrain.path is not None:
        path = np.asarray(terrain.path)
        ax.plot(*path.T, color="white", lw=1, marker="o", ms=2.5)
        ax.plot(*path[0], marker="s", ms=6, color="white", mec=INK, ls="", label="start")
        ax.plot(*path[-1], marker="*", ms=11, color="#ffd75e", mec=INK, ls="", label="end")
        ax.legend(fontsize=7, loc="best")
    ax.locator_params(nbins=5)
    ax.set_title(terrain.title, fontsize=9)
    return filled


def surfaces(path: Path, terrains: Sequence[Terrain]) -> Path:
    """The terrains side by side in three dimensions, their heights on one logarithmic scale."""
    norm = scale(terrains)
    figure = Figure(figsize=(4.6 * len(terrains), 4.0), layout="constrained")
    for place, terrain in enumerate(terrains):
        ax = figure.add_subplot(1, len(terrains), place + 1, projection="3d")
        heights = np.log10(np.clip(terrain.heights, norm.vmin, norm.vmax))
        a, b = np.meshgrid(terrain.a, terrain.b, indexing="ij")
        colors = {"cmap": "viridis", "vmin": np.log10(norm.vmin), "vmax": np.log10(norm.vmax)}
        ax.plot_surface(
            a, b, heights, rstride=1, cstride=1, lw=0.1, edgecolor="#ffffff40", **colors
        )
        ax.set_zlim(np.log10(norm.vmin), np.log10(norm.vmax))
        ticks = decades(norm)
        ax.set_zticks(np.log10(ticks), [f"{tick:g}" for tick in ticks])
        ax.view_init(28, -55)
        ax.tick_params(labelsize=7)
        ax.set_title(terrain.title, fontsize=10)
    return save(figure, path)


def decades(norm: LogNorm) -> np.ndarray:
    low, high = np.ceil(np.log10(norm.vmin)), np.floor(np.log10(norm.vmax))
    return 10.0 ** np.arange(low, high + 1)
