"""Networks over the nodes of a graph (S56): graph convolution and attention over neighbours.

Each takes a `Graph` as `symmetric` gives it, [n, d] features dense or a `BCOO`, and gives numbers
[n, outputs] for its nodes. All are equivariant: nodes in another order give rows in that order.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.experimental.sparse import BCOO

from dljax.errors import InputError
from dljax.nets.dropout import Dropout
from dljax.ops import segments
from dljax.typing import Array, Graph

GLOROT = nn.initializers.glorot_uniform()


def symmetric(graph: Graph) -> Graph:
    """With edges that weigh as `P = D^-1/2 (A + I) D^-1/2`, of each node to itself too.

    A counts an edge as often as it is listed, D the edges that a node receives, its own among them,
    so that a node without neighbours hears itself alone. Nothing passes by a node that is not real.
    Kipf and Welling 2017, eq. 9. Raises InputError for edges that carry numbers already, and for
    one to a node that does not exist.
    """
    if graph.edges is not None:
        raise InputError("the edges carry numbers, which would be lost; give the graph without")
    n = graph.x.shape[0]
    segments.check_edges(graph, n)
    graph = segments.without_masked(graph)
    nodes = jnp.arange(n, dtype=jnp.int32)
    own = nodes if graph.real is None else jnp.where(graph.real, nodes, n)
    senders, receivers = (jnp.concatenate([ends, own]) for ends in (graph.senders, graph.receivers))
    scale = jax.lax.rsqrt(jnp.maximum(segments.degree(receivers, n), 1))
    weights = segments.tell(scale, senders) * segments.tell(scale, receivers)
    return graph._replace(senders=senders, receivers=receivers, edges=weights)


def propagate(graph: Graph, h: Array) -> Array:
    """`P h`: h [n, f] -> [n, f]. Raises InputError for a graph whose edges weigh nothing."""
    check_weights(graph)
    told = graph.edges[:, None] * segments.tell(h, graph.senders)
    return segments.total(told, graph.receivers, len(h))


def check_weights(graph: Graph) -> None:
    """Raises InputError for a graph that `symmetric` did not make."""
    if graph.edges is None or graph.edges.ndim != 1:
        raise InputError(
            "each edge of the graph needs a weight, as `nets.graph.symmetric` gives it"
        )


class Linear(nn.Module):
    """`drop(x) W` of features x [n, d], dense or a `BCOO`, whose zeros cost nothing."""

    width: int
    dropout: float | Array = 0.0

    @nn.compact
    def __call__(self, x: Array | BCOO, *, train: bool = False) -> Array:
        kernel = self.param("kernel", GLOROT, (x.shape[-1], self.width))
        drop = Dropout(self.dropout)
        if isinstance(x, BCOO):
            known = {"indices_sorted": x.indices_sorted, "unique_indices": x.unique_indices}
            x = BCOO((drop(x.data, train=train), x.indices), shape=x.shape, **known)
        else:
            x = drop(x, train=train)
        return x @ kernel


class GCN(nn.Module):
    """`h_l = relu(P drop(h_{l-1}) W_l + b_l)` for l = 1..depth, without relu at the last.

    Kipf and Welling 2017.
    """

    outputs: int
    depth: int = 2
    width: int = 64
    dropout: float | Array = 0.5

    @nn.compact
    def __call__(self, graph: Graph, *, train: bool = False) -> Array:
        h = graph.x
        for i in range(self.depth):
            last = i + 1 == self.depth
            width = self.outputs if last else self.width
            h = propagate(graph, Linear(width, self.dropout)(h, train=train))
            h = h + self.param(f"bias_{i}", nn.initializers.zeros, (width,))[None]
            h = h if last else jax.nn.relu(h)
        return h


class Pagerank(nn.Module):
    """`z = W_2 drop(relu(W_1 drop(x)))`, then `h <- (1 - a) P h + a z` from `h = z`, `hops` times.

    Personalised PageRank with restart a in place of depth: an MLP says of each node alone what it
    is, and neighbours at any distance are heard. In training each hop drops messages too. With a
    restart of 1 no neighbour is heard. APPNP, Gasteiger et al. 2019.
    """

    outputs: int
    width: int = 64
    dropout: float | Array = 0.5
    hops: int = 10
    restart: float | Array = 0.1

    @nn.compact
    def __call__(self, graph: Graph, *, train: bool = False) -> Array:
        h = jax.nn.relu(Linear(self.width, self.dropout)(graph.x, train=train))
        h = z = Linear(self.outputs, self.dropout)(h, train=train)
        for _ in range(self.hops):
            thinned = Dropout(self.dropout)(graph.edges, train=train)
            heard = propagate(graph._replace(edges=thinned), h)
            h = (1 - self.restart) * heard + self.restart * z
        return h


class GAT(nn.Module):
    """`h_i' = elu(sum_{j in N(i)} a_ij W h_j + b)`, in several heads side by side; one at the last.

    `a_ij = softmax_j leaky_relu(u . W h_i + v . W h_j)`, over those that i hears: itself too, by
    the edges of `symmetric`, whose weights are not read. Velickovic et al. 2018. In training
    features and attention are dropped. x -> [n, outputs].
    """

    outputs: int
    depth: int = 2
    width: int = 8
    heads: int = 8
    dropout: float | Array = 0.5

    @nn.compact
    def __call__(self, graph: Graph, *, train: bool = False) -> Array:
        h = graph.x
        for i in range(self.depth):
            last = i + 1 == self.depth
            shape = (1, self.outputs) if last else (self.heads, self.width)
            h = Attend(*shape, self.dropout)(graph._replace(x=h), train=train)
            h = h if last else jax.nn.elu(h)
        return h


class Attend(nn.Module):
    """A layer of `GAT`, before its activation: [n, d] -> [n, heads * width]."""

    heads: int
    width: int
    dropout: float | Array

    @nn.compact
    def __call__(self, graph: Graph, *, train: bool = False) -> Array:
        check_weights(graph)  # without it no node would hear itself
        n, shape = graph.x.shape[0], (self.heads, self.width)
        z = Linear(self.heads * self.width, self.dropout)(graph.x, train=train).reshape(n, *shape)
        asks, tells = (
            (z * self.param(name, GLOROT, shape)[None]).sum(-1) for name in ("asks", "tells")
        )
        met = segments.tell(asks, graph.receivers) + segments.tell(tells, graph.senders)
        scores = jax.nn.leaky_relu(met, 0.2)
        weights = segments.softmax(scores, graph.receivers, n)
        weights = Dropout(self.dropout)(weights, train=train)
        told = weights[..., None] * segments.tell(z, graph.senders)
        heard = segments.total(told, graph.receivers, n).reshape(n, -1)
        return heard + self.param("bias", nn.initializers.zeros, heard.shape[1:])[None]
