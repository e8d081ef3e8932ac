"""The exact solver: facts that are known of small games, and plain search without tricks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import by_hand, winner

from dljax import InputError
from dljax.envs import solve
from dljax.envs.boards import CONNECT_FOUR, TIC_TAC_TOE, Game
from dljax.envs.solve import EMPTY, Solver


@pytest.fixture(scope="module")
def solved():
    return solve.solved(TIC_TAC_TOE)


def plain(game, cells, player):
    """The value for the player to move: negamax, and nothing else."""
    if winner(game, cells):
        return -1
    after = [by_hand(game, cells, a, player) for a in range(game.actions)]
    return max((-plain(game, each, -player) for each in after if each is not None), default=0)


def test_tic_tac_toe_has_5478_states_of_which_958_end_it(solved):
    assert len(solved.value) == 5478
    assert solved.over.sum() == 958
    ends = solved.winner[solved.over]
    assert [(ends == who).sum() for who in (1, -1, 0)] == [626, 316, 16]  # known counts
    assert np.bincount(solved.count).tolist() == [1, 9, 72, 252, 756, 1260, 1520, 1140, 390, 78]


def test_tic_tac_toe_is_a_draw_and_every_first_move_keeps_it(solved):
    assert solved.value[0] == 0
    assert solved.optimal[0].all()
    corner = solved.child[0, 0]  # only the centre holds against a corner
    assert np.flatnonzero(solved.optimal[corner]).tolist() == [4]


def test_states_follow_each_other_as_the_rules_say(solved):
    rows = np.random.default_rng(0).permutation(5478)[:300]
    for s in rows:
        player = 1 if solved.count[s] % 2 == 0 else -1
        for a, after in enumerate(solved.child[s]):
            if after >= 0:
                wanted = by_hand(TIC_TAC_TOE, solved.cells[s], a, player)
                np.testing.assert_array_equal(solved.cells[after], wanted)
                assert solved.action[s, a] == -solved.value[after]
        if solved.count[s] >= 4:
            assert solved.value[s] == plain(TIC_TAC_TOE, solved.cells[s], player)


def test_the_solver_agrees_with_the_whole_tree(solved):
    solver = Solver(TIC_TAC_TOE)
    for s in range(0, 5478, 3):
        position = solver.position(solved.cells[s])
        assert solver.value(position) == solved.value[s]
        assert solver.actions(position).tolist() == solved.action[s].tolist()
        np.testing.assert_array_equal(solver.cells(position), solved.cells[s])


@pytest.mark.parametrize(
    ("rows", "columns"), [(4, 4), pytest.param(4, 5, marks=pytest.mark.slow), (5, 4)]
)
def test_small_boards_of_connect_four_are_drawn(rows, columns):
    """Tromp's table of Connect Four on other boards."""
    assert Solver(Game(rows, columns, 4, gravity=True)).value(EMPTY) == 0


def test_late_positions_of_connect_four_have_the_values_of_plain_search():
    count = jnp.full(4096, 37, jnp.int32)  # few random games last so long
    boards = jax.jit(CONNECT_FOUR.opened, static_argnums=2)(jax.random.key(0), count, 37)
    late = np.asarray(boards.cells)[np.asarray(boards.count) == 37][:30]
    solver, values = Solver(CONNECT_FOUR), []
    for cells in late:
        assert winner(CONNECT_FOUR, cells) == 0
        values.append(plain(CONNECT_FOUR, cells, -1))
        assert solver.value(solver.position(cells)) == values[-1]
    assert len(values) == 30 and set(values) == {-1, 0, 1}


def test_bad_input_is_one_line():
    with pytest.raises(InputError, match=r"^players move in turn; got 0 and 1 stones$"):
        Solver(TIC_TAC_TOE).position(np.diag([-1, 0, 0]))
    with pytest.raises(InputError, match=r"^a game of at most 200,000 states can be listed; 4 x 5"):
        solve.solved(Game(4, 5, 4, gravity=True))
