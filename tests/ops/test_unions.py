"""Graphs in a batch are those on the shelf, whatever is left over (S57)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.errors import InputError
from dljax.ops import unions
from dljax.ops.unions import Size
from dljax.typing import Graph

SIZES = ((3, 4), (1, 0), (5, 7), (2, 1))  # nodes and edges; the second has an atom and no bond


@pytest.fixture(scope="module")
def graphs():
    rng = np.random.default_rng(0)
    return [
        Graph(
            rng.integers(0, 9, (n, 2)).astype(np.uint8),
            *rng.integers(0, n, (2, e)).astype(np.int32),
            rng.integers(0, 9, (e, 3)).astype(np.uint8),
        )
        for n, e in SIZES
    ]


def literal(graphs, rows):
    """Nodes, edges with their ends, and whose each node is, one graph after another."""
    nodes, edges, whose, begin = [], [], [], 0
    for place, row in enumerate(rows):
        own = graphs[row]
        nodes += [*own.x.tolist()]
        whose += [place] * len(own.x)
        for j, i, e in zip(own.senders, own.receivers, own.edges, strict=True):
            edges.append((int(j) + begin, int(i) + begin, *e.tolist()))
        begin += len(own.x)
    return nodes, edges, whose


@pytest.mark.parametrize("rows", [[2, 0, 1], [1, 1, 1], [3, 2, 3], [0, 2, 2]])
def test_a_union_is_its_graphs_one_after_another(graphs, rows):
    shelf = unions.shelve(graphs)
    whole = jnp.arange(3.0)[:, None]
    size = Size(9, 12)
    # a shelf is closed over: its arrays are the program's own
    united = jax.jit(lambda rows: unions.unite(shelf, rows, size, whole))
    union, fits = united(jnp.array(rows))
    kept = rows if sum(SIZES[row][0] for row in rows) <= 9 else rows[:2]
    assert fits.tolist() == [i < len(kept) for i in range(3)]
    nodes, edges, whose = literal(graphs, kept)
    n, e, graph = len(nodes), len(edges), union.graph
    assert graph.x[:n].tolist() == nodes
    assert union.whose.tolist() == whose + [3] * (9 - n)
    assert graph.real.tolist() == [True] * n + [False] * (9 - n)
    ends = zip(graph.senders.tolist(), graph.receivers.tolist(), graph.edges.tolist(), strict=True)
    assert [(j, i, *map(int, told)) for j, i, told in ends][:e] == edges
    assert (graph.senders[e:] == 9).all() and (graph.receivers[e:] == 9).all()
    np.testing.assert_array_equal(union.whole, whole)


def test_what_there_is_no_room_for_is_left_out_whole(graphs):
    """Edges count too, and what comes behind a graph that does not fit is left out with it."""
    shelf = unions.shelve(graphs)
    for size, kept in ((Size(20, 7), [True, False, False]), (Size(3, 9), [True, False, False])):
        union, fits = unions.unite(shelf, jnp.array([0, 2, 1]), size, jnp.zeros((3, 0)))
        assert fits.tolist() == kept
        assert union.graph.real.sum() == 3 and (union.graph.senders < size.nodes).sum() == 4


def test_an_edge_into_another_graph_is_named(graphs):
    bad = graphs[0]._replace(receivers=np.array([0, 1, 3, 2], np.int32))
    said = "graph 1: the receiver of edge 2 is 3, but the nodes are 0 to 2"
    with pytest.raises(InputError, match=said):
        unions.shelve([graphs[2], bad])
    with pytest.raises(InputError, match="there are no graphs"):
        unions.shelve([])


BAD = {
    "masked": (lambda g: g._replace(real=np.array([True, False, True])), "has no masked nodes"),
    "none": (lambda g: g._replace(edges=None), "4 edges need a row of numbers each; got none"),
    "few": (lambda g: g._replace(edges=g.edges[:3]), r"4 edges need a row .* each; got \[3, 3\]"),
    "ends": (lambda g: g._replace(senders=g.senders[:3]), "must be as many integers"),
    "floats": (lambda g: g._replace(senders=g.senders * 1.0), "must be as many integers"),
    "wide": (
        lambda g: g._replace(x=g.x[:, :1]),
        r"x has rows of \[1\], the first graph's of \[2\]",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_graph_that_does_not_fit_is_named(graphs, name):
    change, said = BAD[name]
    with pytest.raises(InputError, match=said) as caught:
        unions.shelve([graphs[2], change(graphs[0])])
    assert str(caught.value).startswith("graph 1: ") and "\n" not in str(caught.value)


def test_graphs_none_of_which_has_an_edge():
    none = np.zeros(0, np.int32)
    alone = [Graph(np.full((n, 2), n), none, none, np.zeros((0, 3))) for n in (1, 2)]
    shelf = unions.shelve(alone)
    assert shelf.bonds.tolist() == [0, 0, 0] and unions.largest(shelf) == (2, 1)
    size = unions.roomy(shelf, 2)
    union, fits = unions.unite(shelf, jnp.array([1, 0]), Size(size.nodes, 1), jnp.zeros((2, 0)))
    assert fits.all() and union.graph.x[:, 0].tolist()[:3] == [2, 2, 1]
    assert (union.graph.senders == size.nodes).all() and not union.graph.edges.any()


def test_rooms_hold_what_they_must(graphs):
    shelf = unions.shelve(graphs)
    assert len(shelf) == 4 and unions.largest(shelf) == (5, 7)
    assert unions.exact(shelf, np.array([[0, 1], [2, 3]])) == (7, 8)
    assert unions.exact(shelf, np.array([[1]])) == (1, 1)  # no array of no edges
    assert unions.roomy(shelf, 4) == (11, 12)  # all, and no more
    usual = unions.roomy(unions.shelve(graphs * 50), 100, 2.0)
    assert usual.nodes == 305  # a mean of 275, and 20 deviations of 1.479
    with pytest.raises(InputError, match="graph 2 has 5 nodes; a batch has room for 4"):
        unions.check_room(shelf, Size(4, 12))
    with pytest.raises(InputError, match="graph 0 has 4 edges; a batch has room for 3"):
        unions.check_room(shelf, Size(5, 3))
