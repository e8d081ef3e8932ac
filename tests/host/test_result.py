"""Which commit a number is of, and numbers as JSON."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dljax.host.result import Result, as_json, commit, summary


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_only_changed_or_new_code_is_dirty(tmp_path):
    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True)

    assert commit(tmp_path) is None
    git("init")
    assert commit(tmp_path) is None, "nothing is committed yet"
    files = tmp_path / "dljax" / "code.py", tmp_path / "benchmarks" / "results" / "sweep.json"
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1")
    git("add", "-A")
    git("commit", "-m", "all")
    clean = commit(tmp_path)
    assert clean and not clean.endswith("-dirty")
    (tmp_path / "my.npz").write_text("1")
    files[1].write_text("2")
    assert commit(tmp_path) == clean
    new = tmp_path / "dljax" / "new.py"
    new.write_text("1")
    assert commit(tmp_path) == f"{clean}-dirty"
    new.unlink()
    files[0].write_text("2")
    assert commit(tmp_path) == f"{clean}-dirty"


def test_numbers_of_numpy_are_numbers():
    """Not text, as which a table would refuse them."""
    tree = {"a": np.float32(0.5), "b": [np.int64(3), np.bool_(True)], "c": Path("x")}
    assert json.loads(as_json(tree)) == {"a": 0.5, "b": [3, True], "c": "x"}
    bad = json.loads(as_json({"d": np.float32("nan"), "e": [np.float64("inf")]}))
    assert bad == {
        "d": None,
        "e": [None],
        "not finite": {"d": "nan", "e": str([np.float64("inf")])},
    }


def test_a_table_has_significant_digits_and_columns_that_no_name_breaks():
    long = "error, slippery, rate 1/(1 + (1-gamma) n), of two"
    found = Result("x", [], {}, [0, 1], environment={})
    values = {"error": [4e-7, 5e-7], long: [-12345.0, 3.0], "share": [1.0, 1.0], "none": [0, 0]}
    found.metrics = {name: summary(each, "lower") for name, each in values.items()}
    found.baselines = {f"plain, {long}": {"metric": "error", "mean": 0.25}}
    found.seconds = {"total": 1.0}
    head, *rows = found.table().splitlines()[:-1]
    end = head.index("mean") + 4
    cells = [(row[end - 10 : end].strip(), row[end : end + 11].strip()) for row in rows]
    assert cells[0] == ("4.500e-07", "7.071e-08")
    assert [mean for mean, _ in cells[1:]] == ["-6171", "1.000", "0.000", "0.2500"]


def test_a_table_of_many_rows_shows_those_with_a_target_and_says_how_many_it_does_not():
    found = Result("x", [], {}, [0], environment={}, seconds={"total": 1.0})
    found.metrics = {f"metric {i}": summary([i], "lower") for i in range(60)}
    found.baselines = {f"plain {i}": {"metric": f"metric {i}", "mean": 1} for i in range(30)}
    found.targets = {"metric 29": {"value": 30, "source": "ours", "met": True}}
    lines = found.table().splitlines()
    shown = [line.rpartition("  ")[0] and line.split("  ")[0] for line in lines]
    assert [f"metric {i}" for i in (*range(19), 29)] == [
        s for s in shown if s.startswith("metric")
    ][:20]
    assert [f"plain {i}" for i in (*range(19), 29)] == [s for s in shown if s.startswith("plain")]
    assert "50 more rows in result.json" in lines
    few = Result("x", [], {}, [0], environment={}, metrics={"a": summary([1], "lower")})
    assert "more rows" not in few.table()
