"""Numbers of graphs: labels that are missing, what is refused, and counts that are learnt (S57)."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import Batch, advance, start
from dljax.errors import InputError
from dljax.learn import graph_regress
from dljax.learn.graph_regress import Graphs
from dljax.learn.optimizers import optimizer
from dljax.nets.message import MessageNet
from dljax.ops import unions
from dljax.ops.unions import Size
from dljax.typing import Graph

NET = MessageNet(2, width=8, rounds=1, hidden=(8,), typical=4)


@pytest.fixture(scope="module")
def many():
    """Graphs, and the sum over edges of what they carry times what their senders are."""
    rng, graphs, y = np.random.default_rng(0), [], []
    for _ in range(60):
        n, e = rng.integers(1, 8), rng.integers(0, 12)
        ends = rng.integers(0, n, (2, e)).astype(np.int32)
        x, edges = (rng.integers(0, 2, (each, 1)).astype(np.uint8) for each in (n, e))
        graphs.append(Graph(x, *ends, edges))
        y.append(((x[ends[0]] * edges).sum(), n))
    y = np.array(y, np.float32)
    return Graphs(unions.shelve(graphs)), (y - y.mean(0)) / y.std(0)


@pytest.mark.parametrize("loss", [optax.squared_error, optax.sigmoid_binary_cross_entropy])
def test_labels_that_are_missing_are_left_out_of_the_mean(loss):
    rng = np.random.default_rng(0)
    outputs, y = rng.normal(size=(2, 5, 3)).astype(np.float32)
    y[[0, 0, 3], [0, 2, 1]] = np.nan
    pairs = [(o, t) for o, t in zip(outputs.ravel(), y.ravel(), strict=True) if np.isfinite(t)]
    wanted = np.mean([loss(jnp.float32(o), jnp.float32(t)) for o, t in pairs])
    mean = jax.jit(lambda outputs: graph_regress.masked(loss)(outputs, jnp.asarray(y)).mean())
    assert mean(outputs) == pytest.approx(wanted, rel=1e-5)
    slope = jax.jit(jax.grad(mean))(outputs)
    assert (np.asarray(slope != 0) == np.isfinite(y)).all() and np.isfinite(slope).all()
    none = graph_regress.masked(loss)(jnp.ones((2, 1)), jnp.full((2, 1), jnp.nan))
    assert (none == 0).all()


def test_all_are_told_as_each_alone(many):
    graphs, _ = many
    whole = lambda rows: jnp.cos(rows)[:, None]  # noqa: E731
    size = unions.largest(graphs.shelf)
    one, _ = unions.unite(graphs.shelf, jnp.array([0]), size, whole(jnp.array([0])))
    params = NET.init(jax.random.key(0), one)["params"]
    told = graph_regress.predict(NET, (params, {}), Graphs(graphs.shelf, whole), chunk=7)
    assert told.shape == (60, 2)

    def alone(row):
        union, _ = unions.unite(graphs.shelf, row[None], size, whole(row[None]))
        return NET.apply({"params": params}, union)[0]

    np.testing.assert_allclose(told, jax.jit(jax.vmap(alone))(jnp.arange(60)), atol=1e-5)


def test_it_learns_what_edges_and_atoms_say_together(many):
    graphs, y = many
    known = y.copy()
    known[::3, 0] = np.nan
    size, tx = unions.roomy(graphs.shelf, 20), optimizer("adam", 2e-2)
    data = Batch(np.arange(60), known)
    learner = graph_regress.make(NET, tx, graphs, data, batch=20, size=size)
    run, _ = advance(learner, start(learner, jax.random.key(0)), 300)
    told = graph_regress.predict(NET, (run.state.fit.params, {}), graphs)
    errors = np.sqrt(np.square(told - y).mean(0))
    assert errors.max() < 0.3  # of a deviation; those not measured count here


def test_a_batch_that_is_too_full_learns_from_those_that_fit(many):
    graphs, y = many
    size = unions.largest(graphs.shelf)  # of 20 graphs perhaps two fit
    data, tx = Batch(np.arange(60), y), optimizer("adam", 1e-2)
    learner = graph_regress.make(NET, tx, graphs, data, batch=20, size=size)
    _, metrics = advance(learner, start(learner, jax.random.key(0)), 3)
    assert np.isfinite(metrics["loss"]).all() and (metrics["grad_norm"] > 0).all()


def test_what_cannot_be_is_refused(many):
    graphs, y = many
    tx, data = optimizer("adam", 1e-2), Batch(np.arange(60), y)
    size = unions.roomy(graphs.shelf, 20)
    with pytest.raises(InputError, match=r"nodes; a batch has room for 3"):
        graph_regress.make(NET, tx, graphs, data, batch=20, size=Size(3, 99))
    with pytest.raises(InputError, match="batch must be from 1 to the 60"):
        graph_regress.make(NET, tx, graphs, data, batch=61, size=size)
    beyond = Batch(np.append(np.arange(59), 60), y)
    with pytest.raises(InputError, match="row 59 is graph 60, but graphs are 0 to 59"):
        graph_regress.make(NET, tx, graphs, beyond, batch=20, size=size)
    with pytest.raises(InputError, match="gives 2 numbers; the targets are 1 numbers"):
        graph_regress.make(NET, tx, graphs, Batch(data.x, y[:, :1]), batch=20, size=size)
