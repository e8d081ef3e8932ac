"""Forecasts (S17, S23): losses of a point and of a Gaussian, and errors of paths and series.

The learner is `risk.make` over windows (`dljax.data.series.windows`, `dljax.data.paths`).
"""

import jax.numpy as jnp
from jax.scipy.stats import norm

from dljax.typing import Array, Metrics


def gaussian_nll(outputs: Array, y: Array) -> Array:
    """`-log N(y; m, s^2)` in nats of outputs [..., 2 C], means then log s, and y [..., C]."""
    mean, log_scale = jnp.split(outputs, 2, -1)
    return -norm.logpdf(y, mean, jnp.exp(log_scale))


def distances(predicted: Array, true: Array) -> Array:
    """`|p_t - x_t|` of paths [..., T, 2] -> [..., T]. Smooth at 0, where its gradient is 0."""
    square = jnp.sum((predicted - true) ** 2, -1)
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)


def path_errors(predicted: Array, true: Array) -> Metrics:
    """ADE, the mean distance over all steps, and FDE, that at the last, of paths [n, T, 2].

    Pellegrini et al. 2009; of one prediction, not of the best of twenty.
    """
    found = distances(predicted, true)
    return {"ADE": found.mean(), "FDE": found[..., -1].mean()}


def series_errors(predicted: Array, true: Array) -> Metrics:
    """RMSE, MAE and MSE over all entries."""
    error = predicted - true
    square = jnp.mean(error**2)
    return {"RMSE": jnp.sqrt(square), "MAE": jnp.abs(error).mean(), "MSE": square}


def constant_velocity(x: Array, horizon: int) -> Array:
    """`x_T + t (x_T - x_{T-1})` for t = 1..horizon: [..., P, 2] -> [..., horizon, 2]."""
    velocity = x[..., -1:, :] - x[..., -2:-1, :]
    return x[..., -1:, :] + jnp.cumsum(jnp.repeat(velocity, horizon, -2), -2)


def straightened(x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
    """Paths moved to end at 0 and turned so that their last steps point along the first axis.

    x [..., P, 2], y [..., T, 2] -> both so, the turn R [..., 2, 2] and the end [..., 1, 2]:
    `straight = (path - end) R`, and `path = straight R^T + end`. The direction is that of the last
    two steps, which are known when the forecast is made.
    """
    end, heading = x[..., -1:, :], x[..., -1, :] - x[..., -3, :]
    angle = jnp.arctan2(heading[..., 1], heading[..., 0])
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.stack([jnp.stack([cos, -sin], -1), jnp.stack([sin, cos], -1)], -2)
    return (x - end) @ turn, (y - end) @ turn, turn, end
