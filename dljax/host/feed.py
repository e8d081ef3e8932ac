"""Batches from the host: data larger than a device, or than memory, read while the device computes.

A feed is any iterator that can say where it stands, as grain's are: `get_state` gives what JSON
holds, or bytes, and `set_state` goes back there. Each process has its own, which gives its share of
every batch [B / processes, ...]; over the devices a batch is cut along its first axis, and the
compiler inserts the sums.
"""

import base64
import functools
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from dljax.errors import InputError
from dljax.host import processes
from dljax.host.devices import WHOLE, Layout, everywhere, row
from dljax.host.result import known
from dljax.host.resume import Noted
from dljax.learner import Jitted, Learner, Run, advance
from dljax.typing import Metrics, PyTree

AXIS = "data"


@runtime_checkable
class Feed(Protocol):
    """An iterator over batches, the same ones whenever it is set to the same state."""

    def __next__(self) -> PyTree: ...

    def get_state(self) -> Any: ...

    def set_state(self, state: Any) -> None: ...


class Piece(NamedTuple):
    """The batches of a chunk, on the devices, and where the feed stands behind them."""

    batches: PyTree
    state: str


def layout(devices: int | None) -> Layout:
    """All devices of all processes, or the first `devices` of each, in a row."""
    return Layout(row(everywhere(devices), AXIS), 1)


@functools.partial(Jitted, static_argnames=("steps", "at"), donate_argnames="run")
def advance_fed(
    learner: Learner, run: Run, batches: PyTree, steps: int, at: Layout
) -> tuple[Run, Metrics]:
    """`advance` over batches that are cut over the devices; all else is whole on each."""
    found = advance(learner, run, steps, batches)
    return jax.lax.with_sharding_constraint(found, NamedSharding(at.mesh, WHOLE))


@contextmanager
def pieces(feed: Feed, sizes: Iterable[int], at: Layout) -> Iterator[Callable[[], Piece]]:
    """What gives the next piece; the one behind it is read and moved to the devices meanwhile.

    Afterwards the feed stands behind the last piece that was given.
    """
    given, left = written(feed), iter(sizes)
    with ThreadPoolExecutor(1, "feed") as reader:

        def begin() -> Any:
            size = next(left, None)
            return None if size is None else reader.submit(read, feed, size, at)

        ahead = begin()

        def take() -> Piece:
            nonlocal ahead, given
            assert ahead
            piece = ahead.result()
            given, ahead = piece.state, begin()
            return piece

        try:
            yield take
        finally:
            reader.shutdown(cancel_futures=True)
            feed.set_state(read_state(given))


def following(feed: Feed) -> PyTree:
    """The next batch; raises InputError where there is none."""
    try:
        return next(feed)
    except StopIteration:
        raise InputError("the feed ended before the run: let it repeat") from None


def read(feed: Feed, size: int, at: Layout) -> Piece:
    """Raises InputError where the feed ends, or its batches cannot be cut evenly."""
    batches = [following(feed) for _ in range(size)]
    mesh = at.mesh
    count = len(mesh.local_devices)
    sizes = {len(leaf) for batch in batches for leaf in jax.tree.leaves(batch)}
    if len(sizes) > 1:
        raise InputError(f"batches must be of one size; got {sorted(sizes)}")
    if (share := sizes.pop()) % count:
        raise InputError(f"a batch of {share} cannot be cut evenly over {count} devices")
    where = NamedSharding(mesh, PartitionSpec(None, AXIS))

    def put(*leaves: Any) -> jax.Array:
        return jax.make_array_from_process_local_data(where, np.stack(leaves))

    return Piece(jax.tree.map(put, *batches), written(feed))


def example(feed: Feed | None) -> tuple[PyTree, ...]:
    """The next batch, which the feed gives again; nothing without a feed."""
    if feed is None:
        return ()
    before = feed.get_state()
    batch = following(feed)
    feed.set_state(before)
    return (batch,)


def written(feed: Feed) -> str:
    """Where a feed stands, as text."""
    state = feed.get_state()
    if isinstance(state, bytes):
        state = {"base64": base64.b64encode(state).decode()}
    return json.dumps(state, default=known)


def read_state(text: str) -> Any:
    state = json.loads(text)
    if isinstance(state, dict) and state.keys() == {"base64"}:
        return base64.b64decode(state["base64"])
    return state


def go_back(feed: Feed | None, noted: Noted) -> None:
    """Set a feed where a checkpoint says that this process's stood.

    Raises InputError unless the run was fed by as many processes as now.
    """
    if not noted.records:
        return
    stood, count = noted.feed or [], 0 if feed is None else jax.process_count()
    if len(stood) != count:
        raise InputError(
            f"cannot resume: the run was fed by {len(stood)} processes, and now by {count}"
        )
    if feed is not None:
        feed.set_state(read_state(stood[jax.process_index()]))


def states(state: str | None) -> dict[str, Any]:
    """What a checkpoint notes of the feeds of all processes."""
    return {} if state is None else {"feed": processes.each(state)}
