"""What a run says while it runs: JSON lines, TensorBoard events, and a bar or lines on the terminal."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Record = dict[str, Any]  # {"step": int, "seconds": float, metric: [one value a member]}


class Log:
    """`metrics.jsonl`, one record a line, and TensorBoard event files of the same numbers.

    Opened at a step it drops all records after that step, so that a resumed run's log is the
    undisturbed run's log.
    """

    def __init__(self, folder: Path, step: int = 0):
        from tensorboardX import SummaryWriter  # here: its import costs half a second

        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"
        self.records = [record for record in read(self.path) if record["step"] <= step]
        for old in folder.glob("tensorboard/events.*"):
            old.unlink()
        self.events = SummaryWriter(str(folder / "tensorboard"))
        self.lines = self.path.open("w")
        kept, self.records = self.records, []
        for record in kept:
            self.write(record)

    def write(self, record: Record) -> None:
        self.records.append(record)
        self.lines.write(json.dumps(record) + "\n")
        self.lines.flush()
        for name, values in record.items():
            if isinstance(values, list):
                for member, value in enumerate(values):
                    self.events.add_scalar(f"{name}/{member}", value, record["step"])

    def close(self) -> None:
        self.lines.close()
        self.events.close()


class Memory:
    """A log that stays in memory, for runs without a folder."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        self.records.append(record)

    def close(self) -> None:
        pass


def as_lists(record: dict[str, Any]) -> Record:
    """The record with each scalar as a list of one, as for a sweep of one member."""
    return {name: value if isinstance(value, list) else [value] for name, value in record.items()}


def read(path: Path) -> Iterator[Record]:
    """The records of a log; a last line cut short by a crash is passed over."""
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


class Screen(Protocol):
    """Shows how far the run is, with its newest record."""

    def __call__(self, step: int, record: Record) -> None: ...


def brief(record: Record) -> str:
    """`loss 0.12  validation accuracy 98.9 ± 0.1 %`: means over members, with their spread."""
    parts = []
    for name, values in record.items():
        if not isinstance(values, list) or name.endswith("grad_norm"):
            continue
        scale, unit, digits = (100, " %", 2) if "accuracy" in name else (1, "", 4)
        mean, sd = scale * np.mean(values), scale * np.std(values, ddof=len(values) > 1)
        spread = f" ± {sd:.{digits}f}" if len(values) > 1 else ""
        parts.append(f"{name.replace('/', ' ')} {mean:.{digits}f}{spread}{unit}")
    return "  ".join(parts)


@contextmanager
def screen(steps: int, first: int, quiet: bool) -> Iterator[Screen]:
    """A live bar on a terminal; when piped, a line for each record with an evaluation, or the last."""
    if quiet:
        yield lambda step, record: None
    elif sys.stdout.isatty():
        with bar(steps, first) as show:
            yield show
    else:
        yield lines(steps, first)


def lines(steps: int, first: int) -> Screen:
    begun = time.monotonic()

    def show(step: int, record: Record) -> None:
        evaluated = any("/" in name and not name.startswith("train/") for name in record)
        if evaluated or step == steps:
            rate = (step - first) / max(time.monotonic() - begun, 1e-9)
            print(f"step {step}/{steps}  {rate:.1f} steps/s  {brief(record)}", flush=True)

    return show


@contextmanager
def bar(steps: int, first: int) -> Iterator[Screen]:
    from rich import progress  # here: only a terminal needs it

    columns = (
        progress.BarColumn(bar_width=24),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]:.0f} steps/s"),
        progress.TimeRemainingColumn(compact=True),
        progress.TextColumn("{task.fields[newest]}"),
    )
    shown: Record = {}
    with progress.Progress(*columns) as live:
        task = live.add_task("", total=steps, completed=first, rate=0.0, newest="compiling")

        def show(step: int, record: Record) -> None:
            shown.update(record)  # an evaluation stays on view until the next
            rate = live.tasks[0].speed or 0.0
            live.update(task, completed=step, rate=rate, newest=brief(shown))

        yield show
