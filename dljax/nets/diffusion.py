"""Diffusion along the edges of a graph, and a network that forecasts all its nodes (S57).

A walk's steps are dense matrices: for a few hundred nodes one product by a matrix is faster than
gathers and sums over edges, and a sweep may give each of its members a graph of its own.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.nets.dropout import Dropout
from dljax.ops.segments import check_edges, total, without_masked
from dljax.typing import Array, Graph


def walks(graph: Graph, n: int) -> Array:
    """One step of a random walk to each node, against and along its edges: [2, n, n].

    `P_ij = w_ji / sum_k w_ki`, w_ji >= 0 the weight of the edge from j to i (1 where edges carry
    none), and the same with all edges turned. Edges given twice add up; padding and edges at
    nodes that are not real are not read. A row is 0 where there is no edge to follow. Raises
    InputError for an edge to a node that is none of the n. Li et al. 2018, eq. 2.
    """
    check_edges(graph, n)
    graph = without_masked(graph)
    weights = jnp.ones(len(graph.senders)) if graph.edges is None else jnp.asarray(graph.edges)

    def steps(senders: Array, receivers: Array) -> Array:
        joined = jax.nn.one_hot(senders, n) * weights[:, None]
        found = total(joined, receivers, n)
        return found / jnp.maximum(found.sum(1, keepdims=True), 1e-30)

    ends = jnp.asarray(graph.senders), jnp.asarray(graph.receivers)
    return jnp.stack([steps(*ends), steps(*ends[::-1])])


class Diffusion(nn.Module):
    """`x W + sum_s sum_{k=1}^hops P_s^k x W_sk + b` of walks P_s [S, n, n], for x [B, n, F].

    Horner's scheme: what is multiplied by P has as many features as go out. With hops of 0 a dense
    layer. Li et al. 2018, eq. 3.
    """

    features: int
    hops: int = 2

    @nn.compact
    def __call__(self, x: Array, walks: Array) -> Array:
        own = nn.Dense(self.features)(x)
        if not self.hops:
            return own
        shape = len(walks), self.hops, x.shape[-1], self.features
        start = nn.initializers.lecun_normal(in_axis=-2, out_axis=-1, batch_axis=(0, 1))
        weights = self.param("walks", start, shape)
        for walk, each in zip(walks, weights, strict=True):
            heard = x @ each[-1]
            for own_weight in each[-2::-1]:
                heard = walk @ heard + x @ own_weight
            own = own + walk @ heard
        return own


class GraphForecaster(nn.Module):
    """x [B, n, F], what is known of n nodes -> what they will do: [B, n, horizon].

    Layers of `Diffusion`, as many as `hops`, each with a bias of every node's own unless `own` is
    false, and a dense one that starts at zero, so that what is added to it (a persistence, a linear
    forecast) is where training starts.
    """

    horizon: int
    walks: Array
    hops: Sequence[int] = (2, 1)
    features: int = 64
    dropout: float | Array = 0.0
    own: bool = True

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        for layer, hops in enumerate(self.hops):
            x = Diffusion(self.features, hops)(x, self.walks)
            if self.own:
                shape, start = (x.shape[1], self.features), nn.initializers.normal(0.1)
                x = x + self.param(f"of each {layer}", start, shape)[None]
            x = jax.nn.relu(x)
        x = Dropout(self.dropout)(x, train=train)
        return nn.Dense(self.horizon, kernel_init=nn.initializers.zeros_init())(x)
