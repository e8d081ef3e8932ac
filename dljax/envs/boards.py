"""Games of k in a row on any board: tic-tac-toe, Connect Four and their kin, as pure functions.

Two players move in turn; whoever first has `length` stones in a row, column or diagonal wins, and a
full board is a draw. All shapes are fixed, so that games are jitted, vmapped and searched.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax.errors import InputError, check_count
from dljax.ops.pick import pick
from dljax.typing import Array, Key

WAYS = ((0, 1), (1, 0), (1, 1), (1, -1))  # in which stones may stand in a row


class Board(NamedTuple):
    """A position. Row 0 is on top."""

    cells: Array  # int8 [R, C]: 1 of the first player, -1 of the second, 0 empty
    count: Array  # moves made, int32
    winner: Array  # int8: 1, -1, or 0 while nobody has won


class Symmetries(NamedTuple):
    """Each symmetry s: cell i of the new board is cell `cells[s, i]` of the old, and so actions."""

    cells: np.ndarray  # int32 [S, R C]
    actions: np.ndarray  # int32 [S, A]


@dataclass(frozen=True)
class Game:
    """The rules: a board of rows x columns, `length` in a row wins, and whether stones fall.

    An action is a column where they fall, else a cell, row by row. Raises InputError for a side
    that is shorter than `length`.
    """

    rows: int
    columns: int
    length: int
    gravity: bool

    def __post_init__(self) -> None:
        check_count(rows=self.rows, columns=self.columns, length=self.length)
        if min(self.rows, self.columns) < self.length:
            raise InputError(
                f"a board of at least {self.length} x {self.length} is needed for "
                f"{self.length} in a row; got {self.rows} x {self.columns}"
            )

    @property
    def cells(self) -> int:
        """The number of cells, and so of moves at most."""
        return self.rows * self.columns

    @property
    def actions(self) -> int:
        """The number of actions."""
        return self.columns if self.gravity else self.cells

    def init(self) -> Board:
        """The empty board."""
        return Board(jnp.zeros((self.rows, self.columns), jnp.int8), jnp.int32(0), jnp.int8(0))

    def done(self, board: Board) -> Array:
        """Whether the game is over."""
        return (board.winner != 0) | (board.count >= self.cells)

    def legal(self, board: Board) -> Array:
        """The actions that may be taken, bool [A]: none once the game is over."""
        free = board.cells[0] == 0 if self.gravity else board.cells.reshape(-1) == 0
        return free & ~self.done(board)

    def move(self, board: Board, action: Array) -> Board:
        """The board after `action` of the player to move; an illegal one leaves it as it is."""
        empty = board.cells == 0
        place = jnp.arange(self.columns) == action
        if self.gravity:  # the lowest empty row of the column
            lowest = empty.sum(0, dtype=jnp.int32) - 1
            place = place[None] & (jnp.arange(self.rows)[:, None] == lowest[None])
        else:
            place = (jnp.arange(self.cells) == action).reshape(empty.shape) & empty
        place &= ~self.done(board)
        player = mover(board)
        cells = jnp.where(place, player, board.cells)
        won = self.rows_of(cells == player).any() & place.any()
        return Board(
            cells,
            board.count + place.any().astype(jnp.int32),
            jnp.where(won, player, board.winner),
        )

    def rows_of(self, own: Array) -> Array:
        """Where stones `own` [R, C] fill all of a line, bool [L]."""
        return jnp.concatenate([part.reshape(-1) for part in self.lines(own, jnp.logical_and)])

    def lines(self, plane: Array, join) -> list[Array]:
        """`join` over the cells of each line of a plane [R, C]; one array a direction."""
        found, n = [], self.length
        for dr, dc in WAYS:
            high, wide = self.rows - dr * (n - 1), self.columns - abs(dc) * (n - 1)
            parts = []
            for k in range(n):
                top, left = k * dr, k * dc if dc >= 0 else n - 1 - k
                parts.append(plane[top : top + high, left : left + wide])
            found.append(functools.reduce(join, parts))
        return found

    def observe(self, board: Board) -> Array:
        """What the player to move sees, bool [R, C, 2]: its own stones, and the other's."""
        player = mover(board)
        return jnp.stack([board.cells == player, board.cells == -player], -1)

    def symmetries(self) -> Symmetries:
        """All turns and reflections that keep the rules: 8 of a square, 4 of an oblong, 2 of falls.

        A symmetric board's actions are so valued as the board's: `q'[a] = q[actions[s, a]]`.
        """
        plane = np.arange(self.cells, dtype=np.int32).reshape(self.rows, self.columns)
        if self.gravity:
            planes = [plane, plane[:, ::-1]]
        else:
            turned = [np.rot90(each, k) for each in (plane, plane[:, ::-1]) for k in range(4)]
            planes = [each for each in turned if each.shape == plane.shape]
        cells = np.stack([each.reshape(-1) for each in planes])
        return Symmetries(cells, cells[:, : self.columns] if self.gravity else cells)

    def finish(self, board: Board, noise: Array) -> Array:
        """Who wins if both go on by chance, uniformly over legal actions: 1, -1, or 0; int8.

        noise: standard exponential, [R, C]. Stones arrive at each column (where none fall, each
        empty cell) by a clock of its own: since such clocks have no memory, each next arrival is
        uniform over those that are not full. So a whole game needs no loop: the order of arrivals
        gives colours, and the line that is complete first wins.
        """
        empty = board.cells == 0
        when = jnp.where(empty, noise, 0)
        if self.gravity:
            when = jnp.cumsum(when[::-1], 0)[::-1] * empty
        flat = when.reshape(-1)
        before = (flat[None] < flat[:, None]) & empty.reshape(1, -1)
        order = before.sum(1, dtype=jnp.int32).reshape(empty.shape)
        turn = 1 - 2 * (order % 2).astype(jnp.int8)
        stones = jnp.where(empty, mover(board) * turn, board.cells)
        first = {}
        complete = self.lines(when, jnp.maximum)
        for player in (1, -1):
            whole = self.lines(stones == player, jnp.logical_and)
            times = [jnp.where(w, t, jnp.inf).min() for w, t in zip(whole, complete, strict=True)]
            first[player] = functools.reduce(jnp.minimum, times)
        winner = jnp.sign(first[-1] - first[1])  # NaN where neither ever is: inf - inf
        winner = jnp.where(jnp.isnan(winner), 0, winner).astype(jnp.int8)
        return jnp.where(self.done(board), board.winner, winner)

    def opened(self, key: Key, count: Array, most: int) -> Board:
        """Boards [...] after `count` random moves each, at most `most`; empty where that ended one.

        count: int32, of any shape.
        """
        noise = jax.random.uniform(key, (most, count.size, self.actions))
        empty = repeated(self.init(), count.size)
        wanted = count.reshape(-1)

        def one(boards: Board, noise: Array) -> tuple[Board, None]:
            legal = jax.vmap(self.legal)(boards)
            after = jax.vmap(self.move)(boards, jnp.where(legal, noise, -1).argmax(-1))
            return pick(boards.count < wanted, after, boards), None

        boards = jax.lax.scan(one, empty, noise)[0]
        boards = pick(jax.vmap(self.done)(boards), empty, boards)
        return jax.tree.map(lambda x: x.reshape(*count.shape, *x.shape[1:]), boards)


TIC_TAC_TOE = Game(3, 3, 3, gravity=False)
CONNECT_FOUR = Game(6, 7, 4, gravity=True)
GAMES = {"tic-tac-toe": TIC_TAC_TOE, "connect-four": CONNECT_FOUR}


def mover(board: Board) -> Array:
    """The player to move: 1 is the first, -1 the second; int8."""
    return (1 - 2 * (board.count % 2)).astype(jnp.int8)


def replay(game: Game, moves: Sequence[int]) -> list[Board]:
    """The boards of a recorded game, the empty one first: one more than there are moves.

    Raises InputError for an illegal move, which it names by its number, the first being 1.
    """
    boards, move = [game.init()], jax.jit(game.move)
    for number, action in enumerate(moves, 1):
        free = np.flatnonzero(np.asarray(game.legal(boards[-1]))).tolist()
        if action not in free:
            may = f"legal: {', '.join(map(str, free))}" if free else "the game is over"
            raise InputError(f"move {number} of the game, {action}, is illegal; {may}")
        boards.append(move(boards[-1], jnp.int32(action)))
    return boards


def repeated(board: Board, count: int) -> Board:
    """One board as `count`, whose leaves lead with that."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)), board)


def stack(boards: Sequence[Board]) -> Board:
    """Boards as one whose leaves lead with their number."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *boards)
