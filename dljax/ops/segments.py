"""What each node hears from its neighbours (S56-S58), over lists of edges of a fixed length.

Edges are in any order. An edge whose ends are n, the number of nodes, is padding: `tell` reads 0
from it, and no reduction sees what it carries. A node without neighbours hears 0.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float, Int

from dljax.errors import InputError
from dljax.typing import AnyArray, Array, Graph

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


def without_masked(graph: Graph) -> Graph:
    """The graph with every edge at a node that is not real made padding."""
    if graph.real is None:
        return graph
    n = len(graph.real)
    there = jnp.append(graph.real, False)
    keep = there[graph.senders] & there[graph.receivers]
    senders, receivers = (jnp.where(keep, ends, n) for ends in (graph.senders, graph.receivers))
    return graph._replace(senders=senders, receivers=receivers)


def check_edges(graph: Graph, n: int, *, padding: bool = True) -> None:
    """Raises InputError that names the first edge at a node that is none of the n, nor padding.

    And unless senders and receivers are as many integers. Ends that are traced may be any nodes.
    """
    known = (graph.senders, graph.receivers)
    ends = [each if isinstance(each, Tracer) else np.asarray(each) for each in known]
    if ends[0].shape != ends[1].shape or any(
        each.ndim != 1 or (each.size and not jnp.issubdtype(each.dtype, jnp.integer))
        for each in ends
    ):
        said = " and ".join(f"{[*each.shape]} of {each.dtype}" for each in ends)
        raise InputError(f"senders and receivers must be as many integers; got {said}")
    for name, each in zip(("sender", "receiver"), ends, strict=True):
        if isinstance(each, Tracer):
            continue
        wrong = np.flatnonzero((each < 0) | (each > (n if padding else n - 1)))
        if len(wrong):
            at = wrong[0]
            raise InputError(
                f"the {name} of edge {at} is {each[at]}, but the nodes are 0 to {n - 1}"
            )
