"""Messages along bonds: against dense matrices, and what is not there tells nothing (S57)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.nets.message import MessageNet, Messages, WholeNet
from dljax.ops import unions
from dljax.ops.unions import Size, Union
from dljax.typing import Graph

N, E, H = 6, 14, 4
NET = MessageNet(2, width=8, rounds=2, hidden=(8,))
ROOM = Size(20, 40)


def graph(seed, n=N, e=E):
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, n, (2, e)).astype(np.int32)
    x, edges = rng.normal(size=(n, 3)), rng.normal(size=(e, 2))
    return Graph(x.astype(np.float32), *ends, edges.astype(np.float32))


GRAPHS = [graph(0), graph(1, 1, 0), graph(2, 4, 9), graph(3, 5, 2)]
WHOLE = np.random.default_rng(9).normal(size=(4, 3)).astype(np.float32)


def united(rows, graphs=GRAPHS, room=ROOM):
    rows = jnp.array(rows)
    union, fits = unions.unite(unions.shelve(graphs), rows, room, jnp.asarray(WHOLE)[rows])
    assert fits.all()
    return union


@pytest.fixture(scope="module")
def params():
    return NET.init(jax.random.key(0), united([0, 1, 2, 3]))


@pytest.fixture(scope="module")
def told(params):
    apply = jax.jit(NET.apply)
    return lambda union: np.asarray(apply(params, union))


def test_a_round_is_that_of_dense_matrices():
    own, x = graph(4), jax.random.normal(jax.random.key(1), (N, H))
    net = Messages()
    params = net.init(jax.random.key(0), x, own)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape), p.dtype), params)
    found = net.apply(params, x, own)
    p = jax.tree.map(np.asarray, params["params"])
    sent, heard = np.eye(N)[own.senders], np.eye(N)[own.receivers].T
    edges = own.edges @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"]
    h = (1 + p["own"]) * np.asarray(x) + heard @ np.maximum(sent @ np.asarray(x) + edges, 0)
    h = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-6)
    h = h * p["LayerNorm_0"]["scale"] + p["LayerNorm_0"]["bias"]
    h = np.maximum(h @ p["Dense_1"]["kernel"] + p["Dense_1"]["bias"], 0)
    wanted = np.asarray(x) + h @ p["Dense_2"]["kernel"] + p["Dense_2"]["bias"]
    np.testing.assert_allclose(found, wanted, atol=2e-4)


def test_a_graph_is_told_the_same_in_any_company_and_padding(told):
    every = told(united([0, 1, 2, 3]))
    np.testing.assert_allclose(told(united([3, 2, 0, 1])), every[[3, 2, 0, 1]], atol=1e-5)
    np.testing.assert_allclose(told(united([2, 2, 2, 2])), every[[2, 2, 2, 2]], atol=1e-5)
    assert np.abs(every[0] - every[2]).max() > 1e-3


def test_the_order_of_atoms_and_bonds_says_nothing(told):
    rng, own = np.random.default_rng(1), GRAPHS[0]
    new, order = rng.permutation(N), rng.permutation(E)  # node i becomes new[i]
    x = np.empty_like(own.x)
    x[new] = own.x
    ends = new[own.senders[order]], new[own.receivers[order]]
    moved = Graph(x, *(each.astype(np.int32) for each in ends), own.edges[order])
    np.testing.assert_allclose(
        told(united([0, 1, 2, 3], [moved, *GRAPHS[1:]])), told(united([0, 1, 2, 3])), atol=1e-5
    )


def test_a_masked_node_equals_an_absent_one(told):
    own, gone = GRAPHS[0], 2
    keep = (own.senders != gone) & (own.receivers != gone)
    assert 0 < keep.sum() < E
    ends = (each[keep] - (each[keep] > gone) for each in (own.senders, own.receivers))
    absent = Graph(np.delete(own.x, gone, 0), *ends, own.edges[keep])
    union = united([0, 1, 2, 3])
    real = union.graph.real.at[gone].set(False)
    spoilt = union.graph._replace(real=real, x=union.graph.x.at[gone].set(1e3))
    masked = union._replace(graph=spoilt)
    wanted = told(united([0, 1, 2, 3], [absent, *GRAPHS[1:]]))
    np.testing.assert_allclose(told(masked), wanted, atol=1e-5)
    assert np.abs(wanted[0] - told(union)[0]).max() > 1e-3


def test_what_is_told_of_the_whole_is_heard_and_can_be_all(params, told):
    union = united([0, 1, 2, 3])
    changed = told(union._replace(whole=union.whole.at[1].add(1.0))) - told(union)
    assert np.abs(changed[1]).max() > 1e-3 and np.abs(changed[[0, 2, 3]]).max() < 1e-5
    net = WholeNet(2, (8,))
    weights = net.init(jax.random.key(0), union)
    blank = Union(union.graph._replace(x=0 * union.graph.x), union.whose, union.whole)
    np.testing.assert_array_equal(net.apply(weights, blank), net.apply(weights, union))
