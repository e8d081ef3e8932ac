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
import logging
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from dljax.errors import InputError, brief, check_count
from dljax.host import config, result
from dljax.host.folder import RECORD, take_lock
from dljax.host.result import Result, as_json, write_whole

OURS = "sweep.json"
LOCK = "sweep.lock"
CARDS = "CUDA_VISIBLE_DEVICES"
YEAR = 60 * 24 * 365  # minutes


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
    check(given)
    name = checked(given, flags)
    lock = take_lock(given.out, LOCK)
    try:
        record(given.out, name, given, flags)
        merged = run(given, name, flags)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command goes on") from None
    finally:
        os.close(lock)
    print(merged.table())


def check(given: argparse.Namespace) -> None:
    """Raises InputError for flags of ours that cannot be, before anything is written."""
    check_count(**{"--seeds": given.seeds, "--jobs": given.jobs})
    if given.jobs > given.seeds:
        raise InputError(f"--jobs must be at most the {given.seeds} seeds; got {given.jobs}")
    if given.at_once is not None:
        check_count(**{"--at-once": given.at_once})
    try:
        given.out = given.out.expanduser()
    except RuntimeError as error:  # of a home that is none
        raise InputError(f"--out: cannot use {given.out}: {brief(error)}") from None
    given.cluster = given.cluster or ("slurm" if shutil.which("srun") else "local")
    asked = parameters(given.slurm)
    if given.cluster == "local":
        if asked:
            raise InputError(f"--slurm {given.slurm[0]}: the jobs are processes of this machine")
    elif not ({"time", "timeout_min"} & {k for k, v in asked.items() if isinstance(v, int)}):
        raise InputError(
            "--slurm time=MINUTES is needed: how long a job may take; submitit's own is 5"
        )


def parameters(words: Sequence[str]) -> dict[str, int | str]:
    """What --slurm says, by name; InputError for a word without `=`."""
    for word in words:
        if "=" not in word.strip("="):
            raise InputError(f"--slurm must be NAME=VALUE; got {word}")
    pairs = [word.partition("=")[::2] for word in words]
    return {name: int(v) if v.isdecimal() else v for name, v in pairs}


def run(given: argparse.Namespace, name: str, flags: Sequence[str]) -> Result:
    """Run the slices that have no result, and merge all."""
    slices = cut(given.seed, given.seeds, given.jobs)
    folders = [given.out / "slices" / f"{i:04}" for i in range(given.jobs)]
    words = [
        [name, "--seed", str(first), "--seeds", str(count), "--out", str(folder), *flags]
        for (first, count), folder in zip(slices, folders, strict=True)
    ]
    left = [w for w, folder in zip(words, folders, strict=True) if read(folder) is None]
    print(f"{len(words) - len(left)} of {len(words)} slices are done", flush=True)
    if left:
        submit(given, left)
    found = [(folder, read(folder)) for folder in folders]
    if missing := [folder for folder, each in found if each is None]:
        raise InputError(
            f"{len(missing)} of {len(words)} slices ended without a result: "
            f"{said(missing[0])}; run the same command again"
        )
    merged = merge([each for _, each in found if each is not None])
    merged.config |= {"seeds": given.seeds, "seed": given.seed}
    merged.write(given.out)
    return merged


def checked(given: argparse.Namespace, flags: Sequence[str]) -> str:
    """The experiment's module, once its own parser has taken the seeds and the flags; InputError
    otherwise."""
    words = ["--seed", str(given.seed), "--seeds", str(given.seeds), *flags]
    for module in (f"experiments.{given.experiment}", given.experiment):
        try:
            known = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            continue
        presets = getattr(importlib.import_module(module), "PRESETS", None) if known else None
        if presets is not None:
            config.parse(presets, words, module, "")
            return module
    raise InputError(f"{given.experiment} is no experiment; python -m experiments lists all")


def record(out: Path, name: str, given: argparse.Namespace, flags: Sequence[str]) -> None:
    """Raises InputError if the folder is of another sweep, or does not say of which."""
    asked = {"experiment": name, "seed": given.seed, "seeds": given.seeds, "jobs": given.jobs}
    asked |= {"flags": [*flags]}
    path = out / OURS
    try:
        there = json.loads(path.read_bytes()) if path.exists() else asked
    except ValueError:
        says = json.dumps(asked)
        raise InputError(f"{path} is damaged; a sweep of this command has {says} there") from None
    if there != asked:
        raise InputError(f"{out} holds another sweep, {json.dumps(there)}; choose another --out")
    write_whole(path, as_json(asked) + "\n")


def cut(first: int, count: int, jobs: int) -> list[tuple[int, int]]:
    """First seed and number of seeds of each job, as even as may be."""
    ends = [first + count * i // jobs for i in range(jobs + 1)]
    return [(a, b - a) for a, b in itertools.pairwise(ends)]


def read(folder: Path) -> dict[str, Any] | None:
    """A slice's result; None where there is none, or a damaged one, which is run again."""
    try:
        found = json.loads((folder / "result.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and "environment" in found else None


def run_slice(words: list[str], cards: dict[str, str] | None) -> int:
    """In the job: the slice's run, or the rest of it. What it says is in its log.txt.

    A job that is to end tells the run, so that it saves, and waits for it. `cards`, if not None,
    stand for what submitit has made of the variable.
    """
    folder = Path(words[words.index("--out") + 1])
    again = ["--resume"] if (folder / RECORD).exists() else []
    command = [sys.executable, "-m", *words, *again, "--quiet"]
    environment = dict(os.environ)
    if cards is not None:
        environment.pop(CARDS, None)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".txt").open("a") as log:
        print(shlex.join(command), file=log, flush=True)
        came: list[int] = []
        for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: came.append(number))
        # the run inherits that it does not hear of it: it is told by us alone
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        child = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment | (cards or {}),
            start_new_session=True,  # a terminal's Ctrl-C would come beside ours
        )  # fmt: skip
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
        while child.poll() is None and not came:
            time.sleep(0.1)
        if came:  # once: a second one would end the run before it has saved
            child.terminate()
        return child.wait()


def said(folder: Path) -> str:
    """The last line of a slice's log."""
    log = folder.with_suffix(".txt")
    lines = log.read_text().strip().splitlines() if log.exists() else []
    return f"{log}: {lines[-1]}" if lines else f"{folder} was not begun"


def submit(given: argparse.Namespace, words: list[list[str]]) -> None:
    """Run the slices and wait for all of them."""
    local = given.cluster == "local"
    at_once = given.at_once or (1 if local else len(words))
    executor = prepared(given, at_once)
    # submitit hides every card from a job of this machine that asks for none
    cards = {k: v for k, v in os.environ.items() if k == CARDS} if local else None
    size = at_once if local else len(words)  # submitit starts all of this machine's at once
    for begin in range(0, len(words), size):
        part = words[begin : begin + size]
        jobs: Sequence[Any] = ()
        try:
            with submitting(), held() if local else nullcontext():
                jobs = executor.map_array(run_slice, part, [cards] * len(part))
            until_done(jobs)
        except KeyboardInterrupt:  # a second one does not wait
            stop(jobs, local)
            raise
        print(f"{begin + len(part)} of {len(words)} jobs ended", flush=True)


def prepared(given: argparse.Namespace, at_once: int) -> Any:
    """submitit's executor; raises InputError for what it does not take."""
    try:
        import submitit
    except ImportError:
        raise InputError("sweep needs pip install 'dljax[jobs]'") from None
    logging.getLogger("submitit").handlers.clear()  # what it warns of is told in a line of ours
    asked = {f"slurm_{name}": value for name, value in parameters(given.slurm).items()}
    with submitting():
        executor = submitit.AutoExecutor(given.out / "jobs", cluster=given.cluster)
        if given.cluster == "local":
            executor.update_parameters(timeout_min=YEAR)  # its own is 2
        else:
            executor.update_parameters(**{"slurm_array_parallelism": at_once} | asked)
    return executor


@contextmanager
def submitting() -> Iterator[None]:
    """What submitit, or sbatch, refuses is an InputError."""
    try:
        yield
    except (NameError, RuntimeError, AssertionError, TypeError, ValueError) as error:
        raise InputError(f"submitit: {brief(error)}") from None


@contextmanager
def held() -> Iterator[None]:
    """Ctrl-C within is ours at the end; what begins within never gets it: it is we who stop it."""
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which a new process inherits
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def stop(jobs: Sequence[Any], local: bool) -> None:
    """End all jobs; those of this machine save first."""
    for job in jobs:
        if not local:
            job.cancel()
        elif not job.done():  # cancel() would kill it a second later
            os.kill(int(job.job_id), signal.SIGTERM)
    if local:
        until_done(jobs)


def until_done(jobs: Sequence[Any]) -> None:
    while not all(job.done() for job in jobs):
        time.sleep(0.5)


def merge(found: Sequence[dict[str, Any]]) -> Result:
    """One result of all slices': each metric's values side by side, in the order of the seeds.

    Metrics, baselines and targets that not all slices share are left out, and so is what is
    particular to one metric.
    """
    first = found[0]
    merged = Result(first["experiment"], first["systems"], first["config"], [])
    merged.seeds = [seed for each in found for seed in each["seeds"]]
    merged.metrics = metrics(found)
    for name in shared(found, "baselines"):
        merged.baselines[name] = baseline(found, name)
    for name in shared(found, "targets"):
        if goal := target(found, name, merged.metrics):
            merged.targets[name] = goal
    for each in found:
        merged.add(each["seconds"])
    prints = "".join(each["fingerprint"] for each in found)
    merged.fingerprint = hashlib.sha256(prints.encode()).hexdigest()
    where = [each["environment"] for each in found]
    merged.environment = {k: joined([each.get(k) for each in where]) for k in where[0]}
    return merged


def shared(found: Sequence[dict[str, Any]], kind: str) -> list[str]:
    return [name for name in found[0][kind] if all(name in each[kind] for each in found)]


def metrics(found: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The metrics that have one value a seed in every slice; a line says which have not."""
    kept, odd, seeds = {}, [], [len(each["seeds"]) for each in found]
    for name in shared(found, "metrics"):
        parts = [each["metrics"][name] for each in found]
        if [len(part["values"]) for part in parts] == seeds:
            kept[name] = result.summary(beside(parts), parts[0]["better"])
        else:
            odd.append(name)
    if odd:
        print(f"only in the slices' results, having not one value a seed: {', '.join(odd)}")
    return kept


def beside(parts: Sequence[dict[str, Any]]) -> np.ndarray:
    """All slices' values; a null, which stands for one that was not finite, is nan."""
    return np.array([value for part in parts for value in part["values"]], float)


def baseline(found: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """All values where it has such, else the slices' mean, each with the weight of its seeds."""
    parts = [each["baselines"][name] for each in found]
    of = {"metric": parts[0]["metric"]}
    if all("values" in part for part in parts):
        return of | result.summary(beside(parts), parts[0]["better"])
    means = np.array([part["mean"] for part in parts], float)
    return of | {"mean": float(np.average(means, weights=[len(each["seeds"]) for each in found]))}


def target(
    found: Sequence[dict[str, Any]], name: str, merged: dict[str, dict[str, Any]]
) -> dict[str, Any] | None:
    """A goal of the mean is met by all slices' mean, any other by every slice; None where slices
    have different goals, or the mean is not known."""
    parts = [each["targets"][name] for each in found]
    first = parts[0]
    if any(part["value"] != first["value"] for part in parts):
        return None
    value = math.nan if first["value"] is None else first["value"]
    if first.get("of") != "mean":  # results before 2026-11-28 do not say
        met = all(part["met"] for part in parts)
        return {"value": value, "source": first["source"], "met": met}
    return result.target(merged[name], value, first["source"]) if name in merged else None


def joined(values: Sequence[Any]) -> Any:
    """The value of all slices, or else the known ones: `3f2a1b0, 77c01de`."""
    if all(value == values[0] for value in values):
        return values[0]
    parts = [part for v in values if v is not None for part in str(v).split(", ")]
    return ", ".join(dict.fromkeys(parts))
