"""Which inputs a position of a stack of windows sees: receptive fields (S29), an axis at a time.

Convolutions and pools alike are windows. A field of an image is the product of one along its rows
and one along its columns.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from dljax.errors import InputError
from dljax.ops.pool import Padding, edges
from dljax.typing import AnyArray, Array


class Window(NamedTuple):
    """One layer along one axis: position p sees `stride p + dilation q - low`, q in 0..size - 1."""

    size: int
    stride: int = 1
    dilation: int = 1
    low: int = 0  # zeros before what comes in
    high: int = 0  # and after it

    @property
    def reach(self) -> int:
        return (self.size - 1) * self.dilation + 1


class Field(NamedTuple):
    """What position p of a layer sees of the input: `start + jump p` and the `size - 1` next."""

    size: int
    jump: int
    start: int

    @property
    def centre(self) -> float:
        return self.start + (self.size - 1) / 2


def padded(n: int, size: int, stride: int = 1, dilation: int = 1, by: Padding = "SAME") -> Window:
    """The window over n positions with the zeros that a padding by name puts at each end."""
    ((low, high),) = edges((n,), ((size - 1) * dilation + 1,), (stride,), by)
    return Window(size, stride, dilation, low, high)


def fields(windows: Sequence[Window]) -> list[Field]:
    """The field of each layer, the input's own first, were there no end to the input.

    `r_l = r_{l-1} + (k_l - 1) d_l j_{l-1}`, `j_l = j_{l-1} s_l`, and the start moves by
    `-low_l j_{l-1}`. Araujo, Norris and Sim 2019. Raises InputError for a window of no size,
    stride or dilation, or of negative padding.
    """
    found = [Field(1, 1, 0)]
    for window in windows:
        if min(window[:3]) < 1 or min(window[3:]) < 0:
            raise InputError(
                f"sizes, strides and dilations start at 1, paddings at 0; got {window}"
            )
        size, jump, start = found[-1]
        grown = size + (window.size - 1) * window.dilation * jump
        found.append(Field(grown, jump * window.stride, start - window.low * jump))
    return found


def lengths(windows: Sequence[Window], n: int) -> list[int]:
    """The positions of each layer over an input of n, n itself first.

    `n_l = floor((n_{l-1} + low_l + high_l - (k_l - 1) d_l - 1) / s_l) + 1`. Raises InputError if a
    window does not fit.
    """
    found = [n]
    for window in windows:
        edges((found[-1],), (window.reach,), (window.stride,), [window[3:]])
        whole = found[-1] + window.low + window.high
        found.append((whole - window.reach) // window.stride + 1)
    return found


def support(windows: Sequence[Window], n: int) -> Bool[np.ndarray, "positions {n}"]:
    """Whether each position of the last layer sees each of n inputs, ends and gaps included.

    Padding sees nothing, and a dilated window, or a stride longer than its window, leaves gaps, so
    that this is a part of `fields(windows)[-1]`. Raises InputError as `lengths` and `fields` do.
    """
    fields(windows)
    seen: Any = np.eye(n, dtype=bool)
    for window, positions in zip(windows, lengths(windows, n)[1:], strict=True):
        blank = [np.zeros((pad, n), bool) for pad in window[3:]]
        rows = np.concatenate([blank[0], seen, blank[1]])
        first = window.stride * np.arange(positions)[:, None]
        seen = rows[first + window.dilation * np.arange(window.size)].any(axis=1)
    return seen


def effective_width(mass: Float[AnyArray, "n n"], share: float | Array = 0.95) -> Float[Array, ""]:
    """The side of the square about the centre of [n, n], n odd, that holds a share of the mass.

    Between squares of whole sides it is interpolated. The mass of an effective receptive field is
    the squared gradient of a position by the inputs: Luo et al. 2016.
    """
    half = len(mass) // 2
    off = np.abs(np.arange(len(mass)) - half)
    ring = np.maximum(off[:, None], off[None])
    held = jnp.cumsum(jax.ops.segment_sum(mass.reshape(-1), ring.reshape(-1), half + 1))
    inside = jnp.concatenate([jnp.zeros(1), held / held[-1]])
    sides = jnp.concatenate([jnp.zeros(1), 2.0 * jnp.arange(half + 1) + 1])
    return jnp.interp(jnp.asarray(share), inside, sides)
