"""Policies against scipy's and numpyro's distributions, sampled frequencies, and the notes."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from dljax.ops.policies import categorical, gaussian

LOGITS = jnp.array([1.0, -0.5, 0.3])
LOW, HIGH = jnp.array([-2.0, 0.0]), jnp.array([4.0, 1.0])
OUTPUTS = jnp.array([0.2, -0.5, -0.7, 0.4])  # two means, two log sigmas
CENTRE, SPREAD = np.array([1.6, 0.25]), np.exp([-0.7, 0.4]) * np.array([3, 0.5])


@pytest.fixture
def box():
    return gaussian(LOW, HIGH)


def test_softmax_agrees_with_numpyro():
    policy, known = categorical(3), dist.CategoricalLogits(LOGITS)
    actions = jnp.arange(3)
    found = policy.log_prob(jnp.broadcast_to(LOGITS, (3, 3)), actions)
    np.testing.assert_allclose(found, known.log_prob(actions), rtol=1e-6)
    np.testing.assert_allclose(policy.entropy(LOGITS), known.entropy(), rtol=1e-6)
    assert policy.mode(LOGITS) == 0


def test_softmax_is_sampled_as_often_as_it_says():
    policy, n = categorical(3), 40_000
    noise = policy.noise(jax.random.key(0), (n,))
    drawn = policy.sample(noise, jnp.broadcast_to(LOGITS, (n, 3)))
    counts = np.bincount(drawn, minlength=3)
    expected = n * scipy.special.softmax(np.asarray(LOGITS, float))
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3


def test_certain_actions_have_no_entropy_and_a_finite_gradient():
    policy, sure = categorical(3), jnp.array([200.0, 0.0, 0.0])
    assert policy.entropy(sure) == 0
    for f in (policy.entropy, lambda x: policy.log_prob(x, jnp.int32(0))):
        np.testing.assert_allclose(jax.grad(f)(sure), 0, atol=1e-6)
    gradient = jax.grad(lambda x: policy.log_prob(x, jnp.int32(1)))(LOGITS)
    np.testing.assert_allclose(gradient, np.eye(3)[1] - jax.nn.softmax(LOGITS), atol=1e-6)


def test_gaussian_density_and_entropy_agree_with_scipy(box):
    actions = np.random.default_rng(0).normal(CENTRE, SPREAD, (20, 2))
    known = scipy.stats.multivariate_normal(CENTRE, np.diag(SPREAD**2))
    outputs = jnp.broadcast_to(OUTPUTS, (20, 4))
    found = box.log_prob(outputs, jnp.asarray(actions, jnp.float32))
    np.testing.assert_allclose(found, known.logpdf(actions), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(box.entropy(OUTPUTS), known.entropy(), rtol=1e-5)
    np.testing.assert_allclose(box.mode(OUTPUTS), CENTRE, rtol=1e-6)


def test_gaussian_samples_are_where_its_density_says(box):
    n = 20_000
    noise = box.noise(jax.random.key(0), (n,))
    drawn = box.sample(noise, jnp.broadcast_to(OUTPUTS, (n, 4)))
    for column, (centre, spread) in enumerate(zip(CENTRE, SPREAD, strict=True)):
        known = scipy.stats.norm(centre, spread)
        assert scipy.stats.kstest(np.asarray(drawn[:, column]), known.cdf).pvalue > 1e-3


def test_a_gaussian_density_integrates_to_one():
    """Also with mu = -1 and sigma^2 = 0.5, the notes' example."""
    policy = gaussian(jnp.array([-1.0]), jnp.array([1.0]))
    outputs = jnp.array([-1.0, 0.5 * np.log(0.5)])
    places = jnp.linspace(-7, 5, 2001)
    density = jnp.exp(policy.log_prob(jnp.broadcast_to(outputs, (2001, 2)), places[:, None]))
    assert scipy.integrate.simpson(density, x=places) == pytest.approx(1, abs=1e-5)
    assert density.max() == pytest.approx(1 / np.sqrt(np.pi), rel=1e-5)
    assert places[density.argmax()] == pytest.approx(-1, abs=0.01)


@pytest.mark.parametrize("policy", [categorical(3), gaussian(LOW, HIGH)])
def test_any_leading_axes_will_do(policy):
    k_outputs, k_noise = jax.random.split(jax.random.key(0))
    outputs = jax.random.normal(k_outputs, (5, 2, policy.outputs))
    action = policy.sample(policy.noise(k_noise, (5, 2)), outputs)
    for f in (lambda x, a: policy.log_prob(x, a), lambda x, _: policy.entropy(x)):
        together = f(outputs, action)
        assert together.shape == (5, 2)
        one_by_one = [[f(outputs[i, j], action[i, j]) for j in range(2)] for i in range(5)]
        np.testing.assert_allclose(together, one_by_one, rtol=1e-6)


def test_a_masked_action_adds_nothing_to_the_entropy():
    """A logit of -inf, for an action that is not allowed: the policy is that of the others."""
    policy, masked = categorical(4), jnp.append(LOGITS, -jnp.inf)
    both = jax.jit(jax.value_and_grad(policy.entropy))  # the entropy of as many as there are
    (entropy, slope), (expected, known) = both(masked), both(LOGITS)
    np.testing.assert_allclose(entropy, expected, rtol=1e-6)
    np.testing.assert_allclose(slope, jnp.append(known, 0), atol=1e-6)
    assert policy.log_prob(masked, jnp.array(3)) == -jnp.inf
    noise = policy.noise(jax.random.key(0), (200,))
    assert (policy.sample(noise, masked[None]) < 3).all()
