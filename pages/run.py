"""Run the programs of a tutorial in order, as a notebook would, and keep what they show.

    python -m pages.run docs/tutorials/own-data.md FOLDER  # prints a list of what each showed

Blocks of Python share one namespace; blocks `bash` run in the same folder. Figures that are open
after a block are saved and closed.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.M | re.S)


class Shown(NamedTuple):
    """What one block printed, and the figures that it drew, as files."""

    printed: str
    figures: list[str]


def run(text: str, folder: Path, name: str) -> Iterator[Shown]:
    """Run the blocks of a Markdown text in the current folder; figures go into `folder`."""
    import matplotlib

    matplotlib.use("agg")
    space: dict[str, Any] = {"__name__": "__main__"}
    for number, (language, code) in enumerate(BLOCK.findall(text)):
        if language == "bash":
            yield Shown(shell(code), [])
        else:
            line = text[: text.index(code)].count("\n")
            with contextlib.redirect_stdout(io.StringIO()) as out:
                # lines of their own number, so that an error names it
                exec(compile("\n" * line + code, name, "exec"), space)
            yield Shown(out.getvalue(), drawn(folder, f"{Path(name).stem}-{number}"))


def shell(code: str) -> str:
    """What commands printed; raises CalledProcessError where one fails."""
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = os.pathsep.join([".", str(ROOT), os.environ.get("PYTHONPATH", "")])
    given = os.environ | {"PATH": paths, "PYTHONPATH": found, "COLUMNS": "88"}
    done = subprocess.run(
        ["bash", "-ec", code], env=given, text=True, stdout=subprocess.PIPE, check=True
    )
    return re.sub(r"\S*/bin/python\b", "python", done.stdout)


def drawn(folder: Path, stem: str) -> list[str]:
    """Save and close the open figures; their files' names."""
    from matplotlib import pyplot

    names = []
    for number in pyplot.get_fignums():
        names.append(f"{stem}-{number}.png")
        pyplot.figure(number).savefig(folder / names[-1], dpi=110, bbox_inches="tight")
    pyplot.close("all")
    return names


if __name__ == "__main__":
    source, to = map(Path, sys.argv[1:])
    sys.path.insert(0, "")
    print(json.dumps(list(run(source.read_text(), to, str(source)))))
