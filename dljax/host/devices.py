"""The devices of this run's processes, and the members of a sweep spread over them.

A sweep of N members lies on as few devices as keep each one's share least, each with equally many:
copies of the last member fill the rest, and are cut off again. Devices exchange nothing.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from dljax.errors import InputError
from dljax.host.processes import several, whole
from dljax.learner import Learner
from dljax.typing import PyTree

MEMBERS = "members"
EACH = PartitionSpec(MEMBERS)  # cut along the leading axis
WHOLE = PartitionSpec()


def claim(count: int | None = None) -> None:
    """Before JAX starts: `count` CPU devices, or one a core; the user's own choice comes first.

    That is JAX_NUM_CPU_DEVICES, or xla_force_host_platform_device_count in XLA_FLAGS. A JAX that
    has started already keeps the devices that it has.
    """
    chosen = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not chosen and "JAX_NUM_CPU_DEVICES" not in os.environ:
        with contextlib.suppress(RuntimeError):  # JAX has started
            jax.config.update("jax_num_cpu_devices", count or cores())


def require_memory(flags: str, needed: float) -> None:
    """Raises InputError if bytes are `needed` that are not free; the flags are what asks for them.

    Nothing is refused where the system does not say what is free.
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        words = dict(line.split(":", 1) for line in lines)["MemAvailable"].split()
    except (OSError, KeyError, ValueError):
        return
    free = 1024 * int(words[0])
    if needed > free:
        raise InputError(
            f"{flags} need about {needed / 1e9:.3g} GB of memory; {free / 1e9:.3g} GB are free"
        )


def state_bytes(learner: Learner) -> int:
    """The bytes of a learner's state, which is not made for it."""
    leaves = jax.tree.leaves(jax.eval_shape(learner.init, jax.random.key(0)))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux; os.cpu_count also counts what is another's
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def local(count: int | None = None) -> list[Any]:
    """This process's devices, or the first `count`. Raises InputError if there are fewer."""
    there = jax.local_devices()
    if count is not None and count > len(there):
        raise InputError(f"--devices must be at most the {len(there)} there are; got {count}")
    return there[:count]


def everywhere(count: int | None = None) -> list[Any]:
    """`local(count)` of every process of the run, process by process."""
    if not several():
        return local(count)
    local(count)
    found: dict[int, list[Any]] = {}
    for device in jax.devices():
        found.setdefault(device.process_index, []).append(device)
    return [device for process in sorted(found) for device in found[process][:count]]


class Layout(NamedTuple):
    """How a sweep's members lie: `members` of them, as many on each device of a row."""

    mesh: Mesh
    members: int


def layout(members: int, count: int | None = None) -> Layout | None:
    """That of a sweep on `everywhere(count)`; None where one device has them all."""
    devices = everywhere(count)
    share = -(-members // len(devices))
    # each process takes part with all its devices, if only with copies
    used = len(devices) if several() else -(-members // share)
    return None if used == 1 else Layout(row(devices[:used], MEMBERS), members)


def row(devices: list[Any], axis: str) -> Mesh:
    # Auto: under explicit axis types Linen's Dropout, Embed and RNNs fail
    return jax.make_mesh((len(devices),), (axis,), axis_types=(AxisType.Auto,), devices=devices)


def place(tree: PyTree, at: Layout | None, specs: Any = EACH) -> PyTree:
    """The tree on the layout's devices: stacks of members, filled up and cut, or WHOLE on each.

    `specs`, a prefix of the tree, says which is which.
    """
    if at is None:
        return tree

    def put(spec: PartitionSpec, leaf: Any) -> jax.Array:
        leaf = jnp.asarray(leaf)
        missing = filled(at) - at.members if spec == EACH else 0
        if missing:
            leaf = jnp.concatenate([leaf, *[leaf[-1:]] * missing])
        return put_everywhere(leaf, NamedSharding(at.mesh, spec))

    return each_leaf(put, specs, tree)


def put_everywhere(leaf: jax.Array, where: NamedSharding) -> jax.Array:
    """`device_put` of what every process has, devices of other processes included."""
    if where.is_fully_addressable:
        return jax.device_put(leaf, where)
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = put_everywhere(jax.random.key_data(leaf), where)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    host = np.asarray(leaf)
    return jax.make_array_from_callback(host.shape, where, lambda part: host[part])


def filled(at: Layout) -> int:
    """The members with the copies that fill all devices up."""
    return at.mesh.size * -(-at.members // at.mesh.size)


def gather(tree: PyTree, at: Layout | None, specs: Any = EACH, host: bool = False) -> PyTree:
    """The members alone again, on the default device or as the host's arrays: `place` undone."""
    if at is None:
        return tree

    def fetch(spec: PartitionSpec, leaf: jax.Array) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            data = jnp.asarray(fetch(spec, jax.random.key_data(leaf)))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        # a copy: the next chunk may write over what this leaf is made of
        own = whole(leaf)[: at.members] if spec == EACH else whole(leaf)
        return own if host else jnp.asarray(own)

    return each_leaf(fetch, specs, tree)


def each_leaf(f: Callable[[PartitionSpec, Any], Any], specs: Any, tree: PyTree) -> PyTree:
    """`f(spec, leaf)` for every leaf of the tree, whose prefix the specs are."""

    def below(spec: PartitionSpec, part: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: f(spec, leaf), part)

    return jax.tree.map(below, specs, tree, is_leaf=lambda each: isinstance(each, PartitionSpec))


def spread(f: Callable, at: Layout | None, given: Any = EACH, gives: Any = EACH) -> Callable:
    """`f`, called on each device with its own members; `given` and `gives` say what is cut."""
    if at is None:
        return f
    # unchecked: types of what varies would refuse carries that start from constants
    return jax.shard_map(f, mesh=at.mesh, in_specs=given, out_specs=gives, check_vma=False)


def each_member(
    f: Callable, *stacks: PyTree, count: int | None = None, at_once: int | None = None
) -> PyTree:
    """`f(a_i, b_i, ...)` for every i of stacks `[N, ...]`, in one program on all devices.

    Each device takes `at_once` of its own together, by default all.
    """
    at = layout(len(jax.tree.leaves(stacks)[0]), count)

    def some(*stacks: PyTree) -> PyTree:
        return jax.lax.map(lambda each: f(*each), stacks, batch_size=at_once)

    found = jax.jit(spread(jax.vmap(f) if at_once is None else some, at))(*place(stacks, at))
    return gather(found, at)
