"""What `selfplay` draws: strength over training, and a game that moves."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle

from dljax.envs.boards import Board, Game, mover, stack
from dljax.host import figures
from dljax.host.figures import COLORS, INK
from dljax.host.log import Record
from dljax.typing import Array
from experiments.control._selfplay import GAMES

MEASURES = {
    "validation/score": "Elo above a weak UCT",
    "validation/optimal": "optimal moves, no search",
    "train/policy_loss": "loss of the policy",
    "train/value_loss": "loss of the value",
}
STONES = {1: COLORS[1], -1: COLORS[4]}  # of the first player and the second


def draw_strength(path: Path, fits: dict[str, list[Record]], title: str) -> Path:
    """What was measured between chunks, over steps: a curve each way to learn."""
    figure, axes = figures.panels(len(MEASURES))
    for ax, (name, label) in zip(axes, MEASURES.items(), strict=True):
        for (way, records), color in zip(fits.items(), COLORS, strict=False):
            steps, values = figures.curve(records, name)
            values = elo(values) if label.startswith("Elo") else values
            figures.spread(ax, steps, values, way, color)
        ax.set_xlabel("step")
        ax.set_title(label, fontsize=9)
    if len(fits) > 1:
        axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figures.save(figure, path)


def elo(score: np.ndarray) -> np.ndarray:
    """How far above its opponent a player stands by its score over GAMES games.

    `400 log10((w + 1/2) / (n - w + 1/2))`, w its wins and half its draws: finite though it won all.
    """
    won = GAMES * score
    return 400 * np.log10((won + 0.5) / (GAMES - won + 0.5))


def draw_game(
    path: Path,
    game: Game,
    begun: Board,
    moves: np.ndarray,
    told: Callable[[Board], tuple[Array, Array]],
) -> Path:
    """A game of the learnt player, who is to move in `begun`, as an animated GIF: a frame a move.

    moves [T], -1 after the end; `told` is its network, whose value each frame says.
    """
    positions, move = [begun], jax.jit(game.move)
    for action in moves[moves >= 0]:
        positions.append(move(positions[-1], jnp.int32(action)))
    values = np.asarray(jax.jit(told)(stack(positions))[1])
    player, notes = int(mover(begun)), []
    for t, (board, value) in enumerate(zip(positions, values, strict=True)):
        who = "network" if t % 2 else "UCT"
        ours = value if int(mover(board)) == player else -value
        notes.append(f"{who if t else 'opening'}; network's value {ours:+.2f}")
    result = int(positions[-1].winner) * player
    notes[-1] = {1: "the network won", -1: "UCT won", 0: "a draw"}[result]
    rows, columns = begun.cells.shape
    figure, (ax,) = figures.panels(1, size=(0.42 * max(columns, 6) + 0.4, 0.42 * rows + 0.6))
    before, pictures = np.asarray(begun.cells), []
    frames = [*positions, positions[-1]]  # the end stands for a while
    for board, note in zip(frames, [*notes, notes[-1]], strict=True):
        cells = np.asarray(board.cells)
        draw_board(ax, cells, cells != before)
        ax.set_title(note, fontsize=8, color=INK)
        pictures.append(figures.snapshot(figure))
        before = cells
    return figures.film(path, pictures, 1000)


def draw_board(ax: Axes, cells: np.ndarray, new: np.ndarray) -> None:
    """Stones on a board, row 0 on top, those that are `new` with a ring."""
    rows, columns = cells.shape
    ax.clear()
    ax.axis("off")
    ax.add_patch(Rectangle((-0.5, -0.5), columns, rows, color=COLORS[0], lw=0))
    for r, c in np.ndindex(rows, columns):
        color = STONES.get(int(cells[r, c]), "white")
        edge = INK if new[r, c] else color
        ax.add_patch(Circle((c, r), 0.38, facecolor=color, edgecolor=edge, lw=2))
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), aspect="equal")
