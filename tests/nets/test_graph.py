"""Networks over graphs: against dense matrices and networkx, and what defines them."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

from dljax import InputError
from dljax.nets.graph import GAT, GCN, Linear, Pagerank, propagate, symmetric
from dljax.typing import Graph

N, D, K = 8, 5, 3
PAIRS = np.array([(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 2), (6, 1)])  # 7 has no neighbour
NETS = [GCN(K, 2, 4), GAT(K, 2, 2, 2), Pagerank(K, 4, hops=3)]


def graph(x=None):
    senders, receivers = np.concatenate([PAIRS, PAIRS[:, ::-1]]).T.astype(np.int32)
    rng = np.random.default_rng(0)
    return Graph(rng.normal(size=(N, D)).astype(np.float32) if x is None else x, senders, receivers)


def operator(g):
    """`P` written out."""
    p = np.zeros((N, N))
    np.add.at(p, (np.asarray(g.receivers), np.asarray(g.senders)), np.asarray(g.edges))
    return p


@pytest.fixture(scope="module", params=NETS, ids=lambda net: type(net).__name__)
def fitted(request):
    """A network, random weights and biases of its own, and what it says."""
    net, g = request.param, symmetric(graph())
    params = net.init(jax.random.key(0), g)["params"]
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noise = [jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    params, apply = jax.tree.unflatten(tree, noise), jax.jit(net.apply)
    return params, apply, apply({"params": params}, g)


def test_edges_weigh_as_networkx_normalises():
    known = nx.Graph(PAIRS.tolist())
    known.add_nodes_from(range(N))
    known.add_edges_from((i, i) for i in range(N))
    laplacian = nx.normalized_laplacian_matrix(known, nodelist=range(N)).toarray()
    found = symmetric(graph())
    np.testing.assert_allclose(operator(found), np.eye(N) - laplacian, atol=1e-6)
    x = np.random.default_rng(1).normal(size=(N, 4)).astype(np.float32)
    np.testing.assert_allclose(propagate(found, x), operator(found) @ x, atol=1e-6)
    assert found.edges[-1] == 1, "a node without neighbours hears itself alone"


def test_an_edge_given_twice_counts_twice():
    a = np.eye(N)
    np.add.at(a, tuple(np.concatenate([PAIRS, PAIRS[:, ::-1], PAIRS[:1]]).T), 1)
    d = a.sum(0)  # edges that a node receives
    g = graph()
    senders, receivers = np.append(g.senders, PAIRS[0, 0]), np.append(g.receivers, PAIRS[0, 1])
    found = symmetric(g._replace(senders=senders, receivers=receivers))
    np.testing.assert_allclose(operator(found), a.T / np.sqrt(np.outer(d, d)), atol=1e-6)


def test_padding_is_not_there(fitted):
    params, apply, said = fitted
    g = graph()
    x = np.concatenate([g.x, np.full((3, D), 7, np.float32)])
    ends = (np.append(each, [N + 3] * 4).astype(np.int32) for each in (g.senders, g.receivers))
    padded = symmetric(Graph(x, *ends, real=np.arange(N + 3) < N))
    np.testing.assert_allclose(apply({"params": params}, padded)[:N], said, atol=1e-5)


def test_a_masked_node_equals_an_absent_one(fitted):
    """Of the nodes that it tells, and that tell it: 2, which has three neighbours."""
    params, apply, said = fitted
    g, gone = graph(), 2
    spoilt = g._replace(x=np.where(np.arange(N)[:, None] == gone, 1e3, g.x), real=np.arange(N) != 2)
    keep = (g.senders != gone) & (g.receivers != gone)
    ends = (each[keep] - (each[keep] > gone) for each in (g.senders, g.receivers))
    absent = symmetric(Graph(np.delete(g.x, gone, 0), *ends))
    found = np.asarray(apply({"params": params}, symmetric(spoilt)))
    wanted = apply({"params": params}, absent)
    np.testing.assert_allclose(np.delete(found, gone, 0), wanted, atol=1e-4)
    assert np.abs(np.delete(said, gone, 0) - wanted).max() > 1e-2


def test_nodes_in_another_order_say_the_same_in_that_order(fitted):
    params, apply, said = fitted
    order, edges = np.random.RandomState(0).permutation(N), np.random.RandomState(1).permutation(14)
    place, g = np.argsort(order).astype(np.int32), graph()
    moved = Graph(g.x[order], place[g.senders][edges], place[g.receivers][edges])
    found = apply({"params": params}, symmetric(moved))
    np.testing.assert_allclose(found, said[order], atol=1e-5 * np.abs(said).max())


def test_sparse_features_are_dense_ones(fitted):
    params, apply, _ = fitted
    x = np.maximum(graph().x, 0)
    given = symmetric(graph(x)), symmetric(graph(BCOO.fromdense(x)))
    dense, sparse = (apply({"params": params}, each) for each in given)
    np.testing.assert_allclose(sparse, dense, atol=1e-5 * np.abs(dense).max())


def test_graph_convolution_is_its_formula():
    g, net = symmetric(graph()), GCN(K, 2, 4)
    params = net.init(jax.random.key(0), g)["params"] | {"bias_0": jnp.arange(4.0)}
    p, w = operator(g), [np.asarray(params[f"Linear_{i}"]["kernel"]) for i in range(2)]
    wanted = p @ np.maximum(p @ g.x @ w[0] + np.arange(4), 0) @ w[1]
    np.testing.assert_allclose(net.apply({"params": params}, g), wanted, atol=1e-5)


def test_a_graph_without_edges_is_a_network_of_each_node_alone(fitted):
    params, apply, _ = fitted
    none = np.zeros(0, np.int32)
    bare = graph()._replace(senders=none, receivers=none)
    g = symmetric(bare)
    np.testing.assert_array_equal(operator(g), np.eye(N))
    found = apply({"params": params}, g)
    other = apply({"params": params}, g._replace(x=np.where(np.arange(N)[:, None] == 3, 9, g.x)))
    same = np.isclose(found, other).all(1)
    assert same.sum() == N - 1 and not same[3]


def test_attention_is_a_loop_over_neighbours():
    g, net = symmetric(graph()), GAT(K, 1, dropout=0.0)
    params = net.init(jax.random.key(0), g)["params"]["Attend_0"]
    z = g.x @ params["Linear_0"]["kernel"]
    asks, tells = (z @ params[name][0] for name in ("asks", "tells"))
    wanted = np.zeros((N, K))
    for i in range(N):
        near = np.asarray(g.senders)[np.asarray(g.receivers) == i]
        weights = jax.nn.softmax(jax.nn.leaky_relu(asks[i] + tells[near], 0.2))
        wanted[i] = weights @ z[near]
    found = net.apply({"params": {"Attend_0": params}}, g)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_pagerank_tends_to_its_closed_form():
    g, a = symmetric(graph()), 0.3
    net = Pagerank(K, 4, hops=40, restart=a)
    params = net.init(jax.random.key(0), g)["params"]
    h = np.maximum(g.x @ params["Linear_0"]["kernel"], 0) @ params["Linear_1"]["kernel"]
    wanted = a * np.linalg.solve(np.eye(N) - (1 - a) * operator(g), h)
    np.testing.assert_allclose(net.apply({"params": params}, g), wanted, atol=1e-4)


def test_dropping_sparse_features_drops_some_and_keeps_the_mean():
    x, eye = BCOO.fromdense(np.eye(200, dtype=np.float32)), np.eye(200, dtype=np.float32)

    def draw(key):
        drop = {"train": True, "rngs": {"dropout": key}}
        return Linear(200, 0.75).apply({"params": {"kernel": eye}}, x, **drop)

    found = np.asarray(draw(jax.random.key(0)))
    np.testing.assert_array_equal(found, np.diag(np.diag(found)))
    assert set(np.unique(np.diag(found))) == {0, 4} and 0.15 < (np.diag(found) > 0).mean() < 0.35


@pytest.mark.parametrize("net", NETS, ids=lambda net: type(net).__name__)
def test_edges_that_weigh_nothing_are_refused(net):
    with pytest.raises(InputError, match=r"needs a weight, as `nets.graph.symmetric` gives it"):
        jax.eval_shape(net.init, jax.random.key(0), graph())


def test_an_edge_to_no_node_is_named():
    for node in (-1, N + 1):
        bad = graph()._replace(senders=np.where(np.arange(2 * len(PAIRS)) == 2, node, 0))
        with pytest.raises(InputError, match=f"the sender of edge 2 is {node}, but the nodes are"):
            symmetric(bad)


def test_edges_that_weigh_already_are_not_weighed_again():
    with pytest.raises(InputError, match="the edges carry numbers, which would be lost"):
        symmetric(symmetric(graph()))
