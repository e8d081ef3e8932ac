"""Likelihoods and proper scores against scipy, quadrature and draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from dljax.ops.likelihoods import Evidence, brier, covered, crps, dirichlet_kl, evidential


def test_evidence_is_the_integral_over_mean_and_variance():
    """`p(y) = int int N(y; m, s) N(m; mean, s / pairs) InverseGamma(s; shape, scale)`."""
    mean, pairs, shape, scale = 0.3, 1.7, 2.5, 0.8
    for y in (-1.0, 0.3, 4.0):

        def joint(log_s, y=y):
            s = np.exp(log_s)
            # over m in closed form: y's distance from the mean has variance s + s / pairs
            return (
                stats.norm.pdf(y, mean, np.sqrt(s * (1 + 1 / pairs)))
                * stats.invgamma.pdf(s, shape, scale=scale)
                * s
            )

        expected = np.log(integrate.quad(joint, -12, 12, limit=200)[0])
        found = evidential(jnp.float32(y), Evidence(*map(jnp.float32, (mean, pairs, shape, scale))))
        assert float(found) == pytest.approx(expected, abs=1e-5)


def test_a_dirichlets_divergence_is_that_of_scipys_densities():
    a = np.array([[1.0, 1.0, 1.0], [0.4, 2.0, 5.0]])
    found = dirichlet_kl(jnp.float32(a))
    assert float(found[0]) == pytest.approx(0, abs=1e-5)
    p = stats.dirichlet(a[1])
    draws = p.rvs(200_000, random_state=0).clip(1e-12)
    logs = [p.logpdf(d / d.sum()) - np.log(2) for d in draws[:20_000]]  # Dir(1)'s density is 2
    assert float(found[1]) == pytest.approx(np.mean(logs), abs=4 * np.std(logs) / len(logs) ** 0.5)


@pytest.mark.parametrize(("y", "mean", "sd"), [(0.3, -0.1, 0.8), (-2.0, 0.4, 1.5), (1.0, 1.0, 0.2)])
def test_crps_is_the_integral_of_its_definition(y, mean, sd):
    below = integrate.quad(lambda t: stats.norm.cdf(t, mean, sd) ** 2, mean - 9 * sd, y)[0]
    above = integrate.quad(lambda t: stats.norm.sf(t, mean, sd) ** 2, y, y + 9 * sd + 9)[0]
    found = crps(*map(jnp.float32, (y, mean, sd)))
    assert float(found) == pytest.approx(below + above, abs=2e-5)


def test_crps_is_least_for_the_truth():
    y = jnp.asarray(stats.norm.ppf((np.arange(4000) + 0.5) / 4000), jnp.float32)
    true = crps(y, jnp.zeros_like(y), jnp.ones_like(y)).mean()
    for mean, sd in ((0.2, 1.0), (0.0, 1.3), (0.0, 0.8)):
        assert crps(y, jnp.full_like(y, mean), jnp.full_like(y, sd)).mean() > true


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_an_interval_covers_the_share_that_it_says(share):
    y = 3 + 2 * jax.random.normal(jax.random.key(0), (20_000,))
    inside = covered(y, jnp.full_like(y, 3), jnp.full_like(y, 2), share)
    assert float(inside.mean()) == pytest.approx(share, abs=0.01)


def test_briers_score_by_hand():
    p = jnp.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(brier(p, jnp.array([0, 0])), [0.09 + 0.04 + 0.01, 2.0], rtol=1e-6)
