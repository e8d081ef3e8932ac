"""Attention: rows that sum to 1, what is not seen, scores as the papers write them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.nets.attention import Additive, MultiHead, Multiplicative, weigh

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
QUERY, MEMORY = jnp.float32(RNG.normal(size=(2, 3, 4))), jnp.float32(RNG.normal(size=(2, 5, 6)))
REAL = jnp.arange(5)[None] < jnp.array([[5], [3]])


def looked(net, real):
    """What is found, and the weights [..., T, S]."""

    def look(net, query, memory, real):
        keys = net.keys(memory)
        pair = keys if isinstance(keys, tuple) else (keys, memory)
        return net(query, *pair, real)

    real = real[:, None] if isinstance(net, MultiHead) else real

    @jax.jit
    def all_of_it():
        params = net.init(KEY, QUERY, MEMORY, real, method=look)["params"]
        options = {"method": look, "mutable": ["intermediates"]}
        found, kept = net.apply({"params": params}, QUERY, MEMORY, real, **options)
        return params, found, kept["intermediates"]["weights"][0]

    return all_of_it()


@pytest.mark.parametrize("net", [Additive(7), Multiplicative(4), MultiHead(2, 4)])
def test_rows_sum_to_one_and_padding_weighs_nothing(net):
    params, found, weights = looked(net, REAL)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    assert (weights[1, ..., 3:] == 0).all()
    assert (weights[0] > 0).all()
    assert np.isfinite(found).all()
    for t in range(3):
        q, m = QUERY[0, t], MEMORY[0]
        if isinstance(net, Additive):
            hidden = jnp.tanh(
                (q @ params["of_query"]["kernel"])[None]
                + m @ params["of_memory"]["kernel"]
                + params["of_memory"]["bias"][None]
            )
            scores = hidden @ params["score"]["kernel"][:, 0]
        elif isinstance(net, Multiplicative):
            scores = (m @ params["of_memory"]["kernel"]) @ q / 2  # the root of 4
        else:
            head = params["query"]["kernel"][:, 0], params["memory"]["kernel"][:, 0, 0]
            scores = (m @ head[1]) @ (q @ head[0]) / 2**0.5
        wanted = np.exp(scores) / np.exp(scores).sum()
        row = weights[0, t] if weights.ndim == 3 else weights[0, 0, t]
        np.testing.assert_allclose(row, wanted, rtol=1e-5)


def test_where_nothing_is_seen_nothing_is_nan():
    def total(scores):
        return weigh(scores, jnp.array([[False, False], [True, False]])).sum()

    scores = jnp.array([[3.0, 1.0], [-5.0, 9.0]])
    found = weigh(scores, jnp.array([[False, False], [True, False]]))
    np.testing.assert_array_equal(found, [[0.5, 0.5], [1, 0]])
    assert np.isfinite(jax.grad(total)(scores)).all()
