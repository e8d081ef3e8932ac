"""`python -m experiments` lists the experiments, with one line each."""

import ast
import sys
from pathlib import Path

from dljax.errors import unknown
from dljax.host.experiment import fail

HERE = Path(__file__).parent


def listed() -> dict[str, str]:
    """Each file with a `main`, as a module, and the first line of its docstring."""
    found = {}
    for path in sorted(HERE.glob("*/*.py")):
        tree = ast.parse(path.read_text())
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            name = f"experiments.{path.parent.name}.{path.stem}"
            found[name] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def main(argv: list[str]) -> None:
    found = listed()
    if argv:
        error = unknown(
            "experiment", argv[0], [name.removeprefix("experiments.") for name in found]
        )
        fail(f"error: {error}; run one as python -m experiments.CHAPTER.NAME", 2)
    width = max(map(len, found))
    for name, line in found.items():
        print(f"{name:{width}}  {line}")


if __name__ == "__main__":
    main(sys.argv[1:])
