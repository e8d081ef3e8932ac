"""`python -m experiments` lists the experiments, with one line each."""

import difflib
import sys
from pathlib import Path

from dljax.host.experiment import fail, programs
from dljax.host.screen import unfailing

HERE = Path(__file__).parent


def listed() -> dict[str, str]:
    """Each experiment, as a module, and its line."""
    return {f"experiments.{name}": line for name, line in programs(HERE, "*/*.py").items()}


@unfailing()
def main(argv: list[str]) -> None:
    found = listed()
    if argv and argv[0] not in ("-h", "--help"):
        fail(f"error: {advice(argv[0], list(found))}", 2)
    width = max(map(len, found))
    for name, line in found.items():
        print(f"{name:{width}}  {line}")


def advice(word: str, known: list[str]) -> str:
    """What is said of a word after `python -m experiments`, whichever part of a name it is."""
    chapter = [name for name in known if name.endswith(f".{word.removeprefix('experiments.')}")]
    if chapter:
        return f"run it as python -m {' or '.join(chapter)}"
    lasts = {name.rpartition(".")[2] for name in known}
    near = difflib.get_close_matches(word.rpartition(".")[2], lasts, n=2, cutoff=0.75)
    alike = [name for name in known if name.rpartition(".")[2] in near]
    hint = f"did you mean {' or '.join(alike)}?" if alike else "python -m experiments lists all"
    return f"unknown experiment {word!r}; {hint}"


if __name__ == "__main__":
    main(sys.argv[1:])
