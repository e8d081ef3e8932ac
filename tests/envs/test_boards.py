"""Games of k in a row: rules against a slow count, symmetries, random ends, and bad input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import by_hand, winner

from dljax import InputError
from dljax.envs.boards import CONNECT_FOUR, TIC_TAC_TOE, Board, Game, mover, replay, stack

OBLONG = Game(3, 4, 3, gravity=False)
ALL = [TIC_TAC_TOE, CONNECT_FOUR, OBLONG, Game(4, 4, 3, gravity=True)]
GAMES = 30


@functools.cache
def played(game):
    """Random games: boards [T + 1, G, ...] and actions [T, G], every action any number at first."""
    key = jax.random.key(0)
    empty = jax.tree.map(lambda x: jnp.broadcast_to(x, (GAMES, *x.shape)), game.init())
    noise = jax.random.uniform(key, (game.cells + 1, GAMES, game.actions))

    @jax.jit
    def run(noise):
        def one(boards, noise):
            legal = jax.vmap(game.legal)(boards)
            action = jnp.where(legal, noise, -1).argmax(-1)
            after = jax.vmap(game.move)(boards, action)
            return after, (boards, action, legal, jax.vmap(game.done)(boards))

        return jax.lax.scan(one, empty, noise)[1]

    return jax.tree.map(np.asarray, run(noise))


@pytest.mark.parametrize("game", ALL)
def test_every_move_is_what_walking_over_the_board_says(game):
    boards, actions, legal, done = played(game)
    ends = set()
    for g in range(GAMES):
        cells, player = np.zeros((game.rows, game.columns), np.int8), 1
        for t in range(len(actions)):
            np.testing.assert_array_equal(boards.cells[t, g], cells)
            won = winner(game, cells)
            assert boards.winner[t, g] == won
            assert boards.count[t, g] == (cells != 0).sum()
            over = won != 0 or (cells != 0).all()
            assert done[t, g] == over
            may = [
                not over and by_hand(game, cells, a, player) is not None
                for a in range(game.actions)
            ]
            assert legal[t, g].tolist() == may
            if over:
                ends.add(won)
                continue
            cells, player = by_hand(game, cells, int(actions[t, g]), player), -player
    assert {1, -1} <= ends


def test_an_illegal_move_changes_nothing():
    game = TIC_TAC_TOE
    board = replay(game, [4, 0])[-1]
    move = jax.jit(game.move)
    for action in (4, 0, -1, 9):
        after = move(board, jnp.int32(action))
        jax.tree.map(np.testing.assert_array_equal, after, board)
    ended = replay(game, [0, 3, 1, 4, 2])[-1]
    jax.tree.map(np.testing.assert_array_equal, move(ended, jnp.int32(8)), ended)


def test_the_player_to_move_sees_its_own_stones_first():
    boards = replay(TIC_TAC_TOE, [4, 0, 8])
    assert [int(mover(board)) for board in boards] == [1, -1, 1, -1]
    seen = np.asarray(TIC_TAC_TOE.observe(boards[-1]))
    assert np.argwhere(seen[..., 0]).tolist() == [[0, 0]]
    assert np.argwhere(seen[..., 1]).tolist() == [[1, 1], [2, 2]]


@pytest.mark.parametrize(("game", "count"), [*zip(ALL, (8, 2, 4, 2), strict=True)])
def test_a_symmetric_game_is_the_game_of_symmetric_moves(game, count):
    cells, actions = game.symmetries()
    assert len(np.unique(cells, axis=0)) == count == len(actions)
    boards, chosen, _, _ = played(game)
    move = jax.jit(jax.vmap(game.move))
    for s in range(count):
        inverse = np.argsort(actions[s])  # new action i is old action actions[s, i]
        there = jax.tree.map(lambda x: jnp.broadcast_to(x, (GAMES, *x.shape)), game.init())
        for t in range(len(chosen)):
            old = boards.cells[t].reshape(GAMES, -1)[:, cells[s]]
            np.testing.assert_array_equal(there.cells.reshape(GAMES, -1), old)
            np.testing.assert_array_equal(there.winner, boards.winner[t])
            there = move(there, jnp.asarray(inverse[chosen[t]]))


def odds(game, cells, player):
    """Chances that random play ends with 1, 0 and -1, over the whole tree."""
    if won := winner(game, cells):
        return np.eye(3)[1 - won]
    after = [by_hand(game, cells, a, player) for a in range(game.actions)]
    after = [each for each in after if each is not None]
    if not after:
        return np.eye(3)[1]
    return np.mean([odds(game, each, -player) for each in after], 0)


@pytest.mark.parametrize(
    ("game", "moves"),
    [(TIC_TAC_TOE, [4, 0, 8]), (Game(4, 4, 3, gravity=True), [0, 0, 1, 1, 3, 3, 3, 3])],
)
def test_random_ends_come_as_often_as_in_the_whole_tree(game, moves):
    board = replay(game, moves)[-1]
    noise = jax.random.exponential(jax.random.key(2), (40_000, game.rows, game.columns))
    found = np.asarray(jax.jit(jax.vmap(game.finish, (None, 0)))(board, noise))
    wanted = odds(game, np.asarray(board.cells), int(mover(board)))
    share = [(found == who).mean() for who in (1, 0, -1)]
    np.testing.assert_allclose(share, wanted, atol=0.01)  # four standard errors
    assert (wanted > 0).sum() > 1


def test_a_game_that_is_over_ends_as_it_did():
    boards = stack([replay(TIC_TAC_TOE, moves)[-1] for moves in (
        [0, 3, 1, 4, 2], [0, 1, 2, 4, 3, 5, 7, 6, 8], [8, 3, 1, 4, 2, 5])])  # fmt: skip
    noise = jax.random.exponential(jax.random.key(0), (3, 3, 3))
    assert jax.vmap(TIC_TAC_TOE.finish)(boards, noise).tolist() == [1, 0, -1]


def test_openings_have_the_moves_asked_for():
    count = jnp.array([[0, 1, 2], [3, 4, 4]], jnp.int32)
    board = jax.jit(TIC_TAC_TOE.opened, static_argnums=2)(jax.random.key(0), count, 4)
    assert isinstance(board, Board) and board.count.tolist() == count.tolist()
    filled = (board.cells != 0).sum((2, 3))
    assert filled.tolist() == count.tolist()
    assert not (board.cells[1, 1] == board.cells[1, 2]).all()
    many = jnp.full(300, 6, jnp.int32)
    board = jax.jit(TIC_TAC_TOE.opened, static_argnums=2)(jax.random.key(0), many, 6)
    assert set(board.count.tolist()) == {0, 6} and not board.winner.any()


def test_bad_input_is_one_line():
    with pytest.raises(InputError, match=r"^a board of at least 4 x 4 .* 4 in a row; got 3 x 7$"):
        Game(3, 7, 4, gravity=True)
    with pytest.raises(InputError, match=r"^length must be at least 1; got 0$"):
        Game(3, 3, 0, gravity=False)
    with pytest.raises(InputError, match=r"^move 3 of the game, 4, is illegal; legal: 1, 2, 3, 5"):
        replay(TIC_TAC_TOE, [0, 4, 4])
    with pytest.raises(InputError, match=r"^move 7 of the game, 2, is illegal; legal: 0, 1, 3,"):
        replay(CONNECT_FOUR, [2] * 7)
    with pytest.raises(InputError, match=r"^move 6 of the game, 8, is illegal; the game is over$"):
        replay(TIC_TAC_TOE, [0, 3, 1, 4, 2, 8])
