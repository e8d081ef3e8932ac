"""Whether a run is still finite, and if not which member, at which step, in what."""

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from dljax.host.devices import Layout, spread
from dljax.learner import Member
from dljax.typing import Array, PyTree


class Diverged(Exception):
    """A metric stopped being finite; the message names the step, the metric and the member."""


@functools.partial(jax.jit, static_argnums=1)
def finite(state: PyTree, at: Layout | None = None) -> Array:
    """Whether every floating-point leaf is finite; of a stack of members, whether each one's is."""

    def one(state: PyTree) -> Array:
        floats = [
            leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)
        ]
        return jnp.array([jnp.isfinite(leaf).all() for leaf in floats]).all()

    return spread(jax.vmap(one) if isinstance(state, Member) else one, at)(state)


def check(metrics: Mapping[str, np.ndarray], step: int, names: Sequence[str]) -> None:
    """Raises Diverged at the first non-finite entry of metrics [steps, ...] from `step` on."""
    for name, values in metrics.items():
        if not np.isfinite(values).all():
            first = np.argwhere(~np.isfinite(values))[0]
            who = called(first[1:], names)
            at = step + int(first[0]) + 1
            raise Diverged(f"{name} is {values[tuple(first)]} at step {at}{who}")


def check_state(good: np.ndarray, step: int, names: Sequence[str]) -> None:
    """Raises Diverged unless the state, or that of every member, is finite."""
    if not good.all():
        who = called(np.argwhere(~good)[0], names)
        raise Diverged(f"the state is not finite at step {step}{who}")


def called(index: np.ndarray, names: Sequence[str]) -> str:
    """What a message calls the member of an index, which is empty where there are none."""
    if not len(index):
        return ""
    number = int(index[0])
    return f" for {names[number] if names else f'member {number}'}"
