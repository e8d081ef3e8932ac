"""Messages along edges, by what kind of edge they come, and a readout of whole graphs (S57).

`m_ij = relu(x_j + W e_ij)`, `x_i <- x_i + MLP(LN((1 + a) x_i + sum_{j in N(i)} m_ij))`: the message
passing of Gilmer et al. 2017 with the sum of Xu et al. 2019 and the messages of Hu et al. 2020.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from dljax.nets.dropout import Dropout
from dljax.nets.mlp import MLP
from dljax.ops import segments
from dljax.ops.unions import Union
from dljax.typing import Array, Graph


class Messages(nn.Module):
    """Graph x [n, H] -> [n, H] after one round, over all edges that are not padding."""

    @nn.compact
    def __call__(self, x: Array, graph: Graph) -> Array:
        n, width = x.shape
        told = nn.relu(segments.tell(x, graph.senders) + nn.Dense(width)(graph.edges))
        heard = segments.total(told, graph.receivers, n)
        own = 1 + self.param("own", nn.initializers.zeros, (), jnp.float32)
        h = nn.relu(nn.Dense(width)(nn.LayerNorm()(own * x + heard)))
        return x + nn.Dense(width)(h)


class MessageNet(nn.Module):
    """A union of B graphs -> [B, outputs], by rounds of messages and a readout of all nodes.

    The readout is the sum over a graph's nodes, divided by `typical`, and their mean, beside which
    stands what is told of the graph as a whole (Yang et al. 2019: descriptors beside messages).
    """

    outputs: int
    width: int = 64
    rounds: int = 3
    hidden: Sequence[int] = (64,)
    dropout: float | Array = 0.0
    typical: float = 16.0

    @nn.compact
    def __call__(self, batch: Union, *, train: bool = False) -> Array:
        graph, count = segments.without_masked(batch.graph), len(batch.whole)
        x = nn.Dense(self.width)(graph.x)
        for _ in range(self.rounds):
            x = Messages()(x, graph)
        real = graph.real
        whose = batch.whose if real is None else jnp.where(real, batch.whose, count)
        x = nn.relu(nn.LayerNorm()(x))
        total, mean = (each(x, whose, count) for each in (segments.total, segments.mean))
        read = jnp.concatenate([total / self.typical, mean, batch.whole], -1)
        read = Dropout(self.dropout)(read, train=train)
        return head(self.hidden, self.outputs, self.dropout)(read, train=train)


def head(hidden: Sequence[int], outputs: int, dropout: float | Array) -> MLP:
    # bounded units: what is far from all that was learnt is not told without bound
    return MLP((*hidden, outputs), jnp.tanh, dropout)


class WholeNet(nn.Module):
    """What is told of graphs as wholes -> [B, outputs]: `MessageNet` without the graph."""

    outputs: int
    hidden: Sequence[int] = (64,)
    dropout: float | Array = 0.0

    @nn.compact
    def __call__(self, batch: Union, *, train: bool = False) -> Array:
        read = Dropout(self.dropout)(jnp.asarray(batch.whole), train=train)
        return head(self.hidden, self.outputs, self.dropout)(read, train=train)
