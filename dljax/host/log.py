"""What a run says to other programs while it runs: each record, to functions `record -> None`.

A logger is named (`json`, `tensorboard`, `wandb`, or `module:function` of a user's own) or is such
a function itself. On resuming, a logger gets the checkpoint's records first, oldest first, so that
what it writes anew is the undisturbed run's log.
"""

import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dljax.errors import InputError, named, unknown
from dljax.host.folder import take_lock
from dljax.host.result import as_json, write_whole

Record = dict[str, Any]  # {"step": int, "seconds": float, metric: [one value a member]}
Logger = Callable[[Record], None]


class Log:
    """The records of a run, and the loggers that hear of each. None of them is read again.

    Raises InputError where another process is writing into the folder.
    """

    def __init__(
        self,
        folder: Path | None = None,
        records: Sequence[Record] = (),
        loggers: Sequence[str | Logger] = (),
    ):
        """In memory alone where there is no folder."""
        self.records = list(records)
        self.open = ExitStack()
        if folder is None:
            self.loggers = []
            return
        self.open.callback(os.close, take_lock(folder, "fit.lock"))
        with self.open:
            self.loggers = [
                self.open.enter_context(OPENED[each](folder)) if each in OPENED else function(each)
                for each in loggers or DEFAULT
            ]
            for record in self.records:
                self.tell(record)
            self.open = self.open.pop_all()  # which closes what is open, should one of them fail

    def tell(self, record: Record) -> None:
        for logger in self.loggers:
            logger(record)

    def write(self, record: Record) -> None:
        self.records.append(record)
        self.tell(record)

    def close(self) -> None:
        self.open.close()


def function(logger: str | Logger) -> Logger:
    """A user's own. Raises InputError where a name is no logger's and no function's."""
    if callable(logger):
        return logger
    if ":" not in logger:
        raise unknown("logger", logger, [*OPENED, "module:function"])
    return named(logger, "logger")


def check(loggers: Sequence[str | Logger]) -> None:
    """Raises InputError for a name that is no logger's, or whose library is absent."""
    for each in loggers:
        if each not in OPENED:
            function(each)
        elif each == "wandb":
            imported_wandb()


@contextmanager
def json_lines(folder: Path) -> Iterator[Logger]:
    """`metrics.jsonl`, one record a line, written anew."""
    path = folder / "metrics.jsonl"
    write_whole(path, "")
    with path.open("a") as lines:

        def tell(record: Record) -> None:
            lines.write(as_json(record) + "\n")
            lines.flush()

        yield tell


@contextmanager
def tensorboard(folder: Path) -> Iterator[Logger]:
    """TensorBoard event files of the same numbers, written anew."""
    # here: the import costs half a second. Not SummaryWriter, whose thread hangs on a full disk
    from tensorboardX.event_file_writer import EventsWriter

    (folder / "tensorboard").mkdir(exist_ok=True)
    for old in folder.glob("tensorboard/events.*"):
        old.unlink()
    events = EventsWriter(str(folder / "tensorboard" / "events"))
    flushed = float("-inf")

    def tell(record: Record) -> None:
        nonlocal flushed
        events.write_event(event(record))
        if time.monotonic() > flushed + 1:  # not each time: it waits for the disk
            events.flush()
            flushed = time.monotonic()

    try:
        yield tell
    finally:
        events.close()


@contextmanager
def wandb(folder: Path) -> Iterator[Logger]:
    """A run of Weights & Biases, whose own variables say where: WANDB_MODE, WANDB_PROJECT.

    Its number is kept in the folder, so that a resumed run goes on with it; where the file is
    damaged, it goes on as another.
    """
    library = imported_wandb()
    number = folder / "wandb.id"
    if not number.is_file() or not re.fullmatch(b"[0-9a-f]{8}", number.read_bytes()):
        write_whole(number, uuid.uuid4().hex[:8])
    options = {"project": os.environ.get("WANDB_PROJECT", "dljax"), "dir": str(folder)}
    quiet = library.Settings(silent=True)
    if os.environ.get("WANDB_MODE", "online") == "online":  # offline it only warns of it
        options["resume"] = "allow"
    run = library.init(id=number.read_text(), settings=quiet, **options)
    there = run.step  # of a run that goes on at the service, which takes no step twice

    def tell(record: Record) -> None:
        if record["step"] >= there:
            run.log(scalars(record), step=record["step"])

    try:
        yield tell
    finally:
        run.finish()


def imported_wandb() -> Any:
    """Raises InputError where it is not installed."""
    try:
        import wandb as library
    except ImportError:
        raise InputError("logger 'wandb' needs pip install 'dljax[wandb]'") from None
    return library


OPENED: dict[Any, Callable[[Path], AbstractContextManager[Logger]]]
OPENED = {"json": json_lines, "tensorboard": tensorboard, "wandb": wandb}
DEFAULT = ("json", "tensorboard")


def scalars(record: Record) -> dict[str, float]:
    """A record's numbers, `metric/member` each."""
    return {
        f"{name}/{member}": value
        for name, members in record.items()
        if isinstance(members, list)
        for member, value in enumerate(members)
    }


def event(record: Record) -> Any:
    """A TensorBoard event with the record's numbers, one scalar a metric and member."""
    from tensorboardX.proto.event_pb2 import Event  # pyright: ignore
    from tensorboardX.proto.summary_pb2 import Summary  # pyright: ignore

    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars(record).items()]
    return Event(wall_time=time.time(), step=record["step"], summary=Summary(value=values))


def as_lists(record: dict[str, Any]) -> Record:
    """The record with each scalar as a list of one, as for a sweep of one member."""
    return {name: value if isinstance(value, list) else [value] for name, value in record.items()}
