"""Molecules told and a library searched (S57), tiny: splits, scores, and what an atom adds."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.data import molecules
from dljax.nets.message import MessageNet
from dljax.ops import unions
from dljax.typing import Graph

chem = pytest.importorskip("rdkit.Chem")

from experiments.frontiers import _library, _molecules  # noqa: E402
from experiments.frontiers.molecules import Config, main  # noqa: E402

TINY = {"seeds": 2, "members": 2, "alone": 1, "searches": 1, "epochs": 4, "evaluations": 1}
SMALL = {
    "width": 8,
    "hidden": 8,
    "rounds": 1,
    "batch": 25,
    "rate": 1e-2,
    "dropout": 0.1,
    "weight_decay": 0.0,
}


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A file of some molecules that are spelled, and how many carbons and nitrogens each has."""
    path = tmp_path_factory.mktemp("molecules") / "few.csv"
    spelled = molecules.load("spelled")
    rows = range(0, len(spelled), 4)
    lines = [
        f"{spelled.smiles[i]},{sum(a.GetSymbol() in 'CN' for a in spelled.mols[i].GetAtoms())}"
        for i in rows
    ]
    path.write_text("smiles,count\n" + "\n".join(lines) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def done(few, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    where = {"data": (few,), "library": few, "splits": ("random",)}
    config = Config(out=out, quiet=True, devices=1, **where, **TINY, **SMALL)
    return main(config), out


def test_all_is_measured_and_drawn(done):
    result, out = done
    said = json.loads((out / "result.json").read_text())
    for title in ("test RMSE, few random",):
        for name, count in (("", 2), (", descriptors alone", 2), (", graph alone", 1)):
            assert len(said["metrics"][title + name]["values"]) == count
            assert said["metrics"][title + name]["better"] == "lower"
        plain = {k: v for k, v in said["baselines"].items() if v["metric"] == title}
        assert len(plain) == 3
    ours = result.metrics["test RMSE, few random"]["mean"]
    spread = np.std(molecules.load(result.config["data"][0]).y)
    assert ours < 0.7 * spread
    assert np.isfinite(result.metrics["enrichment in the first 1 %, few"]["mean"])
    figures = {path.name for path in (out / "figures").iterdir()}
    assert figures == {
        "few-random.png", "few-random-atoms.png", "search.png",
    }  # fmt: skip


def test_what_cannot_be_is_refused(few, tmp_path):
    options = {"out": tmp_path / "run", "quiet": True, "data": (few,), "library": few}
    (tmp_path / "alike.csv").write_text(
        "smiles,y\n" + "".join(f"{'C' * i},{i * i}\n" for i in range(1, 31))
    )
    alike = str(tmp_path / "alike.csv")  # one scaffold, which is too large to learn from
    for more, says in (
        ({"alone": 3, "seeds": 2, "searches": 1}, "--alone must be below 3; got 3"),
        ({"batch": 1000}, "--batch must be below"),
        ({"data": ("spelt",)}, "unknown list of molecules 'spelt'"),
        ({"data": (few, alike), "batch": 5}, "alike: the split leaves no molecule to learn from"),
    ):
        with pytest.raises(InputError, match=says):
            main(Config(**options | more))
    assert not (tmp_path / "run").exists()


def test_features_are_scaled_by_what_is_learnt_from():
    table = np.array([[0, 5, 1e12], [2, 5, 0], [np.nan, 5, 0], [100, 7, 1]])
    scaled = _molecules.standardised(table, np.array([0, 1, 2]))
    np.testing.assert_allclose(scaled[:3].mean(0), 0, atol=1e-6)
    assert scaled[2, 0] == 0 and not scaled[:3, 1].any()
    assert scaled[3, 0] == _molecules.MOST and scaled[3, 1] == 0


def test_enrichment_is_counted():
    hits = np.zeros(200)
    hits[[3, 50, 60, 70]] = 1
    scores = -np.arange(200.0)
    assert _library.enrichment(scores, hits, 0.02) == (1 / 4) / (4 / 200)
    assert _library.enrichment(-scores, hits, 0.02) == 0
    assert _library.enrichment(hits, hits, 0.02) == 50
    unknown = hits.copy()
    unknown[:3] = np.nan  # the list is then of 197, and the hit its first
    assert _library.enrichment(scores, unknown, 0.005) == pytest.approx(197 / 4)
    both = np.stack([hits, np.roll(hits, 7)], 1)
    enriched, area = _library.scored(both, both)
    assert enriched == 50 and area == 1
    shares = np.array([0.005, 0.02, 1.0])
    np.testing.assert_allclose(_library.found_by(both[:, :1], both[:, :1], shares), [0.25, 1, 1])


def test_what_hits_is_a_label_or_the_top_tenth():
    y = np.stack([np.arange(20.0), np.arange(20) % 2, np.arange(20.0)], 1)
    y[0, 1] = np.nan
    library = molecules.Molecules("some", ("C",) * 20, (None,) * 20, ("a", "b", "c"), y)
    labels = _library.labels(library)
    assert labels[:, 0].sum() == 2 and labels[-2:, 0].all()
    np.testing.assert_array_equal(labels[:, 1], y[:, 1].astype(np.float32))


def test_one_class_in_a_part_is_named(few):
    found = molecules.load(few)
    y = np.zeros_like(found.y)
    y[0] = 1
    library = molecules.Molecules("few", found.smiles, found.mols, ("toxic",), y)
    with pytest.raises(InputError, match=r"few, toxic: all molecules to .* are of one class"):
        _library.task(library)


def test_an_atom_adds_what_the_molecule_without_it_lacks():
    graph = molecules.graph(chem.MolFromSmiles("CC(=O)Nc1ccccc1"))
    net = MessageNet(1, 8, 2, (8,))

    def alone(graph):
        shelf, room = unions.shelve([graph]), unions.Size(12, 30)
        return unions.unite(shelf, jnp.zeros(1, int), room, jnp.zeros((1, 0)))[0]

    whole, apply, start = alone(graph), jax.jit(net.apply), jax.jit(net.init)
    own = [start(jax.random.key(i), whole)["params"] for i in (0, 1)]
    stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *own)
    more = [molecules.graph(chem.MolFromSmiles("OCC#N")), graph]  # the larger makes room
    small, adds = _molecules.without_each(net, stack, more)
    assert small.shape == (4,) and np.isfinite(small).all()

    def told(graph):
        union = alone(graph)
        return np.mean([apply({"params": p}, union)[0, 0] for p in own])

    assert adds.shape == (len(graph.x),)
    for gone in (2, 9):
        keep = (graph.senders != gone) & (graph.receivers != gone)
        ends = (each[keep] - (each[keep] > gone) for each in (graph.senders, graph.receivers))
        rest = Graph(np.delete(graph.x, gone, 0), *ends, graph.edges[keep])
        assert adds[gone] == pytest.approx(told(graph) - told(rest), abs=1e-5)
