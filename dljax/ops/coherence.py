"""How good topics are (S35): whether their words stand in the same documents, and differ."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Real

from dljax.typing import AnyArray, Array

Topics = Real[AnyArray, "K V"]


def npmi(counts: Real[AnyArray, "n V"]) -> Float[Array, "V V"]:
    """`log(p_ij / (p_i p_j)) / -log p_ij` of words i and j, with p the shares of n documents that
    hold a word, or both.

    1 where one never stands without the other, 0 where they are independent, -1 where they never
    meet. Words that all documents hold, of which nothing can be told, get 0. counts of words in
    documents [n, V]. Bouma 2009, section 3.3.
    """
    held = (counts > 0).astype(jnp.float32)
    both = held.T @ held / len(held)
    each = jnp.diagonal(both)
    meet, all_hold = both > 0, both == 1
    safe = jnp.where(meet & ~all_hold, both, 0.5)
    apart = jnp.where(meet, each[:, None] * each[None], 0.5)
    found = (jnp.log(safe) - jnp.log(apart)) / -jnp.log(safe)
    return jnp.where(meet, jnp.where(all_hold, 0.0, found), -1.0)


def coherence(pairs: Float[AnyArray, "V V"], topics: Topics, top: int) -> Float[Array, "K"]:
    """The mean of `pairs`, such as `npmi`, over the pairs of each topic's `top` greatest words.

    topics [K, V] -> [K]. Lau et al. 2014, section 3.
    """
    words = jax.lax.top_k(topics, top)[1]
    among = jnp.asarray(pairs)[words[:, :, None], words[:, None, :]]
    return (among.sum((1, 2)) - jnp.trace(among, axis1=1, axis2=2)) / (top * (top - 1))


def diversity(topics: Topics, top: int) -> Float[Array, ""]:
    """The share of different words among the `top` greatest of all topics [K, V]: 1 / K to 1.

    Dieng et al. 2020, section 6, of 25.
    """
    words = jax.lax.top_k(topics, top)[1].reshape(-1)
    named = jnp.zeros(topics.shape[1]).at[words].set(1.0)
    return named.sum() / len(words)
