"""What a network gives against what is asked of it, checked where a learner is made."""

import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.core import Tracer

from dljax.errors import InputError

Shape = tuple[int, ...]


def check_train(net: nn.Module) -> None:
    """Raises InputError unless the network is one of Linen that can be told whether it trains."""
    check_linen(net)
    if isinstance(net, nn.Sequential) and net.layers:
        first, name = net.layers[0], "the first layer of nn.Sequential"
    else:
        first, name = type(net).__call__, type(net).__name__
    told = inspect.signature(first).parameters
    if "train" not in told and all(each.kind is not each.VAR_KEYWORD for each in told.values()):
        raise InputError(
            f"{name} is called with `train`: "
            "write __call__(self, x, *, train: bool = False), whether it is used or not"
        )


def check_linen(net: Any) -> None:
    """Raises InputError that says how to adapt a network that is none of Linen."""
    if not isinstance(net, nn.Module):
        kind = type(net).__name__
        raise InputError(f"a network of Linen is needed; make one of this {kind} by {by(net)}")


def by(net: Any) -> str:
    """What of `nets/adapt` makes another library's network, or a plain pair, one of Linen."""
    library = {each.__module__.partition(".")[0] for each in type(net).__mro__}
    if "equinox" in library:
        return "nets.adapt.from_equinox(make), make(key) giving it"
    if "flax" in library:
        return "nets.adapt.from_nnx(make), make(rngs) giving it"
    return "nets.adapt.pair(init, apply)"


def given(net: nn.Module, example: Callable[[], Any], arrays: int | None = 1) -> Any:
    """The shapes of what `net` gives of `example()` [1, ...]; nothing is computed.

    The example is an array, or a tuple of several. Raises InputError if the network gives another
    number of arrays, or is none of Linen.
    """
    check_linen(net)

    def outputs() -> Any:
        inputs = example()
        inputs = inputs if isinstance(inputs, tuple) else (inputs,)
        return net.init_with_output(jax.random.key(0), *inputs)[0]

    found = jax.eval_shape(outputs)
    count = len(jax.tree.leaves(found))
    if arrays is not None and count != arrays:
        raise InputError(
            f"{type(net).__name__} gives {count} arrays; a network of {arrays} is needed"
        )
    return found


def check(outputs: Any, wanted: Shape, what: str) -> None:
    """Raises InputError unless a network's outputs [1, ...] are `wanted`, the shape of `what`."""
    if outputs.shape[1:] != tuple(wanted):
        raise InputError(f"the network gives {said(outputs.shape[1:])}; {what} {said(wanted)}")


def check_labels(outputs: Any, labels: Any) -> None:
    """Raises InputError unless labels [n, ...], where known, are of K, outputs [1, ..., K]."""
    shape = np.shape(labels)
    if not shape or outputs.shape[1:-1] != shape[1:] or len(outputs.shape) != len(shape) + 1:
        raise InputError(
            f"labels [n] and a network of K logits are needed; got labels {list(shape)} and "
            f"{said(outputs.shape[1:])}"
        )
    if isinstance(labels, Tracer):
        return
    labels, classes = np.asarray(labels), outputs.shape[-1]
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"labels must be integers; got {labels.dtype}")
    low, high = labels.min(initial=0), labels.max(initial=0)
    if low < 0 or high >= classes or classes < 2:
        raise InputError(
            f"a network of {classes} logits, 2 or more, takes labels from 0 to {classes - 1}; "
            f"got {low} to {high}"
        )


def check_targets(outputs: Any, targets: Any, loss: Callable[[Any, Any], Any]) -> None:
    """Raises InputError unless `loss` can hold targets [n, ...] against outputs [1, ...].

    They are shaped alike, but for a single output, which faces targets without that axis, and for
    axes behind which the loss takes up: the logits of a label, the numbers of a distribution.
    """
    shape = np.shape(targets)
    more = len(outputs.shape) - len(shape)
    if shape[1:] == outputs.shape[1:] == (1,):
        raise InputError(f"targets {list(shape)} of one number each are given as [n]: y[:, 0]")
    if outputs.shape[-1] == 1 and (more == 1 or len(outputs.shape) == 2):
        outputs, more = jax.ShapeDtypeStruct(outputs.shape[:-1], outputs.dtype), more - 1
    if more == 1 and np.issubdtype(targets.dtype, np.integer):
        check_labels(outputs, targets)
    elif more <= 0 or outputs.shape[1 : len(shape)] != shape[1:]:
        check(outputs, shape[1:], "the targets are")
    else:
        one = jax.ShapeDtypeStruct((1, *shape[1:]), targets.dtype)
        try:
            found = jax.eval_shape(loss, outputs, one).shape
        except (AssertionError, TypeError, ValueError):
            found = None
        if found is None or found != one.shape[: len(found)]:
            check(outputs, shape[1:], "the targets are")


def said(shape: Shape) -> str:
    """A shape as a person says it."""
    return f"{' x '.join(map(str, shape))} numbers" if shape else "one number"
