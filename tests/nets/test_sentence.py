"""A classifier of sentences: padding changes nothing, and no sentence is too short."""

import jax
import jax.numpy as jnp
import numpy as np

from dljax.nets.sentence import SentenceClassifier

KEY = jax.random.key(0)


def test_a_padded_sentence_is_the_shorter_one_and_no_words_are_finite():
    net = SentenceClassifier(9, 3, 4, (5,), "gru", dropout=0.5, forget=0.9)
    tokens = jnp.array([[2, 3, 4, 5], [6, 7, 0, 0], [8, 3, 0, 0], [0, 0, 0, 0]])
    variables, apply = jax.jit(net.init)(KEY, tokens), jax.jit(net.apply)
    found = apply(variables, tokens)
    assert found.shape == (4, 3)
    np.testing.assert_allclose(found[1:], apply(variables, tokens[1:, :2]), atol=1e-6)
    np.testing.assert_allclose(found[3], variables["params"]["Dense_0"]["bias"], atol=1e-6)
    assert not np.allclose(found[0], found[1], atol=1e-3)


def test_forgotten_words_are_the_unknown_one_in_training_alone():
    net = SentenceClassifier(5, 2, 4, (3,), forget=1 - 1e-6)
    tokens = jnp.array([[2, 3, 4, 0]])
    variables, apply = jax.jit(net.init)(KEY, tokens), jax.jit(net.apply, static_argnames="train")
    all_forgotten = apply(variables, tokens, train=True, rngs={"dropout": KEY})
    unknown = apply(variables, jnp.array([[1, 1, 1, 0]]))
    np.testing.assert_allclose(all_forgotten, unknown, atol=1e-6)
    assert not np.allclose(unknown, apply(variables, tokens), atol=1e-3)


def test_what_is_told_of_a_word_counts_and_is_forgotten_with_it():
    net = SentenceClassifier(5, 2, 4, (3,), forget=1 - 1e-6)
    x = jnp.array([[[2, 0.5], [3, -1.0], [0, 0.0]]])
    variables, apply = jax.jit(net.init)(KEY, x), jax.jit(net.apply, static_argnames="train")
    assert not np.allclose(apply(variables, x), apply(variables, x.at[..., 1].set(0)), atol=1e-3)
    forgotten = apply(variables, x, train=True, rngs={"dropout": KEY})
    unknown = apply(variables, jnp.array([[[1, 0.0], [1, 0], [0, 0]]]))
    np.testing.assert_allclose(forgotten, unknown, atol=1e-6)
