"""What a run goes on from, and whether what was saved is of the run asked for.

A step's program is compared too, and only told of: another version of the code may write it anew.
"""

import hashlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import jax

from dljax.errors import InputError
from dljax.host import log
from dljax.host.checkpoint import Restored, occupied, restore
from dljax.host.result import fingerprint
from dljax.learner import Learner, Member, Run
from dljax.typing import Array, PyTree

BEGUN = ("another key", "other hyperparameters", "other seeds")


class Best(NamedTuple):
    """For each member, the best value seen of the selected metric, its step, and what was kept."""

    value: Array
    step: Array
    kept: PyTree
    tie: PyTree = ()  # of the best, what tells equals apart; nothing where nothing does


class Progress(NamedTuple):
    """What `fit` checkpoints."""

    run: Run
    best: Best | None


def program(learner: Learner, run: Run, *batch: PyTree) -> str:
    """A hash of what a step computes: another where a number or a shape in it differs."""
    written = str(jax.make_jaxpr(learner.step)(run.key, run.state, *batch))
    plain = re.sub("0x[0-9a-f]+", "", written)  # the addresses of functions
    return hashlib.sha256(plain.encode()).hexdigest()


class Noted(NamedTuple):
    """What a checkpoint holds beside the progress."""

    records: list[log.Record]
    feed: list[str] | None = None  # where each process's feed stood


def resumed(out: Path, like: Progress, about: dict[str, Any]) -> tuple[Progress, Noted]:
    """The newest good progress in `out` and what is noted of it, or `like` where there is none yet.

    Raises InputError where there are steps and none is good, for to begin anew would be no
    resuming; where more is done than is asked for; and where it was begun from another key or with
    other hyperparameters. It is said where a step computes something else than it did.
    """
    folder = out / "checkpoints"
    if not occupied(folder):
        print(f"no checkpoint in {folder} yet: starting from step 0", flush=True)
        return like, Noted([])
    restored: Restored = restore(folder, like)
    for line in restored.lost:
        print(f"checkpoint lost: {line}", flush=True)
    if restored.step > about["steps"]:
        raise InputError(
            f"{folder} is at step {restored.step}, beyond the {about['steps']} steps asked for"
        )
    for what, mine, theirs in zip(BEGUN, begun(like.run), begun(restored.tree.run), strict=True):
        if fingerprint(mine) != fingerprint(theirs):
            raise InputError(f"cannot resume {folder}: it was begun with {what} than asked for")
    notes: Any = restored.notes
    if isinstance(notes, list):  # of before there was more to note
        notes = about | {"records": notes}
    if notes["program"] != about["program"]:
        print(other(notes["steps"], about["steps"]), flush=True)
    return restored.tree, Noted(notes["records"], notes.get("feed"))


def begun(run: Run) -> tuple[PyTree, PyTree, PyTree]:
    """What never changes in a run: its key, and of a sweep its hyperparameters and seeds."""
    if isinstance(run.state, Member):
        return run.key, run.state.hparams, run.state.run.key
    return run.key, (), ()


def other(before: int, now: int) -> str:
    """What is said of a run that goes on by other steps than those that began it."""
    if before == now:
        return "note: a step computes something else than in the run that is resumed"
    return (
        f"note: what a step does depends on the length of the run, as a schedule does: it was made "
        f"for {before} steps, and goes on as that of {now}"
    )
