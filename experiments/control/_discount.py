"""The maps of `discount`, paths on them, where gamma changes the best one, and the figures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from dljax.envs import tabular
from dljax.host import figures
from dljax.host.figures import COLORS, INK

PRIZES = (
    "1.S......3#",
    "##.########",
    "##.........",
    "##########.",
    "9..........",
)
WINDY = (
    "...........",
    ".#########.",
    "S.........G",
    "XXXXXXXXXXX",
)


def places(layout: Sequence[str]) -> dict[tuple[int, int], int]:
    """The state's number of each cell."""
    return {(int(r), int(c)): s for s, (r, c) in enumerate(tabular.cells(layout))}


def letter(layout: Sequence[str], state: int) -> str:
    row, column = tabular.cells(layout)[state]
    return str(layout[row][column])


def prize_at(layout: Sequence[str], state: int) -> int:
    """What a state's digit says; 0 where there is none."""
    said = letter(layout, state)
    return int(said) if said.isdigit() else 0


def followed(layout: Sequence[str], q: np.ndarray) -> list[int]:
    """States from the start on, going where Q [S, A] is greatest, up to an end or the first twice.

    A move into a wall stays, so it ends the path too.
    """
    number, at = places(layout), tabular.cells(layout)
    path = [next(s for s in range(len(at)) if letter(layout, s) == "S")]
    while letter(layout, path[-1]) in "S.":
        row, column = at[path[-1]]
        dr, dc = list(tabular.MOVES.values())[int(q[path[-1]].argmax())]
        path.append(number.get((int(row + dr), int(column + dc)), path[-1]))
        if path[-1] in path[:-1]:
            break
    return path


def prizes(layout: Sequence[str]) -> dict[int, int]:
    """Moves from the start to each prize, the shortest way, by breadth-first search."""
    number = places(layout)
    cell = {s: rc for rc, s in number.items()}
    start = next(s for s in cell if letter(layout, s) == "S")
    found, seen, edge, moves = {}, {start}, [start], 0
    while edge:
        moves, reached = moves + 1, []
        for s in edge:
            for dr, dc in tabular.MOVES.values():
                to = number.get((cell[s][0] + dr, cell[s][1] + dc), s)
                if to in seen:
                    continue
                seen.add(to)
                if prize_at(layout, to):
                    found[prize_at(layout, to)] = moves
                else:
                    reached.append(to)
        edge = reached
    return found


def closed(moves: dict[int, int]) -> list[float]:
    """The gammas at which the best of prizes, after so many moves each, is another.

    Two are worth the same, `r gamma^(n - 1)`, at `(r / r')^(1 / (n' - n))`; from the nearest prize
    on, the next one is that whose gamma is the least.
    """
    now, found = min(moves, key=lambda r: moves[r]), []
    while True:
        later = {
            (now / r) ** (1 / (n - moves[now])): r
            for r, n in moves.items()
            if n > moves[now] and r > now
        }
        if not later:
            return found
        found.append(min(later))
        now = later[found[-1]]


def show(ax: Axes, layout: Sequence[str], paths: dict[str, list[int]]) -> None:
    """A map with a path in each colour, side by side where they share a cell."""
    at, rows, columns = tabular.cells(layout), len(layout), len(layout[0])
    for row in range(rows):
        for column in range(columns):
            mark = layout[row][column]
            color = {"#": "#9aa2a9", "X": "#f3d9d0"}.get(mark, "white")
            square = Rectangle((column - 0.5, row - 0.5), 1, 1, fc=color, ec="#d5d9dc", lw=0.5)
            ax.add_patch(square)
            if mark in "SGX" or mark.isdigit():
                ax.text(column, row, mark, ha="center", va="center", fontsize=10, weight="bold",
                        color=INK, zorder=3)  # fmt: skip
    for i, ((said, path), color) in enumerate(zip(paths.items(), COLORS, strict=False)):
        aside = 0.16 * (i - (len(paths) - 1) / 2)
        y, x = at[path].T
        ax.plot(x + aside, y + aside, color=color, lw=2, label=said, marker="o", ms=2.5)
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), aspect="equal", xticks=[],
           yticks=[])  # fmt: skip
    ax.spines[:].set_visible(False)
    ax.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.02))


def draw_maps(path: Path, paths: dict[str, dict[str, list[int]]], wind: float) -> Path:
    """Both maps with the best path for every gamma."""
    figure, axes = figures.panels(2, size=(5.0, 3.6))
    titles = ("prizes near and far", f"a pit (X), and wind {wind:g} to the sides")
    for ax, layout, name, title in zip(axes, (PRIZES, WINDY), paths, titles, strict=True):
        show(ax, layout, paths[name])
        ax.set_title(title, fontsize=10)
    return figures.save(figure, path)


def draw_values(
    path: Path, changes: list[float], gammas: Sequence[float], ends: dict[float, np.ndarray]
) -> Path:
    """What every prize is worth against gamma, and to which one Q-learning flies."""
    figure, (ax,) = figures.panels(1, size=(5.6, 3.8))
    moves, line = prizes(PRIZES), np.linspace(0.3, 0.995, 200)
    for (prize, n), color in zip(sorted(moves.items()), COLORS, strict=False):
        ax.plot(line, prize * line ** (n - 1), color=color, label=f"prize {prize}, {n} moves away")
    for at in changes:
        ax.axvline(at, color=INK, lw=0.8, ls=":")
    for gamma in gammas:
        for prize in np.unique(ends[gamma]).tolist():
            worth = prize * gamma ** (moves.get(prize, 1) - 1)
            ax.plot(gamma, worth, "o", color=INK, ms=5, mfc="none")
    ax.plot([], [], "o", color=INK, ms=5, mfc="none", label="Q-learning flies there")
    ax.set(xlabel="gamma", ylabel="value at the start", yscale="log", ylim=(1e-2, 12))
    ax.set_title("the best path changes where two values cross (dotted: by bisection)", fontsize=9)
    ax.legend(frameon=False, fontsize=8)
    return figures.save(figure, path)
