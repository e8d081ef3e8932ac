"""What an experiment found, as numbers: `result.json` and the table on the screen."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dljax.host import per_class
from dljax.typing import Array, PyTree


@dataclass
class Result:
    """What an experiment found; `write` makes it `result.json`."""

    experiment: str
    systems: list[str]
    config: dict[str, Any]
    seeds: list[int]
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    fingerprint: str = ""
    environment: dict[str, Any] = field(default_factory=lambda: environment())

    def add(self, seconds: Mapping[str, float]) -> None:
        """Count the seconds of one more part of the work."""
        for name, value in seconds.items():
            self.seconds[name] = round(self.seconds.get(name, 0.0) + value, 3)

    def write(self, out: Path) -> None:
        write_whole(out / "result.json", as_json(dataclasses.asdict(self), indent=1) + "\n")

    def table(self) -> str:
        """The metrics with their spread, the baselines and the targets, as a few lines.

        Of many, those with a target and the first of the others; `result.json` has all.
        """
        aimed = [name for name, each in self.baselines.items() if each["metric"] in self.targets]
        metrics = foremost(self.metrics, self.targets)
        baselines = foremost(self.baselines, aimed)
        wide = max(map(len, [*metrics, *baselines, " " * 28]))
        rows = [f"{'':{wide}} {'mean':>10} {'sd':>10}   {len(self.seeds)} seeds"]
        for name, metric in metrics.items():
            rows.append(f"{name:{wide}} {number(metric['mean']):>10} {number(metric['sd']):>10}")
        for name, baseline in baselines.items():
            mean, of = number(baseline["mean"]), baseline["metric"]
            rows.append(f"{name:{wide}} {mean:>10} {'':10}   {of}, baseline")
        if left := len(self.metrics) + len(self.baselines) - len(metrics) - len(baselines):
            rows.append(f"{left} more rows in result.json")
        for name, target in self.targets.items():
            verdict = "met" if target["met"] else "missed"
            rows.append(f"{name} target {target['value']:g} ({target['source']}): {verdict}")
        for metric in self.metrics.values():
            rows += per_class.lines(metric["classes"]) if "classes" in metric else []
        times = "  ".join(f"{name} {value:.1f} s" for name, value in self.seconds.items())
        return "\n".join([*rows, times])


def foremost(rows: Mapping[str, Any], aimed: Container[str], most: int = 20) -> dict[str, Any]:
    """The rows that are aimed at, and of the others the first, `most` in all where that may be."""
    left = most - sum(name in aimed for name in rows)
    others = [name for name in rows if name not in aimed][: max(left, 0)]
    return {name: row for name, row in rows.items() if name in aimed or name in others}


def number(value: float, digits: int = 4) -> str:
    """So many significant digits: `0.9500`, `4.000e-07`."""
    return f"{value:#.{digits}g}".rstrip(".")


def as_json(tree: Any, indent: int | None = None) -> str:
    """Strict JSON: null for a number that is not finite, which "not finite" beside it tells."""
    written = functools.partial(json.dumps, indent=indent, allow_nan=False, default=known)
    return written(tree if all_finite(tree) else strict(tree))


def known(value: Any) -> Any:
    """numpy's numbers as Python's, and as its text what JSON does not know."""
    return value.item() if isinstance(value, np.generic) else str(value)


def strict(tree: Any) -> Any:
    if isinstance(tree, dict):
        odd = {k: str(v) for k, v in tree.items() if not isinstance(v, dict) and not all_finite(v)}
        beside = {"not finite": odd} if odd else {}
        return {k: strict(v) for k, v in tree.items()} | beside
    if isinstance(tree, list | tuple):
        return [strict(each) for each in tree]
    return tree if all_finite(tree) else None


def all_finite(tree: Any) -> bool:
    """Whether no number of it is infinite or nan."""
    if isinstance(tree, dict | list | tuple):
        return all(map(all_finite, tree.values() if isinstance(tree, dict) else tree))
    return not isinstance(tree, float | np.floating) or math.isfinite(tree)


def write_whole(path: Path, content: str | bytes | bytearray) -> None:
    """Write a file whole or not at all, so that a crash, or a full disk, leaves no half of it.

    Raises OSError that names the file.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise type(error)(error.errno, error.strerror, str(path)) from error


def summary(values: Iterable[float | Array], better: str) -> dict[str, Any]:
    """Mean, standard deviation (n - 1) and the values, one a seed."""
    values = [float(value) for value in np.asarray(values).reshape(-1)]
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "sd": sd, "values": values, "better": better}


def two_errors(metric: dict[str, Any]) -> float:
    """Two standard errors of a metric's mean."""
    return 2 * metric["sd"] / len(metric["values"]) ** 0.5


def target(metric: dict[str, Any], value: float, source: str) -> dict[str, Any]:
    """Whether a metric's mean over at least 5 seeds meets a published or chosen number."""
    sign = 1 if metric["better"] == "higher" else -1
    met = len(metric["values"]) >= 5 and sign * metric["mean"] >= sign * value
    return {"value": value, "source": source, "met": met, "of": "mean"}


def fingerprint(tree: PyTree) -> str:
    """SHA-256 over the leaves: equal for two states if and only if they are equal to the bit."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        array = np.asarray(leaf)
        digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


@functools.cache  # so that the commit is the one that was there when the run began
def environment() -> dict[str, Any]:
    """What the numbers depend on: versions, commit, device."""
    import dljax

    return {
        "dljax": dljax.__version__,
        "commit": commit(Path(__file__).parents[2]),
        "python": sys.version.split()[0],
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "cpus": os.cpu_count(),
    }


def commit(root: Path) -> str | None:
    """The newest, `-dirty` where code differs from it; None without git.

    What one benchmark writes into its file must not make the next one's numbers dirty.
    """
    if not (root / ".git").exists() or not shutil.which("git"):
        return None

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True)
        return done.stdout.strip()

    code = ("dljax", "experiments", "benchmarks", ":!benchmarks/results", "pyproject.toml")
    changed = git("status", "--porcelain", "--", *code)
    name = git("rev-parse", "--short", "HEAD")
    return f"{name}-dirty" if name and changed else name or None
