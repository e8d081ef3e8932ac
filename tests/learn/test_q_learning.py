"""Tabular Q-learning (S46): what it converges to, how fast, and what cuts it short."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError, advance, envs, start, sweep
from dljax.envs import tabular
from dljax.learn import dynamic_programming as dp
from dljax.learn import play, q_learning

GAMMA = 0.9
LAYOUT = ("...G", ".#.X", "....")


@pytest.fixture(scope="module")
def known():
    return tabular.gridworld(LAYOUT)


@pytest.fixture(scope="module")
def swept(known):
    """15 members, each with its own MDP, in one program; their Q after 30 steps and after 300.

    At a constant rate of .5: 3 in the gridworld of certain moves at epsilon 1 and 3 at .5, and 3
    random MDPs of known transitions. In the slippery gridworld: 3 at .5, 3 at a falling rate.
    """
    slippery = tabular.gridworld(LAYOUT, slip=0.2)
    keys = jax.random.split(jax.random.key(1), 3)
    garnets = [tabular.random_mdp(key, 11, 4, branching=1, ends=1) for key in keys]
    mdps = [known] * 6 + garnets + [slippery] * 6
    hparams = {
        "mdp": jax.tree.map(lambda *leaves: jnp.stack(leaves), *mdps),
        "rate": (jnp.array([0.5] * 12 + [1.0] * 3), jnp.array([0.0] * 12 + [1.0] * 3)),
        "epsilon": jnp.array([1.0] * 3 + [0.5] * 3 + [1.0] * 9),
    }

    def make(member):
        env, rate = tabular.environment(member["mdp"]), q_learning.decay(*member["rate"], 1 - GAMMA)
        return q_learning.make(env, rate, gamma=GAMMA, epsilon=member["epsilon"])

    learner = sweep(make, hparams, jnp.arange(15))
    early, metrics = advance(learner, start(learner, jax.random.key(0)), 30)
    late = early
    for _ in range(9):
        late, _ = advance(learner, late, 30)
    right = jax.jit(jax.vmap(lambda mdp: dp.policy_iteration(mdp, GAMMA).q))(hparams["mdp"])
    tables = [np.asarray(run.state.run.state.table) for run in (early, late)]
    return tables, np.asarray(right), metrics


def test_known_transitions_and_a_constant_rate_give_the_linear_solve_to_1e_5(swept):
    (early, _), right, metrics = swept
    np.testing.assert_allclose(early[:6], right[:6], atol=1e-5)
    np.testing.assert_allclose(early[6:9], right[6:9], rtol=1e-5, atol=1e-5)
    assert (metrics["loss"][-1, :6] < 1e-10).all() and (metrics["loss"][0] > 1e-4).all()


def test_random_transitions_leave_a_constant_rate_in_noise_and_a_falling_one_goes_on(swept):
    """After 10 times the steps only the falling rate is nearer; neither is near 1e-5."""
    tables, right, _ = swept
    early, late = (np.abs(table - right).max((1, 2))[9:].reshape(2, 3).mean(1) for table in tables)
    assert late[0] > 0.5 * early[0]
    assert late[1] < 0.5 * early[1] and late[1] < 0.25 * late[0]
    assert late[1] > 1e-4


def test_a_step_is_the_rule_by_hand(known):
    """One actor, one iteration at a time, against a loop over the transitions that it saw."""
    env = tabular.environment(known, limit=7)
    rate = q_learning.decay(0.7, 0.8, 0.5)
    learner = q_learning.make(env, rate, gamma=GAMMA, epsilon=0.3, actors=1, length=1)
    run = start(learner, jax.random.key(3))
    table, counts = np.zeros((11, 4)), np.zeros((11, 4), int)
    for _ in range(200):
        before = run.state.actors.state.at
        run, metrics = advance(learner, run, 1)
        (cell,) = np.argwhere(np.asarray(run.state.updates) != counts)
        s, a = cell
        assert s == before[0]
        after = known.transition[s, a].argmax()
        ahead = 0.0 if known.terminal[after] else table[after].max()
        alpha = 0.7 / (1 + 0.5 * counts[s, a]) ** 0.8
        error = float(known.reward[s, a]) + GAMMA * ahead - table[s, a]
        np.testing.assert_allclose(metrics["loss"], [error**2], rtol=1e-4, atol=1e-6)
        table[s, a] += alpha * error
        counts[s, a] += 1
        np.testing.assert_allclose(run.state.table, table, atol=1e-6)
    assert run.state.actors.episodes[0] > 20


def test_actors_in_one_cell_count_once_with_the_mean_of_their_targets():
    """One state, one action, a reward by where it leads: 64 actors at rate 1 give their mean."""
    transition = jnp.array([[[0.0, 0.5, 0.5]], [[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]])
    mdp = tabular.mdp(transition, jnp.array([[1.0], [4.0], [8.0]]), start=jnp.eye(3)[0])
    env = tabular.environment(mdp, limit=2)
    learner = q_learning.make(env, q_learning.decay(1.0, 0.0), gamma=0.5, actors=64, length=1)
    run = start(learner, jax.random.key(0))
    run, _ = advance(learner, run, 1)
    run, _ = advance(learner, run, 1)  # all were in one of the later two, worth 4 and 8 by now
    np.testing.assert_allclose(run.state.table[:, 0], [1, 4, 8])
    assert run.state.updates[:, 0].tolist() == [1, 1, 1]
    run, _ = advance(learner, run, 1)  # the limit had cut every episode: all are in the first
    share = np.mean(np.asarray(run.state.actors.state.at) == 2)
    np.testing.assert_allclose(run.state.table[0, 0], 1 + 0.5 * (4 + 4 * share), rtol=1e-6)


@pytest.fixture(scope="module")
def arms():
    """Two arms, of which one earns 1, pulled for ever, seen through episodes of 5 pulls."""
    env = tabular.environment(tabular.mdp(jnp.ones((1, 2, 1)), jnp.array([[0.0, 1.0]])), limit=5)

    def make(epsilon):
        return q_learning.make(env, q_learning.decay(1.0, 0.0), gamma=GAMMA, epsilon=epsilon)

    learner = sweep(make, jnp.array([0.0, 0.4, 1.0]), jnp.arange(3))
    return advance(learner, start(learner, jax.random.key(0)), 11)


def test_a_time_limit_is_not_an_end(arms):
    """Q of the better arm is 1 / (1 - gamma), not what 5 pulls earn; of the other one pull less."""
    run, metrics = arms
    best = 1 / (1 - GAMMA)
    right = np.tile([best - 1, best], (2, 1, 1))
    np.testing.assert_allclose(run.state.run.state.table[1:], right, rtol=1e-5)
    np.testing.assert_allclose(run.state.run.state.table[0, 0, 1], best, rtol=1e-5)
    assert metrics["return"][-1, 0] == 5
    assert (metrics["episodes"][-1] == 16 * 11 * 100 / 5).all()


def test_epsilon_is_the_share_of_random_actions_and_ties_are_broken_evenly(arms):
    """Greed takes the arm that earns always, epsilon .4 in .8 of the steps, 1 in a half."""
    _, metrics = arms
    np.testing.assert_allclose(metrics["reward"][1:].mean(0), [1, 0.8, 0.5], atol=0.015)


def test_the_greedy_policy_walks_to_the_goal(known, swept):
    env, table = tabular.environment(known), jnp.asarray(swept[0][0][0])
    found = play.evaluate(env, q_learning.greedy(table), jax.random.key(1), 50)
    assert found["return"] == 1
    assert 2 < found["length"] < 4  # the farthest cell is 6 moves away


def test_it_learns_a_gymnax_world_of_integer_states():
    """FrozenLake slips and pays 1 at the goal: learnt, about 0.7; at random 0.015."""
    env = envs.make("FrozenLake-misc")
    learner = q_learning.make(env, q_learning.decay(1.0, 0.8), gamma=0.99)
    run, _ = advance(learner, start(learner, jax.random.key(0)), 150)
    found = play.evaluate(env, q_learning.greedy(run.state.table), jax.random.key(1), 500)
    assert found["return"] > 0.6


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("Pendulum-v1", {}, "Pendulum.* has continuous actions"),
        ("CartPole-v1", {}, "CartPole.* has no one-hot states"),
        ("Breakout-MinAtar", {}, "has no one-hot states"),
        ("FrozenLake-misc", {"gamma": 1.5}, r"gamma must be from 0 to 1; got 1.5"),
        ("FrozenLake-misc", {"epsilon": -0.1}, r"epsilon must be from 0 to 1; got -0.1"),
    ],
)
def test_bad_input_is_named(name, options, said):
    with pytest.raises(InputError, match=said):
        q_learning.make(envs.make(name), q_learning.decay(1.0, 0.8), **{"gamma": 0.9} | options)
