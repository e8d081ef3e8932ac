"""Forecasts against known answers."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from dljax.learn import forecast

RNG = np.random.default_rng(0)


def test_a_gaussian_s_loss_is_scipys():
    mean, scale, y = RNG.normal(size=(4, 2)), RNG.uniform(0.5, 2, (4, 2)), RNG.normal(size=(4, 2))
    outputs = np.concatenate([mean, np.log(scale)], 1).astype(np.float32)
    found = forecast.gaussian_nll(outputs, y.astype(np.float32))
    np.testing.assert_allclose(found, -norm.logpdf(y, mean, scale), rtol=1e-5)


def test_errors_of_paths_and_series():
    true, told = np.zeros((2, 3, 2), np.float32), np.zeros((2, 3, 2), np.float32)
    told[0, 2] = (3, 4)
    found = forecast.path_errors(told, true)
    np.testing.assert_allclose([found["ADE"], found["FDE"]], [5 / 6, 2.5], rtol=1e-6)
    assert not jax.grad(lambda p: forecast.distances(p, true).sum())(jnp.asarray(true)).any()
    found = forecast.series_errors(jnp.array([1.0, 4.0]), jnp.array([2.0, 1.0]))
    np.testing.assert_allclose([found[k] for k in ("RMSE", "MAE", "MSE")], [5**0.5, 2, 5])


def test_a_straight_walk_goes_on():
    path = np.array([1.0, 2.0]) + np.arange(10)[:, None] * np.array([0.3, -0.1])
    found = forecast.constant_velocity(jnp.float32(path[None, :6]), 4)
    np.testing.assert_allclose(found[0], path[6:], rtol=1e-5)


def test_straightened_paths_end_at_zero_point_ahead_and_come_back():
    x, y = (jnp.float32(RNG.normal(size=(5, n, 2))) for n in (8, 12))
    near, future, turn, end = forecast.straightened(x, y)
    np.testing.assert_allclose(near[:, -1], 0, atol=1e-6)
    heading = near[:, -1] - near[:, -3]
    np.testing.assert_allclose(heading[:, 1], 0, atol=1e-5)
    assert (heading[:, 0] > 0).all()
    np.testing.assert_allclose(future @ jnp.swapaxes(turn, -1, -2) + end, y, atol=1e-5)
    np.testing.assert_allclose(
        forecast.distances(future[:, 1:], future[:, :-1]),
        forecast.distances(y[:, 1:], y[:, :-1]),
        rtol=1e-4,
    )


def test_straightening_hears_nothing_of_the_future():
    x, y = (jnp.float32(RNG.normal(size=(1, n, 2))) for n in (8, 12))
    for a, b in zip(
        forecast.straightened(x, y)[::2], forecast.straightened(x, 9 * y)[::2], strict=True
    ):
        np.testing.assert_array_equal(a, b)
