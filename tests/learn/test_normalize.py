"""Running moments against numpy over everything seen."""

import jax.numpy as jnp
import numpy as np
import pytest

from dljax.learn import normalize


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_pieces_have_the_moments_of_the_whole(shape):
    rng = np.random.default_rng(0)
    pieces = [rng.normal(5, 2, (4, 2, *shape)), rng.normal(-1, 0.1, (1, 7, *shape))]
    seen = normalize.moments(shape)
    for piece in pieces:
        seen = normalize.update(seen, jnp.asarray(piece, jnp.float32))
    whole = np.concatenate([piece.reshape(-1, *shape) for piece in pieces])
    assert seen.count == 15
    np.testing.assert_allclose(seen.mean, whole.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seen.variance, whole.var(0), rtol=1e-5)


def test_small_spreads_far_from_zero_keep_their_digits():
    """What a sum of squares would lose in float32."""
    x = 1000 + np.random.default_rng(0).normal(0, 0.1, (64, 100))
    seen = normalize.moments(())
    for piece in x:
        seen = normalize.update(seen, jnp.asarray(piece, jnp.float32))
    assert seen.variance == pytest.approx(x.var(), rel=2e-2)


def test_standard_observations_have_mean_0_and_variance_1():
    x = jnp.asarray(np.random.default_rng(0).normal((3, -20), (2, 0.5), (50, 4, 2)), jnp.float32)
    seen = normalize.update(normalize.moments((2,)), x)
    z = np.asarray(normalize.standard(seen, x))
    np.testing.assert_allclose(z.mean((0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(z.std((0, 1)), 1, rtol=1e-4)
    assert normalize.standard(seen, jnp.full(2, 1e6)).tolist() == [10, 10]
    unseen = normalize.moments((2,))
    np.testing.assert_allclose(normalize.standard(unseen, jnp.array([3.0, -4.0])), [3, -4])


def test_rewards_are_divided_by_the_spread_of_discounted_returns():
    rng, gamma = np.random.default_rng(0), 0.9
    reward = rng.normal(size=(12, 3)).astype(np.float32)
    done = rng.random((12, 3)) < 0.3
    scale = normalize.scale(3)
    for piece in np.split(np.arange(12), [5]):  # in two rollouts
        scale = normalize.follow(scale, jnp.asarray(reward[piece]), jnp.asarray(done[piece]), gamma)
    total, totals = np.zeros(3), []
    for r, over in zip(reward, done, strict=True):
        total = gamma * total + r
        totals.append(total)
        total = np.where(over, 0, total)
    np.testing.assert_allclose(scale.total, total, rtol=1e-5)
    np.testing.assert_allclose(scale.seen.variance, np.var(totals), rtol=1e-4)
    found = normalize.scaled(scale, jnp.asarray(reward))
    np.testing.assert_allclose(found, reward / np.std(totals), rtol=1e-4)
    assert np.all(np.sign(found) == np.sign(reward))
