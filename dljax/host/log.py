"""What a run says while it runs: JSON lines, TensorBoard events, and a bar or lines on screen."""

import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dljax.host.folder import take_lock
from dljax.host.result import as_json, write_whole

Record = dict[str, Any]  # {"step": int, "seconds": float, metric: [one value a member]}


class Log:
    """`metrics.jsonl`, one record a line, and TensorBoard event files of the same numbers.

    Both are for people and other programs; nothing here reads them again. A resumed run's log
    begins with the records that its checkpoint holds, and so is the undisturbed run's log. Raises
    InputError where another process is writing there.
    """

    def __init__(self, folder: Path, records: Sequence[Record] = ()):
        # here: the import costs half a second. Not SummaryWriter, whose thread hangs on a full disk
        from tensorboardX.event_file_writer import EventsWriter

        self.lock = take_lock(folder, "fit.lock")
        (folder / "tensorboard").mkdir(exist_ok=True)
        self.records = list(records)
        path = folder / "metrics.jsonl"
        write_whole(path, "".join(as_json(record) + "\n" for record in self.records))
        for old in folder.glob("tensorboard/events.*"):
            old.unlink()
        self.events = EventsWriter(str(folder / "tensorboard" / "events"))
        self.lines = path.open("a")
        self.flushed = -math.inf
        for record in self.records:
            self.events.write_event(event(record))

    def write(self, record: Record) -> None:
        self.records.append(record)
        self.lines.write(as_json(record) + "\n")
        self.lines.flush()
        self.events.write_event(event(record))
        if time.monotonic() > self.flushed + 1:  # not each time: it waits for the disk
            self.events.flush()
            self.flushed = time.monotonic()

    def close(self) -> None:
        self.lines.close()
        self.events.close()
        os.close(self.lock)


def event(record: Record) -> Any:
    """A TensorBoard event with the record's numbers, one scalar a metric and member."""
    from tensorboardX.proto.event_pb2 import Event  # pyright: ignore
    from tensorboardX.proto.summary_pb2 import Summary  # pyright: ignore

    values = [
        Summary.Value(tag=f"{name}/{member}", simple_value=value)
        for name, members in record.items()
        if isinstance(members, list)
        for member, value in enumerate(members)
    ]
    return Event(wall_time=time.time(), step=record["step"], summary=Summary(value=values))


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


class Screen(Protocol):
    """Shows how far the run is, with its newest record."""

    def __call__(self, step: int, record: Record) -> None: ...


def brief(record: Record, shown: Sequence[str]) -> str:
    """`train loss 0.12  validation accuracy 98.9 ± 0.1 %`: means over members, and their spread."""
    parts = []
    for name, values in record.items():
        if not isinstance(values, list) or (shown and name not in shown):
            continue
        scale, unit, digits = (100, " %", 2) if "accuracy" in name else (1, "", 4)
        with np.errstate(invalid="ignore"):  # of infinities, where members may diverge
            mean, sd = scale * np.mean(values), scale * np.std(values, ddof=int(len(values) > 1))
        spread = f" ± {sd:.{digits}f}" if len(values) > 1 else ""
        parts.append(f"{name.replace('/', ' ')} {mean:.{digits}f}{spread}{unit}")
    return "  ".join(parts)


@contextmanager
def screen(steps: int, first: int, shown: Sequence[str], quiet: bool) -> Iterator[Screen]:
    """A live bar on a terminal; when piped, about twenty lines a run; nothing if quiet."""
    if quiet:
        yield lambda step, record: None
    elif sys.stdout.isatty():
        with bar(steps, first, shown) as show:
            yield show
    else:
        yield lines(steps, first, shown)


def lines(steps: int, first: int, shown: Sequence[str]) -> Screen:
    begun, newest, said = time.monotonic(), {}, first

    def show(step: int, record: Record) -> None:
        nonlocal said
        newest.update(record)  # an evaluation stays on view until the next
        if step == steps or step - said >= steps / 20:
            said = step
            rate = (step - first) / max(time.monotonic() - begun, 1e-9)
            text = brief(newest, shown)
            print(f"step {step}/{steps}  {rate:.1f} steps/s  {text}", flush=True)

    return show


def columns() -> tuple[Any, ...]:
    """What the bar shows: steps done, steps a second, time left, the newest metrics."""
    from rich import progress

    return (
        progress.BarColumn(bar_width=24),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]:.0f} steps/s"),
        progress.TimeRemainingColumn(compact=True),
        progress.TextColumn("{task.fields[newest]}"),
    )


@contextmanager
def bar(steps: int, first: int, shown: Sequence[str]) -> Iterator[Screen]:
    from rich import progress  # here: only a terminal needs it

    newest: Record = {}
    with progress.Progress(*columns()) as live:
        task = live.add_task("", total=steps, completed=first, rate=0.0, newest="compiling")

        def show(step: int, record: Record) -> None:
            newest.update(record)
            rate = live.tasks[0].speed or 0.0
            live.update(task, completed=step, rate=rate, newest=brief(newest, shown))

        yield show
