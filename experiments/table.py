"""Write what is said of the committed results: `python -m experiments.table`.

`results/README.md` has a chapter each with its experiments, commands, tables and figures; README.md
the best of each, and what is fast; docs/performance.md every benchmark.
"""

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

from dljax.errors import InputError
from dljax.host.page import again, number

ROOT = Path(__file__).parents[1]
WRITTEN = ("README.md", "results/README.md", "docs/performance.md")
CHAPTERS = ("foundations", "sequences", "vision", "generative", "control", "frontiers")
BEST = (  # of README.md, one a chapter
    ("foundations/random_labels-fashion_mnist", "train accuracy random labels"),
    ("sequences/language", "test nats per character"),
    ("vision/classify-mnist", "test accuracy"),
    ("generative/vae-mnist", "test negative log p(x)"),
    ("control/selfplay-connect-four", "optimal moves"),
    ("frontiers/citations-cora", "test accuracy"),
)
FAST = (  # of README.md: what is faster, and then what is not
    "LSTM writes 1000 characters, batch 1",
    "PPO, until the mean of 4 reaches 400",
    "PPO, 16 seeds, 10000 steps each",
    "300 trainings of 400 steps",
    "graph convolution, a step on 2708 nodes",
    "MNIST epoch of 468 steps",
    "MNIST CNN step",
    "LSTM step",
    "PGD of 40 steps on 1000 images",
    "detector step, 8 pictures of 320 x 240",
    "U-Net step, 16-32-64",
)
HEAD = "| result | metric | mean ± sd (seeds) | baseline | target |\n|---|---|---|---|---|"


def experiments() -> str:
    """A part of results/README.md for each chapter."""
    return "\n\n".join(map(chapter, CHAPTERS))


def chapter(name: str) -> str:
    """Heading, what it is about, and each of its experiments."""
    paths = sorted((ROOT / "results" / name).glob("*.json"))
    found: dict[str, dict[Path, dict[str, Any]]] = {}
    for path in paths:
        result = read(path)
        found.setdefault(result["experiment"], {})[path] = result
    title, _, about = said(f"experiments/{name}/__init__.py").partition(": ")
    parts = [experiment(name, results) for name, results in sorted(found.items())]
    return "\n\n".join([f"## {title}", about[0].upper() + about[1:], *parts])


def experiment(name: str, results: dict[Path, dict[str, Any]]) -> str:
    """What one experiment is, the commands that make its results again, these, and figures."""
    line = said(f"experiments/{name.replace('.', '/')}.py")
    systems = dict.fromkeys(row for result in results.values() for row in result["systems"])
    commands = [f"# {took(path, result)}\n{command(result)}" for path, result in results.items()]
    table = [HEAD, *(row for path, result in results.items() for row in rows(result, path))]
    return "\n\n".join(
        [
            f"### {name}",
            f"{line} ({', '.join(systems)})",
            "\n".join(["```sh", *commands, "```"]),
            "\n".join(table),
            *pictures(name),
        ]
    )


def said(path: str) -> str:
    """The first line of a file's docstring."""
    return (ast.get_docstring(ast.parse((ROOT / path).read_text())) or "").partition("\n")[0]


def command(result: dict[str, Any]) -> str:
    """The command that makes a result again; of a path on its machine, the last part."""
    return re.sub(r"(?<= )/\S*/", "", again(result))


def took(path: Path, result: dict[str, Any]) -> str:
    """The result's name, and how long it took unless it was put together of several sittings."""
    seconds = result["seconds"].get("total", 0)
    time = f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
    return f"{path.stem}, {time}" if seconds >= 1 else path.stem


def pictures(name: str) -> list[str]:
    """The committed figures of an experiment: `NAME.png` and `NAME-*.png`."""
    room, _, stem = name.partition(".")
    paths = sorted((ROOT / "results" / room).iterdir())
    mine = [p for p in paths if p.suffix in (".png", ".gif") and p.stem.split("-")[0] == stem]
    return [f"![{path.stem}]({room}/{path.name})" for path in mine]


def best() -> str:
    """The rows `BEST`, for README.md."""
    lines = [HEAD.replace("result", "chapter", 1)]
    for name, metric in BEST:
        path = ROOT / "results" / f"{name}.json"
        found = [row.split(" | ") for row in rows(read(path), path)]
        cells = next(cells for cells in found if cells[1] == metric)
        room = said(f"experiments/{path.parent.name}/__init__.py").partition(":")[0]
        link = f"[{room}](results/README.md#{room.lower().replace(' ', '-')})"
        lines.append(" | ".join([f"| {link}", f"{path.stem}: {metric}", *cells[2:]]))
    return "\n".join(lines)


def read(path: Path) -> dict[str, Any]:
    """A result; raises InputError unless it is of a commit, which a person can go back to."""
    found = json.loads(path.read_text())
    commit = found["environment"]["commit"]
    if not re.fullmatch("[0-9a-f]{7,40}", str(commit)):
        raise InputError(f"{path} is of commit {commit}; run it again from a clean one")
    return found


MOST = 5  # rows of one result; the file itself holds all


def rows(result: dict[str, Any], path: Path) -> list[str]:
    """A row for each metric with a target, then for those with a baseline; else for the first."""
    beside = {
        metric: [
            f"{short(name, metric)} {number(baseline['mean'])}"
            for name, baseline in result["baselines"].items()
            if faces(name, baseline["metric"], metric)
        ]
        for metric in result["metrics"]
    }
    aimed = [metric for metric in result["metrics"] if metric in result["targets"]]
    faced = [metric for metric in result["metrics"] if beside[metric] and metric not in aimed]
    named = (aimed + faced)[:MOST]
    lines = []
    for metric in named or list(result["metrics"])[:1]:
        found = result["metrics"][metric]
        goal = result["targets"].get(metric)
        met = "met" if goal and goal["met"] else reached(found, goal)
        verdict = f"{number(goal['value'])} {met}" if goal else ""
        name = f"[{path.stem}]({path.relative_to(ROOT / 'results')})"
        many = f"{found['members']} as one" if "members" in found else len(found["values"])
        spread = f"{number(found['mean'])} ± {number(found['sd'])} ({many})"
        cells = (name, metric, spread, ", ".join(beside[metric]))
        escaped = " | ".join(cell.replace("|", "\\|") for cell in cells)
        lines.append(f"| {escaped} | {verdict} |")
    return lines


def reached(metric: dict[str, Any], goal: dict[str, Any] | None) -> str:
    """What is said of a goal that is not met: few seeds may have reached it."""
    sign = 1 if metric["better"] == "higher" else -1
    few = goal and len(metric["values"]) < 5 and sign * metric["mean"] >= sign * goal["value"]
    return f"reached by {len(metric['values'])}" if few else "missed"


def faces(name: str, of: str, metric: str) -> bool:
    """Whether the baseline `name`, of the metric `of`, stands beside `metric`.

    `test accuracy` is for every `test accuracy VARIANT`, unless the baseline is `NAME, VARIANT`.
    """
    variant = name.partition(", ")[2]
    return of == metric or (of in metric and variant in metric)


def short(name: str, metric: str) -> str:
    """A baseline's name without what the metric's own says again."""
    first, _, variant = name.partition(", ")
    # a number of the name and the baseline's own, side by side, would read as one
    return first if variant and variant in metric and not first[-1].isdigit() else name


def benchmarks(chosen: tuple[str, ...] = ()) -> str:
    """Every row of benchmarks/results, or only those `chosen`, in their order and short."""
    paths = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
    files = [read(path) for path in paths]
    every = {row["work"]: cells(row, found) for found in files for row in found["rows"]}
    head = ["work", "dljax, ms", "fastest peer, ms", "times as fast"]
    head += ["devices", "share of the peak", "peak, GFLOP/s", "cores"]
    wide = 4 if chosen else len(head)
    lines = [head, ["---"] * wide, *(every[work] for work in chosen or every)]
    return "\n".join(f"| {' | '.join(line[:wide])} |" for line in lines)


def cells(row: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """One row of a benchmark's file `found`."""
    peers = row["peers"]
    first = min(peers, key=lambda name: peers[name]["median_ms"], default=None)
    return [
        row["work"],
        number(row["ours"]["median_ms"]),
        f"{first} {number(peers[first]['median_ms'])}" if first else "",
        f"{row.get('ratio', '')}",
        str(next(iter(row.get("devices", {"ours": 1}).values()))),
        f"{100 * row['peak_share']:.0f} %" if "peak_share" in row else "",
        number(found["matmul_peak_gflops"]),
        str(found["environment"]["cpus"]),
    ]


MARKED = {
    "experiments": experiments,
    "best": best,
    "benchmarks": benchmarks,
    "fast": lambda: benchmarks(FAST),
}


def written(text: str) -> str:
    """`text` with what stands between each pair of table marks made anew."""
    for name, table in MARKED.items():
        marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if marks[0] in text:
            block = f"{marks[0]}\n\n{table()}\n\n{marks[1]}"
            between = re.compile(f"{marks[0]}.*?{marks[1]}", re.S)
            text = between.sub(lambda _, block=block: block, text)
    return text


if __name__ == "__main__":
    try:
        for name in WRITTEN:
            path = ROOT / name
            path.write_text(written(path.read_text()))
            print(f"{path} has the tables of results/ and benchmarks/results/")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
