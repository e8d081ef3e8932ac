"""The network of a board: two heads, and no opinion at first."""

import jax
import jax.numpy as jnp
import numpy as np

from dljax.nets.alphazero import BoardNet


def test_it_gives_logits_and_a_value_of_each_board_and_begins_without_opinions():
    net = BoardNet(7, channels=8, blocks=1, hidden=6)
    x = jax.random.bernoulli(jax.random.key(0), 0.3, (5, 6, 7, 2))
    (logits, value), variables = net.init_with_output(jax.random.key(1), x)
    assert logits.shape == (5, 7) and value.shape == (5,)
    assert np.ptp(jax.nn.softmax(logits), axis=-1).max() < 0.1
    assert np.abs(value).max() < 0.5
    alone = net.apply(variables, x[2:3])
    np.testing.assert_allclose(alone[0][0], logits[2], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(alone[1][0], value[2], rtol=1e-4, atol=1e-5)


def test_it_knows_places():
    """Two boards that differ in where a stone is are told apart."""
    net = BoardNet(9, channels=8, blocks=1)
    x = jnp.zeros((2, 3, 3, 2)).at[0, 0, 0, 0].set(1).at[1, 2, 2, 0].set(1)
    logits, _ = net.init_with_output(jax.random.key(0), x)[0]
    assert not np.allclose(logits[0], logits[1], atol=1e-4)
