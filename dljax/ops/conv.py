"""Convolution as slices and one matmul on a CPU, the library's convolution elsewhere."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from dljax.ops.pool import avg_pool, max_pool, phases
from dljax.ops.winograd import Bilinear, winograd
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
    layout = channels_last(rank)
    numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers or layout)
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
        numbers == lax.conv_dimension_numbers(lhs.shape, rhs.shape, layout)
        and feature_group_count == batch_group_count == 1
        and set(lhs_dilation) <= {1}
    )
    if not plain:
        return library(lhs, rhs)
    # XLA runs a convolution inside a loop on one CPU thread, and a vmapped kernel as a grouped one
    return lax.platform_dependent(lhs, rhs, cpu=matmul, default=library)


def channels_last(rank: int) -> tuple[str, str, str]:
    spatial = "DHW"[-rank:] if rank else ""
    return f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"


def patches(
    x: Array,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Padding,
    dilation: Sequence[int],
) -> Array:
    """What the kernel sees: x [B, *spatial, C] -> [B, *positions, prod(window) * C]."""
    spatial = x.shape[1:-1]
    reach = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    pads = (
        lax.padtype_to_pads(spatial, reach, strides, padding)
        if isinstance(padding, str)
        else padding
    )
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    last = [n - r for n, r in zip(x.shape[1:-1], reach, strict=True)]

    def tap(offset: tuple[int, ...]) -> Array:
        start = [o * d for o, d in zip(offset, dilation, strict=True)]
        end = [s + n + 1 for s, n in zip(start, last, strict=True)]
        return lax.slice(x, (0, *start, 0), (x.shape[0], *end, x.shape[-1]), (1, *strides, 1))

    return jnp.concatenate([tap(q) for q in itertools.product(*map(range, window))], -1)


def conv_pool(x: Array, kernel: Array, bias: Array) -> Array:
    """`relu(max_pool_2x2(x * kernel) + bias)` with stride 1 and SAME padding.

    Maximum commutes with adding a bias and with ReLU, so these touch a quarter of the elements,
    and the four positions of a pooling window are four matmuls: the whole map is never stored.
    On a CPU it has reverse derivatives of any order, but no forward ones.
    x [B, h, w, C], kernel [kh, kw, C, O], bias [O] -> [B, h // 2, w // 2, O].
    """
    return lax.platform_dependent(x, kernel, bias, cpu=_fused, default=_unfused)


def _unfused(x: Array, kernel: Array, bias: Array) -> Array:
    y = lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=channels_last(2))
    return jax.nn.relu(max_pool(y, (2, 2)) + bias[None, None, None])


def _algorithm(x: Array, kernel: Array) -> Bilinear:
    # Winograd's transforms cost bfloat16 its accuracy, and one channel makes no matmul
    if kernel.shape[:2] == (3, 3) and x.shape[-1] >= 8 and x.dtype == jnp.float32:
        return winograd(x.shape)
    return _im2col(kernel.shape)


@jax.custom_vjp
def _fused(x: Array, kernel: Array, bias: Array) -> Array:
    return _fused_forward(x, kernel, bias)[0]


def _fused_forward(x: Array, kernel: Array, bias: Array) -> tuple[Array, Any]:
    how = _algorithm(x, kernel)
    lefts = how.left(x)
    products = [left @ right for left, right in zip(lefts, how.right(kernel), strict=True)]
    values, routes = _route(how.combine(products))
    batch, h, w, _ = x.shape
    y = jax.nn.relu(values + bias[None]).reshape(batch, h // 2, w // 2, -1)
    return y, (x, kernel, lefts, routes, y)


def _fused_backward(residuals: Any, g: Array) -> tuple[Array, Array, Array]:
    x, kernel, lefts, routes, y = residuals
    how = _algorithm(x, kernel)
    # [m, O] all the way: a reshape before the matmuls would let XLA fuse, and so repeat, the
    # routing in each of the sums that `spread` makes
    g = jnp.where(y > 0, g, 0).reshape(-1, g.shape[-1])
    spread = how.spread([jnp.where(route, g, 0) for route in routes])
    rights, right_vjp = jax.vjp(how.right, kernel)
    (d_kernel,) = right_vjp([left.T @ d for left, d in zip(lefts, spread, strict=True)])
    d_lefts = [d @ right.T for d, right in zip(spread, rights, strict=True)]
    transposed = how.left_transposed or (lambda d: jax.vjp(how.left, x)[1](d)[0])
    return transposed(d_lefts), d_kernel, g.sum(0)


_fused.defvjp(_fused_forward, _fused_backward)


def _route(values: list[Array]) -> tuple[Array, list[Array]]:
    """The maximum of four, and which of them it is (the first of equals), as booleans."""
    a, b, c, d = values
    right_above, right_below = b > a, d > c
    above, below = jnp.maximum(a, b), jnp.maximum(c, d)
    low = below > above
    routes = [~low & ~right_above, ~low & right_above, low & ~right_below, low & right_below]
    return jnp.maximum(above, below), routes


def _im2col(kernel_shape: Sequence[int]) -> Bilinear:
    """Patches by pooling phase, each times the flat kernel."""

    def left(x: Array) -> list[Array]:
        views = phases(patches(x, kernel_shape[:2], (1, 1), "SAME", (1, 1)), (2, 2))
        return [view.reshape(-1, view.shape[-1]) for view in views]

    def right(kernel: Array) -> list[Array]:
        return [kernel.reshape(-1, kernel.shape[-1])] * 4

    return Bilinear(left, right, list, list, None)
