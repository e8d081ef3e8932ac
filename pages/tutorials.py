"""Tutorials as pages with what their programs show, and as notebooks to download."""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pages.run import BLOCK, ROOT, Shown

TUTORIALS = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/tutorials/*.md")]
SOURCES = ["README.md", *sorted(TUTORIALS)]


def shown(source: str, to: Path) -> list[Shown]:
    """Run a file's programs in a process of its own, in an empty folder; figures go into `to`."""
    with tempfile.TemporaryDirectory() as folder:
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-W", "error", "-m", "pages.run", str(ROOT / source), str(to)]
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"{source}: a program failed, see above")
    return [Shown(*each) for each in json.loads(done.stdout.splitlines()[-1])]


def all_shown(to: Path) -> dict[str, list[Shown]]:
    """What each file with programs shows, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(SOURCES, pool.map(lambda source: shown(source, to), SOURCES), strict=True))


def page(text: str, outputs: list[Shown]) -> str:
    """The text with what each of its programs shows behind it."""
    left = iter(outputs)

    def behind(found) -> str:
        printed, figures = next(left)
        parts = [found[0]]
        if printed.strip():
            parts.append(f"```{{.text .printed}}\n{printed.rstrip()}\n```")
        parts += [f"![What the program above draws]({name})" for name in figures]
        return "\n\n".join(parts)

    return BLOCK.sub(behind, text)


def notebook(text: str) -> str:
    import jupytext

    return jupytext.writes(jupytext.reads(text, "md"), "ipynb")
