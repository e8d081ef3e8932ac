"""Forecasts against known answers."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from dljax.learn import forecast
from dljax.ops.paths import distances

RNG = np.random.default_rng(0)


def test_a_gaussian_s_loss_is_scipys():
    mean, scale, y = RNG.normal(size=(4, 2)), RNG.uniform(0.5, 2, (4, 2)), RNG.normal(size=(4, 2))
    outputs = np.stack([mean, np.log(scale)], -1).astype(np.float32)
    found = forecast.gaussian_nll(outputs, y.astype(np.float32))
    np.testing.assert_allclose(found, -norm.logpdf(y, mean, scale), rtol=1e-5)


def test_errors_of_paths_and_series():
    true, told = np.zeros((2, 3, 2), np.float32), np.zeros((2, 3, 2), np.float32)
    told[0, 2] = (3, 4)
    found = forecast.path_errors(told, true)
    np.testing.assert_allclose([found["ADE"], found["FDE"]], [5 / 6, 2.5], rtol=1e-6)
    assert not jax.grad(lambda p: distances(p, jnp.asarray(true)).sum())(jnp.asarray(true)).any()
    found = forecast.series_errors(jnp.array([1.0, 4.0]), jnp.array([2.0, 1.0]))
    np.testing.assert_allclose([found[k] for k in ("RMSE", "MAE", "MSE")], [5**0.5, 2, 5])
