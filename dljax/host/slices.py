"""A large sweep as an array of jobs: `python -m dljax sweep EXPERIMENT --seeds N --jobs M`.

Every job is a run of the experiment with some of the seeds, in a folder of its own, on SLURM or in
processes of this machine, by submitit. The same command once more runs what has no result yet, each
slice from its newest checkpoint, and then merges all results.
"""

import argparse
import hashlib
import importlib.util
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dljax.errors import InputError, check_count
from dljax.host import config, result
from dljax.host.folder import RECORD
from dljax.host.result import Result, as_json, write_whole

OURS = "sweep.json"


def add(commands: Any) -> None:
    """The flags of `sweep`; what else is given is the experiment's."""
    sweep = commands.add_parser(
        "sweep", help="many seeds of an experiment, as jobs", allow_abbrev=False
    )
    sweep.add_argument("experiment", metavar="EXPERIMENT", help="as in vision.classify")
    sweep.add_argument("--seeds", type=int, required=True, help="how many seeds in all")
    sweep.add_argument("--seed", type=int, default=0, help="the first; the others follow it")
    sweep.add_argument("--jobs", type=int, required=True, help="into how many jobs they are cut")
    sweep.add_argument("--out", type=Path, required=True, help="the folder of all of them")
    sweep.add_argument(
        "--cluster", choices=("slurm", "local"), help="by default slurm where there is one"
    )
    sweep.add_argument("--at-once", type=int, help="jobs at a time; of this machine, 1 by default")
    sweep.add_argument(
        "--slurm", action="append", default=[], metavar="NAME=VALUE",
        help="a parameter of submitit's, as partition=gpu, time=60, gpus_per_node=1",
    )  # fmt: skip


def main(given: argparse.Namespace, flags: Sequence[str]) -> None:
    """Run what has no result yet and merge; raises InputError if a slice then has none."""
    check_count(**{"--seeds": given.seeds, "--jobs": given.jobs})
    if given.jobs > given.seeds:
        raise InputError(f"--jobs must be at most the {given.seeds} seeds; got {given.jobs}")
    name = checked(given.experiment, flags)
    record(given.out, name, given, flags)
    slices = cut(given.seed, given.seeds, given.jobs)
    folders = [given.out / "slices" / f"{i:04}" for i in range(given.jobs)]
    words = [
        [name, "--seed", str(first), "--seeds", str(count), "--out", str(folder), *flags]
        for (first, count), folder in zip(slices, folders, strict=True)
    ]
    left = [w for w, folder in zip(words, folders, strict=True) if not finished(folder)]
    print(f"{len(words) - len(left)} of {len(words)} slices are done")
    if left:
        submit(given, left)
    missing = [folder for folder in folders if not finished(folder)]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(words)} slices ended without a result: "
            f"{said(missing[0])}; run the same command again"
        )
    merged = merge(folders)
    merged.config |= {"seeds": given.seeds, "seed": given.seed, "out": str(given.out)}
    merged.write(given.out)
    print(merged.table())


def checked(name: str, flags: Sequence[str]) -> str:
    """The experiment's module, once its own parser has taken the flags; InputError otherwise."""
    for module in (f"experiments.{name}", name):
        try:
            known = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            continue
        presets = getattr(importlib.import_module(module), "PRESETS", None) if known else None
        if presets is not None:
            config.parse(presets, [*flags], module, "")
            return module
    raise InputError(f"{name} is no experiment; python -m experiments lists all")


def record(out: Path, name: str, given: argparse.Namespace, flags: Sequence[str]) -> None:
    """Raises InputError if the folder is of another sweep."""
    asked = {"experiment": name, "seed": given.seed, "seeds": given.seeds, "jobs": given.jobs}
    asked |= {"flags": [*flags]}
    path = out / OURS
    if path.exists() and (there := json.loads(path.read_bytes())) != asked:
        raise InputError(f"{out} holds another sweep, {json.dumps(there)}; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(path, as_json(asked) + "\n")


def cut(first: int, count: int, jobs: int) -> list[tuple[int, int]]:
    """First seed and number of seeds of each job, as even as may be."""
    ends = [first + count * i // jobs for i in range(jobs + 1)]
    return [(a, b - a) for a, b in itertools.pairwise(ends)]


def finished(folder: Path) -> bool:
    return (folder / "result.json").exists()


def run_slice(words: list[str]) -> int:
    """In the job: the slice's run, or the rest of it. What it says is in its log.txt."""
    folder = Path(words[words.index("--out") + 1])
    again = ["--resume"] if (folder / RECORD).exists() else []
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".txt").open("w") as log:
        command = [sys.executable, "-m", *words, *again, "--quiet"]
        return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode


def said(folder: Path) -> str:
    """The last line of a slice's log."""
    log = folder.with_suffix(".txt")
    lines = log.read_text().strip().splitlines() if log.exists() else []
    return f"{log}: {lines[-1]}" if lines else f"{folder} was not begun"


def submit(given: argparse.Namespace, words: list[list[str]]) -> None:
    """Run the slices and wait for all of them."""
    try:
        import submitit
    except ImportError:
        raise InputError("sweep needs pip install 'dljax[jobs]'") from None
    executor = submitit.AutoExecutor(given.out / "jobs", cluster=given.cluster)
    local = executor.cluster != "slurm"
    at_once = given.at_once or (1 if local else len(words))
    if not local:
        asked = dict(each.partition("=")[::2] for each in given.slurm)
        executor.update_parameters(
            slurm_array_parallelism=at_once,
            **{f"slurm_{k}": int(v) if v.isdigit() else v for k, v in asked.items()},
        )
    size = at_once if local else len(words)  # submitit starts all of this machine's at once
    for begin in range(0, len(words), size):
        jobs = executor.map_array(run_slice, words[begin : begin + size])
        try:
            while not all(job.done() for job in jobs):
                time.sleep(0.5)
        except KeyboardInterrupt:
            for job in jobs:
                job.cancel()
            raise
        print(f"{min(begin + size, len(words))} of {len(words)} jobs ended", flush=True)


def merge(folders: Sequence[Path]) -> Result:
    """One result of all slices: each metric's values side by side, in the order of the seeds.

    Metrics and targets that not all slices share are left out, and so is what is particular to one
    metric; a baseline that differs is the mean of the slices'.
    """
    found = [json.loads((folder / "result.json").read_bytes()) for folder in folders]
    first = found[0]
    merged = Result(first["experiment"], first["systems"], first["config"], [])
    merged.seeds = [seed for each in found for seed in each["seeds"]]
    for name, metric in first["metrics"].items():
        if all(name in each["metrics"] for each in found):
            values = [value for each in found for value in each["metrics"][name]["values"]]
            merged.metrics[name] = result.summary(values, metric["better"])
    for name, baseline in first["baselines"].items():
        means = [each["baselines"][name]["mean"] for each in found if name in each["baselines"]]
        mean = sum(means) / len(means)
        merged.baselines[name] = {"metric": baseline["metric"], "mean": mean}
    for name, goal in first["targets"].items():
        alike = all(each["targets"].get(name, {}).get("value") == goal["value"] for each in found)
        if alike and name in merged.metrics:
            merged.targets[name] = result.target(
                merged.metrics[name], goal["value"], goal["source"]
            )
    for each in found:
        merged.add(each["seconds"])
    prints = "".join(each["fingerprint"] for each in found)
    merged.fingerprint = hashlib.sha256(prints.encode()).hexdigest()
    commits = dict.fromkeys(str(each["environment"]["commit"]) for each in found)
    merged.environment = first["environment"] | {"commit": ", ".join(commits)}
    return merged
