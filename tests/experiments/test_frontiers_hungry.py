"""Accuracy against training size, and the table of limits (S55), tiny."""

import json

import jax
import numpy as np
import pytest
from models import accuracies
from sklearn.neighbors import KNeighborsClassifier

from dljax import InputError
from dljax.data import load
from experiments.frontiers import _hungry, limits
from experiments.frontiers.hungry import Config, main

SIZES = [10, 100, 1257]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("hungry") / "run"
    tiny = {"seeds": 2, "steps": 60, "channels": (4,), "hidden": 16, "rate": 1e-2}
    config = Config(out=out, quiet=True, devices=1, sizes=(100, 1257, 10), level=0.8, **tiny)
    return main(config), out


@pytest.mark.parametrize("name", ["linear", "mlp", "cnn"])
def test_the_models_are_of_the_largest_size(done, name):
    result, out = done
    test = load("digits").test
    wanted = result.metrics[f"test accuracy, {name}, 1257 examples"]["values"]
    np.testing.assert_allclose(accuracies(out, name, 16 * test.x, test.y), wanted, atol=1e-6)


def test_smaller_sets_are_of_the_larger_and_seeds_differ():
    order = jax.jit(lambda seed: _hungry.ordered(seed, np.arange(1257), 1257))
    first, other = np.asarray(order(0)), np.asarray(order(1))
    assert sorted(first) == sorted(other) == [*range(1257)]
    assert len(set(first[:100]) & set(other[:100])) < 30
    # what a member of 10 draws: the first 10, each as often as the others
    drawn = _hungry.ordered(0, np.arange(1250) % 10, 1257)
    values, counts = np.unique(drawn, return_counts=True)
    assert set(values) == set(first[:10]) and (counts == 125).all()


def test_the_nearest_neighbour_is_scikit_learns():
    data = load("digits")
    order = np.asarray(_hungry.ordered(3, np.arange(1257), 1257))
    (x, y), test = data.train, data.test.x.reshape(360, -1)
    wanted = []
    for size in SIZES:
        rows = order[:size]
        own = KNeighborsClassifier(1).fit(x[rows].reshape(size, -1), y[rows])
        wanted.append(own.score(test, data.test.y))
    np.testing.assert_allclose(_hungry.nearest(data, 3, SIZES), wanted, atol=0.003)  # but for ties


def test_where_a_curve_overtakes_and_reaches_a_level():
    sizes, plain = [10, 100, 1000], np.array([0.5, 0.5, 0.5])
    for curve, first in (([0.6, 0.4, 0.6], 1000), ([0.6, 0.6, 0.7], 10), ([0.9, 0.9, 0.5], np.inf)):
        assert _hungry.overtakes(np.array(curve), plain, sizes) == first
    curve = np.array([0.2, 0.4, 0.3])
    assert _hungry.needed(curve, 0.3, sizes) == pytest.approx(10**1.5)
    assert _hungry.needed(curve, 0.1, sizes) == pytest.approx(10)
    assert _hungry.needed(curve, 0.5, sizes) == np.inf


def test_more_examples_are_better_and_all_sizes_are_there(done):
    result, out = done
    for name in ("linear", "mlp", "cnn", "nearest neighbour"):
        found = [result.metrics[f"test accuracy, {name}, {size} examples"] for size in SIZES]
        assert all(len(each["values"]) == 2 for each in found)
        assert found[-1]["mean"] > found[0]["mean"] + 0.1
    assert result.metrics["test accuracy, mlp, 1257 examples"]["mean"] > 0.7
    assert 10 < result.baselines["nearest neighbour"]["mean"] < 100
    assert (out / "figures" / "hungry.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"sizes": (10, 1258)}, "--sizes must be below 1258; got 1258"),
        ({"sizes": ()}, "the count of --sizes must be at least 1"),
        ({"at_once": 0}, "--at-once must be at least 1; got 0"),
        ({"sizes": (0,)}, "--sizes must be at least 1; got 0"),
        ({"batch": 1258}, "--batch must be below 1258; got 1258"),
        ({"channels": (1, 1, 1, 1)}, r"--channels must halve 8 pixels fewer times; got \(1, "),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()


def made_up(commit="0123abc"):
    """What a result file holds, of what the table reads."""
    return {
        "metrics": {
            "examples for 0.9, cnn": {"mean": 70.5, "values": [70.0, 71.0], "better": "lower"},
            "examples from which cnn beats linear": {
                "mean": None,
                "values": [None],
                "better": "lower",
            },
            "test accuracy": {"mean": 0.5, "values": [0.5], "better": "higher"},
        },
        "baselines": {"nearest neighbour": {"metric": "examples for 0.9", "mean": 50.0}},
        "seconds": {"train": 12.5},
        "environment": {"commit": commit},
    }


def write(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def test_what_a_network_does_not_know_is_read_from_both_its_experiments(tmp_path):
    bound = next(each for each in limits.LIMITS if "uncertain" in each.limitation)
    for file, metric in (
        ("uncertainty-made-up", "test NLL, boston, chosen"),
        ("unseen-made-up", "AUROC, clothes among mnist, ensemble"),
    ):
        content = made_up()
        content["metrics"] = {metric: next(iter(content["metrics"].values()))}
        write(tmp_path, f"frontiers/{file}.json", content)
    found = {row.file: row.metric for row in limits.read_bound(bound, tmp_path)}
    assert found["frontiers/uncertainty-made-up"] == "test NLL, boston, chosen"
    assert found["frontiers/unseen-made-up"] == "AUROC, clothes among mnist, ensemble"


def test_limits_are_read_from_files_and_missing_ones_said(tmp_path, capsys):
    write(tmp_path, "frontiers/hungry-made-up.json", made_up())
    write(tmp_path, "vision/classify-made-up.json", made_up("456def0"))
    config = limits.Config(out=tmp_path / "run", results=tmp_path)
    result = limits.main(config)
    found = result.metrics["data-hungry: examples for 0.9, cnn, frontiers/hungry-made-up"]
    assert found["values"] == [70, 71] and found["commit"] == "0123abc"
    seconds = "compute-hungry: seconds of training, vision/classify-made-up"
    assert result.metrics[seconds]["values"] == [12.5]
    assert result.metrics[seconds]["commit"] == "456def0"
    assert result.metrics["limitations with a number"]["mean"] == 2
    assert not result.targets["limitations with a number"]["met"]
    assert len(result.metrics) == 4 and len(result.baselines) == 1
    said = capsys.readouterr().out
    assert said.count("missing for ") == len(limits.LIMITS) - 2
    assert "missing for 'uninterpretable': frontiers/black_box*.json with rank correlation" in said
    row = "| data-hungry | examples for 0.9, cnn | 70.5 (2) | nearest neighbour 50 |"
    assert row in said and "beats linear | not finite (1) |" in said
    assert (tmp_path / "run" / "limits.md").read_text() in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (made_up("0123abc-dirty"), "is of commit 0123abc-dirty"),
        ("{", "is no result file: JSONDecodeError"),
        ({"environment": {"commit": "0123abc"}}, "is no result file: KeyError 'metrics'"),
        ([], "is no result file: TypeError"),
    ],
)
def test_a_file_that_is_no_clean_result_is_named(content, said, tmp_path):
    write(tmp_path, "frontiers/hungry.json", content)
    with pytest.raises(InputError, match=f"hungry.json {said}"):
        limits.main(limits.Config(out=tmp_path / "run", quiet=True, results=tmp_path))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match="none is no folder"):
        limits.main(limits.Config(out=tmp_path / "run", quiet=True, results=tmp_path / "none"))
