"""Drive a learner: chunks of `advance`, and between them what a host does.

Evaluation with the best kept, early stopping, progress, logs, checkpoints and resuming.
"""

import functools
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax.errors import InputError
from dljax.host import log
from dljax.host.checkpoint import Restored, restore, save
from dljax.host.checkpoint import steps as saved_steps
from dljax.learner import Learner, Run, advance, start
from dljax.typing import Array, Key, Metrics, PyTree


class Best(NamedTuple):
    """For each member, the best value seen of the selected metric, its step, and what was kept."""

    value: Array
    step: Array
    kept: PyTree


class Progress(NamedTuple):
    """What `fit` checkpoints."""

    run: Run
    best: Best | None


class Fitted(NamedTuple):
    """What `fit` returns. `records` is the log: one dict a logged step."""

    run: Run
    kept: PyTree  # what the selection kept of the best states
    records: list[log.Record]
    seconds: dict[str, float]  # compile, train (without compile)


class Selection(NamedTuple):
    """How the best is told: the highest (or lowest) value of one evaluation metric.

    `keep(state)` is what is kept of the best state; `patience`, in evaluations without an
    improvement, ends a member's selection, and ends the run once every member's has ended.
    """

    metric: str
    keep: Callable[[PyTree], PyTree]
    lowest: bool = False
    patience: int | None = None


class Interrupted(Exception):
    """A signal ended the run early; everything up to `step` is saved."""

    def __init__(self, step: int, number: int, out: Path | None):
        super().__init__(f"stopped at step {step} by {signal.Signals(number).name}")
        self.step, self.number, self.out = step, number, out


class Diverged(Exception):
    """A metric stopped being finite; the message names the step, the metric and the member."""


DONATED = jax.jit(advance, static_argnums=(0, 2), donate_argnums=1)
COMPILED = {"seconds": 0.0}


@jax.jit
def finite(tree: PyTree) -> Array:
    """Whether every floating-point leaf is finite."""
    floats = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.array([jnp.isfinite(leaf).all() for leaf in floats]).all()


def on_compile(event: str, duration_secs: float, **_: str | int) -> None:
    # not the tracing events: nested functions report theirs twice
    if event.endswith(("jaxpr_to_mlir_module_duration", "backend_compile_duration")):
        COMPILED["seconds"] += duration_secs


jax.monitoring.register_event_duration_secs_listener(on_compile)


class Clock:
    """Seconds of compilation and of the rest, over all the sittings of a run."""

    def __init__(self, before: float):
        self.before, self.begun, self.compiled = before, time.monotonic(), COMPILED["seconds"]

    def read(self) -> dict[str, float]:
        compiling = COMPILED["seconds"] - self.compiled
        train = self.before + time.monotonic() - self.begun - compiling
        return {"compile": round(compiling, 3), "train": round(train, 3)}


def fit(
    learner: Learner,
    key: Key,
    steps: int,
    *,
    evaluate: Callable[[PyTree], Metrics] | None = None,
    every: int | None = None,
    select: Selection | None = None,
    chunk: int = 100,
    out: Path | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    place: Callable[[PyTree], PyTree] = lambda tree: tree,
    quiet: bool = True,
    names: Sequence[str] = (),
    shown: Sequence[str] = (),
    may_diverge: bool = False,
) -> Fitted:
    """Run `learner` from `key` for `steps` steps, in chunks of at most `chunk`.

    `evaluate(state)` gives metrics (scalars or [N]) every `every` steps and at the end; `select`
    keeps the best. With `out`, logs and checkpoints go there, and `resume` goes on from the newest
    good checkpoint. `place` puts the progress on devices; `names` call the members in messages,
    and `shown` names the metrics for the screen (all, if empty). With `may_diverge`, members whose
    state stops being finite are left to the caller, as in a sweep up to rates that are too large.

    Raises Interrupted after SIGINT or SIGTERM, Diverged at a non-finite metric, InputError where
    no checkpoint is good; each leaves the newest checkpoint valid.
    """
    every = min(every or steps, steps)
    saves = checkpoint_every or every
    progress = begin(learner, key, evaluate, select)
    if out and resume:
        progress = resumed(out, progress, steps)
    elif out and saved_steps(out / "checkpoints"):
        raise InputError(f"{out} holds checkpoints already; resume, or choose another folder")
    progress = place(progress)
    step = saved = int(progress.run.step)
    journal = log.Log(out, step) if out else log.Memory()
    judge = jax.jit(functools.partial(choose, evaluate, select, every), donate_argnums=1)
    clock = Clock(journal.records[-1]["seconds"] if journal.records else 0.0)

    with signals() as caught, log.screen(steps, step, shown, quiet) as show, closing(journal):
        while step < steps and not caught and not stalled(progress.best, select, step, every):
            size = piece(step, steps, every, saves, chunk)
            run, metrics = DONATED(learner, progress.run, size)
            check(metrics, step, names)
            if not (may_diverge or finite(run.state)):  # the last update shows in no metric
                raise Diverged(f"the state is not finite at step {step + size}")
            step, progress = step + size, progress._replace(run=run)
            record = {f"train/{k}": np.mean(v, 0).tolist() for k, v in metrics.items()}
            if evaluate and (step % every == 0 or step == steps):
                best, judged = judge(run, progress.best)
                check({k: v[None] for k, v in judged.items()}, step - 1, names)
                progress = progress._replace(best=best)
                record |= {k: np.asarray(v).tolist() for k, v in judged.items()}
            record = {"step": step, "seconds": clock.read()["train"], **log.as_lists(record)}
            journal.write(record)
            show(step, record)
            if out and (step % saves == 0 or step == steps):
                saved = keep(out, progress, select, record)
        if out and saved < step:  # stopped early or by a signal
            keep(out, progress, select, journal.records[-1])
    if caught:  # at the end too: an experiment of several fits should stop
        raise Interrupted(step, caught[0], out)
    kept = progress.best.kept if progress.best else None
    return Fitted(progress.run, kept, journal.records, clock.read())


def begin(learner, key, evaluate, select) -> Progress:
    """The progress at step 0: nothing is best yet."""
    run = start(learner, key)
    if select is None:
        return Progress(run, None)
    worst = jnp.inf if select.lowest else -jnp.inf
    shape = jax.eval_shape(evaluate, run.state)[select.metric].shape
    kept = jax.tree.map(jnp.copy, select.keep(run.state))  # the run's own buffers are donated
    return Progress(run, Best(jnp.full(shape, worst), jnp.zeros(shape, jnp.int32), kept))


def resumed(out: Path, like: Progress, steps: int) -> Progress:
    """The newest good progress in `out`, or `like` where nothing was saved yet."""
    folder = out / "checkpoints"
    if not saved_steps(folder):
        print(f"no checkpoint in {folder} yet: starting from step 0", flush=True)
        return like
    restored: Restored = restore(folder, like)
    for line in restored.lost:
        print(f"checkpoint lost: {line}", flush=True)
    if restored.step > steps:
        raise InputError(f"{folder} is at step {restored.step}, beyond the {steps} steps asked for")
    return restored.tree


def choose(evaluate, select, every, run: Run, best: Best | None) -> tuple[Best | None, Metrics]:
    """The evaluation of `run`, and the best of it and what was best before."""
    metrics = evaluate(run.state)
    if select is None or best is None:
        return best, metrics
    value = metrics[select.metric]
    better = value < best.value if select.lowest else value > best.value
    if select.patience:  # a member whose selection has ended stays as it was then
        better &= run.step - best.step <= select.patience * every
    kept = jax.tree.map(
        lambda new, old: jnp.where(
            better.reshape(better.shape + (1,) * (new.ndim - better.ndim)), new, old
        ),
        select.keep(run.state),
        best.kept,
    )
    chosen = Best(
        jnp.where(better, value, best.value), jnp.where(better, run.step, best.step), kept
    )
    return chosen, metrics


def stalled(best: Best | None, select: Selection | None, step: int, every: int) -> bool:
    """Whether every member's selection has ended."""
    if best is None or select is None or select.patience is None:
        return False
    return bool(np.all(step - np.asarray(best.step) >= select.patience * every))


def piece(step: int, steps: int, every: int, saves: int, chunk: int) -> int:
    """The next chunk's length: up to the next thing to do, in few different lengths.

    Each length is a compilation, so a stretch is cut evenly where a length near `chunk` divides it.
    """
    ends = (steps, every - step % every + step, saves - step % saves + step)
    even = next((n for n in range(chunk, chunk // 4, -1) if every % n == 0), chunk)
    return min(even, min(ends) - step)


def check(metrics: Metrics, step: int, names: Sequence[str]) -> None:
    """Raises Diverged at the first non-finite entry of metrics [steps, ...] from `step` on."""
    for name, values in metrics.items():
        values = np.asarray(values)
        if np.isfinite(values).all():
            continue
        first = np.argwhere(~np.isfinite(values))[0]
        member = int(first[1]) if len(first) > 1 else None
        who = "" if member is None else f" for {names[member] if names else f'member {member}'}"
        raise Diverged(f"{name} is {values[tuple(first)]} at step {step + int(first[0]) + 1}{who}")


def keep(out: Path, progress: Progress, select: Selection | None, record: log.Record) -> int:
    """Save a checkpoint, scored by the members' mean of the selected metric, where just taken."""
    score = None
    if select is not None and select.metric in record:
        score = float(np.mean(record[select.metric])) * (-1 if select.lowest else 1)
    step = int(progress.run.step)
    save(out / "checkpoints", step, progress, score=score)
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
