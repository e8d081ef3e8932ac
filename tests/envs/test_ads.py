"""Ads: users are mixtures, and clicks have the chances that the truth says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.envs import ads

RATES = jnp.array([[0.0, 1.0, 0.5], [0.2, 0.2, 0.2]])


def test_clicks_have_their_chances_and_end_the_episode():
    env = ads.make(RATES)

    @jax.jit
    def shown(key):
        users, seen = jax.vmap(env.reset)(jax.random.split(key, 20_000))
        action = jnp.arange(20_000) % 2
        return seen, action, jax.vmap(env.step)(jax.random.split(key, 20_000), users, action)[1]

    seen, action, after = jax.tree.map(np.asarray, shown(jax.random.key(0)))
    assert (seen >= 0).all() and after.terminated.all() and not after.truncated.any()
    np.testing.assert_allclose(seen.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(seen.mean(0), 1 / 3, atol=0.01)
    np.testing.assert_allclose(seen.var(0), 2 / 36, atol=2e-3)  # even over the triangle
    chance = np.asarray(ads.clicks(RATES, jnp.asarray(seen)))[np.arange(20_000), action]
    assert set(after.reward.tolist()) == {0, 1}
    for low in (0.0, 0.25, 0.5, 0.75):
        there = (chance >= low) & (chance < low + 0.25)
        error = 5 * 0.5 / np.sqrt(there.sum())
        assert abs(after.reward[there].mean() - chance[there].mean()) < error


def test_the_best_ad_differs_from_user_to_user():
    true = ads.clicks(RATES, jnp.array([[1.0, 0, 0], [0, 1.0, 0]]))
    np.testing.assert_allclose(true, [[0, 0.2], [1, 0.2]])
    np.testing.assert_array_equal(true.argmax(1), [1, 0])


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (lambda: ads.make(jnp.array([[0.1, 1.5]])), "from 0 to 1; got 0.1 to 1.5"),
        (lambda: ads.make(jnp.array([[0.1, jnp.nan]])), "from 0 to 1; got nan"),
        (lambda: ads.make(jnp.ones(3)), r"\[ads, interests\]; got \(3,\)"),
        (lambda: ads.truth(jax.random.key(0), 0), "ads must be at least 1; got 0"),
    ],
)
def test_bad_rates_are_refused(bad, said):
    with pytest.raises(InputError, match=said):
        bad()
