"""Exact values of games of k in a row, on the host: the oracle of whoever learns them.

A position is two integers of bits, the stones of the player to move and of both. Column c and
height r are bit `c (R + 1) + r`: the bit above each column stays empty, so that no line goes over
the edge. Allis 1988; Pons 2015.
"""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from dljax.envs.boards import Board, Game
from dljax.errors import InputError

LARGEST = 200_000  # states that `solved` will list


class Position(NamedTuple):
    own: int  # of the player to move
    both: int


EMPTY = Position(0, 0)


class Solved(NamedTuple):
    """All reachable states of a game, in order of their moves; values are the player to move's."""

    cells: np.ndarray  # int8 [S, R, C], as of a Board
    count: np.ndarray  # int32 [S]
    winner: np.ndarray  # int8 [S]
    value: np.ndarray  # int8 [S]: 1 won, 0 drawn, -1 lost
    action: np.ndarray  # int8 [S, A]: the value after each action, -2 where it is illegal
    child: np.ndarray  # int32 [S, A]: the state after each action, -1 where it is illegal

    @property
    def over(self) -> np.ndarray:
        """Which states end the game, bool [S]."""
        return np.all(self.child < 0, axis=1)

    @property
    def optimal(self) -> np.ndarray:
        """Which actions keep the state's value, bool [S, A]."""
        return (self.action == self.value[:, None]) & (self.child >= 0)

    @property
    def boards(self) -> Board:
        """The states as a Board of arrays [S, ...]."""
        return Board(self.cells, self.count, self.winner)  # pyright: ignore[reportArgumentType]


class Solver:
    """Negamax with alpha-beta, and a table of what is known: for few empty cells, or small boards.

    `table` holds bounds on values, and grows with every question.
    """

    def __init__(self, game: Game):
        self.game, step = game, game.rows + 1
        self.bits = [
            [1 << (c * step + game.rows - 1 - r) for c in range(game.columns)]
            for r in range(game.rows)
        ]
        self.full = sum(map(sum, self.bits))
        self.columns = [
            (sum(self.bits[r][c] for r in range(game.rows)), self.bits[-1][c])
            for c in range(game.columns)
        ]
        middle = (game.columns - 1) / 2, (game.rows - 1) / 2
        centre = [abs(a % game.columns - middle[0]) for a in range(game.actions)]
        if not game.gravity:
            centre = [x + abs(a // game.columns - middle[1]) for a, x in enumerate(centre)]
        self.order = sorted(
            range(game.actions), key=centre.__getitem__
        )  # the middle is in more lines
        self.table: dict[Position, tuple[int, int]] = {}

    def place(self, position: Position, action: int) -> int:
        """The bit that an action sets, 0 where it is illegal."""
        if self.game.gravity:
            column, bottom = self.columns[action]
            return ((position.both & column) + bottom) & column
        row, column = divmod(action, self.game.columns)
        return self.bits[row][column] & ~position.both

    def move(self, position: Position, bit: int) -> Position:
        """The position after a stone on `bit`, seen by the other player."""
        return Position(position.own ^ position.both, position.both | bit)

    def wins(self, own: int) -> bool:
        """Whether stones hold a line."""
        rows = self.game.rows
        for step in (1, rows, rows + 1, rows + 2):
            row, have = own, 1
            while have < self.game.length:  # doubling: those that start a row of `have`
                more = min(have, self.game.length - have)
                row &= row >> more * step
                have += more
            if row:
                return True
        return False

    def over(self, position: Position) -> int | None:
        """The value of a game that is over for the player to move, None where it goes on."""
        if self.wins(position.own ^ position.both):
            return -1
        return 0 if position.both == self.full else None

    def value(self, position: Position) -> int:
        """1 if the player to move can win, 0 if it can draw, else -1."""
        over = self.over(position)
        return self.search(position, -1, 1) if over is None else over

    def search(self, position: Position, low: int, high: int) -> int:
        """The value of a game that goes on: exact within (low, high), else a bound beyond."""
        least, most = self.table.get(position, (-1, 1))
        if least == most or least >= high:
            return least
        if most <= low:
            return most
        own, both = position
        bits = [bit for action in self.order if (bit := self.place(position, action))]
        if any(self.wins(own | bit) for bit in bits):
            self.table[position] = 1, 1
            return 1
        threats = [bit for bit in bits if self.wins(own ^ both | bit)]
        best, alpha = -1, max(low, least)
        for bit in threats[:1] or bits:  # a threat must be met; of two, one remains
            after = self.move(position, bit)
            found = 0 if after.both == self.full else -self.search(after, -high, -alpha)
            best, alpha = max(best, found), max(alpha, found)
            if alpha >= min(high, most):
                break
        lower, upper = best > low, best < high
        self.table[position] = (
            max(least, best) if lower else least,
            min(most, best) if upper else most,
        )
        return best

    def actions(self, position: Position) -> np.ndarray:
        """The value after each action for who takes it, int8 [A]; -2 where it is illegal."""
        found = np.full(self.game.actions, -2, np.int8)
        if self.over(position) is None:
            for action in range(self.game.actions):
                if bit := self.place(position, action):
                    found[action] = -self.value(self.move(position, bit))
        return found

    def position(self, cells: np.ndarray) -> Position:
        """The bits of a board's cells [R, C]. Raises InputError where counts of stones are off."""
        stones = [int((cells == player).sum()) for player in (1, -1)]
        if stones[0] - stones[1] not in (0, 1):
            raise InputError(f"players move in turn; got {stones[0]} and {stones[1]} stones")
        player = 1 if stones[0] == stones[1] else -1
        own = both = 0
        bits = itertools.chain(*self.bits)
        for bit, stone in zip(bits, np.asarray(cells).reshape(-1).tolist(), strict=True):
            own |= bit * (stone == player)
            both |= bit * (stone != 0)
        return Position(own, both)

    def cells(self, position: Position) -> np.ndarray:
        """The board's cells, int8 [R, C]."""
        player = 1 if position.both.bit_count() % 2 == 0 else -1
        return np.array(
            [[player * (1 if bit & position.own else -1) if bit & position.both else 0
              for bit in row] for row in self.bits], np.int8,
        )  # fmt: skip


def reachable(solver: Solver) -> list[Position]:
    """Every position that play can reach, in order of the moves it takes; those over included.

    Raises InputError where they are more than 200,000.
    """
    layer: Iterable[Position] = [EMPTY]
    found: list[Position] = []
    while layer:
        found += layer
        if len(found) > LARGEST:
            game = solver.game
            raise InputError(
                f"a game of at most {LARGEST:,} states can be listed; "
                f"{game.rows} x {game.columns} has more"
            )
        following = {}  # keeps their order, which a set's hashes would not
        for position in layer:
            if solver.over(position) is None:
                for action in range(solver.game.actions):
                    if bit := solver.place(position, action):
                        following[solver.move(position, bit)] = None
        layer = [*following]
    return found


def solved(game: Game) -> Solved:
    """All states of a small game, from the last to the first: `v(s) = max_a -v(s after a)`.

    Raises InputError where they are more than 200,000.
    """
    solver = Solver(game)
    states = reachable(solver)
    number = {state: i for i, state in enumerate(states)}
    value = np.zeros(len(states), np.int8)
    winner = np.zeros(len(states), np.int8)
    action = np.full((len(states), game.actions), -2, np.int8)
    child = np.full((len(states), game.actions), -1, np.int32)
    for i in reversed(range(len(states))):
        over = solver.over(states[i])
        if over is not None:
            value[i] = over  # the last to move has won, or nobody
            winner[i] = over * (-1 if states[i].both.bit_count() % 2 else 1)
            continue
        for a in range(game.actions):
            if bit := solver.place(states[i], a):
                child[i, a] = number[solver.move(states[i], bit)]
                action[i, a] = -value[child[i, a]]
        value[i] = action[i].max()
    cells = np.stack([solver.cells(state) for state in states])
    count = np.array([state.both.bit_count() for state in states], np.int32)
    return Solved(cells, count, winner, value, action, child)
