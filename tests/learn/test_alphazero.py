"""Self-play: targets, what a search finds by the rules alone, and what is stored and turned."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from learners import self_play

from dljax import InputError, advance, start
from dljax.envs.boards import TIC_TAC_TOE, Game, replay, stack
from dljax.learn import alphazero
from dljax.nets.alphazero import BoardNet

NET = BoardNet(9, channels=4, blocks=1, hidden=5)
SIZES = {
    "games": 4, "plies": 5, "simulations": 3, "capacity": 40, "batch": 8, "updates": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def params():
    return NET.init(jax.random.key(0), jnp.zeros((1, 3, 3, 2)))["params"]


@pytest.mark.parametrize("lam", [0.0, 0.6, 1.0])
def test_targets_are_what_comes_to_each_player(lam):
    rng = np.random.default_rng(0)
    searched, last = rng.uniform(-1, 1, (7, 3)).astype(np.float32), rng.uniform(-1, 1, 3)
    over = np.zeros((7, 3), bool)
    over[3, 0] = over[0, 1] = over[6, 1] = True
    reward = np.where(over, [[1.0, 0.0, 0.0]], 0).astype(np.float32)
    given = (reward, over, searched, last.astype(np.float32))
    found = np.asarray(alphazero.targets(*map(jnp.asarray, given), lam))
    for b in range(3):
        z = q = last[b]
        for t in reversed(range(7)):
            z = reward[t, b] if over[t, b] else -((1 - lam) * q + lam * z)
            q = searched[t, b]
            np.testing.assert_allclose(found[t, b], z, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def find():
    return jax.jit(alphazero.search(TIC_TAC_TOE, NET, simulations=24, gumbel=0.0))


def test_without_knowledge_a_search_wins_at_once(find, params):
    games = ([0, 3, 1, 4], [0, 4, 8, 2, 3], [8, 3, 7, 4], [0, 3, 1, 4, 2])  # the last is over
    found = find(params, jax.random.key(0), stack([replay(TIC_TAC_TOE, g)[-1] for g in games]))
    assert found.action[:3].tolist() == [2, 6, 6]
    assert found.policy[0, 2] > 0.6
    assert found.value[0] > 0.1
    for policy, moves in zip(np.asarray(found.policy)[:3], games, strict=False):
        assert (policy[moves] < 1e-6).all()
        np.testing.assert_allclose(policy.sum(), 1, rtol=1e-5)


def test_a_search_sees_what_the_other_player_wins(find, params):
    """Two threats of the other's: whatever is played loses, and the root's value says so."""
    lost = replay(TIC_TAC_TOE, [0, 1, 4, 8, 6])[-1]  # 2 and 3 both win for the first player
    assert find(params, jax.random.key(0), stack([lost] * 4)).value[0] < -0.2


def test_nothing_follows_the_end_of_a_game(find, params):
    """One cell is left, and filling it is a draw, worth 0 whatever the network thinks of it."""
    board = stack([replay(TIC_TAC_TOE, [0, 1, 2, 4, 3, 5, 7, 6])[-1]] * 4)
    seen = jax.vmap(TIC_TAC_TOE.observe)(board).astype(jnp.float32)
    thought = np.asarray(NET.apply({"params": params}, seen)[1])
    assert abs(thought).min() > 1e-3
    value = find(params, jax.random.key(0), board).value
    np.testing.assert_allclose(value, thought / 25, rtol=1e-4)  # once thought, 24 times found


def test_a_batch_is_turned_as_the_rules_allow_and_holds_what_was_played(monkeypatch):
    """What the objective is given: stones, a policy on empty cells, and a value in [-1, 1]."""
    seen = []

    def spy(net, weight):
        whole = alphazero_objective(net, weight)

        def mean(params, extra, sample, key):
            jax.debug.callback(lambda *each: seen.append(each), *sample)
            return whole(params, extra, sample, key)

        return mean

    alphazero_objective = alphazero.objective
    monkeypatch.setattr(alphazero, "objective", spy)
    learner = self_play()
    run, _ = advance(learner, start(learner, jax.random.key(0)), 1)
    jax.effects_barrier()
    rows = np.asarray(run.state.replay.rows["bool"][:20])
    stored = {row.tobytes() for row in rows}
    turned = 0
    assert len(seen) == 2
    for observation, policy, value in seen:
        stones = observation.sum(-1).reshape(len(value), 9)
        assert stones.max() == 1
        assert (np.abs(value) <= 1).all()
        np.testing.assert_allclose((policy * stones).sum(-1), 0, atol=1e-6)
        np.testing.assert_allclose(policy.sum(-1), 1, rtol=1e-4)
        cells, _ = TIC_TAC_TOE.symmetries()
        for each in observation.astype(bool):
            ways = {each.reshape(9, 2)[way].tobytes() for way in cells}
            assert ways & stored
            turned += each.tobytes() not in stored
    assert turned > 4


def test_what_is_stored_is_who_won_in_the_end():
    """A game that ends before the board is full was won by its last mover, lost by the other."""
    learner = tiny(plies=9, capacity=36)
    replay = advance(learner, start(learner, jax.random.key(0)), 1)[0].state.replay
    stones = np.asarray(replay.rows["bool"]).reshape(9, 4, 18).sum(-1)
    value, won = np.asarray(replay.rows["float32"])[:, -1].reshape(9, 4), 0
    for b in range(4):
        ends = [t for t in range(8) if stones[t + 1, b] == 0]
        for t in range(ends[0] + 1 if ends else 0):
            assert value[t, b] == (-1) ** (ends[0] - t)
            won += 1
    assert won >= 5


def test_games_go_on_from_step_to_step_and_begin_anew():
    learner = self_play()
    first = start(learner, jax.random.key(0))
    assert set(first.state.boards.count.tolist()) <= {0, 1, 2}
    run, metrics = advance(learner, first, 4)
    boards = run.state.boards
    assert ((boards.cells != 0).sum((1, 2)) == boards.count).all()
    assert not boards.winner.any() and (boards.count < 9).all()
    assert (jnp.diff(metrics["games"]) >= 0).all() and metrics["games"][-1] >= 4
    assert run.state.replay.written == 80


def games_and_winners():
    moves = ([0, 3, 1, 4, 2], [0, 4, 8, 2, 6, 7, 1, 3, 5])  # the first wins; nobody
    padded = np.full((9, 2), -1, np.int32)
    for b, game in enumerate(moves):
        padded[: len(game), b] = game
    return moves, jnp.asarray(padded)


def test_a_record_says_what_each_player_saw_and_did_and_who_won():
    games, moves = games_and_winners()
    opening = stack([TIC_TAC_TOE.init()] * 2)
    sample, there = alphazero.recorded(TIC_TAC_TOE, opening, moves)
    for b, (game, winner) in enumerate(zip(games, (1, 0), strict=True)):
        assert there[:, b].tolist() == [t < len(game) for t in range(9)]
        for t, board in enumerate(replay(TIC_TAC_TOE, game)[:-1]):
            assert (sample.observation[t, b] == TIC_TAC_TOE.observe(board)).all()
            assert sample.policy[t, b].argmax() == game[t]
            assert sample.value[t, b] == winner * (-1) ** t


def test_imitation_learns_the_record_and_is_where_self_play_may_begin():
    _, moves = games_and_winners()
    sample, there = alphazero.recorded(TIC_TAC_TOE, stack([TIC_TAC_TOE.init()] * 2), moves)
    record = jax.tree.map(lambda leaf: leaf[there], sample)
    learner = alphazero.imitate(TIC_TAC_TOE, NET, optax.adam(3e-3), record, batch=14)
    run, metrics = advance(learner, start(learner, jax.random.key(0)), 300)
    assert metrics["policy_loss"][-1] < 0.6 * metrics["policy_loss"][0]
    assert metrics["value_loss"][-1] < 0.6 * metrics["value_loss"][0]
    params = run.state.fit.params
    follows = tiny(begin=params)
    begun = start(follows, jax.random.key(1)).state.fit.params
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), begun, params))


def tiny(**changes):
    net, game = changes.pop("net", NET), changes.pop("game", TIC_TAC_TOE)
    return alphazero.make(game, net, optax.adam(1e-2), **(SIZES | changes))


def test_bad_input_is_one_line():
    with pytest.raises(InputError, match=r"^batch <= games x plies, .* got 21, 4 x 5 and 40$"):
        tiny(batch=21)
    with pytest.raises(InputError, match=r"^batch <= games x plies, .* got 8, 4 x 5 and 50$"):
        tiny(capacity=50)
    with pytest.raises(InputError, match=r"^openings must be from 0 to 8 moves; got 9$"):
        tiny(openings=9)
    with pytest.raises(InputError, match=r"^lam must be from 0 to 1; got 1.5$"):
        tiny(lam=1.5)
    with pytest.raises(InputError, match=r"^simulations must be at least 1; got 0$"):
        tiny(simulations=0)
    with pytest.raises(InputError, match=r"^the network gives 9 numbers; .* need 4 numbers$"):
        tiny(game=Game(4, 4, 3, gravity=True))
