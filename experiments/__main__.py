"""`python -m experiments` lists the experiments, with one line each."""

import sys
from pathlib import Path

from dljax.errors import unknown
from dljax.host.experiment import fail, programs

HERE = Path(__file__).parent


def listed() -> dict[str, str]:
    """Each experiment, as a module, and its line."""
    return {f"experiments.{name}": line for name, line in programs(HERE, "*/*.py").items()}


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
