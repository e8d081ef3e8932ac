"""Drive a learner: chunks of `advance`, and between them what a host does.

Evaluation with the best kept, early stopping, progress, logs, checkpoints and resuming. A sweep, a
learner whose state is a stack of `Member`s, is spread over the devices, whatever their numbers.
"""

import functools
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax.errors import InputError, check_count, unknown
from dljax.host import feed as feeding
from dljax.host import log, processes, screen
from dljax.host.checkpoint import occupied, save
from dljax.host.devices import EACH, MEMBERS, WHOLE, Layout, gather, layout, place, spread
from dljax.host.finite import check, check_state, finite
from dljax.host.log import DEFAULT, Logger
from dljax.host.resume import Best, Noted, Progress, program, resumed
from dljax.host.screen import EVALUATING, Show
from dljax.learner import Jitted, Learner, Member, Run, advance, start
from dljax.ops.pick import pick
from dljax.typing import Array, Key, Metrics, PyTree


class Fitted(NamedTuple):
    """What `fit` returns. `records` is the log: one dict a logged step."""

    run: Run
    kept: PyTree  # what the selection kept of the best states
    records: list[log.Record]
    seconds: dict[str, float]  # compile, train (without compile)
    rate: float | None  # steps a second of `advance` alone; None where none was taken


class Selection(NamedTuple):
    """How the best is told: the highest (or lowest) value of one evaluation metric.

    Of equals the first is best, or the one of the lowest `tie`, another metric. `keep(state)` is
    what is kept of the best state; `patience`, in evaluations without an improvement, ends a
    member's selection, and ends the run once every member's has ended.
    """

    metric: str
    keep: Callable[[PyTree], PyTree]
    lowest: bool = False
    patience: int | None = None
    tie: str | None = None


class Watch(NamedTuple):
    """What is measured between chunks: `evaluate(state)`, every `every` steps and at the end.

    In a sweep the state is one `Member`, of whom `evaluate` gives scalars and `select.keep` what is
    kept; neither hears of the others.
    """

    evaluate: Callable[[Any], Metrics] | None = None
    every: int | None = None  # by default at the end only
    select: Selection | None = None


class Keep(NamedTuple):
    """Where logs and checkpoints go, how often, and whether to go on from what is there."""

    out: Path | str
    every: int | None = None  # steps between checkpoints; by default those between evaluations
    resume: bool = False
    log: Sequence[str | Logger] = DEFAULT  # who hears of each record: see `host/log`


class Interrupted(Exception):
    """A signal ended the run early; everything up to `step` is saved."""

    def __init__(self, step: int, number: int, out: Path | None):
        super().__init__(f"stopped at step {step} by {signal.Signals(number).name}")
        self.step, self.number, self.out = step, number, out


SWEEP: Any = Run._make((WHOLE, WHOLE, EACH))  # what is cut of a sweep's run
PROGRESS: Any = Progress._make((SWEEP, EACH))
COMPILED = {"seconds": 0.0}


@functools.partial(Jitted, static_argnames=("steps", "at"), donate_argnames="run")
def advance_spread(
    learner: Learner, run: Run, steps: int, at: Layout | None = None
) -> tuple[Run, Metrics]:
    """`advance`, its run given up, each device with its own members; exchanging nothing.

    Raises InputError if a sweep's metric is not [N].
    """

    def local(run: Run) -> tuple[Run, Metrics]:
        after, metrics = advance(learner, run, steps)
        if isinstance(run.state, Member):
            shape = steps, len(jax.tree.leaves(run.state)[0])
            for name, value in metrics.items():
                if value.shape != shape:
                    raise InputError(f"a sweep's metric must be [N], one a member; {name} is not")
        return after, metrics

    cut_metrics = jax.sharding.PartitionSpec(None, MEMBERS)
    return spread(local, at, (SWEEP,), (SWEEP, cut_metrics))(run)


def on_compile(event: str, duration_secs: float, **_: str | int) -> None:
    # not the tracing events: nested functions report theirs twice
    if event.endswith(("jaxpr_to_mlir_module_duration", "backend_compile_duration")):
        COMPILED["seconds"] += duration_secs


jax.monitoring.register_event_duration_secs_listener(on_compile)


class Clock:
    """Seconds of compilation and of the rest, over all the sittings of a run."""

    def __init__(self, before: float = 0.0):
        self.before, self.begun, self.compiled = before, time.monotonic(), COMPILED["seconds"]

    def read(self) -> dict[str, float]:
        compiling = COMPILED["seconds"] - self.compiled
        train = self.before + time.monotonic() - self.begun - compiling
        return {"compile": round(compiling, 3), "train": round(train, 3)}


def fit(
    learner: Learner,
    key: Key,
    steps: int,
    watch: Watch = Watch(),  # noqa: B008 - immutable
    *,
    keep: Keep | None = None,
    show: Show = Show(),  # noqa: B008
    chunk: int = 100,
    devices: int | None = None,
    may_diverge: bool = False,
    feed: feeding.Feed | None = None,
) -> Fitted:
    """Run `learner` from `key` for `steps` steps, in chunks of at most `chunk`.

    A sweep is spread over all devices, or each process's first `devices`, and so are the batches
    of a `feed`; what comes back lies on the default one. Of several processes, the first writes
    what all of them read. With `may_diverge`, members whose state or metrics stop being finite are
    left to the caller, as in a sweep up to rates that are too large.

    Raises Interrupted after SIGINT or SIGTERM, Diverged at a non-finite metric, InputError where
    no checkpoint is good, or names or numbers are not as they should be; each leaves the newest
    checkpoint valid.
    """
    check_numbers(steps, watch, keep, chunk)
    log.check(keep.log if keep else ())
    out = Path(keep.out).expanduser() if keep else None
    every = min(watch.every or steps, steps)
    saves = (keep and keep.every) or every
    run = start(learner, key)
    many = isinstance(run.state, Member)
    at, members = layout_of(run, devices)
    specs: Any = PROGRESS
    if feed is not None:
        if many:
            raise InputError("a sweep takes no feed: its members would all be given the same")
        at, specs = feeding.layout(devices), WHOLE
    names = show.names
    if names and len(names) != members:
        raise InputError(f"names must be one for each of the {members} members; got {len(names)}")

    def own(values: Array, axis: int = 0) -> np.ndarray:
        """Without those of the copies that only fill a device up."""
        host = processes.whole(values)
        return host[(slice(None),) * axis + (slice(members),)] if many else host

    if many and watch.evaluate:
        watch = watch._replace(evaluate=jax.vmap(watch.evaluate))
    if many and watch.select:
        watch = watch._replace(select=watch.select._replace(keep=jax.vmap(watch.select.keep)))
    progress, noted = begin(run, watch), Noted([])
    about = (
        {"steps": steps, "program": program(learner, run, *feeding.example(feed))} if out else {}
    )
    if out and keep and keep.resume:
        progress, noted = resumed(out, progress, about)
        processes.require_same("checkpoints", int(progress.run.step))
        feeding.go_back(feed, noted)
    elif out and occupied(out / "checkpoints"):
        raise InputError(f"{out} holds checkpoints already; resume, or choose another folder")
    step = saved = int(progress.run.step)
    progress = place(progress, at, specs)
    judge = functools.partial(choose, watch, every)
    if many:
        judge = spread(judge, at, (SWEEP, EACH), EACH)
    judge = jax.jit(judge, donate_argnums=1)
    # a run may go on over more devices, or fewer, than it was saved on
    there = functools.partial(gather, at=at, specs=specs, host=True)
    clock = Clock(noted.records[-1]["seconds"] if noted.records else 0.0)
    laps: list[tuple[int, dict[str, float]]] = []
    # from here the folder is ours
    home = out if processes.first() else None
    journal = log.Log(home, noted.records, keep.log if keep else ())
    sizes = pieces(step, steps, every, saves, chunk)
    position: str | None = None

    with (
        signals() as caught,
        screen.screen(steps, step, show) as tell,
        closing(journal),
        feeding.pieces(feed, pieces(step, steps, every, saves, chunk), at)
        if feed is not None and at
        else nullcontext() as take,
    ):
        for size in sizes:
            best = progress.best
            if stopped(caught) or (best and stalled(own(best.step), watch.select, step, every)):
                break
            lap = Clock()
            if take and at:
                batches, position = take()
                run, metrics = feeding.advance_fed(learner, progress.run, batches, size, at)
            else:
                run, metrics = advance_spread(learner, progress.run, size, at)
            metrics = {k: own(v, 1) for k, v in metrics.items()}
            if not may_diverge:
                check(metrics, step, names)
                # the last update shows in no metric
                check_state(own(finite(run.state, at if many else None)), step + size, names)
            laps.append((size, lap.read()))
            step, progress = step + size, progress._replace(run=run)
            record = {f"train/{k}": np.mean(v, 0).tolist() for k, v in metrics.items()}
            if watch.evaluate and (step % every == 0 or step == steps):
                tell(step, {}, EVALUATING)
                best, judged = judge(run, progress.best)
                judged = {k: own(v) for k, v in judged.items()}
                if not may_diverge:
                    check({k: v[None] for k, v in judged.items()}, step - 1, names)
                progress = progress._replace(best=best)
                record |= {k: v.tolist() for k, v in judged.items()}
            record = {"step": step, "seconds": clock.read()["train"], **log.as_lists(record)}
            journal.write(record)
            tell(step, record)
            if out and (step % saves == 0 or step == steps):
                notes = about | feeding.states(position)
                saved = commit(out, there(progress), watch.select, notes, journal.records)
        if out and saved < step:  # stopped early or by a signal
            notes = about | feeding.states(position)
            commit(out, there(progress), watch.select, notes, journal.records)
    if number := stopped(caught):  # at the end too: an experiment of several fits should stop
        raise Interrupted(step, number, out)
    progress = gather(progress, at, specs)
    kept = progress.best.kept if progress.best else None
    return Fitted(progress.run, kept, journal.records, clock.read(), speed(laps))


def check_numbers(steps: int, watch: Watch, keep: Keep | None, chunk: int) -> None:
    """Raises InputError unless steps, and all that is counted in steps or evaluations, can be."""
    if not 0 <= steps < 2**31:
        raise InputError(f"steps must be at least 0 and below 2^31; got {steps}")
    given = {
        "chunk": chunk,
        "Watch.every": watch.every,
        "Keep.every": keep and keep.every,
        "Selection.patience": watch.select and watch.select.patience,
    }
    check_count(**{name: value for name, value in given.items() if value is not None})


def speed(laps: list[tuple[int, dict[str, float]]]) -> float | None:
    """Steps a second over laps of so many steps in so many seconds; None where there are none."""
    # a lap that compiled has traced as well, for longer than a short run trains
    laps = [lap for lap in laps if not lap[1]["compile"]] or laps
    spent = sum(seconds["train"] for _, seconds in laps)
    return sum(size for size, _ in laps) / spent if spent > 0 else None


def begin(run: Run, watch: Watch) -> Progress:
    """The progress at step 0: nothing is best yet."""
    evaluate, select = watch.evaluate, watch.select
    if select is None:
        return Progress(run, None)
    found = jax.eval_shape(evaluate, run.state) if evaluate else {}
    for name in (select.metric, select.tie):
        if name is not None and name not in found:
            raise unknown("metric in Selection", name, found)
    worst = jnp.inf if select.lowest else -jnp.inf
    value = found[select.metric]
    # of the very type that `choose` gives, lest that be compiled twice
    first, steps = jnp.full(value.shape, worst, value.dtype), jnp.zeros(value.shape, jnp.int32)
    kept = jax.tree.map(jnp.copy, select.keep(run.state))  # the run's own buffers are donated
    tie = jnp.full_like(found[select.tie], jnp.inf) if select.tie else ()
    return Progress(run, Best(first, steps, kept, tie))


def layout_of(run: Run, count: int | None = None) -> tuple[Layout | None, int]:
    """How a run lies on `devices.local(count)`, and its members; what is no sweep lies on one."""
    if not isinstance(run.state, Member):
        return None, 1
    members = len(jax.tree.leaves(run.state)[0])
    return layout(members, count), members


def choose(watch: Watch, every: int, run: Run, best: Best | None) -> tuple[Best | None, Metrics]:
    """The evaluation of `run`, and the best of it and what was best before."""
    assert watch.evaluate
    select, metrics = watch.select, watch.evaluate(run.state)
    if select is None or best is None:
        return best, metrics
    value = metrics[select.metric]
    better = value < best.value if select.lowest else value > best.value
    if select.tie:
        better |= (value == best.value) & (metrics[select.tie] < best.tie)
    if select.patience:  # a member whose selection has ended stays as it was then
        better &= run.step - best.step <= select.patience * every
    kept = pick(better, select.keep(run.state), best.kept)
    tie = jnp.where(better, metrics[select.tie], best.tie) if select.tie else ()
    chosen = Best(
        jnp.where(better, value, best.value), jnp.where(better, run.step, best.step), kept, tie
    )
    return chosen, metrics


def stalled(best: np.ndarray, select: Selection | None, step: int, every: int) -> bool:
    """Whether every member's selection has ended, whose best were at the steps `best`."""
    patience = select and select.patience
    return bool(patience and np.all(step - best >= patience * every))


def piece(step: int, steps: int, every: int, saves: int, chunk: int) -> int:
    """The next chunk's length: up to the next thing to do, in few different lengths.

    Each length is a compilation, so a stretch is cut evenly where a length near `chunk` divides it.
    """
    ends = (steps, every - step % every + step, saves - step % saves + step)
    even = next((n for n in range(chunk, chunk // 4, -1) if every % n == 0), chunk)
    return min(even, min(ends) - step)


def pieces(step: int, steps: int, every: int, saves: int, chunk: int) -> Iterator[int]:
    """The lengths of all chunks from `step` on."""
    while step < steps:
        yield (size := piece(step, steps, every, saves, chunk))
        step += size


def stopped(caught: list[int]) -> int:
    """The signal that ends the run, whichever process it came to; 0 where none did."""
    return processes.highest(caught[0] if caught else 0)


def commit(
    out: Path,
    progress: Progress,
    select: Selection | None,
    about: dict[str, Any],
    records: list[log.Record],
) -> int:
    """Save a checkpoint, scored by the members' mean of the selected metric, where just taken.

    The log goes with it, so that what an experiment makes of its records outlives metrics.jsonl.
    """
    score, record = None, records[-1]
    if select is not None and select.metric in record:
        score = float(np.mean(record[select.metric])) * (-1 if select.lowest else 1)
    step = int(progress.run.step)
    if not processes.first():
        return step
    save(out / "checkpoints", step, progress, score=score, notes=about | {"records": records})
    return step


@contextmanager
def signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that the chunk is finished; a second one is obeyed."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def note(number: int, _: object) -> None:
        caught.append(number)
        for name, handler in before.items():
            signal.signal(name, handler)

    before = {name: signal.signal(name, note) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
