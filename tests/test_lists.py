"""What the repository says of itself: the list of experiments, the tables, the results."""

import ast
import json
import re
from pathlib import Path

import pytest

from dljax.errors import InputError
from experiments import table
from experiments.__main__ import advice, listed
from experiments.table import written

ROOT = Path(__file__).parents[1]


def test_every_experiment_is_listed_with_a_line(python):
    found = listed()
    assert "experiments.vision.classify" in found
    assert all(line.endswith(".") and len(line) < 100 for line in found.values())
    done = python("-m", "experiments")
    assert done.stdout.count("\n") == len(found)
    assert python("-m", "experiments", "--help").stdout == done.stdout
    done = python("-m", "experiments", "vision.clasify")
    assert done.returncode == 2
    said = "unknown experiment 'vision.clasify'; did you mean experiments.vision.classify?"
    assert done.stderr == f"error: {said}\n"
    for word in ("classify", "vision.classify", "experiments.vision.classify"):
        assert advice(word, list(found)) == "run it as python -m experiments.vision.classify"
    assert advice("nothing", list(found)).endswith("; python -m experiments lists all")


@pytest.mark.parametrize("name", listed())
def test_every_experiment_says_how_long_it_takes(name):
    doc = ast.get_docstring(ast.parse((ROOT / f"{name.replace('.', '/')}.py").read_text()))
    assert doc and re.search(r"(\d (s|min|h)|minutes?|hours?|or two)\b[^.#]*\son\s2\scores", doc)


@pytest.mark.parametrize("name", table.WRITTEN)
def test_the_tables_show_the_committed_results(name):
    text = (ROOT / name).read_text()
    assert "<!-- end of" in text
    assert written(text) == text, "run `make table`"


@pytest.mark.parametrize("folder", ["results/vision", "benchmarks/results"])
@pytest.mark.parametrize("commit", ["d9c9834-dirty", None])
def test_a_result_of_no_clean_commit_is_refused(tmp_path, monkeypatch, folder, commit):
    (tmp_path / folder).mkdir(parents=True)
    result = tmp_path / folder / "classify.json"
    result.write_text(json.dumps({"environment": {"commit": commit}}))
    monkeypatch.setattr(table, "ROOT", tmp_path)
    with pytest.raises(InputError, match=rf"^{result} is of commit {commit}; run it again .*$"):
        table.chapter("vision") if folder == "results/vision" else table.benchmarks()


def refuse(name: str):
    raise ValueError(f"{name} is not JSON")


def test_results_have_the_shape_that_the_design_gives():
    paths = list((ROOT / "results").glob("*/*.json"))
    assert paths
    for path in (ROOT / "benchmarks/results").glob("*.json"):
        assert json.loads(path.read_text(), parse_constant=refuse)["rows"], path
    for path in paths:
        result = json.loads(path.read_text(), parse_constant=refuse)
        assert len(result["fingerprint"]) == 64, path
        for metric in result["metrics"].values():
            assert metric["better"] in ("higher", "lower"), path


def test_figures_are_small():
    large = {p.name: p.stat().st_size for p in (ROOT / "results").rglob("*.png")}
    assert {name: size for name, size in large.items() if size > 200_000} == {}
