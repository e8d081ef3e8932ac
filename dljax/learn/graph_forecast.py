"""Forecasts of all nodes of a graph at once (S57): windows, the learner, and errors by horizon."""

import numpy as np
import optax

from dljax.errors import InputError, check_count
from dljax.learn import risk
from dljax.learner import Learner
from dljax.nets.diffusion import GraphForecaster
from dljax.typing import Batch


def lags(values: np.ndarray, at: np.ndarray, past: int) -> np.ndarray:
    """The last `past` values up to each of the steps `at`, the newest last: [T, n] -> [m, n, past].

    Raises InputError for a step with fewer behind it, and for a value that is no number.
    """
    check_count(past=past)
    if not np.isfinite(values).all():
        step, node = np.argwhere(~np.isfinite(values))[0]
        raise InputError(f"step {step} of node {node} is {values[step, node]}")
    if len(at) == 0 or at.min() < past - 1 or at.max() >= len(values):
        raise InputError(f"no {past} steps end at each step asked for, of {len(values)}")
    return np.stack([values[at - k] for k in range(past - 1, -1, -1)], -1)


def ahead(values: np.ndarray, at: np.ndarray, horizon: int) -> np.ndarray:
    """The `horizon` values after each of the steps `at`, NaN behind the end: [m, n, horizon]."""
    check_count(horizon=horizon)
    more = np.concatenate([values, np.full((horizon, values.shape[1]), np.nan)])
    return np.stack([more[at + k] for k in range(1, horizon + 1)], -1)


def make(
    net: GraphForecaster,
    tx: optax.GradientTransformation,
    data: Batch,
    *,
    batch: int,
    loss: risk.Loss = optax.squared_error,
) -> Learner:
    """Descent on the loss over windows of all nodes, x [m, n, F] and y [m, n, horizon].

    Targets should be on one scale at every horizon, or the farthest have most of the say. Raises
    InputError if the network's graph is of another number of nodes, and as `risk.make`.
    """
    n = data.x.shape[1]
    if net.walks.shape[-2:] != (n, n):
        raise InputError(f"the graph has {net.walks.shape[-1]} nodes, the series {n}")
    return risk.make(net, tx, data, loss, batch=batch)


def errors(told: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """RMSE and MAE of each horizon over windows and nodes: [..., m, n, horizon] -> [..., horizon].

    What is not known, a `true` of NaN, is not counted.
    """
    missing = np.isnan(true)
    error, known = np.where(missing, 0, told - true), (~missing).sum((-3, -2))
    return np.sqrt((error**2).sum((-3, -2)) / known), np.abs(error).sum((-3, -2)) / known
