"""How good a forecast with its uncertainty is (S53): likelihoods, proper scores, intervals.

For the likelihoods of a Gaussian and of Student's t use `jax.scipy.stats`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy import stats
from jax.scipy.special import digamma, gammaln
from jaxtyping import Bool, Float, Int

from dljax.typing import AnyArray, Array

Numbers = Float[AnyArray, "*batch"]
Chances = Float[AnyArray, "*batch K"]


class Evidence(NamedTuple):
    """A normal-inverse-gamma belief: `m ~ N(mean, s / pairs)`, `s ~ InverseGamma(shape, scale)`.

    All [...]; `shape` above 1, so that the mean of s, `scale / (shape - 1)`, is finite.
    """

    mean: Array
    pairs: Array  # how many observations the mean is worth
    shape: Array
    scale: Array


def evidential(y: Numbers, belief: Evidence) -> Numbers:
    """`log p(y)`, nats: Student's t of `2 shape` degrees around the mean, [...].

    Its scale squared is `scale (1 + pairs) / (pairs shape)`. Amini et al. 2020, eq. 7.
    """
    spread = belief.scale * (1 + belief.pairs) / (belief.pairs * belief.shape)
    return stats.t.logpdf(y, 2 * belief.shape, belief.mean, jnp.sqrt(spread))


def dirichlet_kl(evidence: Chances) -> Numbers:
    """`KL(Dir(a) || Dir(1))` of concentrations a [..., K], in nats, [...].

    `log G(sum a) - log G(K) - sum log G(a_k) + sum (a_k - 1)(psi(a_k) - psi(sum a))`. Sensoy et al.
    2018, eq. 5 and below.
    """
    total = evidence.sum(-1, keepdims=True)
    whole = gammaln(total[..., 0]) - gammaln(jnp.float32(evidence.shape[-1]))
    slopes = (evidence - 1) * (digamma(evidence) - digamma(total))
    return whole - gammaln(evidence).sum(-1) + slopes.sum(-1)


def crps(y: Numbers, mean: Numbers, sd: Numbers) -> Numbers:
    """Continuous ranked probability score of a Gaussian, in y's unit, [...]; less is better.

    `sd (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi))`, `z = (y - mean) / sd`: the integral over t of
    `(F(t) - 1[t >= y])^2`. Gneiting and Raftery 2007, eq. 21.
    """
    z = (y - mean) / sd
    return sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - jnp.pi**-0.5)


def covered(y: Numbers, mean: Numbers, sd: Numbers, share: float = 0.9) -> Bool[Array, "*batch"]:
    """Whether y lies in a Gaussian's central interval that holds `share` of it, [...]."""
    return jnp.abs(y - mean) <= sd * stats.norm.ppf((1 + share) / 2)


def brier(p: Chances, labels: Int[AnyArray, "*batch"]) -> Numbers:
    """`sum_k (p_k - 1[k = label])^2` of chances [..., K], in 0..2, [...]. Brier 1950."""
    return jnp.square(p - jax.nn.one_hot(labels, p.shape[-1])).sum(-1)
