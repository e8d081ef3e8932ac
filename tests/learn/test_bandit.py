"""Linear bandits: against a loop of NumPy's, by their regret, and by their bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError, advance, envs, start, sweep
from dljax.envs import ads
from dljax.learn import bandit

RATES = ads.truth(jax.random.key(5))
ROUNDS = 250
WAYS = ("bonus", "optimism", "spread", "epsilon")
ENTRANTS = [
    (0.5, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0.5, 0), (0, 0, 0, 0.1), (0, 0, 0, 1), (0.3, 0.2, 0, 0.5),
]  # fmt: skip
NORM = 1.04


def make(way):
    return bandit.make(
        ads.make(RATES), rounds=ROUNDS, norm=NORM, values=lambda x: ads.clicks(RATES, x),
        **dict(zip(WAYS, way, strict=True)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def swept():
    """Every entrant, 12 steps of 250 users each."""
    ways = tuple(jnp.array(each, jnp.float32) for each in zip(*ENTRANTS, strict=True))
    learner = sweep(make, ways, jnp.arange(len(ENTRANTS)))
    begun = start(learner, jax.random.key(0))
    return begun, *advance(learner, begun, 12)


def looped(key, way, steps):
    """The same users, coins and clicks, in double precision, by plain linear algebra."""
    env = ads.make(RATES)
    reset = jax.jit(jax.vmap(env.reset))
    bonus, optimism, spread, epsilon = way
    count, size = RATES.shape
    matrix, right = np.stack([np.eye(size)] * count), np.zeros((count, size))
    found = []
    for step in range(steps):
        k_user, _, k_normal, k_coin, k_arm = jax.random.split(jax.random.fold_in(key, step), 5)
        users, _ = reset(jax.random.split(k_user, ROUNDS))
        users = jax.tree.map(lambda leaf: np.asarray(leaf, float), users)
        normal = np.asarray(jax.random.normal(k_normal, (ROUNDS, count)))
        coin = np.asarray(jax.random.uniform(k_coin, (ROUNDS,)))
        drawn = np.asarray(jax.random.randint(k_arm, (ROUNDS,), 0, count))
        regret = wide = clicks = 0.0
        for t in range(ROUNDS):
            x, score, widths, radii = users.interests[t], [], [], []
            for a in range(count):
                inverse = np.linalg.inv(matrix[a])
                width = np.sqrt(x @ inverse @ x)
                log_det = np.log(np.linalg.det(matrix[a]))
                rho = NORM + 0.5 * np.sqrt(2 * np.log(count / 0.05) + log_det)
                beyond = bonus + optimism * rho + spread * normal[t, a]
                score.append(x @ inverse @ right[a] + beyond * width)
                widths.append(width)
                radii.append(rho)
            a = drawn[t] if coin[t] < epsilon else int(np.argmax(score))
            true = np.asarray(RATES, float) @ x
            click = float(users.mood[t] < true[a])
            matrix[a] += np.outer(x, x)
            right[a] += click * x
            regret, clicks = regret + true.max() - true[a], clicks + click
            wide += min(1.0, 2 * radii[a] * widths[a])
        found.append((clicks / ROUNDS, regret, wide))
    return np.array(found), matrix, right


@pytest.mark.parametrize("entrant", [0, 1, 2, 5])
def test_a_step_is_a_slow_loop(swept, entrant):
    begun, _, metrics = swept
    key = begun.state.run.key[entrant]
    found, matrix, right = looped(key, ENTRANTS[entrant], 2)
    for i, name in enumerate(("reward", "regret", "width")):
        np.testing.assert_allclose(metrics[name][:2, entrant], found[:, i], rtol=1e-3)
    # a tie that rounding broke the other way would show from here on
    assert np.linalg.det(matrix).min() > 1 and right.min() >= 0


def test_what_is_known_of_an_arm_is_its_regression(swept):
    """After 3,000 users the estimates are near the truth where the arm was shown at random."""
    _, run, _ = swept
    state = run.state.run.state
    estimate = (state.inverse[4] @ state.right[4][..., None])[..., 0]
    np.testing.assert_allclose(estimate, RATES, atol=0.12)
    np.testing.assert_allclose(
        state.volume, -np.linalg.slogdet(np.asarray(state.inverse, float))[1], rtol=1e-3
    )


def test_regret_is_below_its_bounds_and_far_below_that_of_chance(swept):
    _, _, metrics = swept
    regret = np.asarray(metrics["regret"]).sum(0)
    count, size = RATES.shape
    bound = float(bandit.bound(12 * ROUNDS, count, size, NORM, 0.05))
    widths = float(np.asarray(metrics["width"])[:, 1].sum())
    assert regret[1] <= widths <= bound
    for entrant in (0, 1, 2, 3):
        assert regret[entrant] < regret[4] / 2
    last = np.asarray(metrics["regret"])[-4:].mean(0)
    assert last[0] < np.asarray(metrics["regret"])[0, 0]  # LinUCB loses less and less


def test_the_bound_by_hand():
    """Of 1,000 rounds, 2 arms and 1 feature, every logarithm written out."""
    rho = 0.5 + 0.5 * np.sqrt(2 * np.log(2 / 0.1) + np.log(1 + 1000))
    right = 2 * rho * np.sqrt(2 * 1000 * 2 * np.log(1 + 1000 / 2))
    assert bandit.bound(1000, 2, 1, 0.5, 0.1) == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"env": "aliased-gridworld"}, "aliased-gridworld is no bandit"),
        ({"env": "thermostat"}, "thermostat is no bandit"),
        ({"rounds": 0}, "rounds must be at least 1; got 0"),
        ({"epsilon": 1.5}, "epsilon must be from 0 to 1; got 1.5"),
        ({"delta": 0.0}, "delta must be above 0; got 0"),
    ],
)
def test_what_is_no_bandit_is_refused(options, said):
    env = envs.make(options.pop("env", "ads"))
    with pytest.raises(InputError, match=said):
        bandit.make(env, **{"rounds": 5} | options)
