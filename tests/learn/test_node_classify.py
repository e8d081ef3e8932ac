"""Classes of nodes: the loss by hand, what unknown nodes teach, bad input, and a task to learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError, advance, start
from dljax.data import citations
from dljax.learn import node_classify
from dljax.learn.node_classify import Known
from dljax.learn.optimizers import optimizer
from dljax.nets.graph import GCN, symmetric


@pytest.fixture(scope="module")
def papers():
    return citations.communities(n=200, classes=2, words=300)


@pytest.fixture(scope="module")
def mask(papers):
    return np.isin(np.arange(len(papers.y)), papers.public.train)


def test_the_loss_is_of_known_nodes_alone(papers, mask):
    graph, net = symmetric(papers.graph), GCN(2, 2, 4, dropout=0.0)
    params = net.init(jax.random.key(0), graph)["params"]
    chances = np.asarray(jax.nn.softmax(node_classify.predict(net, params, graph)), np.float64)
    wanted = -np.log(chances[mask, papers.y[mask]]).mean()
    lies = np.where(mask, papers.y, 1 - papers.y)
    for labels in (papers.y, lies):
        known = Known(graph, jnp.asarray(labels), jnp.asarray(mask))
        loss, (_, found) = node_classify.objective(net)(params, {}, known, jax.random.key(0))
        np.testing.assert_allclose(loss, wanted, rtol=1e-5)
        right = (chances.argmax(1) == papers.y)[mask].mean()
        np.testing.assert_allclose(found["accuracy"], right, rtol=1e-6)


def test_disagreement_is_a_loop_and_teaches_the_views_not_their_mean():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), (2, 4))
    wanted = 0.0
    for s in range(2):
        for i in range(4):
            q = p[:, i].mean(0) ** 2
            wanted += ((p[s, i] - q / q.sum()) ** 2).sum() / 8
    np.testing.assert_allclose(node_classify.apart(jnp.asarray(p), 2.0), wanted, rtol=1e-5)
    sure = jax.nn.one_hot(jnp.array([[0, 1], [0, 1]]), 3)
    assert node_classify.apart(sure, 2.0) == 0
    slope = jax.grad(lambda p: node_classify.apart(p, 2.0))(jnp.asarray(p, jnp.float32))
    m = p.mean(0) ** 2
    q = m / m.sum(-1, keepdims=True)
    np.testing.assert_allclose(slope, 2 * (p - q) / 8, atol=1e-6)


def test_views_are_drawn_apart_and_their_losses_averaged(papers, mask):
    graph, net = symmetric(papers.graph), GCN(2, 2, 4, dropout=0.5)
    params = net.init(jax.random.key(0), graph)["params"]
    known, key = Known(graph, jnp.asarray(papers.y), jnp.asarray(mask)), jax.random.key(1)
    both = node_classify.objective(net, views=2)(params, {}, known, key)[0]
    drop = [{"train": True, "rngs": {"dropout": k}} for k in jax.random.split(key)]
    logits = [net.apply({"params": params}, graph, **each) for each in drop]
    losses = [-jax.nn.log_softmax(each)[mask, papers.y[mask]].mean() for each in logits]
    np.testing.assert_allclose(both, np.mean(losses), rtol=1e-5)
    assert losses[0] != losses[1]


def test_a_masked_node_changes_no_loss(papers, mask):
    """Nor does a label that is not known, whatever the two views say of either."""
    net, n, key = GCN(2, 2, 4, dropout=0.0), len(mask), jax.random.key(1)
    params = net.init(jax.random.key(0), symmetric(papers.graph))["params"]
    x = np.concatenate([papers.graph.x, np.ones((30, papers.graph.x.shape[1]), np.float32)])
    padded = symmetric(papers.graph._replace(x=x, real=np.arange(n + 30) < n))
    own = Known(symmetric(papers.graph), jnp.asarray(papers.y), jnp.asarray(mask))
    labels, known = np.where(mask, papers.y, -1), np.pad(mask, (0, 30))
    more = Known(padded, jnp.asarray(np.pad(labels, (0, 30))), jnp.asarray(known))
    # the same network twice agrees with itself; a sharpened mean is farther from less sure nodes
    loss = node_classify.objective(net, views=2, agreement=3.0)
    wanted, found = (loss(params, {}, each, key)[0] for each in (own, more))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert wanted > node_classify.objective(net)(params, {}, own, key)[0] + 1e-5


def test_the_edges_tell_what_words_do_not(papers, mask):
    """Both networks are the same; the one whose nodes have no neighbours only reads."""
    none, rows = np.zeros(0, np.int32), papers.public.test
    alone = papers.graph._replace(senders=none, receivers=none)
    net, scores = GCN(2, 2, 8, dropout=0.3), []
    for graph in (symmetric(papers.graph), symmetric(alone)):
        tx = optimizer("adam", 0.02)
        learner = node_classify.make(net, tx, graph, papers.y, mask, views=2, agreement=0.5)
        run, metrics = advance(learner, start(learner, jax.random.key(0)), 60)
        assert metrics["loss"][-1] < metrics["loss"][0]
        params = run.state.fit.params
        found = node_classify.evaluate(net, params, graph, jnp.asarray(papers.y), rows, "test")
        scores.append(float(found["test/accuracy"]))
    assert scores[0] > 0.75 and scores[0] > scores[1] + 0.05


def edge_to(node):
    def change(graph, labels, mask):
        senders = np.asarray(graph.senders).copy()
        senders[3] = node
        return graph._replace(senders=senders), labels, mask

    return change


BAD = {
    "beyond": (edge_to(201), "the sender of edge 3 is 201, but the nodes are 0 to 199"),
    "before": (edge_to(-1), "the sender of edge 3 is -1, but the nodes are 0 to 199"),
    "short": (lambda g, y, m: (g, y[:9], m), "200 nodes need as many labels and a mask"),
    "numbers": (lambda g, y, m: (g, y, m.astype(int)), "a mask [200] of int64"),
    "absent": (lambda g, y, m: (g, y, m & (y == 0)), "class 1 has no node to learn from"),
    "empty": (lambda g, y, m: (g, y, m & False), "no node is to learn from"),
    "unknown": (lambda g, y, m: (g, np.where(m, -1, y), m), "to learn from, but has no label"),
    "classes": (lambda g, y, m: (g, y + 1, m), "takes labels from 0 to 1; got 0 to 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(papers, mask, name):
    change, said = BAD[name]
    given = change(symmetric(papers.graph), papers.y, mask)
    with pytest.raises(InputError) as caught:
        node_classify.make(GCN(2, 2, 4), optimizer("adam", 0.01), *given)
    assert said in str(caught.value) and "\n" not in str(caught.value)
