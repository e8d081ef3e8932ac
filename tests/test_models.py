"""Every experiment calls `run.model`, or says why it leaves none."""

import ast
from functools import cache
from pathlib import Path

import pytest

from experiments.__main__ import listed

ROOT = Path(__file__).parents[1]
NONE = {  # experiments that leave no model, and why
    "control.ablation": "trains what dqn leaves, with parts of it taken away, to compare",
    "control.delay": "compares learners by the delay at which each fails, in a world made for it",
    "control.discount": "tables of a gridworld, which its figures show whole",
    "control.mdp": "exact solutions of worlds, which its figures show whole",
    "control.stochastic": "policies of a few states, whose chances its figure shows whole",
    "foundations.backprop": "two worked networks of the notes, by hand and in float64",
    "foundations.descent": "compares ways to descend on given surfaces; nothing learns from data",
    "foundations.label_noise": "learns labels that are wrong on purpose, to compare",
    "foundations.landscape": "compares surfaces of losses around networks that vision.classify has",
    "foundations.optimizers": "compares optimisers by the curves of networks stopped early",
    "foundations.random_labels": "learns labels drawn by chance: what it tells is of no use",
    "foundations.regularize": "learns from 200 examples, labels wrong on purpose, to compare",
    "foundations.universal_approximation": "learns formulas that are known, to compare widths",
    "frontiers.automl": "searches; each network is trained for its score, and dropped",
    "frontiers.cubic": "learns a formula that is known, to compare what is told of the unknown",
    "frontiers.limits": "trains nothing: reads results",
    "frontiers.molecules": "not yet: a molecule is a graph of any size, and inputs are arrays",
    "frontiers.uncertainty": "each member learns another part of a table, scaled by that part",
    "generative.debias": "each member learns with another class made rare, to compare",
    "generative.divergences": "fits two numbers to a density, which its figure shows whole",
    "generative.features": "ranks features for plain classifiers of scikit-learn's",
    "generative.outliers": "each member holds another class for strange, to compare",
    "vision.receptive": "reads the middle of images alone, to compare depths",
}


@cache
def functions(path: Path) -> tuple[dict[str, ast.AST], tuple[Path, ...]]:
    """The functions and methods of a file by name, and the files of experiments that it imports."""
    tree, found, imported = ast.parse(path.read_bytes()), {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        module = (isinstance(node, ast.ImportFrom) and node.module) or ""
        if isinstance(node, ast.ImportFrom) and module.startswith("experiments"):
            folder = ROOT / module.replace(".", "/")
            named = [
                folder.with_suffix(".py"),
                *(folder / f"{each.name}.py" for each in node.names),
            ]
            imported += [each for each in named if each.is_file()]
    return found, tuple(imported)


def leaves_a_model(name: str) -> bool:
    """Whether `run.model` stands in a function that `main` leads to, by the names it calls."""
    files = [ROOT / f"{name.replace('.', '/')}.py"]
    for path in files:
        files += [each for each in functions(path)[1] if each not in files]
    known = {}
    for path in reversed(files):  # of equal names the experiment's own counts
        known |= functions(path)[0]
    reached = ["main"]
    for each in reached:
        for node in ast.walk(known[each]):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "run.model":
                return True
            word = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
            reached += [word] if word in known and word not in reached else []
    return False


@pytest.mark.parametrize("name", listed())
def test_an_experiment_leaves_a_model_or_says_why_not(name):
    why = NONE.get(name.removeprefix("experiments."))
    if leaves_a_model(name):
        assert why is None, "which it does"
    else:
        assert why, "it trains, and leaves nothing to use: call run.model, or say why not in NONE"


def test_no_reason_is_given_for_what_is_no_experiment():
    assert {f"experiments.{name}" for name in NONE} <= set(listed())
