"""Papers that cite each other: plain methods against closed forms, and a tiny run."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from models import accuracies

from dljax import InputError
from dljax.data import citations as data
from experiments.frontiers import _citations, citations
from experiments.frontiers.citations import PRESETS, Config, main


@pytest.fixture(scope="module")
def task():
    return _citations.task(data.communities(n=120, classes=2, words=200), 2)


def test_each_split_has_its_own_mask_and_rows(task):
    assert task.splits.mask.shape == (3, 120)
    for i, part in enumerate(task.parts):
        np.testing.assert_array_equal(np.flatnonzero(task.splits.mask[i]), np.sort(part.train))
        np.testing.assert_array_equal(task.splits.test[i], part.test)
    assert not np.array_equal(task.splits.test[1], task.splits.test[2])


def test_hops_tend_to_pageranks_closed_form(task):
    p, x = _citations.operator(task.graph), task.papers.graph.x
    wanted = 0.2 * np.linalg.solve(np.eye(120) - 0.8 * p.toarray(), x)
    np.testing.assert_allclose(_citations.diffused(p, x, 0.2, 100), wanted, atol=1e-5)
    seen = _citations.seen(p, x)
    np.testing.assert_allclose(seen["SGC"][1], p.toarray() @ p.toarray() @ x, atol=1e-5)


def test_plain_methods_choose_on_validation_alone(task):
    """Labels of the test that lie change no choice: what was right by half is wrong by half."""
    plain = _citations.plain(task)
    assert set(plain) == {"logistic regression", "SGC", "linear PageRank", "label propagation"}
    assert all(len(values) == 3 for values in plain.values())
    y = task.papers.y.copy()
    y[task.parts[0].test] = 1 - y[task.parts[0].test]
    lies = task._replace(papers=dataclasses.replace(task.papers, y=y), parts=task.parts[:1])
    for name, values in _citations.plain(lies).items():
        assert values[0] == pytest.approx(1 - plain[name][0]), name
    assert np.mean(plain["linear PageRank"]) > np.mean(plain["logistic regression"])


def test_unlikeness_is_a_mean_over_pairs():
    h = np.random.default_rng(0).normal(size=(5, 3))
    unit = h / np.linalg.norm(h, axis=1, keepdims=True)
    wanted = 1 - np.mean([a @ b for a in unit for b in unit])
    np.testing.assert_allclose(_citations.unlikeness(jnp.asarray(h)), wanted, rtol=1e-5)
    same = jnp.outer(jnp.arange(1.0, 5.0), jnp.ones(3))
    assert abs(_citations.unlikeness(same)) < 1e-6


def test_a_tiny_run_learns_and_reports(tmp_path, monkeypatch):
    monkeypatch.setattr(citations.citations, "load", lambda name: data.communities(n=120, words=40))
    config = Config(
        seeds=2, steps=20, every=10, splits=1, width=8, trials=2, dropout=(0.99, 0.3),
        agreement=(0.0,), depths=(3,), rate=0.03, out=tmp_path, quiet=True,
    )  # fmt: skip
    found = main(config)
    metrics = found.metrics
    nets = ("GCN", "GAT", "PageRank", "no graph")
    best = max(nets, key=lambda name: metrics[f"validation accuracy, {name}"]["mean"])
    assert metrics["test accuracy"]["values"] == metrics[f"test accuracy, {best}"]["values"]
    for name in nets:
        assert len(metrics[f"test accuracy, {name}, random splits"]["values"]) == 1
        assert metrics[f"validation accuracy, {name}"]["chosen"]["dropout"] == pytest.approx(0.3)
        assert found.targets[f"change under a permutation, {name}"]["met"]
    assert metrics["test accuracy"]["mean"] > 0.4  # chance is a quarter
    assert {f"unlikeness, {name}, depth 3" for name in ("GCN", "PageRank")} <= set(metrics)
    assert "test accuracy" not in found.targets, "the goal is Cora's"
    task = _citations.task(data.communities(n=120, words=40), 1)
    rows = task.splits.test[0]
    for name in nets:
        found = accuracies(tmp_path, name.replace(" ", "-"), rows, task.y[rows])
        np.testing.assert_allclose(found, metrics[f"test accuracy, {name}"]["values"], atol=1e-6)
    with pytest.raises(InputError, match="paper must be from 0 to 119; got 120"):
        accuracies(tmp_path, "GCN", np.array([120]), task.y[:1])
    drawn = {path.name for path in (tmp_path / "figures").iterdir()}
    assert drawn == {"accuracy.png", "depth.png", "map.png"}


def test_presets_and_what_they_refuse(tmp_path):
    assert PRESETS["standard"].data == "cora" and PRESETS["standard"].seeds == 20
    with pytest.raises(InputError, match="--dropout, --agreement and --depths need at least one"):
        main(Config(dropout=(), out=tmp_path))
    with pytest.raises(InputError, match="--every must be below 10; got 10"):
        main(Config(steps=9, every=10, out=tmp_path))


def test_a_map_of_nodes_that_are_all_alike_is_drawn(tmp_path):
    shown = {"alike": np.ones((20, 3)), "one word": np.arange(20.0)[:, None], "few": np.eye(3)[:3]}
    for name, x in shown.items():
        labels = np.arange(len(x)) % 2
        path = _citations.draw_map(tmp_path / f"{name}.png", {name: x}, labels, ("a", "b"))
        assert path.stat().st_size > 1000
