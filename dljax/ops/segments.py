"""What each node hears from its neighbours (S56-S58), over lists of edges of a fixed length.

Edges are in any order. An edge whose ends are n, the number of nodes, is padding: `tell` reads 0
from it, and no reduction sees what it carries. A node without neighbours hears 0.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from dljax.typing import AnyArray, Array

Told = Float[AnyArray, "e *f"]
Ends = Int[AnyArray, "e"]
Heard = Float[Array, "{n} *f"]


def tell(x: Float[AnyArray, "n *f"], senders: Ends) -> Float[Array, "e *f"]:
    """`x_j` of each edge's sender: x [n, ...], senders [e] -> [e, ...]."""
    return jnp.asarray(x).at[senders].get(mode="fill", fill_value=0)


def total(told: Told, receivers: Ends, n: int) -> Heard:
    """`sum_{j in N(i)} m_ij`: told [e, ...], receivers [e] -> [n, ...]."""
    return jax.ops.segment_sum(told, receivers, n)


def degree(receivers: Ends, n: int) -> Float[Array, "{n}"]:
    """How many edges each node receives, [n] float32."""
    return total(jnp.ones(len(receivers)), receivers, n)


def mean(told: Told, receivers: Ends, n: int) -> Heard:
    """`1/|N(i)| sum_{j in N(i)} m_ij`: told [e, ...], receivers [e] -> [n, ...]."""
    number = jnp.maximum(degree(receivers, n), 1)
    return total(told, receivers, n) / number.reshape(n, *[1] * (told.ndim - 1))


def largest(told: Told, receivers: Ends, n: int) -> Heard:
    """`max_{j in N(i)} m_ij`: told [e, ...], receivers [e] -> [n, ...]."""
    found = jax.ops.segment_max(told, receivers, n)
    heard = degree(receivers, n).reshape(n, *[1] * (told.ndim - 1)) > 0
    return jnp.where(heard, found, 0)


def softmax(scores: Told, receivers: Ends, n: int) -> Float[Array, "e *f"]:
    """`exp(s_ij) / sum_{k in N(i)} exp(s_ik)`: scores [e, ...], receivers [e] -> [e, ...].

    0 for padding. The largest score is taken off first, so that none overflows.
    """
    top = jax.lax.stop_gradient(largest(scores, receivers, n))
    real = (receivers < n).reshape(-1, *[1] * (scores.ndim - 1))
    raised = jnp.where(real, jnp.exp(jnp.where(real, scores - tell(top, receivers), 0)), 0)
    return raised / jnp.maximum(tell(total(raised, receivers, n), receivers), 1e-30)
