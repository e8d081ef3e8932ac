"""Exact solutions (S45, S46): published utilities, slow loops in double precision, properties."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.envs import tabular
from dljax.learn import dynamic_programming as dp

GAMMA = 0.9


def as_double(mdp):
    """P with nothing after the end, and R, in double precision."""
    chance = np.asarray(mdp.transition, float) * ~np.asarray(mdp.terminal)
    return chance, np.asarray(mdp.reward, float)


def by_hand(mdp, gamma):
    """Q* by a slow loop."""
    chance, reward = as_double(mdp)
    value, before = np.zeros(len(reward)), np.inf
    while np.abs(value - before).max() > 1e-13:
        before, value = value, (reward + gamma * chance @ value).max(1)
    return reward + gamma * chance @ value


@pytest.fixture(scope="module")
def garnets():
    """60 random MDPs of 12 states, a third of them without an end."""

    @jax.jit
    @jax.vmap
    def drawn(key, ends):
        return tabular.random_mdp(key, 12, 3, ends=ends)

    return drawn(jax.random.split(jax.random.key(0), 60), jnp.arange(60) % 3)


def each(mdps):
    return [jax.tree.map(lambda leaf, i=i: leaf[i], mdps) for i in range(len(mdps.start))]


def test_the_world_of_russell_and_norvig_has_their_utilities():
    """Artificial Intelligence, 3rd edition, figure 17.3: 4 x 3 cells, undiscounted."""
    layout = tabular.LAYOUTS["russell_norvig"]
    mdp = tabular.gridworld(layout, slip=0.2, living=-0.04)
    up, right, left = 0, 1, 3
    best = [right, right, right, up, up, up, up, up, left, left, left]
    printed = [0.812, 0.868, 0.918, 0, 0.762, 0.660, 0, 0.705, 0.655, 0.611, 0.388]
    value = dp.evaluate(mdp, jax.nn.one_hot(jnp.array(best), 4), 1.0)
    np.testing.assert_allclose(value, printed, atol=6e-4)
    q = dp.action_values(mdp, value, 1.0)
    np.testing.assert_allclose(q.max(-1), value, atol=1e-5)  # so it is optimal
    inner = ~np.asarray(mdp.terminal)
    np.testing.assert_array_equal(np.asarray(q.argmax(-1))[inner], np.array(best)[inner])


def test_a_policys_value_solves_its_equation_and_is_what_it_earns(garnets):
    """Against a sum over 400 steps of the policy's own chain, in double precision."""
    policies = jnp.array(np.random.default_rng(0).dirichlet(np.ones(3), (60, 12)), jnp.float32)
    solve = jax.jit(jax.vmap(lambda mdp, policy: dp.evaluate(mdp, policy, GAMMA)))
    values = solve(garnets, policies)
    for mdp, policy, value in zip(each(garnets), policies, values, strict=True):
        chance, reward = as_double(mdp)
        step = np.einsum("sa,sat->st", policy, chance)
        now, total = (np.asarray(policy) * reward).sum(1), 0
        for t in range(400):
            total = total + GAMMA**t * now
            now = step @ now
        np.testing.assert_allclose(value, total, atol=1e-5)
        np.testing.assert_allclose(value[mdp.terminal], 0, atol=1e-7)


@pytest.mark.parametrize("solve", [dp.value_iteration, dp.policy_iteration])
def test_the_optimum_equals_a_slow_loop_on_a_batch_of_random_mdps(garnets, solve):
    found = jax.jit(jax.vmap(lambda mdp: solve(mdp, GAMMA)))(garnets)
    for i, mdp in enumerate(each(garnets)):
        right = by_hand(mdp, GAMMA)
        np.testing.assert_allclose(found.q[i], right, atol=2e-5)
        np.testing.assert_allclose(found.value[i], right.max(1), atol=2e-5)
        chosen = right[np.arange(12), found.policy[i]]
        np.testing.assert_allclose(chosen, right.max(1), atol=2e-5)
    assert found.policy.dtype == jnp.int32


def small(seed=0, **options):
    return tabular.random_mdp(jax.random.key(seed), 4, 3, **options)


def test_no_policy_at_all_is_better():
    """Brute force over all 81 deterministic policies of 4 states and 3 actions."""
    mdp = small()
    every = jnp.array(list(itertools.product(range(3), repeat=4)))
    solve = jax.jit(jax.vmap(lambda policy: dp.evaluate(mdp, policy, GAMMA)))
    values = solve(jax.nn.one_hot(every, 3))
    found = dp.policy_iteration(mdp, GAMMA)
    np.testing.assert_allclose(found.value, values.max(0), atol=1e-5)
    np.testing.assert_array_equal(found.policy, every[values.sum(1).argmax()])


def test_the_span_stops_long_before_the_greatest_change():
    """Where nothing ends, all values drift alike: at gamma .99 the change falls as .99^n only."""
    mdp = tabular.random_mdp(jax.random.key(0), 12, 3, branching=12)
    found = jax.jit(dp.value_iteration)(mdp, 0.99)
    right = by_hand(mdp, 0.99)
    assert found.rounds < 60  # 0.99^60 = 0.55
    np.testing.assert_allclose(found.q, right, rtol=1e-5)


def test_a_loose_tolerance_is_kept_in_fewer_rounds():
    mdp = tabular.gridworld(slip=0.2)
    right, solve = by_hand(mdp, 0.99), jax.jit(dp.value_iteration, static_argnames="tolerance")
    loose, tight = (solve(mdp, 0.99, tolerance=tolerance) for tolerance in (1e-2, 1e-6))
    assert np.abs(loose.value - right.max(1)).max() <= 1e-2
    assert np.abs(tight.value - right.max(1)).max() < 2e-5
    assert loose.rounds < tight.rounds


def test_equal_actions_do_not_take_turns():
    """Every action of every state is equally good: the first policy stays."""
    mdp = small()
    twins = mdp._replace(
        transition=jnp.repeat(mdp.transition[:, :1], 3, 1),
        reward=jnp.repeat(mdp.reward[:, :1], 3, 1),
    )
    found = dp.policy_iteration(twins, 0.99)
    assert found.rounds == 1 and not found.policy.any()


def test_actions_that_rounding_alone_tells_apart_do_not_take_turns():
    """Every move earns the same, wherever it leads: all are worth the same but for their sums."""
    mdp = tabular.random_mdp(jax.random.key(0), 12, 3, branching=12)
    even = mdp._replace(reward=jnp.full_like(mdp.reward, -0.1))
    q = dp.action_values(even, jnp.full(12, -10.0), 0.99)
    assert (q.argmax(-1) > 0).any() and np.ptp(q) < 1e-5  # greed alone would leave action 0
    found = dp.policy_iteration(even, 0.99)
    assert found.rounds == 1 and not found.policy.any()
    np.testing.assert_allclose(found.value, -10, rtol=1e-4)


def test_the_tolerance_bounds_the_error():
    """One state earns 1 for ever and one 0: after n rounds the middle is off by half the span."""
    mdp = tabular.mdp(jnp.eye(2)[:, None], jnp.array([[1.0], [0.0]]))
    found = dp.value_iteration(mdp, GAMMA, tolerance=0.01)
    error = np.abs(found.value - np.array([1 / (1 - GAMMA), 0]))
    assert (error <= 0.01).all() and (error > 0.007).all()


def test_gamma_0_is_greed():
    mdp = small()
    for solve in (dp.value_iteration, dp.policy_iteration):
        np.testing.assert_allclose(solve(mdp, 0.0).q, mdp.reward, atol=1e-6)


def test_reward_for_ever_is_worth_1_over_1_minus_gamma():
    mdp = tabular.mdp(jnp.ones((1, 1, 1)), jnp.ones((1, 1)))
    assert dp.value_iteration(mdp, GAMMA).rounds == 1  # the bounds meet at once
    for found in (
        dp.value_iteration(mdp, GAMMA).value,
        dp.policy_iteration(mdp, GAMMA).value,
        dp.evaluate(mdp, jnp.ones((1, 1)), GAMMA),
    ):
        np.testing.assert_allclose(found, 1 / (1 - GAMMA), rtol=1e-5)


@pytest.mark.parametrize("solve", [dp.value_iteration, dp.policy_iteration])
@pytest.mark.parametrize("gamma", [1.0, -0.1])
def test_gamma_must_be_below_1(solve, gamma):
    with pytest.raises(InputError, match=f"below 1; got {gamma}"):
        solve(tabular.gridworld(("S.G",)), gamma)
