"""What every experiment shares: common flags, its folder, its result, and how it ends."""

import ast
import contextlib
import dataclasses
import datetime
import functools
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from dljax.errors import InputError, unknown
from dljax.host.fit import Diverged, Interrupted
from dljax.typing import PyTree


@dataclass(frozen=True, kw_only=True)
class Common:
    """The flags of every experiment."""

    seeds: int = 5
    """Independent runs, trained in one compiled program."""
    seed: int = 0
    """The first seed; the others follow it."""
    steps: int | None = None
    """Training steps; by default what the preset asks for."""
    out: Path | None = None
    """Folder of the run; by default runs/<experiment>/<time>."""
    preset: str = "quick"
    """Settings to start from: quick, standard or full."""
    resume: bool = False
    """Go on with the run in --out."""
    checkpoint_every: int | None = None
    """Steps between checkpoints; by default at every evaluation."""
    quiet: bool = False
    """Print nothing but the result."""


RECORD = "run.json"  # the experiment and configuration of the run in a folder
FREE = {"out", "resume", "checkpoint_every", "quiet"}  # may differ when a run is resumed
C = TypeVar("C", bound=Common)


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
        text = json.dumps(dataclasses.asdict(self), indent=1, default=str)
        write_whole(out / "result.json", text + "\n")

    def table(self) -> str:
        """The metrics with their spread, the baselines and the targets, as a few lines."""
        rows = [f"{'':28} {'mean':>9} {'sd':>8}   {len(self.seeds)} seeds"]
        for name, metric in self.metrics.items():
            rows.append(f"{name:28} {metric['mean']:9.4f} {metric['sd']:8.4f}")
        for name, baseline in self.baselines.items():
            rows.append(
                f"{name:28} {baseline['mean']:9.4f} {'':8}   {baseline['metric']}, baseline"
            )
        for name, target in self.targets.items():
            verdict = "met" if target["met"] else "missed"
            rows.append(f"{name} target {target['value']:g} ({target['source']}): {verdict}")
        times = "  ".join(f"{name} {value:.1f} s" for name, value in self.seconds.items())
        return "\n".join([*rows, times])


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all, so that a crash leaves no half of it."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


def summary(values: Iterable[float], better: str) -> dict[str, Any]:
    """Mean, standard deviation (n - 1) and the values, one a seed."""
    values = [float(value) for value in np.asarray(values).reshape(-1)]
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "sd": sd, "values": values, "better": better}


def target(metric: dict[str, Any], value: float, source: str) -> dict[str, Any]:
    """Whether a metric's mean over at least 5 seeds meets a published or chosen number."""
    sign = 1 if metric["better"] == "higher" else -1
    met = len(metric["values"]) >= 5 and sign * metric["mean"] >= sign * value
    return {"value": value, "source": source, "met": met}


def gain_target(
    gain: dict[str, Any], source: str, *, seeds: int = 10, digits: int | None = 4
) -> dict[str, Any]:
    """Whether a paired gain's mean over at least `seeds` exceeds two of its standard errors.

    The value shown is rounded to `digits`, or as it is.
    """
    count = len(gain["values"])
    value = 2 * gain["sd"] / count**0.5
    met = count >= seeds and gain["mean"] > value
    return {
        "value": value if digits is None else round(value, digits),
        "source": source,
        "met": met,
    }


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

    root = Path(__file__).parents[2]
    commit = None
    if (root / ".git").exists() and shutil.which("git"):
        words = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude", "*"]
        commit = subprocess.run(words, capture_output=True, text=True).stdout.strip() or None
    return {
        "dljax": dljax.__version__,
        "commit": commit,
        "python": sys.version.split()[0],
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "cpus": os.cpu_count(),
    }


def check_common(config: Common) -> None:
    """Raises InputError for counts that are not positive."""
    for name in ("seeds", "steps", "checkpoint_every"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1; got {value}")
    if config.seed < 0 or config.seed + config.seeds > 2**31:
        raise InputError(f"--seed must be zero or positive and below 2^31; got {config.seed}")


def seeds(config: Common) -> list[int]:
    return list(range(config.seed, config.seed + config.seeds))


def open_folder(name: str, config: Common) -> Path:
    """The run's folder, made or found, with its experiment and configuration on record.

    Raises InputError if a common flag is wrong, or if the folder holds another experiment, a run
    that was not asked to be resumed, or one with another configuration, whose fields it names.
    """
    check_common(config)
    if config.resume and config.out is None:
        raise InputError("--resume needs --out, the folder of the run to go on with")
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    out = config.out or Path("runs") / name.replace(".", "/") / now
    fields = {k: v for k, v in dataclasses.asdict(config).items() if k not in FREE}
    record = json.loads(json.dumps({"experiment": name, "config": fields}, default=str))
    path = out / RECORD
    environment()
    if path.exists():
        compare(out, json.loads(path.read_text()), record, config.resume)
        return out
    if config.resume:
        raise InputError(f"--resume: {out} holds no run")
    if out.exists() and (not out.is_dir() or any(p.suffix != ".partial" for p in out.iterdir())):
        raise InputError(f"--out: {out} exists and is not an empty folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(record, indent=1) + "\n")
    except OSError as error:
        raise InputError(f"--out: cannot write to {out}: {error.strerror}") from None
    return out


def compare(out: Path, there: dict[str, Any], asked: dict[str, Any], resume: bool) -> None:
    """Raises InputError unless the run in `out` is the one asked for, and asked to be resumed."""
    if there["experiment"] != asked["experiment"]:
        raise InputError(f"{out} holds {there['experiment']}, not {asked['experiment']}")
    if not resume:
        raise InputError(f"{out} holds a run already; add --resume, or choose another --out")
    names = there["config"].keys() | asked["config"].keys()
    differ = [n for n in sorted(names) if there["config"].get(n) != asked["config"].get(n)]
    if differ:
        says = "; ".join(
            f"{n} was {there['config'].get(n)}, now {asked['config'].get(n)}" for n in differ
        )
        raise InputError(f"--resume with another configuration: {says}")


def parse(presets: dict[str, C], argv: list[str], prog: str, description: str) -> C:
    """The configuration of a command line: the preset's, with the given flags in place.

    Raises InputError in one line for whatever is wrong with the line.
    """
    import tyro  # here: its import costs a fifth of a second, and only a command line needs it

    name = next(iter(presets))
    for i, word in enumerate(argv):
        if word.startswith("--preset"):
            name = word.partition("=")[2] or " ".join(argv[i + 1 : i + 2])
    if name not in presets:
        raise unknown("--preset", name, presets)
    default = dataclasses.replace(presets[name], preset=name)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            config = tyro.cli(
                type(default), default=default, prog=prog, args=argv, description=description
            )
    except SystemExit as end:
        if not end.code:
            raise
        raise InputError(one_line(said.getvalue())) from None
    check_common(config)
    return config


def one_line(box: str) -> str:
    """The message of tyro's framed error, with the flag it is about.

    The frame, of lines or of spaces, holds sections under a title: the message, then the flags.
    """
    rows = [re.sub("[│╭╮╰╯]", "", row).strip() for row in box.strip().splitlines()]
    sections: list[list[str]] = [[]]
    for row in rows:
        if not row.strip("─-"):
            sections.append([])
        elif not row.startswith("─ "):  # a title set into the frame
            sections[-1].append(row)
    if not box.strip().startswith("╭"):
        del sections[0]  # a title under no frame
    flags = [row for section in sections[1:] for row in section if row.startswith("--")]
    said = " ".join(sections[0] if sections else []).rstrip(".")
    return f"{said}; accepted: {flags[0]}" if flags else said


def programs(folder: Path, pattern: str) -> dict[str, str]:
    """Each file of `folder` with a `main`, by dotted name, and its docstring's first line."""
    found = {}
    for path in sorted(folder.glob(pattern)):
        tree = ast.parse(path.read_text())
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            name = ".".join(path.relative_to(folder).with_suffix("").parts)
            found[name] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def command_line(name: str, main: Callable[[C], Result], presets: dict[str, C], doc: str) -> None:
    """Run an experiment from `sys.argv`; every foreseen failure ends in one line and a status.

    2: bad input. 1: diverged, or no space left. 128 + n: stopped by signal n, with how to resume.
    """
    command = f"python -m {name}"
    try:
        print(main(parse(presets, sys.argv[1:], command, doc)).table())
    except InputError as error:
        fail(f"error: {error}", 2)
    except Interrupted as stop:
        fail(f"{stop}; saved. Resume with:\n  {again(name, stop.out)}", 128 + stop.number)
    except Diverged as error:
        fail(f"error: {error}", 1)
    except KeyboardInterrupt:
        fail("stopped", 128 + signal.SIGINT)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fail(f"error: {where}{error.strerror or error}; earlier checkpoints are kept", 1)


def again(name: str, out: Path | None) -> str:
    """The command that resumes the run of this command line, whose fit was stopped in `out`."""
    words = [word for word in sys.argv[1:] if word != "--resume"]
    if out is not None and not any(word.startswith("--out") for word in words):
        # an experiment of several fits gives each a folder within the run's
        root = next(path for path in (out, *out.parents) if (path / RECORD).exists())
        words += ["--out", str(root)]
    return shlex.join([os.path.relpath(sys.executable), "-m", name, *words, "--resume"])


def fail(message: str, status: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(status)


def require(
    flag: str, value: float | None, *, at_least: float | None = None, below: float | None = None
) -> None:
    """Raises InputError if a value, where given, is not finite or not in [at_least, below)."""
    if value is None:
        return
    wrong = not np.isfinite(value)
    wrong |= at_least is not None and value < at_least
    wrong |= below is not None and value >= below
    if wrong:
        bounds = [f"at least {at_least}"] if at_least is not None else []
        bounds += [f"below {below}"] if below is not None else []
        raise InputError(f"{flag} must be {' and '.join(bounds)}; got {value}")


def finish(result: Result, out: Path, state: PyTree, begun: float) -> Result:
    """The result with its fingerprint and total time, written into the run's folder."""
    result.fingerprint = fingerprint(state)
    if not result.config.get("resume"):  # a resumed run has no one total
        result.seconds["total"] = round(time.monotonic() - begun, 3)
    result.write(out)
    print(f"run in {out}")
    return result
