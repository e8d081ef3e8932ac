"""Walks against what is known of them."""

import jax.numpy as jnp
import numpy as np

from dljax.ops.paths import constant_velocity, distances, straightened

RNG = np.random.default_rng(0)


def test_a_straight_walk_goes_on():
    path = np.array([1.0, 2.0]) + np.arange(10)[:, None] * np.array([0.3, -0.1])
    found = constant_velocity(jnp.float32(path[None, :6]), 4)
    np.testing.assert_allclose(found[0], path[6:], rtol=1e-5)


def test_straightened_paths_end_at_zero_point_ahead_and_come_back():
    x, y = (jnp.float32(RNG.normal(size=(5, n, 2))) for n in (8, 12))
    near, future, turn, end = straightened(x, y)
    np.testing.assert_allclose(near[:, -1], 0, atol=1e-6)
    heading = near[:, -1] - near[:, -3]
    np.testing.assert_allclose(heading[:, 1], 0, atol=1e-5)
    assert (heading[:, 0] > 0).all()
    np.testing.assert_allclose(future @ jnp.swapaxes(turn, -1, -2) + end, y, atol=1e-5)
    np.testing.assert_allclose(
        distances(future[:, 1:], future[:, :-1]),
        distances(y[:, 1:], y[:, :-1]),
        rtol=1e-4,
    )


def test_straightening_hears_nothing_of_the_future():
    x, y = (jnp.float32(RNG.normal(size=(1, n, 2))) for n in (8, 12))
    for a, b in zip(straightened(x, y)[::2], straightened(x, 9 * y)[::2], strict=True):
        np.testing.assert_array_equal(a, b)
