"""Coherence of topics (S35) against slow loops, and where it is known."""

import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest

from dljax.ops.coherence import coherence, diversity, npmi


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    return rng.poisson(rng.gamma(0.5, 1.5, 9), (60, 9))


def by_hand(counts, i, j):
    n = len(counts)
    p_i, p_j = (sum(row[k] > 0 for row in counts) / n for k in (i, j))
    both = sum(row[i] > 0 and row[j] > 0 for row in counts) / n
    return -1 if both == 0 else math.log(both / (p_i * p_j)) / -math.log(both)


def test_npmi_is_that_of_a_loop(counts):
    found = npmi(counts)
    for i, j in itertools.combinations(range(counts.shape[1]), 2):
        np.testing.assert_allclose(found[i, j], by_hand(counts, i, j), atol=1e-5)
    np.testing.assert_array_equal(found, found.T)


def test_npmi_is_1_together_0_apart_by_chance_and_minus_1_never_together():
    together, chance = [1, 1, 0, 0], [1, 0, 1, 0]
    always, never = [1, 1, 1, 1], [0, 0, 1, 1]
    found = npmi(np.array([together, together, chance, never, always, [0] * 4]).T * 3)
    np.testing.assert_allclose(found[0, 1], 1, atol=1e-6)
    np.testing.assert_allclose(found[0, 2], 0, atol=1e-6)
    assert found[0, 3] == -1 and found[4, 4] == 0
    np.testing.assert_allclose(found[0, 4], 0, atol=1e-6)
    assert (found[5] == -1).all()  # a word of no document


def test_coherence_is_the_mean_over_pairs_of_the_foremost_words(counts):
    rng = np.random.default_rng(1)
    topics, pairs = rng.random((4, 9)), np.asarray(npmi(counts))
    for topic, found in zip(topics, coherence(jnp.asarray(pairs), topics, 3), strict=True):
        first = sorted(range(9), key=lambda i: -topic[i])[:3]
        expected = np.mean([pairs[i, j] for i, j in itertools.combinations(first, 2)])
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_diversity_counts_different_words():
    topics = np.array([[5, 4, 0, 0], [4, 5, 0, 0], [0, 5, 4, 0]])
    assert float(diversity(topics, 2)) == 3 / 6
    assert float(diversity(np.eye(4), 1)) == 1
