"""Inverted dropout (S13): its mean, its variance, its mask, and its absence."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import Batch, InputError, advance, start
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.nets import MLP
from dljax.nets.dropout import Dropout

X = jnp.array([[1.0, -2.0, 0.5, 3.0]])


@jax.jit
def drop(rate, key):
    return Dropout(rate).apply({}, X, train=True, rngs={"dropout": key})


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.8])
def test_it_keeps_the_mean_and_has_the_variance_of_a_scaled_bernoulli(rate):
    n = 20_000
    keys = jax.random.split(jax.random.key(0), n)
    drawn = np.asarray(jax.vmap(lambda key: drop(rate, key))(keys))[:, 0]
    x = np.asarray(X[0])
    variance = x**2 * rate / (1 - rate)
    assert np.all(np.abs(drawn.mean(0) - x) < 5 * np.sqrt(variance / n))
    np.testing.assert_allclose(drawn.var(0), variance, rtol=0.06)


def test_an_entry_is_either_dropped_or_scaled_up():
    y = np.asarray(drop(0.75, jax.random.key(3))) / np.asarray(X)
    assert set(np.unique(y)) <= {0.0, 4.0}


def test_a_rate_in_an_array_gives_the_bits_of_flax():
    key = jax.random.key(1)
    flax = nn.Dropout(0.3, deterministic=False).apply({}, X, rngs={"dropout": key})
    ours = Dropout(0.3).apply({}, X, train=True, rngs={"dropout": key})
    np.testing.assert_array_equal(ours, flax)
    np.testing.assert_allclose(drop(jnp.float32(0.3), key), flax, rtol=1e-6)
    np.testing.assert_array_equal(drop(jnp.float32(0), key), X)


@pytest.mark.parametrize("rate", [1.0, jnp.float32(1)])
def test_at_a_rate_of_1_all_is_0_and_so_is_the_slope(rate):
    """As Flax; an infinite slope of what is dropped would give NaN."""

    def total(x, rate):
        return Dropout(rate).apply({}, x, train=True, rngs={"dropout": jax.random.key(0)}).sum()

    np.testing.assert_array_equal(jax.grad(total)(X, rate), 0 * X)
    assert total(X, rate) == 0


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_a_rate_is_a_share(rate):
    with pytest.raises(InputError, match="rate must be from 0 to 1; got"):
        Dropout(rate).apply({}, X, train=True)


@pytest.fixture(scope="module")
def net():
    return MLP((16, 3), dropout=0.5)


def test_evaluation_is_deterministic_and_needs_no_key(net):
    params = net.init(jax.random.key(0), X)
    plain = MLP((16, 3)).apply(params, X, train=True)
    np.testing.assert_array_equal(net.apply(params, X), plain)
    assert not np.array_equal(
        net.apply(params, X, train=True, rngs={"dropout": jax.random.key(1)}), plain
    )


def test_every_step_draws_a_fresh_mask(net):
    """One example and a learning rate of nearly 0: only the mask can change the loss."""
    data = Batch(np.asarray(X), np.array([1], np.int32))
    learner = classify.make(net, optimizer("sgd", 1e-30), data, batch=1)
    run, metrics = advance(learner, start(learner, jax.random.key(0)), 8)
    assert len(np.unique(metrics["loss"])) > 4
    assert len(np.unique(metrics["grad_norm"])) > 4
    still = classify.make(MLP((16, 3)), optimizer("sgd", 1e-30), data, batch=1)
    after, metrics = advance(still, start(still, jax.random.key(0)), 8)
    assert len(np.unique(metrics["loss"])) == 1
    chex.assert_trees_all_close(run.state.fit.params, after.state.fit.params, atol=1e-20)
