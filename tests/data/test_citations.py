"""Graphs of papers: published sizes, splits that do not meet, and damage that is named."""

import codecs
import os
import pickle

import networkx as nx
import numpy as np
import pytest
from scipy.sparse import csr_matrix

from dljax.data import citations
from dljax.data.citations import Sizes
from dljax.errors import InputError


def check_split(split, y, sizes):
    train, validation, test = split
    assert (len(validation), len(test)) == sizes[1:]
    assert np.bincount(y[train]).tolist() == [sizes.per_class] * (y.max() + 1)
    rows = np.concatenate(split)
    assert len(np.unique(rows)) == len(rows) and rows.max() < len(y) and rows.dtype == np.int32


def test_cora_is_as_published():
    try:
        papers = citations.load("cora")
    except InputError as error:
        pytest.skip(str(error))
    graph = papers.graph
    assert graph.x.shape == (2708, 1433) and len(graph.senders) == 2 * 5278
    # the sizes of Cora's topics, by which their numbers are known
    counts = dict(zip(papers.classes, np.bincount(papers.y).tolist(), strict=True))
    assert counts["neural networks"] == 818 and counts["rule learning"] == 180
    assert counts["theory"] == 351 and counts["probabilistic methods"] == 426
    np.testing.assert_allclose(graph.x.sum(1), 1, rtol=1e-5)
    check_split(papers.public, papers.y, Sizes(20, 500, 1000))
    np.testing.assert_array_equal(np.sort(papers.public.test), np.arange(1708, 2708))
    known = nx.Graph(zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True))
    assert known.number_of_edges() == 5278 and nx.number_connected_components(known) == 78
    same = papers.y[graph.senders] == papers.y[graph.receivers]
    assert same.mean() == pytest.approx(0.81, abs=0.005)  # homophily, Pei et al. 2020


def test_edges_go_both_ways_once():
    senders, receivers = citations.undirected(4, [(0, 1), (1, 0), (0, 1), (2, 2), (3, 1)])
    assert [*zip(senders, receivers, strict=True)] == [(1, 0), (0, 1), (3, 1), (1, 3)]
    assert [len(each) for each in citations.undirected(4, [])] == [0, 0]


@pytest.mark.parametrize("pair", [(2, 4), (-1, 2)])
def test_an_edge_to_no_node_is_named(pair):
    said = f"edge 1 is ({pair[0]}, {pair[1]}), but the nodes are 0 to 3"
    with pytest.raises(InputError) as caught:
        citations.undirected(4, [(0, 1), pair])
    assert str(caught.value) == said


def test_random_splits_have_equal_sizes_and_differ():
    papers = citations.load("communities")
    splits = [citations.random_split(papers.y, papers.sizes, seed) for seed in (1, 1, 2)]
    for split in (*splits, papers.public):
        check_split(split, papers.y, papers.sizes)
    np.testing.assert_array_equal(splits[0].test, splits[1].test)
    assert set(splits[0].train) != set(splits[2].train)


def test_too_few_nodes_for_a_split_are_named():
    y = np.array([0, 0, 0, 1, 2, 2, 2])
    with pytest.raises(InputError, match="class 1 has 1 nodes; a split needs 2"):
        citations.random_split(y, Sizes(2, 1, 1), 0)
    with pytest.raises(InputError, match="4 nodes are left to choose and to test on; 2 and 3 are"):
        citations.random_split(y, Sizes(1, 2, 3), 0)


def test_communities_have_the_neighbours_and_words_they_say():
    papers = citations.communities(n=1000)
    graph = papers.graph
    assert len(graph.senders) / 1000 == pytest.approx(4, abs=0.3)
    same = papers.y[graph.senders] == papers.y[graph.receivers]
    assert same.mean() == pytest.approx(0.8, abs=0.03)
    words = graph.x > 0
    own = np.arange(120) % 4 == papers.y[:, None]
    assert words.sum(1).mean() == pytest.approx(8, abs=0.3)
    assert words[own].mean() / words[~own].mean() == pytest.approx(2.5, abs=0.2)


def written(path, **changes):
    rng = np.random.default_rng(0)
    arrays = {"x": rng.random((30, 4)), "y": np.arange(30) % 3, "edges": np.array([[0, 1], [5, 7]])}
    arrays |= changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return str(path)


def test_a_graph_of_ones_own_is_read(tmp_path):
    papers = citations.load(written(tmp_path / "own.npz"))
    assert papers.name == "own" and papers.graph.senders.tolist() == [1, 0, 7, 5]
    check_split(papers.public, papers.y, papers.sizes)
    bare = citations.load(written(tmp_path / "bare.npz", edges=np.zeros((0, 2), int)))
    assert len(bare.graph.senders) == 0


BAD = {
    "edges": ({"edges": np.array([[0, 30]])}, r"edge 0 is \(0, 30\), but the nodes are 0 to 29"),
    "triples": ({"edges": np.ones((2, 3), int)}, r"edges must be \[e, 2\]; got \[2, 3\]"),
    "halves": ({"edges": np.ones((2, 2))}, "edges must be pairs of integers; got float64"),
    "nan": ({"x": np.full((30, 4), np.nan)}, "x must be finite numbers"),
    "labels": ({"y": np.arange(29)}, r"y must be labels \[30\] from 0 on; got int64 \[29\]"),
    "one class": ({"y": np.zeros(30, int)}, "two classes or more"),
    "a class that is absent": ({"y": np.arange(30) % 3 * 2}, "class 1 has 0 nodes"),
    "pickled": ({"x": np.full((30, 4), {})}, "cannot read x"),
    "no labels": ({"y": None}, "has no array y; x, y and edges are needed"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_not_as_it_should_be_is_one_line(tmp_path, name):
    changes, said = BAD[name]
    path = written(tmp_path / "own.npz", **changes)
    with pytest.raises(InputError, match=said) as caught:
        citations.load(path)
    assert str(caught.value).startswith(path) and "\n" not in str(caught.value)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match="unknown data set 'coar'; did you mean cora"):
        citations.load("coar")
    said = r"^no.npz: no such file; give the path of an .npz file, or communities, cora$"
    with pytest.raises(InputError, match=said):
        citations.load("no.npz")


def as_planetoid(text):
    """A pickle of today under the names that Planetoid's were written with."""
    names = {b"cscipy.sparse._csr\n": b"cscipy.sparse.csr\n", b"cnumpy._core.": b"cnumpy.core."}
    for new, old in names.items():
        text = text.replace(new, old)
    return text


@pytest.fixture
def planetoid(tmp_path, monkeypatch):
    """Six papers of two topics: two known, one more that is not of the test, three that are."""
    # today's Python spells bytes so in pickles of old, whose own have a code for them
    monkeypatch.setitem(citations.ALLOWED, ("_codecs", "encode"), codecs.encode)
    x = np.eye(6, 4, dtype=np.float32) + np.eye(6, 4, 1, dtype=np.float32)
    x[4:] = 1
    y = np.eye(2, dtype=np.int32)[[0, 1, 0, 1, 1, 0]]
    test = [5, 3, 4]
    parts = {"allx": csr_matrix(x[:3]), "tx": csr_matrix(x[test]), "ally": y[:3], "ty": y[test]}
    parts |= {"y": y[:2], "graph": {0: [1], 1: [0, 2], 2: [], 3: [5], 4: [], 5: [3]}}
    paths = {name: tmp_path / name for name in citations.PARTS}
    for name, part in parts.items():
        paths[name].write_bytes(as_planetoid(pickle.dumps(part, protocol=2)))
    paths["test.index"].write_text("5\n3\n4\n")
    return paths, x, y


def read(paths):
    return citations.planetoid(paths, ("a", "b"), Sizes(1, 1, 3))


def test_planetoids_files_are_put_together_in_the_order_of_the_test(planetoid):
    paths, x, y = planetoid
    papers = read(paths)
    np.testing.assert_array_equal(papers.graph.x, x / x.sum(1, keepdims=True))
    np.testing.assert_array_equal(papers.y, y.argmax(1))
    assert [part.tolist() for part in papers.public] == [[0, 1], [2], [5, 3, 4]]
    assert papers.graph.senders.tolist() == [1, 0, 2, 1, 5, 3]


class Harm:
    def __reduce__(self):
        return os.system, ("touch harmed",)


DAMAGE = {
    "a call": (
        "allx",
        pickle.dumps(Harm(), protocol=2),
        "names posix.system, which is not allowed",
    ),
    "cut short": ("ally", b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n", "not as it should be"),
    "nothing": ("tx", b"", "not as it should be"),
    "another thing": ("ty", pickle.dumps([1, 2], protocol=2), "not as it should be"),
    "other labels": ("y", as_planetoid(pickle.dumps(np.ones((2, 2), int), 2)), "a single 1"),
    "a node that is none": ("graph", pickle.dumps({0: [9]}, 2), "edge 0 is (0, 9), but the nodes"),
    "rows": ("test.index", b"3\n4\n4\n", "rows 3 to 5 are needed, each once"),
    "words": ("test.index", b"a b", "not as it should be"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_line_that_names_the_file_and_runs_nothing(
    planetoid, tmp_path, monkeypatch, name
):
    part, content, said = DAMAGE[name]
    monkeypatch.chdir(tmp_path)
    planetoid[0][part].write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(planetoid[0])
    text = str(caught.value)
    assert said in text and str(planetoid[0][part]) in text and "\n" not in text
    assert not (tmp_path / "harmed").exists()


def test_a_sparse_matrix_whose_rows_point_astray_is_refused(planetoid):
    paths, x, _ = planetoid
    bad = csr_matrix(x[:3])
    bad.indices[0] = 99
    paths["allx"].write_bytes(as_planetoid(pickle.dumps(bad, protocol=2)))
    with pytest.raises(InputError, match="allx is not as it should be"):
        read(paths)
