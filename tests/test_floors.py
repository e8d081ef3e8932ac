"""The house: imports point downwards, `import dljax` starts no backend, and the loop is light."""

import ast
import collections
import graphlib
import importlib
import pkgutil
import re
from pathlib import Path

import mutants
import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {
    "errors": 0,
    "typing": 0,
    "ops": 1,
    "nets": 2,
    "data": 2,
    "envs": 2,
    "learner": 3,
    "learn": 4,
    "host": 5,
    "__main__": 6,
}


def imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def test_imports_point_downwards_only():
    wrong, seen = [], 0
    for path in sorted((ROOT / "dljax").rglob("*.py")):
        room = path.relative_to(ROOT / "dljax").parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for name in imports(path):
            parts = name.split(".")
            assert parts[0] not in ("experiments", "benchmarks", "tests"), path
            if parts[0] != "dljax" or len(parts) < 2 or parts[1] == room:
                continue
            seen += 1
            if FLOORS.get(parts[1], 9) >= FLOORS[room]:
                wrong.append(f"{path.name} imports {name}")
    assert not wrong
    assert seen > 20


def test_no_two_files_need_each_other():
    """Imports inside functions count too: a circle hidden in one is a circle."""
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for folder in ("dljax", "experiments", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    }

    def module(name: str) -> str:
        return name if name in files else name.rpartition(".")[0]

    needs = {name: {module(each) for each in imports(path)} for name, path in files.items()}
    graphlib.TopologicalSorter(needs).prepare()  # raises CycleError, which names the circle


def test_experiments_hold_only_what_is_particular_to_them():
    lengths = {
        path.stem: len(path.read_text().splitlines())
        for path in (ROOT / "experiments").glob("*/[!_]*.py")
        if "def main(" in path.read_text()
    }
    assert len(lengths) > 20
    assert {name: lines for name, lines in lengths.items() if lines > 200} == {}


def test_files_are_short():
    long = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for folder in ("dljax", "experiments", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name: lines for name, lines in long.items() if lines > 400} == {}


def test_importing_starts_no_backend(python):
    done = python(
        "-c",
        "import dljax, dljax.learn.classify, dljax.nets, dljax.data, dljax.host.fit\n"
        "from jax._src import xla_bridge\n"
        "print(xla_bridge.backends_are_initialized())",
    )
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize("floor", sorted(FLOORS.keys() - {"errors", "typing", "nets", "__main__"}))
def test_annotations_are_checked_on_every_floor_but_that_of_flax(floor):
    room = importlib.import_module(f"dljax.{floor}")
    inside = [each.name for each in pkgutil.iter_modules(getattr(room, "__path__", []))]
    for name in [room.__name__, *(f"{room.__name__}.{each}" for each in inside)]:
        loader = importlib.import_module(name).__loader__
        assert type(loader).__module__.startswith("jaxtyping"), name


def test_every_module_that_a_mutant_may_be_of_has_tests_to_kill_it():
    files = (path for floor in mutants.FLOORS for path in (ROOT / "dljax" / floor).glob("*.py"))
    told = [mutants.tests_of(path.relative_to(ROOT).as_posix()) for path in files
            if path.stem not in ("__init__", "figures")]  # fmt: skip
    assert len(told) > 90 and all((ROOT / test).is_file() for tests in told for test in tests)


FOR_IMPORT = {  # what the course or a user needs, and nothing here uses yet
    "read_subwords": "the file that sequences.translate leaves",
    "read_vocabulary": "the file that sequences.language and sentiment leave",
    "random_mdp": "any number of problems whose answers are known",
    "pmap_step": "one of three ways to share a step over devices, for comparison",
    "Classify": "the trunk's head for a label of the whole picture",
    "giou": "a loss and score of boxes that do not meet",
    "brier": "a proper score beside the likelihood",
}


def test_nothing_is_dead_outside_of_the_tests():
    words, defined = collections.Counter(), []
    for folder in ("dljax", "experiments", "benchmarks", "docs", "pages"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".md", ".html"):
                words.update(re.findall(r"\w+", path.read_text()))
    words.update(re.findall(r"\w+", (ROOT / "README.md").read_text()))
    for path in (ROOT / "dljax").rglob("*.py"):
        kinds = ast.FunctionDef | ast.ClassDef
        defined += [n.name for n in ast.parse(path.read_text()).body if isinstance(n, kinds)]
    assert len(defined) > 800
    assert {name for name in defined if words[name] == 1} == FOR_IMPORT.keys()
