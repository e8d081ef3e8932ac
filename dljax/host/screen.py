"""What a person sees of a run: a live bar on a terminal, lines where the output is piped."""

import contextlib
import io
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from dljax.host.log import Record
from dljax.host.result import number

EVALUATING = "evaluating"
BAR = 10  # columns of the bar


class Show(NamedTuple):
    """What a person sees: nothing if `quiet`, else the metrics `shown` (all, if empty)."""

    quiet: bool = True
    shown: Sequence[str] = ()
    names: Sequence[str] = ()  # what messages call the members
    fit: str = ""  # what the bar calls this fit, where there are several
    per_step: int = 1  # environment steps in one step of an agent, which are then counted


@runtime_checkable
class Screen(Protocol):
    """Shows how far the run is, with its newest record and what it is doing."""

    def __call__(self, step: int, record: Record, doing: str = "") -> None: ...


@contextmanager
def screen(steps: int, first: int, show: Show) -> Iterator[Screen]:
    """A live bar on a terminal; when piped, about twenty lines a run; nothing if quiet."""
    if show.quiet:
        yield lambda step, record, doing="": None
    elif sys.stdout.isatty():
        with bar(steps, first, show) as tell:
            yield tell
    else:
        yield lines(steps, first, show)


@contextmanager
def unfailing() -> Iterator[None]:
    """Round a command: a question mark is printed for what the terminal lacks a sign of.

    Whoever reads may have enough, as `head` has: it then ends in silence, with 128 + SIGPIPE.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def printable(text: str) -> str:
    """The text as the terminal can show it, for those whose streams are not ours to change."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # a notebook may have its own kind
    return text.encode(encoding, "replace").decode(encoding)


def lines(steps: int, first: int, show: Show) -> Screen:
    begun, newest, said = time.monotonic(), {}, first

    def tell(step: int, record: Record, doing: str = "") -> None:
        nonlocal said
        newest.update(record)  # an evaluation stays on view until the next
        if not doing and (step == steps or step - said >= steps / 20):
            said = step
            rate = (step - first) / max(time.monotonic() - begun, 1e-9)
            told = f"{show.fit}: " if show.fit else ""
            text = f"{told}{counted(show, step, steps)}  {pace(show, rate)}"
            print(printable("  ".join([text, *brief(newest, show.shown)])), flush=True)

    return tell


@contextmanager
def bar(steps: int, first: int, show: Show) -> Iterator[Screen]:
    from rich import get_console, progress  # here: only a terminal needs it

    newest, console = {}, get_console()
    with progress.Progress(*columns(show, console), console=console) as live:
        task = live.add_task("", total=steps, completed=first, said=["compiling"])

        def tell(step: int, record: Record, doing: str = "") -> None:
            newest.update(record)
            said = [*filter(None, [doing]), *brief(newest, show.shown)]
            live.update(task, completed=step, said=said)

        yield tell


def columns(show: Show, console: Any) -> tuple[Any, ...]:
    """The bar, and beside it one line that fits the console."""
    from rich import progress
    from rich.text import Text

    class Line(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            left = "" if task.time_remaining is None else f"{clock(task.time_remaining)} left"
            count = counted(show, int(task.completed), int(task.total or 0))
            rate = pace(show, task.speed or 0.0)
            parts = (count, left, rate, show.fit, *task.fields["said"])
            return Text(printable(fitting(parts, console.width - BAR - 1)))

    return progress.BarColumn(bar_width=BAR), Line()


def fitting(parts: Sequence[str], width: int) -> str:
    """The parts side by side, without those that no longer fit into so many columns."""
    text = ""
    for part in filter(None, parts):
        longer = f"{text}  {part}" if text else part
        if len(longer) > width:
            break
        text = longer
    return text or parts[0][:width]


def counted(show: Show, step: int, steps: int) -> str:
    """`step 20/400`; of an agent the steps of its environment."""
    word = "step" if show.per_step == 1 else "environment step"
    return f"{word} {step * show.per_step}/{steps * show.per_step}"


def pace(show: Show, rate: float) -> str:
    return f"{rate * show.per_step:.3g} steps/s"


def clock(seconds: float) -> str:
    """`1:05`, or with hours `2:01:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def brief(record: Record, shown: Sequence[str]) -> list[str]:
    """`train loss 0.1200`, `validation accuracy 98.9 ± 0.1 %`: means over members, and spread."""
    parts = []
    for name, values in record.items():
        if not isinstance(values, list) or (shown and name not in shown):
            continue
        with np.errstate(invalid="ignore"):  # of infinities, where members may diverge
            mean, sd = float(np.mean(values)), float(np.std(values, ddof=int(len(values) > 1)))
        share = "accuracy" in name
        told = [
            f"{100 * x:.2f}" if share else number(x, digits) for x, digits in ((mean, 4), (sd, 2))
        ]
        spread = f" ± {told[1]}" if len(values) > 1 else ""
        parts.append(f"{name.replace('/', ' ')} {told[0]}{spread}{' %' if share else ''}")
    return parts


def busy(what: str, quiet: bool) -> contextlib.AbstractContextManager[Any]:
    """Says what is done, while it is, on a terminal."""
    if quiet or not sys.stdout.isatty():
        return contextlib.nullcontext()
    from rich import get_console

    return get_console().status(what)
