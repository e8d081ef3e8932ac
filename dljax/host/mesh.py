"""One training step of one run on many devices, three ways.

Every way takes `(objective, tx, mesh)` and gives the `step(key, fit, batch)` of `gradient_step`,
with the batch cut along its leading axis and everything else whole on each device. The first is the
one to use; the others do the same arithmetic, save that dropout draws and batch statistics are each
device's own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dljax.errors import InputError
from dljax.host.devices import row
from dljax.learner import Fit, Objective, gradient_step
from dljax.typing import Batch, Key, Metrics, PyTree

AXIS = "data"
Step = Callable[[Key, Fit, Batch], tuple[Fit, Metrics]]


def line(devices: Sequence[Any] | None = None) -> Mesh:
    """All devices, or the given ones, in a row."""
    return row(jax.devices() if devices is None else list(devices), AXIS)


def sharded_step(objective: Objective, tx: optax.GradientTransformation, mesh: Mesh) -> Step:
    """`jit` with `NamedSharding`: the compiler inserts the sums over devices."""
    whole, cut = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(AXIS))
    step = jax.jit(
        gradient_step(objective, tx), in_shardings=(whole, whole, cut), out_shardings=whole
    )
    return guarded(step, mesh)


def shard_map_step(objective: Objective, tx: optax.GradientTransformation, mesh: Mesh) -> Step:
    """`shard_map`: each device differentiates the mean of all devices' losses.

    A gradient with respect to replicated parameters is already summed over devices, so averaging
    gradients instead would leave them too large by the number of devices.
    """

    def averaged(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        # said to vary, so that what the objective computes is local; its transpose is the sum
        params, extra = jax.lax.pcast((params, extra), AXIS, to="varying")
        k_device = jax.random.fold_in(key, jax.lax.axis_index(AXIS))
        return jax.lax.pmean(objective(params, extra, batch, k_device), AXIS)

    whole, cut = PartitionSpec(), PartitionSpec(AXIS)
    step = jax.shard_map(
        gradient_step(averaged, tx), mesh=mesh, in_specs=(whole, whole, cut), out_specs=whole
    )
    return guarded(jax.jit(step), mesh)


def pmap_step(objective: Objective, tx: optax.GradientTransformation, mesh: Mesh) -> Step:
    """`pmap`: each device differentiates its own loss, and the gradients are averaged."""

    @jax.custom_vjp
    def shared(params: PyTree) -> PyTree:
        return params

    shared.defvjp(lambda params: (params, None), lambda _, grads: (jax.lax.pmean(grads, AXIS),))

    def local(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        k_device = jax.random.fold_in(key, jax.lax.axis_index(AXIS))
        loss, rest = objective(shared(params), extra, batch, k_device)
        return loss, jax.lax.pmean(rest, AXIS)

    def step(key: Key, fit: Fit, batch: Batch) -> tuple[Fit, Metrics]:
        fit, metrics = gradient_step(local, tx)(key, fit, batch)
        return fit, jax.lax.pmean(metrics, AXIS)

    devices = list(mesh.devices.flat)
    mapped = jax.pmap(step, AXIS, in_axes=(None, None, 0), out_axes=None, devices=devices)

    def cut(key: Key, fit: Fit, batch: Batch) -> tuple[Fit, Metrics]:
        pieces = jax.tree.map(lambda x: x.reshape(len(devices), -1, *x.shape[1:]), batch)
        return mapped(key, fit, pieces)

    return guarded(cut, mesh)


def guarded(step: Callable[[Key, Fit, Any], tuple[Fit, Metrics]], mesh: Mesh) -> Step:
    """`step`, which raises InputError if the devices do not divide the batch."""

    def checked(key: Key, fit: Fit, batch: Batch) -> tuple[Fit, Metrics]:
        size, count = np.shape(jax.tree.leaves(batch)[0])[0], mesh.size
        if size % count:
            raise InputError(f"a batch of {size} cannot be cut evenly over {count} devices")
        return step(key, fit, batch)

    return checked
