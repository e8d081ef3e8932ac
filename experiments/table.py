"""Write the README's tables from the committed results: `python -m experiments.table`."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from dljax.errors import InputError
from dljax.host.page import number

ROOT = Path(__file__).parents[1]


def experiments() -> str:
    lines = [
        "| experiment | systems | metric | mean ± sd (seeds) | baseline | target |",
        "|---|---|---|---|---|---|",
    ]
    for path in sorted((ROOT / "results").glob("*/*.json")):
        lines += rows(read(path), path)
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
        name = f"[{path.parent.name}/{path.stem}]({path.relative_to(ROOT)})"
        many = f"{found['members']} as one" if "members" in found else len(found["values"])
        spread = f"{number(found['mean'])} ± {number(found['sd'])} ({many})"
        cells = (name, " ".join(result["systems"]), metric, spread, ", ".join(beside[metric]))
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


def benchmarks() -> str:
    lines = [
        "| work | dljax, ms | devices | fastest peer | times as fast | share of the peak "
        "| peak, GFLOP/s | cores |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        found = read(path)
        for row in found["rows"]:
            ours, peers = row["ours"], row["peers"]
            best = min(peers, key=lambda name: peers[name]["median_ms"], default=None)
            peer = f"{best} {number(peers[best]['median_ms'])}" if best else ""
            share = f"{100 * row['peak_share']:.0f} %" if "peak_share" in row else ""
            cells = [row["work"], number(ours["median_ms"])]
            cells += [str(next(iter(row.get("devices", {"ours": 1}).values())))]
            cells += [peer, f"{row.get('ratio', '')}", share]
            cells += [number(found["matmul_peak_gflops"]), str(found["environment"]["cpus"])]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def written(text: str) -> str:
    """`text` with what stands between each pair of table marks made anew."""
    for name, table in (("experiments", experiments()), ("benchmarks", benchmarks())):
        marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
        block = f"{marks[0]}\n{table}\n{marks[1]}"
        text = re.sub(f"{marks[0]}.*?{marks[1]}", lambda _, block=block: block, text, flags=re.S)
    return text


if __name__ == "__main__":
    readme = ROOT / "README.md"
    try:
        readme.write_text(written(readme.read_text()))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"{readme} has the tables of results/ and benchmarks/results/")
