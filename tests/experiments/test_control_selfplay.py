"""A tiny run of self-play, and its judge against a slow one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from dljax import InputError
from dljax.envs import solve
from dljax.envs.boards import CONNECT_FOUR, TIC_TAC_TOE, replay
from experiments.control import _selfplay, _selfplay_figures
from experiments.control.selfplay import Config, main

TINY = {
    "seeds": 2, "steps": 2, "channels": 4, "blocks": 1, "games": 4, "plies": 4, "simulations": 2,
    "memory": 2, "batch": 8, "updates": 2, "played": 3, "rival": 10, "matches": 4, "late": 5,
    "empty": 8, "evaluations": 1, "quiet": True,
}  # fmt: skip


@functools.cache
def solved():
    return solve.solved(TIC_TAC_TOE)


def worst(state, chosen, ours, known):
    """The worst that can come to the player, walking the tree with a memory."""
    if (state, ours) not in known:
        children = [int(c) for c in solved().child[state] if c >= 0]
        if not children:
            known[state, ours] = int(solved().value[state]) * (1 if ours else -1)
        elif ours:
            after = int(solved().child[state, chosen[state]])
            known[state, ours] = worst(after, chosen, False, known)
        else:
            known[state, ours] = min(worst(c, chosen, True, known) for c in children)
    return known[state, ours]


def test_losses_are_those_of_a_walk_through_the_tree():
    legal = solved().child >= 0
    noise = np.random.default_rng(0).uniform(size=legal.shape)
    for share in (0, 0.1, 1):
        mistaken = np.random.default_rng(1).uniform(size=len(legal)) < share
        may = np.where(mistaken[:, None], legal, solved().optimal)
        chosen = np.where(may, noise, -1).argmax(1)
        known = {}
        wanted = sum(
            worst(s, chosen, True, known) < 0
            for s in range(len(chosen))
            if solved().value[s] >= 0 and not solved().over[s]
        )
        assert _selfplay.losses(solved(), chosen) == wanted
        assert (wanted > 0) == (share > 0)


def test_an_exam_asks_only_what_has_a_better_and_a_worse_answer():
    asked = _selfplay.exam(CONNECT_FOUR, jax.random.key(0), 20, 8, None)
    assert len(asked.action) == 20
    assert ((asked.boards.cells == 0).sum((1, 2)) <= 8).all()
    solver = solve.Solver(CONNECT_FOUR)
    for cells, action in zip(*map(np.asarray, (asked.boards.cells, asked.action)), strict=True):
        assert solver.actions(solver.position(cells)).tolist() == action.tolist()
        assert len({int(each) for each in action if each > -2}) > 1
    best, worst_ = asked.action.argmax(1), jnp.where(asked.action > -2, asked.action, 9).argmin(1)
    assert asked.marks(best) == {"optimal": 1, "lost": 0}
    marks = asked.marks(worst_)
    assert marks["optimal"] == 0 and 0 < marks["lost"] <= 1


@pytest.mark.parametrize("game", ["tic-tac-toe", "connect-four"])
def test_a_tiny_run(game, tmp_path):
    options = {"openings": 2, "opening": (4, 0), "recorded": 4} if game == "tic-tac-toe" else {}
    result = main(Config(**TINY, game=game, out=tmp_path, **options))
    names = {"optimal moves", "optimal moves, no search", "score against UCT-10",
             "score against a random player", "moves of self-play a second"}  # fmt: skip
    assert names <= set(result.metrics)
    both = {"losses to the perfect player", "score against UCT-10, imitation first",
            "optimal moves, imitation"}  # fmt: skip
    assert (both & set(result.metrics)) == (both if game == "tic-tac-toe" else set())
    assert result.metrics["first move in the middle"]["values"][0] in (0, 1)
    assert all(len(result.metrics[name]["values"]) == 2 for name in names - {
        "moves of self-play a second"})  # fmt: skip
    assert set(result.baselines) == {"UCT-10", "any legal move"}
    with Image.open(tmp_path / "figures" / "game.gif") as picture:
        assert picture.n_frames > 3
    assert (tmp_path / "figures" / "game.gif").stat().st_size < 1_000_000
    assert (tmp_path / "figures" / "strength.png").exists()


@pytest.mark.parametrize("game", [TIC_TAC_TOE, CONNECT_FOUR])
def test_a_board_is_told_by_the_stones_of_who_is_to_move(game):
    moves = [0, 1, 0, 1, 0, 1, 0] if game.gravity else [0, 3, 1, 4, 2]  # the last one wins
    for there in replay(game, moves):
        own = jnp.where(there.count % 2 == 0, 1, -1) * there.cells.astype(jnp.int32)
        for found, known in zip(_selfplay.board(game, own), there, strict=True):
            np.testing.assert_array_equal(found, known)
    assert there.winner == 1


def test_recorded_games_are_those_of_good_players():
    record = _selfplay.recorded(TIC_TAC_TOE, 40, 200, 1)
    assert 40 * 4 <= len(record.value) <= 40 * 9
    drawn = (record.value == 0).mean()  # as perfect players always do, and chance in one of eight
    assert drawn > 0.5
    stones = np.asarray(record.observation).sum((1, 2, 3))
    assert (stones == 0).sum() == 20  # half of the games begin with a random move


def test_elo_is_what_logistic_strength_says():
    score = 1 / (1 + 10 ** (-200 / 400))
    np.testing.assert_allclose(_selfplay_figures.elo(np.array([score, 0.5])), [200, 0], atol=12)
    assert np.isfinite(_selfplay_figures.elo(np.array([0.0, 1.0]))).all()


def test_bad_input_is_one_line(tmp_path):
    def tried(message, **changes):
        with pytest.raises(InputError, match=message):
            main(Config(**(TINY | {"out": tmp_path / "none"} | changes)))

    tried(r"^move 2 of the game, 4, is illegal; legal: 0, 1", opening=(4, 4))
    tried("^--opening ends the game; fewer", opening=(0, 3, 1, 4, 2))
    tried(r"^--matches and --recorded must be even, .*; got 5 and 0$", matches=5)
    tried(r"^--batch must be .*below 17; got 17$", batch=17)
    tried(r"^--openings must be .*below 9; got 9$", openings=9)
    tried(r"^--empty must be .*below 17; got 17$", empty=17, game="connect-four")
    tried("^--games 100000000, --memory 2 and --seeds 2 need about .* GB", games=10**8)
    assert not (tmp_path / "none").exists()
