"""Run committed results again by the commands that made them, and say which numbers moved.

    python -m experiments.rerun --seeds 1               # the first of each: seeds do not meet
    python -m experiments.rerun generative/vae control  # those whose name begins so
    python -m experiments.rerun --under 300 --write     # what took less than that, put in place
    python -m experiments.rerun --keep runs/again       # and the runs kept, with their figures

A result is the same when its final state has the same bits. A number is compared seed by seed where
there is one a seed, else as a mean; of fewer seeds, what was chosen by all may differ. Figures are
not put in place: where numbers moved, take them from the run that --keep keeps.
"""

import argparse
import json
import math
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from dljax.host.experiment import fail
from dljax.host.page import again, number
from dljax.host.result import commit
from experiments.table import ROOT, read


def taken(result: dict[str, Any]) -> float:
    """The seconds of a result: of a resumed one, of its fits."""
    seconds = result["seconds"]
    return seconds.get("total", seconds.get("compile", 0.0) + seconds.get("train", 0.0))


def moved(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """What the second result says otherwise than the first, a line each."""
    gone = before["metrics"].keys() - after["metrics"].keys()
    yield from (f"{name}: gone" for name in sorted(gone))
    for name, now in after["metrics"].items():
        if name not in before["metrics"]:
            yield f"{name}: new, {number(now['mean'])}"
            continue
        old = before["metrics"][name]
        then, found = old["mean"], now["mean"]
        if len(old["values"]) == len(before["seeds"]) > len(after["seeds"]) == len(now["values"]):
            then, found = old["values"][0], now["values"][0]
        if not same(then, found):
            yield f"{name}: {number(found)}, was {number(then)} (sd {number(old['sd'])})"


def same(a: float | None, b: float | None) -> bool:
    """Equal but for rounding; what is not finite is written as None."""
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-9)


def run(result: dict[str, Any], out: Path, seeds: int | None) -> str:
    """Run it again in `out`, and return what it printed where it failed."""
    words = [*shlex.split(again(result))[1:], "--out", str(out), "--quiet"]
    if seeds:
        words += ["--seeds", str(min(seeds, len(result["seeds"])))]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    return "" if done.returncode == 0 else (done.stderr.strip() or "no word").splitlines()[-1]


def positive(word: str) -> int:
    if (number := int(word)) < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.rerun", description=__doc__)
    parser.add_argument("names", nargs="*", default=[""], help="how results begin: vision/parts")
    parser.add_argument("--seeds", type=positive, help="only so many seeds of each")
    parser.add_argument("--under", type=float, default=math.inf, help="only what took less, in s")
    parser.add_argument("--write", action="store_true", help="put the new results in place")
    parser.add_argument("--keep", type=Path, help="the folder in which the runs stay")
    asked = parser.parse_args()
    if asked.write and asked.seeds:
        fail("error: --write puts whole results in place; give it without --seeds", 2)
    if asked.write and "-dirty" in str(commit(ROOT)):
        fail("error: --write needs a clean commit, which the results would be of", 2)
    paths = {p: read(p) for p in sorted((ROOT / "results").glob("*/*.json"))}
    names = {p: p.relative_to(ROOT / "results").with_suffix("").as_posix() for p in paths}
    chosen = [p for p in paths if names[p].startswith(tuple(asked.names))]
    chosen = [p for p in chosen if taken(paths[p]) < asked.under]
    if not chosen:
        fail(f"error: no result begins with {' or '.join(asked.names)} and took so little", 2)
    failed = 0
    for path in sorted(chosen, key=lambda p: taken(paths[p])):
        begun = time.monotonic()
        with nullcontext(asked.keep) if asked.keep else tempfile.TemporaryDirectory() as folder:
            out = Path(folder).expanduser().resolve() / names[path]
            wrong = run(paths[path], out, asked.seeds)
            after = {} if wrong else json.loads((out / "result.json").read_text())
            if after and asked.write:
                path.write_text((out / "result.json").read_text())
        failed += bool(wrong)
        told = [f"failed: {wrong}"] if wrong else [*moved(paths[path], after)]
        if after and after["fingerprint"] == paths[path]["fingerprint"]:
            told = ["same to the bit", *told]
        print(
            f"{names[path]}, {time.monotonic() - begun:.0f} s: {'; '.join(told) or 'same'}",
            flush=True,
        )
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
