"""How far apart discrete distributions are (S41), in nats, and in bits for Jensen and Shannon's.

Every function takes probabilities and reduces their last axes. An outcome of probability 0 adds
nothing to the value, and its slope, which in truth is infinite, is taken to be 0.
"""

import jax.numpy as jnp
from jax.scipy.special import entr, rel_entr
from jaxtyping import Float

from dljax.typing import AnyArray, Array

Chances = Float[AnyArray, "*batch K"]
Nats = Float[Array, "*batch"]


def kl(p: Chances, q: Chances) -> Nats:
    """`KL(p || q) = sum_k p_k log(p_k / q_k)`: 0 iff p = q, infinite where p_k > 0 = q_k.

    p, q [..., K] -> [...]. optax's takes the logarithm of q, and so cannot be told that q is 0.
    Kullback and Leibler 1951, eq. 2.2.
    """
    return rel_entr(p, q).sum(-1)


def js(p: Chances, q: Chances) -> Nats:
    """`JS = (KL(p || m) + KL(q || m)) / 2 / log 2`, `m = (p + q) / 2`: bits, from 0 to 1.

    Symmetric; 0 iff p = q, 1 iff no outcome is possible under both. p, q [..., K] -> [...].
    Lin 1991, eq. 4.1.
    """
    middle = (p + q) / 2
    return (kl(p, middle) + kl(q, middle)) / (2 * jnp.log(2.0))


def entropy(p: Chances) -> Nats:
    """`H(p) = -sum_k p_k log p_k`, p [..., K] -> [...]. Shannon 1948, section 6."""
    # entr is 0 at 1 as well as at 0, but its slope at 0 is infinite
    return entr(jnp.where(p == 0, 1, p)).sum(-1)


def information_gain(joint: Float[AnyArray, "*batch X Y"]) -> Nats:
    """`I(X; Y) = H(Y) - H(Y | X) = KL(p(x, y) || p(x) p(y))`: what X tells of Y, never below 0.

    joint [..., X, Y] sums to 1 over both -> [...]. Also called mutual information; Quinlan 1986
    splits decision trees by it.
    """
    x, y = joint.sum(-1, keepdims=True), joint.sum(-2, keepdims=True)
    return rel_entr(joint, x * y).sum((-2, -1))
