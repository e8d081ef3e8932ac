"""Forecasts (S17, S23): losses of a point and of a Gaussian, and errors of paths and series.

The learner is `risk.make` over windows (`dljax.data.series.windows`, `dljax.data.paths`).
"""

import jax.numpy as jnp
from jax.scipy.stats import norm
from jax.typing import ArrayLike

from dljax.ops.paths import distances
from dljax.typing import Array, Metrics


def gaussian_nll(outputs: Array, y: Array) -> Array:
    """`-log N(y; m, s^2)` in nats of outputs [..., 2], m and log s, and y [...]. Bishop 1994."""
    return -norm.logpdf(y, outputs[..., 0], jnp.exp(outputs[..., 1]))


def path_errors(predicted: ArrayLike, true: ArrayLike) -> Metrics:
    """ADE, the mean distance over all steps, and FDE, that at the last, of paths [n, T, 2].

    Pellegrini et al. 2009; of one prediction, not of the best of twenty.
    """
    found = distances(jnp.asarray(predicted), jnp.asarray(true))
    return {"ADE": found.mean(), "FDE": found[..., -1].mean()}


def series_errors(predicted: ArrayLike, true: ArrayLike) -> Metrics:
    """RMSE, MAE and MSE over all entries."""
    error = jnp.asarray(predicted) - jnp.asarray(true)
    square = jnp.mean(error**2)
    return {"RMSE": jnp.sqrt(square), "MAE": jnp.abs(error).mean(), "MSE": square}
