"""The notes' list of limitations as a table, each bound to an experiment and its numbers.

System S55 of the syllabus: uninterpretable, data-hungry, fooled by adversarial examples, biased,
unaware of its uncertainty, compute-hungry; and of the same chapter S51 and S52. Nothing is trained:
the numbers are read from committed result files, each with the commit that it is of. Where there
is no file yet, a line says so. The table is printed, and kept as `limits.md`.

    python -m experiments.frontiers.limits  # 1 s on 2 cores
"""

import fnmatch
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.config import Common, Count
from dljax.host.experiment import Study
from dljax.host.result import Result, write_whole
from experiments.table import ROOT, faces, number, read, short

NAME = "frontiers.limits"
SECONDS = "seconds of training"


class Bound(NamedTuple):
    """A limitation, the files it is bound to, and the names of their metrics, as patterns."""

    limitation: str
    files: str
    metrics: tuple[str, ...]


LIMITS = (
    Bound(
        "uninterpretable",
        "frontiers/black_box*.json",
        (
            "rank correlation, *, two seeds alike",
            "rank correlation, *, all layers random",
            "area of deletion, *",
        ),
    ),
    Bound("data-hungry", "frontiers/hungry*.json", ("examples for *", "examples from which *")),
    Bound(
        "fooled by adversarial examples",
        "frontiers/adversarial*.json",
        ("PGD accuracy, *", "clean accuracy, *"),
    ),
    Bound("biased", "generative/debias*.json", ("worst-group accuracy", "gain over *")),
    Bound(
        "does not know when it is uncertain",
        "frontiers/un[cs]e*.json",
        ("AUROC*", "test NLL, *, chosen", "test coverage, *, chosen"),
    ),
    Bound("compute-hungry", "vision/classify-*.json", (SECONDS, "test accuracy")),
    Bound(
        "fits noise (S51)",
        "foundations/random_labels*.json",
        ("train accuracy random labels", "test accuracy random labels"),
    ),
    Bound(
        "fits any share of noise (S51)",
        "foundations/label_noise*.json",
        ("train accuracy, share *", "test accuracy, share *"),
    ),
    Bound(
        "fails outside the data (S52)",
        "frontiers/outside*.json",
        ("growth of error, *", "AUROC, *", "sure, *"),
    ),
    Bound("garbage in, garbage out (S52)", "frontiers/garbage*.json", ("painted tint, share *",)),
)


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Read the numbers of every limitation."""

    seeds: Count = 1
    """Of no use here: nothing is drawn, and each number has the seeds of its own file."""
    results: Path = ROOT / "results"
    """The folder of the committed result files."""
    most: Count = 12
    """Rows of one file in the table, the first; all its numbers are in the result."""


PRESETS = {"quick": Config()}


class Row(NamedTuple):
    """A number that was read: the metric as it stands in the file, and what stands beside it."""

    limitation: str
    metric: str
    found: dict[str, Any]
    beside: dict[str, float]
    file: str
    commit: str


def main(config: Config) -> Result:
    with Study(NAME, ["S55"], config, files=[each.files for each in LIMITS]) as run:
        if not config.results.is_dir():
            raise InputError(f"--results: {config.results} is no folder")
        rows = [row for bound in LIMITS for row in read_bound(bound, config.results)]
        missing = [each for each in LIMITS if all(r.limitation != each.limitation for r in rows)]
        for row in rows:
            if None in row.found["values"]:
                continue  # null: what was not finite, as where one method never beats another
            name = f"{row.limitation}: {row.metric}, {row.file}"
            found, file, commit = row.found, row.file, row.commit
            run.metric(name, found["values"], found["better"], file=file, commit=commit)
            for baseline, mean in row.beside.items():
                baseline = f"{baseline}, {row.metric}, {file}"
                run.baseline(baseline, name, mean, file=file, commit=commit)
        said = f"the issue's: every one of {len(LIMITS)}"
        count = len(LIMITS) - len(missing)
        run.metric(metric := "limitations with a number", [count])
        run.target(metric, len(LIMITS), said, not missing)
        text = table(rows, missing, config.most)
        write_whole(run.out / "limits.md", text + "\n")
    if not config.quiet:
        print(text)
    return run.result


def read_bound(bound: Bound, results: Path) -> Iterator[Row]:
    """The numbers of a limitation. Raises InputError for a file that is no clean result."""
    for path in sorted(results.glob(bound.files)):
        try:
            result = read(path)
            numbers = dict(result["metrics"])
            train = result["seconds"].get("train")
            if train is not None:
                numbers[SECONDS] = {"mean": train, "values": [train], "better": "lower"}
            file = str(path.relative_to(results).with_suffix(""))
            for pattern in bound.metrics:
                for metric in fnmatch.filter(numbers, pattern):
                    beside, commit = plain(result, metric), result["environment"]["commit"]
                    yield Row(bound.limitation, metric, numbers[metric], beside, file, commit)
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is no result file: {type(error).__name__} {error}") from None


def plain(result: dict[str, Any], metric: str) -> dict[str, float]:
    """The finite baselines that face a metric, by name."""
    return {
        short(name, metric): each["mean"]
        for name, each in result["baselines"].items()
        if each["mean"] is not None and faces(name, each["metric"], metric)
    }


def table(rows: list[Row], missing: list[Bound], most: int) -> str:
    """The rows as Markdown, at most so many of one file, and a line for what is missing."""
    lines = ["| limitation | what is measured | mean | beside | file | commit |", "|" + "---|" * 6]
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        key = row.limitation, row.file
        counts[key] = counts.get(key, 0) + 1
        if counts[key] > most:
            continue
        mean = f"{number(row.found['mean'])} ({len(row.found['values'])})"
        beside = ", ".join(f"{name} {number(value)}" for name, value in row.beside.items())
        cells = (row.limitation, row.metric, mean, beside, row.file, row.commit)
        lines.append("| " + " | ".join(each.replace("|", "\\|") for each in cells) + " |")
    for each in missing:
        metrics = " or ".join(each.metrics)
        lines.append(f"missing for {each.limitation!r}: {each.files} with {metrics}")
    return "\n".join(lines)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
