"""One HTML file of finished runs, side by side: it opens from disk, with no network."""

import base64
import dataclasses
import html
import importlib
import json
import shlex
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from dljax.errors import InputError
from dljax.host.config import words
from dljax.host.figures import COLORS
from dljax.host.folder import RECORD
from dljax.host.result import Result, as_json, write_whole

POINTS = 400  # of a curve, beyond which some are left out
KINDS = {".png": "image/png", ".gif": "image/gif"}
LARGEST = 2**24  # bytes of a figure that is shown


class Finished:
    """A run's folder: its result, its curves and its figures, as they were written."""

    def __init__(self, folder: Path):
        """Raises InputError where there is no finished run, or its files are damaged."""
        self.folder = folder
        self.result = read(folder / "result.json")
        parts = sorted(folder.glob("**/metrics.jsonl"))
        self.curves = {k: v for path in parts for k, v in curves(path, folder).items()}
        self.figures = [
            path
            for path in sorted(folder.glob("figures/*"))
            if path.suffix in KINDS and path.stat().st_size <= LARGEST
        ]


def read(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        raise InputError(
            f"{path.parent} is no folder; a run's is needed, as runs/CHAPTER/NAME/TIME"
        )
    if not path.exists():
        said = "its run is not finished" if (path.parent / RECORD).exists() else "no run made it"
        raise InputError(f"{path.parent} has no {path.name}: {said}")
    try:
        found = json.loads(path.read_bytes())
        return {field.name: found[field.name] for field in dataclasses.fields(Result)}
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{path} is damaged: it is no result of a run") from None


def curves(path: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Each metric's steps [T] and values [T, N], by name; those of a part begin with its name.

    Lines that are none, as of a run that was stopped while it wrote, are left out.
    """
    part = path.parent.relative_to(folder).as_posix()
    found: dict[str, dict[str, Any]] = {}
    for line in path.read_text(errors="replace").splitlines():
        try:
            record = json.loads(line)
            step, items = record.pop("step"), list(record.items())
        except (ValueError, AttributeError, KeyError):
            continue
        for name, values in items:
            if isinstance(values, list):
                full = name if part == "." else f"{part}: {name}"
                named = found.setdefault(full, {"steps": [], "values": []})
                named["steps"].append(step)
                named["values"].append(values)
    return {name: thinned(curve) for name, curve in found.items()}


def thinned(curve: dict[str, list]) -> dict[str, list]:
    """At most `POINTS` of the curve's points, evenly spaced, the last among them."""
    stride = -(-len(curve["steps"]) // POINTS)
    return {name: each[::-1][::stride][::-1] for name, each in curve.items()}


def write(folders: Sequence[Path], to: Path) -> Path:
    """Write the page of finished runs to a file; raises InputError as `Finished` does."""
    runs = [Finished(folder) for folder in folders]
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        write_whole(to, page(runs))
    except OSError as error:
        raise InputError(f"--to: cannot write {to}: {error.strerror}") from None
    return to


def page(runs: Sequence[Finished]) -> str:
    """Results, curves, figures, configuration, environment, and the commands to make them again."""
    names = labels(runs)
    charts = {name: None for run in runs for name in run.curves}
    shown = {
        "runs": [{"name": n, "color": c} for n, c in zip(names, colors(len(runs)), strict=True)],
        "charts": [{"name": c, "runs": [run.curves.get(c) for run in runs]} for c in charts],
    }
    sections = [
        ("Result", results(runs, names)),
        ("Curves", key(runs, names) + '<div class="charts"></div>' if charts else ""),
        ("Figures", figures(runs, names)),
        ("Configuration", fields([run.result["config"] for run in runs], names)),
        ("Environment", fields([run.result["environment"] for run in runs], names)),
        ("Seconds", fields([run.result["seconds"] for run in runs], names)),
        ("Again", "".join(f"<pre>{escape(again(run.result))}</pre>" for run in runs)),
    ]
    template = Template(resources.files("dljax.host").joinpath("page.html").read_text("utf-8"))
    return template.substitute(
        title=escape(", ".join(dict.fromkeys(run.result["experiment"] for run in runs))),
        body="\n".join(f"<h2>{title}</h2>\n{text}" for title, text in sections if text),
        curves=as_json(shown).replace("<", "\\u003c"),  # which would end the script
    )


def escape(text: Any) -> str:
    return html.escape(str(text))


def colors(count: int) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(count)]


def labels(runs: Sequence[Finished]) -> list[str]:
    """The shortest ends of the folders' paths that differ from one another."""
    paths = [run.folder.resolve().parts for run in runs]
    depths = range(1, max(map(len, paths)) + 1)
    ends = (["/".join(path[-depth:]) for path in paths] for depth in depths)
    return next((each for each in ends if len(set(each)) == len(each)), [str(p) for p in paths])


def table(head: Iterable[str], rows: Iterable[tuple[Sequence[str], bool]]) -> str:
    """Rows of cells that are HTML, those marked that differ."""
    lines = ["<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"]
    for cells, differs in rows:
        mark = ' class="differs"' if differs else ""
        lines.append(f"<tr{mark}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return '<div class="wide"><table>' + "\n".join(lines) + "</table></div>"


def number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"


def results(runs: Sequence[Finished], names: Sequence[str]) -> str:
    """A row a metric or baseline: mean and deviation over seeds, and what its goal is."""
    rows = []
    for metric in {m: None for run in runs for m in run.result["metrics"]}:
        cells = [escape(metric)]
        for run in runs:
            found, goal = run.result["metrics"].get(metric), run.result["targets"].get(metric)
            text = measured(found) if found else ""
            if found and goal:
                verdict = "met" if goal["met"] else "missed"
                of = f"{number(goal['value'])} {verdict}: {goal['source']}"
                text += f"<br><small>goal {escape(of)}</small>"
            cells.append(text)
        rows.append((cells, False))
    for name in {b: None for run in runs for b in run.result["baselines"]}:
        each = [run.result["baselines"].get(name) for run in runs]
        of = next(found["metric"] for found in each if found)
        cells = [f"{escape(name)} <small>baseline, {escape(of)}</small>"]
        rows.append((cells + [number(found["mean"]) if found else "" for found in each], False))
    return table(["", *map(escape, names)], rows)


def measured(metric: dict[str, Any]) -> str:
    count = len(metric["values"])
    spread = f" ± {number(metric['sd'])} <small>({count} seeds)</small>" if count > 1 else ""
    return number(metric["mean"]) + spread


def key(runs: Sequence[Finished], names: Sequence[str]) -> str:
    """A button a run that hides its curves, where there are several."""
    if len(runs) < 2:
        return ""
    swatches = zip(names, colors(len(runs)), strict=True)
    return (
        '<div class="key">'
        + "".join(
            f'<button data-run="{i}" aria-pressed="true">'
            f'<i style="background:{color}"></i>{escape(name)}</button>'
            for i, (name, color) in enumerate(swatches)
        )
        + "</div>"
    )


def figures(runs: Sequence[Finished], names: Sequence[str]) -> str:
    """All that the runs drew, the same figure of each beside the others."""
    rows = []
    for file in sorted({path.name for run in runs for path in run.figures}):
        shown = [
            f'<figure><img alt="{escape(path.stem)}" src="data:{KINDS[path.suffix]};base64,'
            f'{base64.b64encode(path.read_bytes()).decode()}"><figcaption>{escape(path.stem)}'
            f"{escape(f', {name}' if len(runs) > 1 else '')}</figcaption></figure>"
            for run, name in zip(runs, names, strict=True)
            for path in run.figures
            if path.name == file
        ]
        rows.append("".join(shown))
    if len(runs) == 1:
        return f'<div class="figures">{"".join(rows)}</div>' if rows else ""
    return "".join(f'<div class="figures">{row}</div>' for row in rows)


def fields(each: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """A row a field, those first and marked in which the runs differ."""
    rows = []
    for name in {field: None for found in each for field in found}:
        cells = [text(found[name]) if name in found else "" for found in each]
        rows.append(([escape(name), *map(escape, cells)], len(set(cells)) > 1))
    return table(["", *map(escape, names)], sorted(rows, key=lambda row: not row[1]))


def text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def again(result: dict[str, Any]) -> str:
    """The command that makes the run again, by its preset where the experiment is at hand."""
    name, config = f"experiments.{result['experiment']}", result["config"]
    try:
        presets = importlib.import_module(name).PRESETS
    except (ImportError, AttributeError):
        presets = {}
    preset = config.get("preset", "quick")
    first = [] if preset == next(iter(presets), preset) else ["--preset", preset]
    return shlex.join(["python", "-m", name, *first, *words(config, presets.get(preset))])
