"""What a run says to other programs while it runs: JSON lines and TensorBoard events."""

import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
