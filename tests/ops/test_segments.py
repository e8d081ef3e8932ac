"""Reductions over neighbours: against dense matrices, and padding that is not there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.ops import segments

N, E, F = 7, 20, 3


@pytest.fixture
def edges():
    rng = np.random.default_rng(0)
    # node 6 hears nothing, and some edges are there twice
    senders, receivers = rng.integers(0, N, E), rng.integers(0, N - 1, E)
    return senders, receivers, rng.normal(size=(E, F)).astype(np.float32)


def literal(reduce, told, receivers):
    heard = [told[receivers == i] for i in range(N)]
    return np.stack([reduce(own, 0) if len(own) else np.zeros(F) for own in heard])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(segments.total, np.sum), (segments.mean, np.mean), (segments.largest, np.max)],
    ids=["sum", "mean", "max"],
)
def test_reductions_are_those_of_a_loop(edges, ours, theirs):
    _, receivers, told = edges
    found = jax.jit(ours, static_argnums=2)(told, receivers, N)
    np.testing.assert_allclose(found, literal(theirs, told, receivers), atol=1e-6)
    padded = np.concatenate([told, np.full((4, F), np.nan, np.float32)])
    ends = np.concatenate([receivers, np.full(4, N)])
    np.testing.assert_array_equal(jax.jit(ours, static_argnums=2)(padded, ends, N), found)


def test_softmax_over_neighbours_is_a_softmax_each(edges):
    _, receivers, scores = edges
    scores = 40 * scores  # some would overflow
    soft = jax.jit(segments.softmax, static_argnums=2)
    found = soft(scores, receivers, N)
    for i in range(N - 1):
        own = receivers == i
        np.testing.assert_allclose(found[own], jax.nn.softmax(scores[own], 0), atol=1e-6)
    padded = np.concatenate([scores, np.full((4, F), 1e9, np.float32)])
    ends = np.concatenate([receivers, np.full(4, N)])
    longer = soft(padded, ends, N)
    np.testing.assert_allclose(longer[:E], found, atol=1e-7)
    assert not np.any(longer[E:])
    slope = jax.jit(jax.grad(lambda s: (segments.softmax(s, ends, N)[:, 0] ** 2).sum()))(padded)
    assert np.isfinite(slope).all() and not np.any(slope[E:])


def test_messages_over_edges_are_products_with_the_adjacency_matrix(edges):
    senders, receivers, _ = edges
    a = np.zeros((N, N))
    np.add.at(a, (receivers, senders), 1)
    x = np.random.default_rng(1).normal(size=(N, F)).astype(np.float32)
    senders, receivers = np.append(senders, N), np.append(receivers, N)
    told = segments.tell(jnp.asarray(x), senders)
    np.testing.assert_allclose(segments.total(told, receivers, N), a @ x, atol=1e-5)
    np.testing.assert_allclose(segments.degree(receivers, N), a.sum(1))
