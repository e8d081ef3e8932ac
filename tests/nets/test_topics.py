"""ProdLDA's network: its prior against draws of a Dirichlet, its shares, its topics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.nets.topics import TopicNet

K, V = 4, 7


@pytest.fixture(scope="module")
def bound():
    net, x = TopicNet(V, K, (6,), 0.3), jnp.ones((3, V), jnp.int16)
    return net.bind(net.init(jax.random.key(0), x))


def test_the_prior_is_the_dirichlets_in_the_softmax_basis():
    alpha, z = 30.0, jax.random.normal(jax.random.key(1), (20_000, K))
    theta = TopicNet(V, K, alpha=alpha).apply({}, z, method="shares")
    true = np.random.default_rng(0).dirichlet(np.full(K, alpha), 20_000)
    np.testing.assert_allclose(theta.mean(0), true.mean(0), atol=0.005)
    np.testing.assert_allclose(theta.std(0), true.std(0), rtol=0.03)


def test_shares_and_topics_are_distributions(bound):
    theta = bound.theta(jnp.arange(5 * V).reshape(5, V) % 4)
    np.testing.assert_allclose(theta.sum(1), 1, rtol=1e-5)
    topics = bound.of_topics()
    assert topics.shape == (K, V)
    np.testing.assert_allclose(topics.sum(1), 1, rtol=1e-5)


def test_statistics_of_encoder_and_decoder_are_learnt_in_training(bound):
    net, variables = bound.unbind()
    x, rngs = jnp.arange(8 * V).reshape(8, V) % 5, {"dropout": jax.random.key(2)}
    options = {"train": True, "rngs": rngs, "mutable": ["batch_stats"]}
    q, seen = net.apply(variables, x, method="encode", **options)
    np.testing.assert_allclose(q.mean.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(q.mean.std(0), 1, atol=0.05)
    logits, learnt = net.apply({**variables, **seen}, q.mean, method="decode", **options)
    np.testing.assert_allclose(logits.mean(0), 0, atol=1e-5)
    before, after = variables["batch_stats"], learnt["batch_stats"]
    assert all((before[k]["mean"] != after[k]["mean"]).any() for k in before) and len(before) == 3
