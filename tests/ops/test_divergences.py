"""Divergences against scipy, scikit-learn and their defining properties."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.spatial.distance
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from dljax.ops.divergences import entropy, information_gain, js, kl

K = 5
# exact zeros are frequent, and no weight is so small that it vanishes next to the others
weights = st.lists(st.integers(0, 20), min_size=K, max_size=K).filter(any)
pairs = st.tuples(weights, weights)
fixed = settings(max_examples=60, derandomize=True)
jitted = {f: jax.jit(f) for f in (kl, js, entropy, information_gain)}


def normal(counts) -> np.ndarray:
    counts = np.asarray(counts, np.float32)
    return counts / counts.sum()


@fixed
@given(pairs)
def test_kl_is_scipys_infinite_off_the_support_and_never_negative(pair):
    p, q = map(normal, pair)
    found = jitted[kl](p, q)
    np.testing.assert_allclose(found, scipy.stats.entropy(p, q), rtol=1e-4, atol=1e-6)
    assert found > -1e-6
    assert jnp.isinf(found) == np.any((p > 0) & (q == 0))
    assert jitted[kl](p, p) == 0


def test_kl_is_optaxs_where_every_outcome_is_possible():
    p, q = jax.nn.softmax(jax.random.normal(jax.random.key(0), (2, 7, K)))
    np.testing.assert_allclose(kl(p, q), optax.kl_divergence(jnp.log(q), p), rtol=1e-5, atol=1e-6)


@fixed
@given(pairs)
def test_js_is_scipys_symmetric_and_from_0_to_1(pair):
    p, q = map(normal, pair)
    found = jitted[js](p, q)
    expected = scipy.spatial.distance.jensenshannon(p.astype(float), q.astype(float), base=2) ** 2
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found, jitted[js](q, p), rtol=1e-6, atol=1e-7)
    assert -1e-6 < found < 1 + 1e-6
    assert jitted[js](p, p) == 0
    assert np.array_equal(p, q) or found > 1e-6


def test_js_of_disjoint_distributions_is_one_bit():
    assert js(jnp.array([0.5, 0.5, 0, 0]), jnp.array([0, 0, 0.25, 0.75])) == pytest.approx(1)


@fixed
@given(weights)
def test_entropy_is_scipys(counts):
    p = normal(counts)
    np.testing.assert_allclose(jitted[entropy](p), scipy.stats.entropy(p), rtol=1e-5, atol=1e-6)


@fixed
@given(st.lists(weights, min_size=3, max_size=3))
def test_information_gain_is_scikit_learns_and_what_the_entropy_loses(counts):
    joint = normal(counts)
    found = jitted[information_gain](joint)
    table = np.asarray(counts)
    expected = mutual_info_score(None, None, contingency=table)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    x = joint.sum(1)
    rest = sum(w * entropy(jnp.asarray(row / w)) for w, row in zip(x, joint, strict=True) if w)
    np.testing.assert_allclose(found, entropy(jnp.asarray(joint.sum(0))) - rest, atol=1e-5)


def test_information_gain_is_nothing_of_the_independent_and_all_of_the_determined():
    p = jnp.array([0.2, 0.3, 0.5])
    assert information_gain(jnp.outer(p, p)) == pytest.approx(0, abs=1e-6)
    assert information_gain(jnp.diag(p)) == pytest.approx(float(entropy(p)), abs=1e-6)


@pytest.mark.parametrize("f", [kl, js])
def test_slopes_are_the_formulas_and_finite_at_zeros(f):
    p, q = jnp.array([0.5, 0.5, 0.0, 0.0]), jnp.array([0.25, 0.25, 0.5, 0.0])
    by_p, by_q = jax.grad(f, (0, 1))(p, q)
    assert jnp.isfinite(by_p).all() and jnp.isfinite(by_q).all()
    if f is kl:
        np.testing.assert_allclose(by_p[:2], jnp.log(2.0) + 1, rtol=1e-6)
        np.testing.assert_allclose(by_q, [-2, -2, 0, 0], rtol=1e-6)
    else:  # (log2(p/m))/2
        np.testing.assert_allclose(by_p[:2], jnp.log2(0.5 / 0.375) / 2, rtol=1e-5)


def test_slopes_of_entropy_and_gain_are_finite_at_zeros():
    p = jnp.array([0.5, 0.5, 0.0])
    np.testing.assert_allclose(jax.grad(entropy)(p), [-jnp.log(0.5) - 1] * 2 + [0], rtol=1e-6)
    assert jnp.isfinite(jax.grad(information_gain)(jnp.diag(p))).all()


def test_they_batch_over_leading_axes():
    p, q = jax.nn.softmax(jax.random.normal(jax.random.key(0), (2, 3, 4, K)))
    for f in (kl, js):
        np.testing.assert_allclose(f(p, q), jax.vmap(jax.vmap(f))(p, q), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(information_gain(p / 4)[1], information_gain(p[1] / 4), rtol=1e-5)
