"""The API reference: a page a module of dljax, which mkdocstrings fills from its docstrings."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE = ("learner", "typing", "errors")
FLOORS = ("ops", "nets", "data", "envs", "learn", "host")


def first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_bytes())) or "").partition("\n")[0]


def modules(room: str) -> dict[str, str]:
    """The public modules of one floor, and the first line of each."""
    paths = sorted((ROOT / "dljax" / room).glob("[a-z]*.py"))
    return {path.stem: first_line(path) for path in paths}


def listed(room: str, folder: str) -> str:
    lines = [f"- [{name}]({folder}{name}.md): {line}" for name, line in modules(room).items()]
    return "\n".join([first_line(ROOT / "dljax" / room / "__init__.py"), "", *lines, ""])


def page(module: str) -> str:
    return f"# {module}\n\n::: {module}\n"


def pages() -> dict[str, str]:
    """Each page of the reference, by its address."""
    found = {f"api/{name}.md": page(f"dljax.{name}") for name in CORE}
    core = [f"- [{name}]({name}.md): {first_line(ROOT / f'dljax/{name}.py')}" for name in CORE]
    index = ["# API reference", "The contract, then a floor at a time, a page a module."]
    index += ["\n".join(core)]
    for room in FLOORS:
        index += [f"## {room}", listed(room, f"{room}/")]
        found[f"api/{room}/index.md"] = f"# dljax.{room}\n\n{listed(room, '')}"
        found |= {f"api/{room}/{name}.md": page(f"dljax.{room}.{name}") for name in modules(room)}
    return found | {"api/index.md": "\n\n".join(index)}


def nav() -> list:
    """The reference's part of the navigation."""
    rooms = [
        {room: [f"api/{room}/index.md", *({n: f"api/{room}/{n}.md"} for n in modules(room))]}
        for room in FLOORS
    ]
    return ["api/index.md", *({name: f"api/{name}.md"} for name in CORE), *rooms]
