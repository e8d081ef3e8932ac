"""Diffusion along edges: against slow loops, and what it may not see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.nets.diffusion import Diffusion, GraphForecaster, walks
from dljax.typing import Graph

RNG = np.random.default_rng(0)
N = 5
# edges twice (0 to 1), an isolated node (4), and padding
ROADS = Graph(
    None,
    np.array([0, 0, 1, 2, 3, N]),
    np.array([1, 1, 2, 1, 0, N]),
    np.array([0.5, 0.25, 1.0, 0.25, 1.0, 9.0], np.float32),
)


def test_walks_are_those_of_a_slow_loop():
    weights = np.zeros((N, N))
    for sender, receiver, weight in zip(*ROADS[1:4], strict=True):
        if sender < N:
            weights[sender, receiver] += weight
    expected = np.zeros((2, N, N))
    for i in range(N):
        for j in range(N):
            for k, w in enumerate((weights, weights.T)):
                expected[k, i, j] = w[j, i] / w[:, i].sum() if w[:, i].sum() else 0
    np.testing.assert_allclose(walks(ROADS, N), expected, rtol=1e-6)


def test_walks_without_weights_and_without_edges():
    found = walks(ROADS._replace(edges=None), N)
    np.testing.assert_allclose(found[0, 1], [2 / 3, 0, 1 / 3, 0, 0], rtol=1e-6)
    none = walks(Graph(None, np.zeros(0, np.int32), np.zeros(0, np.int32)), N)
    assert none.shape == (2, N, N) and not none.any()


def test_walks_pass_by_what_is_not_real():
    real = np.arange(N) != 1
    keep = (ROADS.senders != 1) & (ROADS.receivers != 1)
    absent = Graph(None, *(np.asarray(each)[keep] for each in ROADS[1:4]))
    found = walks(ROADS._replace(real=real), N)
    np.testing.assert_allclose(found, walks(absent, N), rtol=1e-6)
    assert not found[:, 1].any() and not found[:, :, 1].any()


def test_an_edge_to_no_node_is_named():
    with pytest.raises(InputError, match="the sender of edge 1 is 6, but the nodes are 0 to 4"):
        walks(Graph(None, np.array([N, N + 1]), np.array([N, 0])), N)


@pytest.mark.parametrize("hops", [0, 1, 3])
def test_a_diffusion_is_the_sum_of_its_powers(hops):
    x, graph = RNG.normal(size=(2, N, 3)).astype(np.float32), walks(ROADS, N)
    layer = Diffusion(4, hops)
    params = layer.init(jax.random.key(0), x, graph)["params"]
    expected = x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"][None, None]
    for s, walk in enumerate(np.asarray(graph, np.float64)):
        for k in range(hops):
            expected += np.linalg.matrix_power(walk, k + 1) @ x @ params["walks"][s, k]
    np.testing.assert_allclose(layer.apply({"params": params}, x, graph), expected, atol=1e-5)


def forecaster(own: bool, graph) -> tuple[GraphForecaster, dict]:
    net = GraphForecaster(2, graph, (1, 1), 6, own=own)
    params = net.init(jax.random.key(0), jnp.zeros((1, N, 3)))["params"]
    head = RNG.normal(size=(6, 2)).astype(np.float32)
    return net, params | {"Dense_0": {"kernel": head, "bias": jnp.zeros(2)}}


def test_a_forecaster_starts_at_what_it_is_added_to():
    net = GraphForecaster(2, walks(ROADS, N))
    x = RNG.normal(size=(4, N, 3)).astype(np.float32)
    found, _ = net.init_with_output(jax.random.key(0), x)
    assert found.shape == (4, N, 2) and not found.any()


def test_a_forecaster_is_equivariant_and_hears_no_further_than_its_hops():
    x = RNG.normal(size=(1, N, 3)).astype(np.float32)
    graph = walks(ROADS, N)[:1]
    net, params = forecaster(False, graph)
    order = np.array([3, 1, 4, 0, 2])
    moved, _ = forecaster(False, graph[:, order][:, :, order])
    told = net.apply({"params": params}, x)
    np.testing.assert_allclose(
        moved.apply({"params": params}, x[:, order]), told[:, order], atol=1e-5
    )
    slope = jax.jacrev(lambda x: net.apply({"params": params}, x)[0].sum(-1))(x)[:, 0]
    heard = np.abs(slope).sum(-1) > 0
    reach = np.linalg.matrix_power(np.eye(N) + np.asarray(graph[0]), 2) > 0
    assert not (heard & ~reach).any() and heard[1, 0] and heard[1, 3] and not heard[2, 3]
    assert not heard[4, :4].any() and not heard[:4, 4].any(), "the isolated node"
