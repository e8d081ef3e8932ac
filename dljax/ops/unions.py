"""Batches of graphs of any sizes as one graph of a fixed size, put together in the loop (S57).

Graphs lie end to end in a `Shelf`. A batch is their union, without an edge from one to another, and
padding behind: so one shape serves all, and little of it is padding, whatever the largest graph.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from dljax.errors import InputError
from dljax.ops.segments import check_edges
from dljax.typing import AnyArray, Array, Graph


class Shelf(NamedTuple):
    """n graphs end to end: x [N, ...], edges [E, ...], ends [E] counted within each own graph.

    nodes and bonds [n + 1]: where each graph's nodes and edges begin, and the last one's end.
    """

    graph: Graph
    nodes: np.ndarray
    bonds: np.ndarray

    def __len__(self) -> int:
        return len(self.nodes) - 1


class Union(NamedTuple):
    """B graphs as one: whose [n], to which of them a node belongs, B where it is padding.

    whole float32 [B, d] is what is told of each graph as a whole; d may be 0.
    """

    graph: Graph
    whose: AnyArray
    whole: AnyArray


class Size(NamedTuple):
    """The nodes and edges that a batch has room for."""

    nodes: int
    edges: int


def shelve(graphs: Sequence[Graph]) -> Shelf:
    """Graphs x [n_i, ...] and edges [e_i, ...], all real, end to end.

    Raises InputError for no graphs, and names the first that has an edge to a node which it does
    not have, a masked node, or numbers that do not fit its edges or the first graph.
    """
    if not graphs:
        raise InputError("there are no graphs")
    for i, each in enumerate(graphs):
        try:
            check_edges(each, len(each.x), padding=False)
            check_alike(each, graphs[0])
        except InputError as error:
            raise InputError(f"graph {i}: {error}") from None
    parts = [
        [np.asarray(each) for each in part] for part in zip(*(g[:4] for g in graphs), strict=True)
    ]
    nodes, bonds = (
        np.cumsum([0, *map(len, part)], dtype=np.int32) for part in (parts[0], parts[1])
    )
    if not bonds[-1]:  # padding reads a row, which must be there
        parts[1:] = [[np.zeros((1, *part[0].shape[1:]), part[0].dtype)] for part in parts[1:]]
    return Shelf(Graph(*(np.concatenate(part) for part in parts)), nodes, bonds)


def check_alike(graph: Graph, first: Graph) -> None:
    """Raises InputError unless a graph's arrays fit each other, and the first graph's."""
    if graph.real is not None and not np.all(graph.real):
        raise InputError("a graph on a shelf has no masked nodes")
    if len(np.shape(graph.edges)) < 1 or len(graph.edges) != len(graph.senders):
        has = "none" if graph.edges is None else f"{[*np.shape(graph.edges)]}"
        raise InputError(f"{len(graph.senders)} edges need a row of numbers each; got {has}")
    for what in ("x", "edges"):
        own, wanted = (np.shape(getattr(each, what))[1:] for each in (graph, first))
        if own != wanted:
            raise InputError(f"{what} has rows of {[*own]}, the first graph's of {[*wanted]}")


def largest(shelf: Shelf) -> Size:
    """The nodes of the largest graph, and the edges of that with most."""
    return Size(*(int(np.diff(ends).max(initial=1)) for ends in (shelf.nodes, shelf.bonds)))


def roomy(shelf: Shelf, batch: int, deviations: float = 5.0) -> Size:
    """Room for nearly every batch drawn from a shelf: `B mean + 5 sqrt(B) sd`, or the B largest."""

    def room(ends: np.ndarray, most: int) -> int:
        sizes = np.sort(np.diff(ends))[::-1]
        usual = batch * sizes.mean() + deviations * batch**0.5 * sizes.std()
        return max(most, min(int(np.ceil(usual)), int(sizes[:batch].sum())))

    most = largest(shelf)
    return Size(room(shelf.nodes, most.nodes), room(shelf.bonds, most.edges))


def exact(shelf: Shelf, rows: np.ndarray) -> Size:
    """Room for all of these chunks of graphs, rows [chunks, B]."""
    counts = (np.diff(ends)[rows].sum(1).max() for ends in (shelf.nodes, shelf.bonds))
    return Size(*(max(int(count), 1) for count in counts))


def check_room(shelf: Shelf, size: Size) -> None:
    """Raises InputError that names the first graph which would not fit even alone."""
    for what, ends, room in zip(("nodes", "edges"), shelf[1:], size, strict=True):
        over = np.flatnonzero(np.diff(ends) > room)
        if len(over):
            has = int(np.diff(ends)[over[0]])
            raise InputError(f"graph {over[0]} has {has} {what}; a batch has room for {room}")


def unite(
    shelf: Shelf, rows: Int[AnyArray, "b"], size: Size, whole: Float[AnyArray, "b d"]
) -> tuple[Union, Bool[Array, "b"]]:
    """The union of graphs rows [B], and which of them are in it, bool [B].

    whole [B, d]. Those that there is no room for, the last of the batch, are left out.
    """
    fits = jnp.ones(len(rows), bool)
    counts = []
    for ends, room in zip(shelf[1:], size, strict=True):
        own = jnp.diff(jnp.asarray(ends))[rows]
        counts.append(own)
        fits &= jnp.cumsum(own) <= room
    whose, at, begin = places(jnp.where(fits, counts[0], 0), size.nodes)
    edge_of, edge_at, _ = places(jnp.where(fits, counts[1], 0), size.edges)
    node = taken(shelf.nodes, rows, whose, at)
    edge = taken(shelf.bonds, rows, edge_of, edge_at)
    own = jnp.append(begin, 0)[edge_of]
    real, there = whose < len(rows), edge_of < len(rows)
    senders, receivers = (
        jnp.where(there, jnp.asarray(ends)[edge] + own, size.nodes)
        for ends in (shelf.graph.senders, shelf.graph.receivers)
    )
    x, edges = (
        jnp.asarray(each).at[row].get(mode="promise_in_bounds").astype(jnp.float32)
        for each, row in ((shelf.graph.x, node), (shelf.graph.edges, edge))
    )
    return Union(Graph(x, senders, receivers, edges, real), whose, whole), fits


def places(
    counts: Int[Array, "b"], room: int
) -> tuple[Int[Array, "{room}"], Int[Array, "{room}"], Int[Array, "b"]]:
    """Whose each place is, B behind the last, and its number there, [room]; beginnings [B]."""
    end = jnp.cumsum(counts)
    begin = end - counts
    place = jnp.arange(room, dtype=jnp.int32)
    whose = (place[:, None] >= end[None]).sum(1).astype(jnp.int32)
    return whose, place - jnp.append(begin, 0)[whose], begin


def taken(
    ends: Int[AnyArray, "m"], rows: Int[AnyArray, "b"], whose: Int[Array, "p"], at: Int[Array, "p"]
) -> Int[Array, "p"]:
    """The row on the shelf of each place; of padding any that exists."""
    begin = jnp.append(jnp.asarray(ends)[rows], 0)[whose]
    return jnp.where(whose < len(rows), begin + at, 0)
