"""Convolution as slices and one matmul on a CPU, the library's convolution elsewhere."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from dljax.ops.pool import avg_pool, first_max, max_pool, phases
from dljax.typing import Array

__all__ = ["avg_pool", "conv", "conv_pool", "max_pool"]

Padding = str | Sequence[tuple[int, int]]


def conv(
    lhs: Array,
    rhs: Array,
    window_strides: Sequence[int],
    padding: Padding,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: lax.PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Array:
    """`y[b, p, o] = sum_{q, i} x[b, s p + d q, i] k[q, i, o]`, as `lax.conv_general_dilated`.

    lhs [B, *spatial, C] and rhs [*window, C, O] unless `dimension_numbers` says otherwise ->
    [B, *positions, O]. Give it to `nn.Conv(conv_general_dilated=conv)`. Groups, dilated inputs and
    other layouts go to the library on every platform.
    """
    rank = lhs.ndim - 2
    channels_last = _channels_last(rank)
    numbers = lax.conv_dimension_numbers(
        lhs.shape, rhs.shape, dimension_numbers or channels_last
    )
    lhs_dilation, rhs_dilation = lhs_dilation or (1,) * rank, rhs_dilation or (1,) * rank

    def library(x: Array, kernel: Array) -> Array:
        return lax.conv_general_dilated(
            x,
            kernel,
            window_strides,
            padding,
            lhs_dilation,
            rhs_dilation,
            numbers,
            feature_group_count,
            batch_group_count,
            precision,
            preferred_element_type,
        )

    def matmul(x: Array, kernel: Array) -> Array:
        taps = patches(x, kernel.shape[:rank], window_strides, padding, rhs_dilation)
        flat = kernel.reshape(-1, kernel.shape[-1])
        return jnp.matmul(
            taps, flat, precision=precision, preferred_element_type=preferred_element_type
        )

    plain = (
        numbers == lax.conv_dimension_numbers(lhs.shape, rhs.shape, channels_last)
        and feature_group_count == batch_group_count == 1
        and set(lhs_dilation) <= {1}
    )
    if not plain:
        return library(lhs, rhs)
    # XLA runs a convolution inside a loop on one CPU thread, and a vmapped kernel as a grouped one
    return lax.platform_dependent(lhs, rhs, cpu=matmul, default=library)


def _channels_last(rank: int) -> tuple[str, str, str]:
    spatial = "DHW"[-rank:] if rank else ""
    return f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"


def patches(
    x: Array,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Padding,
    dilation: Sequence[int],
) -> Array:
    """What the kernel sees at each position: x [B, *spatial, C] -> [B, *positions, prod(window) C]."""
    spatial = x.shape[1:-1]
    reach = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    pads = lax.padtype_to_pads(spatial, reach, strides, padding) if isinstance(
        padding, str
    ) else padding
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    last = [n - r for n, r in zip(x.shape[1:-1], reach, strict=True)]

    def tap(offset: tuple[int, ...]) -> Array:
        start = [o * d for o, d in zip(offset, dilation, strict=True)]
        end = [s + n + 1 for s, n in zip(start, last, strict=True)]
        return lax.slice(
            x, (0, *start, 0), (x.shape[0], *end, x.shape[-1]), (1, *strides, 1)
        )

    return jnp.concatenate([tap(q) for q in itertools.product(*map(range, window))], -1)


def conv_pool(x: Array, kernel: Array, bias: Array) -> Array:
    """`relu(max_pool_2x2(x * kernel) + bias)` with stride 1 and SAME padding.

    Maximum commutes with adding a bias and with ReLU, so these touch a quarter of the elements.
    x [B, h, w, C], kernel [kh, kw, C, O], bias [O] -> [B, h // 2, w // 2, O].
    """

    def fused(x: Array, kernel: Array) -> Array:
        views = phases(patches(x, kernel.shape[:2], (1, 1), "SAME", (1, 1)), (2, 2))
        flat = kernel.reshape(-1, kernel.shape[-1])
        return first_max([view @ flat for view in views])

    def library(x: Array, kernel: Array) -> Array:
        y = lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=_channels_last(2)
        )
        return max_pool(y, (2, 2))

    return jax.nn.relu(lax.platform_dependent(x, kernel, cpu=fused, default=library) + bias)
