"""Known MDPs: their arrays, and that the environment plays what the arrays say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.envs import tabular

LAYOUT = ("..G", "S#X", "...")
A_STEP_RIGHT = 1


@pytest.fixture(scope="module")
def slippery():
    return tabular.gridworld(LAYOUT, slip=0.2, living=-0.04)


def walked(layout, start, action):
    """Where one move leads, by hand."""
    row, column = start
    dr, dc = [(-1, 0), (0, 1), (1, 0), (0, -1)][action]
    to = row + dr, column + dc
    inside = 0 <= to[0] < len(layout) and 0 <= to[1] < len(layout[0])
    return to if inside and layout[to[0]][to[1]] != "#" else start


@pytest.mark.parametrize("slip", [0.0, 0.2, 1.0])
def test_a_gridworld_moves_as_its_layout_says(slip):
    mdp = tabular.gridworld(LAYOUT, slip=slip, living=-0.1, goal=2.0, pit=-3.0)
    cells = [tuple(map(int, cell)) for cell in tabular.cells(LAYOUT)]
    prize = {"G": 2.0, "X": -3.0}
    assert len(cells) == 8
    for s, cell in enumerate(cells):
        for a in range(4):
            chance, earned = np.zeros(8), -0.1
            for turned, p in ((a, 1 - slip), ((a + 1) % 4, slip / 2), ((a - 1) % 4, slip / 2)):
                to = walked(LAYOUT, cell, turned)
                chance[cells.index(to)] += p
                earned += p * prize.get(LAYOUT[to[0]][to[1]], 0)
            if LAYOUT[cell[0]][cell[1]] in prize:
                chance, earned = np.eye(8)[s], 0
            np.testing.assert_allclose(mdp.transition[s, a], chance, atol=1e-6)
            np.testing.assert_allclose(mdp.reward[s, a], earned, atol=1e-6)
    assert [cells[s] for s in np.flatnonzero(mdp.terminal)] == [(0, 2), (1, 2)]
    assert mdp.start.tolist() == [float(cell == (1, 0)) for cell in cells]


def test_digits_end_an_episode_with_what_they_say():
    mdp = tabular.gridworld(("3S0", "#.9"), living=-0.5)
    assert mdp.terminal.tolist() == [True, False, True, False, True]
    left, right = mdp.reward[1, 3], mdp.reward[1, A_STEP_RIGHT]
    assert (left, right, mdp.reward[3, A_STEP_RIGHT]) == (2.5, -0.5, 8.5)


def test_states_may_look_alike():
    """Three of four states are seen as two kinds; the process below stays as it was."""
    mdp = tabular.gridworld(("S..G",))
    env = tabular.environment(mdp, seen=(0, 1, 1, 2))
    assert env.observation_shape == (3,)
    state, observation = env.reset(jax.random.key(0))
    looks = [observation.argmax()]
    for _ in range(3):
        state, after = env.step(jax.random.key(1), state, A_STEP_RIGHT)
        looks.append(after.observation.argmax())
    assert looks == [0, 1, 1, 2] and after.terminated and after.reward == 1
    with pytest.raises(InputError, match="a number from 0 for each of 4 states"):
        tabular.environment(mdp, seen=(0, 1))


def test_without_a_start_every_cell_that_does_not_end_is_one():
    mdp = tabular.gridworld(("..G",))
    np.testing.assert_allclose(mdp.start, [0.5, 0.5, 0])


def test_a_random_mdp_is_one_and_has_the_branches_and_ends_asked_for():
    keys = jax.random.split(jax.random.key(0), 20)

    @jax.jit
    def drawn(key):
        return tabular.random_mdp(key, 7, 3, branching=4, ends=2)

    mdps = jax.vmap(drawn)(keys)
    chance = np.asarray(mdps.transition)
    np.testing.assert_allclose(chance.sum(-1), 1, atol=1e-6)
    assert (chance >= 0).all()
    assert ((chance[:, :5] > 0).sum(-1) == 4).all()
    np.testing.assert_array_equal(
        chance[:, 5:], np.broadcast_to(np.eye(7)[5:, None], (20, 2, 3, 7))
    )
    assert (np.asarray(mdps.reward)[:, 5:] == 0).all()
    assert np.asarray(mdps.terminal).sum(-1).tolist() == [2] * 20
    assert abs(np.asarray(mdps.reward)[:, :5].std() - 1) < 0.2
    assert len(np.unique(chance[:, 0, 0], axis=0)) == 20
    jax.tree.map(lambda all, one: np.testing.assert_array_equal(all[3], one), mdps, drawn(keys[3]))
    known = jax.jit(lambda key: tabular.random_mdp(key, 7, 3, branching=1))(keys[0])
    assert set(np.unique(known.transition)) == {0, 1}
    most = jax.eval_shape(lambda key: tabular.random_mdp(key, 7, 3, branching=7, ends=6), keys[0])
    assert most.transition.shape == (7, 3, 7)


def test_what_is_played_is_what_the_arrays_say(slippery):
    """Over 100 000 random steps each (s, a) leads to each s' as often as P says, earning R."""
    env = tabular.environment(slippery, limit=9)
    n, s, a = 100_000, *slippery.reward.shape
    k_state, k_action, k_step = jax.random.split(jax.random.key(0), 3)
    at = jax.random.randint(k_state, (n,), 0, s)
    action = jax.random.randint(k_action, (n,), 0, a)
    states = tabular.Position(at, jnp.zeros(n, jnp.int32))
    step = jax.jit(jax.vmap(env.step))
    after, seen = step(jax.random.split(k_step, n), states, action)
    counts = np.zeros((s, a, s))
    np.add.at(counts, (at, action, after.at), 1)
    visits, chance = counts.sum(-1, keepdims=True), np.asarray(slippery.transition)
    error = np.abs(counts / visits - chance) / np.sqrt((chance * (1 - chance) + 1e-9) / visits)
    assert error.max() < 5  # standard deviations, of 256 cells
    assert (counts[chance == 0] == 0).all()
    np.testing.assert_array_equal(seen.reward, np.asarray(slippery.reward)[at, action])
    np.testing.assert_array_equal(seen.terminated, np.asarray(slippery.terminal)[after.at])
    np.testing.assert_array_equal(seen.observation, np.eye(s)[after.at])


def test_episodes_begin_as_start_says():
    start = jnp.array([0.0, 0.5, 0.0, 0.3, 0.2])
    mdp = tabular.mdp(jnp.full((5, 2, 5), 0.2), jnp.zeros((5, 2)), start=start)
    env = tabular.environment(mdp)
    reset = jax.jit(jax.vmap(env.reset))
    state, observation = reset(jax.random.split(jax.random.key(1), 20_000))
    share = np.bincount(state.at, minlength=5) / 20_000
    np.testing.assert_allclose(share, mdp.start, atol=0.015)
    assert share[0] == share[2] == 0
    np.testing.assert_array_equal(observation, np.eye(5)[state.at])


def test_the_limit_truncates_and_the_end_terminates():
    env = tabular.environment(tabular.gridworld(("S.G",)), limit=2)
    state, _ = env.reset(jax.random.key(0))
    for time, ended in ((1, False), (2, True)):
        state, seen = env.step(jax.random.key(time), state, A_STEP_RIGHT)
        assert (bool(seen.terminated), bool(seen.truncated)) == (ended, time == 2)
    assert seen.reward == 1


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (lambda: tabular.gridworld(("..", "...")), "one length"),
        (lambda: tabular.gridworld(("..?",)), r"# \. S G X"),
        (lambda: tabular.gridworld(("#G",)), "a cell to start from"),
        (lambda: tabular.gridworld(slip=1.5), "slip must be in .0, 1.; got 1.5"),
        (lambda: tabular.random_mdp(jax.random.key(0), 3, 2, branching=4), "from 1 to the 3"),
        (lambda: tabular.random_mdp(jax.random.key(0), 3, 2, ends=3), "from 0 to 2; got 3"),
        (
            lambda: tabular.mdp(
                jnp.full((2, 1, 2), 0.5), jnp.ones((2, 1)), start=jnp.array([-1.0, 2.0])
            ),
            "start must be weights",
        ),
        (lambda: tabular.mdp(jnp.ones((2, 1, 2)), jnp.ones((2, 1))), "a sum is 1 from 1"),
        (lambda: tabular.mdp(jnp.ones((2, 1, 2)) / 2, jnp.ones((1, 2))), "got .*2, 1, 2"),
    ],
)
def test_bad_mdps_are_named(bad, said):
    with pytest.raises(InputError, match=said):
        bad()
