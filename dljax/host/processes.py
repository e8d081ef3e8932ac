"""Several processes as one run, by JAX's own engine: each has its devices, the first one writes.

All run the same program, and so ask for the same things in the same order; whatever only the first
knows or does, such as the folder of the run, it tells the others.
"""

import json
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn

import jax
import numpy as np

from dljax.errors import InputError, brief

SILENCE = 30  # seconds after which a process that says nothing is taken for dead
GONE = (
    "another process of this run ended, and so this one does; what is saved is kept: "
    "start all of them again, with --resume"
)


def join(
    coordinator: str | None = None, count: int | None = None, number: int | None = None
) -> None:
    """Before JAX starts: meet the other processes, whom SLURM, MPI, Kubernetes or a TPU pod tells.

    Where nothing does, `coordinator` is HOST:PORT of the first process, of `count` in all of which
    this is `number`. Raises InputError if they are not told, or do not meet.
    """
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # it would take SIGTERM for itself, which `fit` answers by saving
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(coordinator, count, number, heartbeat_timeout_seconds=SILENCE)
    except (ValueError, RuntimeError) as error:
        told = "give --coordinator HOST:PORT, --num-processes and --process-id"
        raise InputError(f"the processes do not meet: {brief(error)} ({told})") from None
    said = sys.excepthook

    def crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """An ordinary end would wait for the others, and they for the numbers of this one."""
        said(kind, error, trace)
        if lost(error):
            print(GONE, file=sys.stderr)
        leave(1)

    sys.excepthook = crash
    shake_hands()


def shake_hands() -> None:
    """Let all processes, and all devices, exchange a number while they stand side by side.

    Gloo gives a group half a minute to meet for the first time, which one that compiles longer than
    another would miss; once they have met, it waits for as long as a collective takes.
    """
    from jax.experimental.multihost_utils import process_allgather

    each(0)
    devices = np.array(jax.devices())
    mesh = jax.sharding.Mesh(devices, ("all",))
    where = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("all"))
    ones = jax.make_array_from_callback(devices.shape, where, lambda part: np.ones(1, np.int32))
    process_allgather(ones, tiled=True)


def lost(error: BaseException) -> bool:
    """Whether it may be that another process is gone: memory that does not suffice is our own."""
    ours = "RESOURCE_EXHAUSTED" in str(error)
    return several() and isinstance(error, jax.errors.JaxRuntimeError) and not ours


def joined() -> bool:
    """Whether this process has met others; starts no backend."""
    return jax.distributed.is_initialized()


def several() -> bool:
    return joined() and jax.process_count() > 1


def first() -> bool:
    """Whether this is the process that writes."""
    return not joined() or jax.process_index() == 0


def highest(number: int) -> int:
    """The highest of all processes' numbers."""
    return max(each(number))


def each(value: Any) -> list[Any]:
    """What JSON holds, from every process to every process."""
    if not several():
        return [value]
    from jax.experimental.multihost_utils import process_allgather

    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    sizes = process_allgather(np.array([len(text)]))
    padded = np.zeros(int(sizes.max()), np.uint8)
    padded[: len(text)] = text
    rows = process_allgather(padded)
    return [
        json.loads(bytes(row[: int(size)])) for row, size in zip(rows, sizes.ravel(), strict=True)
    ]


def told(find: Callable[[], Any]) -> Any:
    """What the first process finds, which JSON holds; all raise the InputError that it raises."""
    if not several():
        return find()
    found, error = None, None
    if first():
        try:
            found = find()
        except InputError as caught:
            error = str(caught)
    found, error = each([found, error])[0]
    if error is not None:
        raise InputError(error)
    return found


def require_same(what: str, value: Any) -> None:
    """Raises InputError unless all processes see the same."""
    seen = each(value)
    if any(one != seen[0] for one in seen):
        raise InputError(
            f"the processes see different {what}, {seen}: --out must be on a disk that all share"
        )


def whole(array: Any) -> np.ndarray:
    """An array that may lie on devices of several processes, as the host's; a copy."""
    if getattr(array, "is_fully_addressable", True) or array.is_fully_replicated:
        return np.array(array)
    from jax.experimental.multihost_utils import process_allgather

    return np.asarray(process_allgather(array, tiled=True))


def leave(status: int) -> NoReturn:
    """End now: an ordinary end would wait for processes that may be gone."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
