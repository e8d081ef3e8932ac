"""The folder of a run: what is on record there, and the one process that it belongs to."""

import dataclasses
import datetime
import fcntl
import json
import os
from pathlib import Path
from typing import Any

from dljax.errors import InputError
from dljax.host.config import Common
from dljax.host.result import as_json, write_whole

RECORD = "run.json"  # the experiment and configuration of the run in a folder
LOCK = "run.lock"  # locked by the process that the folder belongs to, whose number it holds


def check_folder(name: str, config: Common) -> tuple[Path, dict[str, Any]]:
    """The run's folder, and what is to be on record there: the experiment and its configuration,
    and of a run that is there the commits that have made it.

    Raises InputError if the folder holds another experiment, a run that was not asked to be
    resumed, or one with another configuration but for --steps, whose fields it names.
    """
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    fields = {k: v for k, v in dataclasses.asdict(config).items() if k not in config.free}
    record = json.loads(as_json({"experiment": name, "config": fields}))
    try:
        out = (config.out or Path("runs") / name.replace(".", "/") / now).expanduser()
        path = out / RECORD
        if path.exists():
            compare(out, there := read_record(path, record), record, config.resume)
            record["commits"] = there.get("commits", ["unknown"])
        elif config.resume:
            raise InputError(f"--resume: {out} holds no run")
        elif out.exists() and (not out.is_dir() or any(map(foreign, out.iterdir()))):
            raise InputError(f"--out: {out} exists and is not an empty folder")
    except OSError as error:
        raise InputError(f"--out: cannot use {config.out}: {error.strerror}") from None
    except RuntimeError as error:  # of a home that is none
        raise InputError(f"--out: cannot use {config.out}: {error}") from None
    return out, record


def foreign(path: Path) -> bool:
    """Whether a file is none that a run leaves which ended before it began."""
    return path.name != LOCK and path.suffix != ".partial"


def read_record(path: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """The experiment and configuration on record; InputError tells what to write if it is none."""
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        found = None
    parts = found if isinstance(found, dict) else {}
    if not isinstance(parts.get("config"), dict) or not isinstance(parts.get("commits", []), list):
        said = json.dumps(asked)
        raise InputError(f"{path} is damaged; a run of this command has {said} there")
    return parts


def take_folder(out: Path, record: dict[str, Any], config: Common) -> tuple[Path, int]:
    """The folder, made if need be, and its lock; a run without --out gets one of its own.

    Raises InputError where nothing can be written, or another run came first.
    """
    try:
        if config.out is None:
            out = own_folder(out)
        lock = take_lock(out)
        try:
            if not config.resume and (out / RECORD).exists():
                raise InputError(f"{out} holds a run already; choose another --out")
            write_whole(out / RECORD, json.dumps(record, indent=1) + "\n")
        except BaseException:
            os.close(lock)
            raise
    except OSError as error:
        raise InputError(f"--out: cannot write to {out}: {error.strerror}") from None
    return out, lock


def own_folder(out: Path) -> Path:
    """A folder that was not there: `out`, or `out` with a number, of runs begun in one second."""
    out.parent.mkdir(parents=True, exist_ok=True)
    each, number = out, 1
    while True:
        try:
            each.mkdir()
            return each
        except FileExistsError:
            number += 1
            each = out.with_name(f"{out.name}-{number}")


def take_lock(out: Path, name: str = LOCK) -> int:
    """The descriptor of the lock on a folder, made if need be; the system frees it at our death.

    Raises InputError that names the process whose it is.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock = os.open(out / name, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = os.read(lock, 20).decode(errors="replace").strip()
        os.close(lock)
        raise InputError(f"{out} is in use by process {who}; choose another") from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def compare(out: Path, there: dict[str, Any], asked: dict[str, Any], resume: bool) -> None:
    """Raises InputError unless the run in `out` is the one asked for, and asked to be resumed."""
    if (name := there.get("experiment")) != asked["experiment"]:
        raise InputError(f"{out} holds {name}, not {asked['experiment']}")
    if not resume:
        raise InputError(f"{out} holds a run already; add --resume, or choose another --out")
    names = there["config"].keys() | asked["config"].keys()
    differ = [n for n in sorted(names) if there["config"].get(n) != asked["config"].get(n)]
    if differ and differ != ["steps"]:  # more steps go on from those done; `fit` refuses fewer
        says = "; ".join(
            f"{n} was {there['config'].get(n)}, now {asked['config'].get(n)}" for n in differ
        )
        raise InputError(f"--resume with another configuration: {says}")
