"""What a network gives against what is asked of it, checked where a learner is made."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.core import Tracer

from dljax.errors import InputError
from dljax.typing import Array

Shape = tuple[int, ...]


def given(net: nn.Module, example: Callable[[], Array], arrays: int = 1) -> Any:
    """The shapes of what `net` gives of `example()` [1, ...]; nothing is computed.

    Raises InputError if it gives another number of arrays.
    """
    found = jax.eval_shape(lambda: net.init_with_output(jax.random.key(0), example())[0])
    count = len(jax.tree.leaves(found))
    if count != arrays:
        raise InputError(
            f"{type(net).__name__} gives {count} arrays; a network of {arrays} is needed"
        )
    return found


def check(outputs: Any, wanted: Shape, what: str) -> None:
    """Raises InputError unless a network's outputs [1, ...] are `wanted`, the shape of `what`."""
    if outputs.shape[1:] != tuple(wanted):
        raise InputError(f"the network gives {said(outputs.shape[1:])}; {what} {said(wanted)}")


def check_labels(outputs: Any, labels: Any) -> None:
    """Raises InputError unless labels [n], where known, are of the K classes of outputs [1, K]."""
    shape = np.shape(labels)
    if len(outputs.shape) != 2 or len(shape) != 1:
        raise InputError(
            f"labels [n] and a network of K logits are needed; got labels {list(shape)} and "
            f"{said(outputs.shape[1:])}"
        )
    if isinstance(labels, Tracer):
        return
    labels, classes = np.asarray(labels), outputs.shape[1]
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"labels must be integers; got {labels.dtype}")
    low, high = labels.min(initial=0), labels.max(initial=0)
    if low < 0 or high >= classes or classes < 2:
        raise InputError(
            f"a network of {classes} logits, 2 or more, takes labels from 0 to {classes - 1}; "
            f"got {low} to {high}"
        )


def check_targets(outputs: Any, targets: Any) -> None:
    """Raises InputError unless targets [n, ...] are shaped as outputs [1, ...], or are labels [n].

    A single output faces targets [n].
    """
    if outputs.shape[1:] == (1,):
        outputs = jax.ShapeDtypeStruct(outputs.shape[:1], outputs.dtype)
    shape = np.shape(targets)
    if len(shape) == 1 and len(outputs.shape) == 2 and np.issubdtype(targets.dtype, np.integer):
        check_labels(outputs, targets)
    else:
        check(outputs, shape[1:], "the targets are")


def said(shape: Shape) -> str:
    """A shape as a person says it."""
    return f"{' x '.join(map(str, shape))} numbers" if shape else "one number"
