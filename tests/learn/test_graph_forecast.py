"""Windows of all nodes, errors by horizon, and a network that must learn what a graph tells."""

import jax
import numpy as np
import pytest

from dljax import Batch, InputError, advance, start
from dljax.learn import graph_forecast
from dljax.learn.optimizers import optimizer
from dljax.nets.diffusion import GraphForecaster, walks
from dljax.typing import Graph

VALUES = np.arange(20.0).reshape(10, 2)


def test_windows_end_at_their_step_and_go_on_after_it():
    at = np.array([2, 7])
    np.testing.assert_array_equal(
        graph_forecast.lags(VALUES, at, 3)[:, 1], [[1, 3, 5], [11, 13, 15]]
    )
    found = graph_forecast.ahead(VALUES, at, 3)[:, 0]
    np.testing.assert_array_equal(found, [[6, 8, 10], [16, 18, np.nan]])


def test_errors_count_what_is_known_and_a_forecast_that_is_nan():
    true, told = np.array([[[1.0, 2]], [[4, np.nan]]]), np.array([[[2.0, 4]], [[7, 9]]])
    rmse, mae = graph_forecast.errors(told, true)
    np.testing.assert_allclose(rmse, [5**0.5, 2])
    np.testing.assert_allclose(mae, [2, 2])
    told[0, 0, 0] = np.nan
    assert np.isnan(graph_forecast.errors(told, true)[0][0])


def test_what_is_not_there_is_named():
    for at in ([1], [10], []):
        with pytest.raises(InputError, match="no 3 steps end at each step asked for, of 10"):
            graph_forecast.lags(VALUES, np.array(at, int), 3)
    for f, name in ((graph_forecast.lags, "past"), (graph_forecast.ahead, "horizon")):
        with pytest.raises(InputError, match=f"{name} must be at least 1; got 0"):
            f(VALUES, np.array([5]), 0)
    damaged = VALUES.copy()
    damaged[4, 1] = np.nan
    with pytest.raises(InputError, match="step 4 of node 1 is nan"):
        graph_forecast.lags(damaged, np.array([9]), 3)


def test_errors_are_by_horizon_and_of_what_is_known():
    true = np.array([[[1.0, 2.0], [1.0, np.nan]]])
    rmse, mae = graph_forecast.errors(np.stack([true + np.array([3.0, 1.0]), 0 * true + 1]), true)
    np.testing.assert_allclose(rmse, [[3, 1], [0, 1]])
    np.testing.assert_allclose(mae, [[3, 1], [0, 1]])


def test_a_network_learns_what_only_its_neighbour_knows():
    n, rng = 6, np.random.default_rng(0)
    before = np.arange(n, dtype=np.int32)
    graph = walks(Graph(None, before, np.roll(before, -1)), n)[:1]  # i tells i + 1
    x = rng.normal(size=(256, n, 2)).astype(np.float32)
    data = Batch(x, np.roll(x[..., :1], 1, 1))  # node i does what node i - 1 did
    losses = {}
    for name, each in (("own", graph), ("turned", graph.swapaxes(1, 2)), ("none", 0 * graph)):
        net = GraphForecaster(1, each, (1, 0), 16, own=False)
        learner = graph_forecast.make(net, optimizer("adam", 1e-2), data, batch=32)
        _, metrics = advance(learner, start(learner, jax.random.key(0)), 200)
        losses[name] = float(metrics["loss"][-10:].mean())
    assert losses["own"] < 0.05 and losses["turned"] > 0.7 and losses["none"] > 0.7, losses


def test_a_graph_of_other_nodes_is_refused():
    net, x = GraphForecaster(1, np.zeros((1, 3, 3))), np.zeros((8, 4, 2), np.float32)
    with pytest.raises(InputError, match="the graph has 3 nodes, the series 4"):
        graph_forecast.make(net, optimizer("adam", 1e-2), Batch(x, x[..., :1]), batch=2)
