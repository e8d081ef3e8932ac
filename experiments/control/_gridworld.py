"""The figures of mdp: action values on the grid, errors against steps, returns and time limits."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Rectangle

from dljax.envs import tabular
from dljax.host.figures import COLORS, INK, panels, save, spread

CORNERS = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])  # clockwise, y downwards
END = {"G": COLORS[2], "X": COLORS[1]}
ARROW = {"arrowstyle": "-|>", "color": INK, "lw": 0.9, "mutation_scale": 7}


class Learnt(NamedTuple):
    """One entrant's errors [T, N] of Q at its environment steps [T], and its first seed's Q."""

    label: str
    steps: np.ndarray
    errors: np.ndarray
    table: np.ndarray  # [S, A]


def grid(
    ax: Axes, layout: Sequence[str], q: np.ndarray, limit: float, arrows: bool
) -> PolyCollection:
    """Q [S, 4] as four triangles a cell, and an arrow for the best action; ends by their letter."""
    shapes, colors = [], []
    for (row, column), values in zip(tabular.cells(layout).tolist(), q, strict=True):
        letter = str(layout[row][column])
        if letter in END:
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color="white"))
            ax.text(column, row, letter, ha="center", va="center", weight="bold", color=END[letter])
            continue
        centre = np.array([column, row])
        for a, value in enumerate(values):
            shapes.append(centre + np.array([(0, 0), CORNERS[a], CORNERS[(a + 1) % 4]]))
            colors.append(value)
        if not arrows:
            continue
        dr, dc = list(tabular.MOVES.values())[int(values.argmax())]
        head, tail = (column + 0.32 * dc, row + 0.32 * dr), (column - 0.28 * dc, row - 0.28 * dr)
        ax.annotate("", head, tail, arrowprops=ARROW)
    drawn = PolyCollection(shapes, array=np.array(colors), cmap="RdBu", lw=0.2, edgecolor="white")
    drawn.set_clim(-limit, limit)
    ax.add_collection(drawn)
    ax.set_facecolor("#9aa2a9")  # the walls
    ax.set(xlim=(-0.5, len(layout[0]) - 0.5), ylim=(len(layout) - 0.5, -0.5), aspect="equal")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return drawn


def grids(path: Path, layout: Sequence[str], tables: dict[str, np.ndarray], rows: int) -> Path:
    """Every Q [S, 4] on one scale, under its name; an error without arrows."""
    figure, axes = panels(len(tables) // rows, rows, size=(3.2, 2.9))
    limit = max(np.abs(q).max() for q in tables.values())
    for ax, (name, q) in zip(axes, tables.items(), strict=True):
        drawn = grid(ax, layout, q, limit, arrows="error" not in name)
        ax.set_title(name, fontsize=9)
    figure.colorbar(drawn, ax=axes, shrink=0.7, label="Q(s, a), a triangle an action")
    return save(figure, path)


def errors(path: Path, known: list[Learnt], slippery: list[Learnt]) -> Path:
    """Greatest error of Q by entrant, in the world of certain moves and in the slippery one."""
    figure, axes = panels(2, size=(5.0, 3.6))
    for ax, entrants in zip(axes, (known, slippery), strict=True):
        for each, color in zip(entrants, COLORS, strict=False):
            spread(ax, each.steps.tolist(), np.maximum(each.errors, 1e-8), each.label, color)
        ax.set(yscale="log", xlabel="environment steps of a seed")
        ax.legend(frameon=False, fontsize=8)
    for name, goal in (("Q-learning", 1e-5), ("DQN", 1e-2)):
        axes[0].axhline(goal, color=INK, lw=0.8, ls=":")
        axes[0].text(1, goal, f"goal of {name} ", fontsize=7, ha="right", va="bottom",
                     transform=axes[0].get_yaxis_transform())  # fmt: skip
    axes[0].set_ylabel("greatest error of Q")
    axes[0].set_title("certain moves", fontsize=10)
    steps = slippery[0].steps
    root = 0.5 * slippery[-1].errors.mean(1)[-1] * np.sqrt(steps[-1] / steps)
    axes[1].plot(steps, root, color=INK, lw=0.8, ls="--", label="steps^(-1/2)")
    axes[1].set_xscale("log")
    axes[1].set_title("slippery moves", fontsize=10)
    axes[1].legend(frameon=False, fontsize=8)
    return save(figure, path)


def returns(
    path: Path,
    along: dict[str, np.ndarray],
    limits: Sequence[int],
    learnt: dict[str, np.ndarray],
    closed: dict[str, np.ndarray],
) -> Path:
    """Left: V along the best path, and returns from each of its states. Right: Q under limits."""
    figure, (left, right) = panels(2, size=(4.6, 3.4))
    t = np.arange(len(along["V*"]))
    left.plot(t, along["V*"], color=INK, lw=1, label="V*(s_t)")
    for (name, values), color in zip(list(along.items())[1:], COLORS, strict=False):
        left.plot(t, values, "o", ms=5, color=color, label=name)
    left.set(xlabel="t", ylabel="return from step t")
    left.set_title("along the best path to the goal", fontsize=10)
    left.legend(frameon=False, fontsize=8)
    for (name, values), color in zip(learnt.items(), COLORS, strict=False):
        right.plot(limits, closed[name], color=color, lw=1)
        right.plot(limits, values.mean(1), "o", ms=5, color=color, label=name)
    right.set(xscale="log", ylim=(0, None), xlabel="time limit", ylabel="learnt Q")
    right.set_title("reward 1 for ever, seen through a time limit", fontsize=10)
    right.legend(frameon=False, fontsize=8)
    return save(figure, path)
