"""Readers of sequences: causal, blind to padding, and of the order that each can see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.nets.reader import Attention, Bag, Reader, Window, average, last
from dljax.nets.recurrent import Layer, Recurrent

KEY = jax.random.key(0)
X = jnp.float32(np.random.default_rng(0).normal(size=(2, 6, 3)))
TOKENS = jnp.array([[0, 0, 3, 1, 2], [4, 1, 2, 2, 3]])


@pytest.mark.parametrize("body", [Recurrent((4,), "gru"), Recurrent((4, 3)), Attention(4, 6)])
def test_an_output_has_no_gradient_to_any_later_input(body):
    """S17: output t is given before input t + 1 is."""
    net = Reader(body, 2)
    variables = net.init(KEY, X)
    assert net.apply(variables, X).shape == (2, 6, 2)
    slopes = jax.jacobian(lambda x: net.apply(variables, x)[0].sum(-1))(X)[:, 0]  # [t, t', D]
    reached = np.abs(slopes).sum(-1) > 0
    np.testing.assert_array_equal(reached, np.tril(np.ones((6, 6), bool)))


def test_padding_in_front_changes_nothing():
    body = Recurrent((4,), "lstm", tokens=5)
    for net in (
        Reader(body, 2, last, padding=True),
        Reader(body, 2, average, padding=True),
        Bag(5, (4, 2)),
    ):
        variables = net.init(KEY, TOKENS)
        alone = net.apply(variables, TOKENS[:1, 2:])
        np.testing.assert_allclose(net.apply(variables, TOKENS)[:1], alone, atol=1e-6)


def test_a_bag_sees_no_order_and_a_window_the_last_words_alone():
    bag, window = Bag(5, (4, 2)), Window(5, 2, 3, (4, 2))
    of_bag, of_window = bag.init(KEY, TOKENS), window.init(KEY, TOKENS)
    np.testing.assert_allclose(
        bag.apply(of_bag, TOKENS), bag.apply(of_bag, TOKENS[:, ::-1]), atol=1e-6
    )
    other = TOKENS.at[:, :3].set(1)
    np.testing.assert_array_equal(window.apply(of_window, TOKENS), window.apply(of_window, other))
    swapped = TOKENS[:, jnp.array([0, 1, 2, 4, 3])]
    assert (window.apply(of_window, TOKENS) != window.apply(of_window, swapped)).all()


def test_what_a_reader_cannot_see_is_said():
    both = Reader(Recurrent((4,), bidirectional=True), 2, last)
    with pytest.raises(InputError, match="read both ways"):
        both.init(KEY, X)
    with pytest.raises(InputError, match="Attention sees 5 steps at most; got 6"):
        Attention(4, 5).init(KEY, X)
    with pytest.raises(InputError, match="a multiple of 3 heads; got 4"):
        Attention(4, 6, heads=3).init(KEY, X)


@pytest.mark.parametrize(("cell", "logistic"), [("lstm", [1, 1, 0, 1]), ("gru", [1, 1, 0])])
def test_steeper_gates_are_gates_of_larger_weights(cell, logistic):
    x = jnp.moveaxis(X, 1, 0)
    steep, plain = Layer(cell, 4, steepness=3.0, keep=0.5), Layer(cell, 4)
    params = steep.init(KEY, x)["params"]
    factor = jnp.where(jnp.repeat(jnp.array(logistic), 4), 3.0, 1.0)
    larger = {k: v * (factor if v.ndim == 1 else factor[None]) for k, v in params.items()}
    found, right = steep.apply({"params": params}, x), plain.apply({"params": larger}, x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found, right)
    np.testing.assert_array_equal(params["bias"][4:8], [0.5] * 4)
    assert jnp.abs(params["bias"]).sum() == 2
