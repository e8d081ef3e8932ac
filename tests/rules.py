"""Games of k in a row as a person plays them: what boards and solvers are held against."""

import itertools


def lines(game):
    """Every line as cells, found by walking from each cell."""
    for r, c in itertools.product(range(game.rows), range(game.columns)):
        for dr, dc in ((0, 1), (1, 0), (1, 1), (1, -1)):
            line = [(r + k * dr, c + k * dc) for k in range(game.length)]
            if all(0 <= y < game.rows and 0 <= x < game.columns for y, x in line):
                yield line


def by_hand(game, cells, action, player):
    """The cells after a move, walked to; None where it is illegal."""
    cells = cells.copy()
    if game.gravity:
        free = [r for r in range(game.rows) if cells[r, action] == 0]
        if not free:
            return None
        cells[max(free), action] = player
    else:
        row, column = divmod(action, game.columns)
        if cells[row, column]:
            return None
        cells[row, column] = player
    return cells


def winner(game, cells):
    for line in lines(game):
        stones = {int(cells[at]) for at in line}
        if len(stones) == 1 and stones != {0}:
            return stones.pop()
    return 0
