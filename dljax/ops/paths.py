"""Paths on the plane: distances, constant velocity, coordinates that follow the walker (S23)."""

import jax.numpy as jnp

from dljax.typing import Array


def distances(predicted: Array, true: Array) -> Array:
    """`|p_t - x_t|` of paths [..., T, 2] -> [..., T]. Smooth at 0, where its gradient is 0."""
    square = jnp.sum((predicted - true) ** 2, -1)
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)


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
