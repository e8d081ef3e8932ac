"""Recurrent networks: torch's numbers, padding, both ways, counts of weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.nets.recurrent import Layer, Recurrent, eye, parameters, size_of, small

KEY = jax.random.key(0)
X = jnp.float32(np.random.default_rng(0).normal(size=(3, 6, 2)))


@pytest.mark.parametrize("cell", ["tanh", "relu", "lstm", "gru"])
def test_a_layer_is_torchs(cell):
    torch = pytest.importorskip("torch")
    size = 4
    kinds = {"tanh": torch.nn.RNN, "relu": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    options = {"nonlinearity": cell} if cell in ("tanh", "relu") else {}
    theirs = kinds[cell](2, size, **options)
    layer = Layer(cell, size)
    variables = {
        "input": theirs.weight_ih_l0.detach().numpy().T,
        "hidden": theirs.weight_hh_l0.detach().numpy().T,
    }
    # torch has two biases; ours stands with the hidden part, where a GRU's must
    x_bias, h_bias = theirs.bias_ih_l0.detach().numpy(), theirs.bias_hh_l0.detach().numpy()
    if cell == "gru":
        with torch.no_grad():
            theirs.bias_ih_l0.zero_()
        x_bias = 0 * x_bias
    variables["bias"] = x_bias + h_bias
    variables = jax.tree.map(jnp.asarray, variables)
    found, _ = layer.apply({"params": variables}, jnp.moveaxis(X, 1, 0))
    right, _ = theirs(torch.tensor(np.array(X)).transpose(0, 1))
    np.testing.assert_allclose(found, right.detach().numpy(), atol=1e-5)


def test_both_ways_read_a_padded_row_as_the_shorter_one():
    net = Recurrent((4, 3), "gru", bidirectional=True)
    variables = net.init(KEY, X)
    real = jnp.arange(6)[None] < jnp.array([[6], [4], [1]])
    found, last = net.apply(variables, X, real=real)
    assert found.shape == (3, 6, 6)
    assert len(last) == 4
    for row, length in enumerate((6, 4, 1)):
        alone, end = net.apply(variables, X[row : row + 1, :length])
        np.testing.assert_allclose(found[row, :length], alone[0], atol=1e-6)
        for a, b in zip(last, end, strict=True):
            np.testing.assert_allclose(a[0][row], b[0][0], atol=1e-6)


def test_a_state_handed_on_is_one_long_sequence():
    net = Recurrent((4,), "lstm")
    variables = net.init(KEY, X)
    whole, last = net.apply(variables, X)
    first, state = net.apply(variables, X[:, :4])
    second, end = net.apply(variables, X[:, 4:], state)
    np.testing.assert_allclose(whole, jnp.concatenate([first, second], 1), atol=1e-6)
    np.testing.assert_allclose(last[0][1], end[0][1], atol=1e-6)


def test_tokens_are_rows_of_a_table():
    tokens = jnp.array([[0, 2, 1], [1, 1, 0]])
    table, dense = Recurrent((4,), "gru", tokens=3), Recurrent((4,), "gru")
    variables = table.init(KEY, tokens)
    found, _ = table.apply(variables, tokens)
    right, _ = dense.apply(variables, jax.nn.one_hot(tokens, 3))
    np.testing.assert_allclose(found, right, atol=1e-6)


def test_starts_and_counts_of_weights():
    params = Layer("lstm", 4).init(KEY, jnp.moveaxis(X, 1, 0))["params"]
    np.testing.assert_array_equal(params["bias"], [0] * 4 + [1] * 4 + [0] * 8)
    for gate in jnp.split(params["hidden"], 4, 1):
        np.testing.assert_allclose(gate @ gate.T, np.eye(4), atol=1e-5)
    identity = Layer("relu", 4, start=eye).init(KEY, jnp.moveaxis(X, 1, 0))["params"]
    np.testing.assert_array_equal(identity["hidden"], np.eye(4))
    drawn = Layer("tanh", 300, start=small).init(KEY, jnp.moveaxis(X, 1, 0))["params"]["hidden"]
    assert abs(drawn).max() <= 300**-0.5
    np.testing.assert_allclose((drawn**2).sum(1).mean(), 1 / 3, rtol=0.02)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == parameters("lstm", 2, 4)
    assert 3 * parameters("lstm", 2, 4) == 4 * parameters("gru", 2, 4)
    for cell in ("tanh", "lstm", "gru"):
        size = size_of(cell, 2, 5000)
        assert parameters(cell, 2, size) <= 5000 < parameters(cell, 2, size + 1)


def test_dropout_is_drawn_in_training_alone():
    net = Recurrent((4,), "gru", dropout=0.5)
    variables = net.init(KEY, X)
    plain, _ = net.apply(variables, X)
    dropped, _ = net.apply(variables, X, train=True, rngs={"dropout": KEY})
    kept = np.asarray(dropped) != 0
    assert 0.2 < kept.mean() < 0.8
    np.testing.assert_allclose(np.asarray(dropped)[kept], 2 * np.asarray(plain)[kept], atol=1e-6)
