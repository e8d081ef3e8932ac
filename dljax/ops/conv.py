"""Convolution as slices and one matmul on a CPU, the library's convolution elsewhere."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from dljax.errors import InputError
from dljax.ops.pool import avg_pool, edges, max_pool, phases
from dljax.ops.winograd import Bilinear, winograd
from dljax.typing import Array

__all__ = ["avg_pool", "conv", "conv_pool", "conv_transpose", "max_pool"]

Padding = str | Sequence[tuple[int, int]]

CACHE = 2**22  # bytes of all of a piece's products by Winograd's algorithm


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

    lhs `[B, *spatial, C]` and rhs `[*window, C, O]` unless `dimension_numbers` says otherwise
    -> `[B, *positions, O]`. Give it to `nn.Conv(conv_general_dilated=conv)`. Groups, dilated inputs
    and other layouts go to the library on every platform. Raises InputError, where the library
    gives nothing, if the window does not fit.
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
    """What the kernel sees: x `[B, *spatial, C]` -> `[B, *positions, prod(window) * C]`."""
    reach = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    pads = edges(x.shape[1:-1], reach, strides, padding)
    zero = jnp.zeros((), x.dtype)
    x = lax.pad(x, zero, [(0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0)])
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
    x [B, h, w, C], kernel [kh, kw, C, O], bias [O] -> [B, h // 2, w // 2, O]. Raises InputError if
    a side is below 2.
    """
    edges(x.shape[1:3], (2, 2), (2, 2), "VALID")
    return lax.platform_dependent(x, kernel, bias, cpu=_fused, default=_unfused)


def _unfused(x: Array, kernel: Array, bias: Array) -> Array:
    y = lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=channels_last(2))
    return jax.nn.relu(max_pool(y, (2, 2)) + bias[None, None, None])


def _plan(x: Array, kernel: Array) -> tuple[Sequence[int], Bilinear]:
    """The shape of the pieces, equal parts of the batch x, taken one by one, and how each is."""
    batch, h, w, channels = x.shape
    # Winograd's transforms cost bfloat16 its accuracy, and one channel makes no matmul
    if kernel.shape[:2] != (3, 3) or channels < 8 or x.dtype != jnp.float32:
        return x.shape, _im2col(kernel)
    size = 16 * 4 * (h // 2) * (w // 2) * kernel.shape[-1]
    most = min(batch, max(1, CACHE // max(1, size)))
    images = next(d for d in range(most, 0, -1) if batch % d == 0)
    # many small pieces, as of a prime number of images, would cost more than the cache gives
    piece = (batch if 4 * images < most else images, h, w, channels)
    return piece, winograd(piece)


@jax.custom_vjp
def _fused(x: Array, kernel: Array, bias: Array) -> Array:
    return _fused_forward(x, kernel, bias)[0]


def _fused_forward(x: Array, kernel: Array, bias: Array) -> tuple[Array, Any]:
    piece, how = _plan(x, kernel)
    rights = how.right(kernel)

    def some(x: Array) -> tuple[Array, Array]:
        products = [left @ right for left, right in zip(how.left(x), rights, strict=True)]
        values, route = _route(how.combine(products))
        y = jax.nn.relu(values + bias[None])
        return y, jnp.where(y > 0, route, jnp.uint8(4))

    # the loop's outputs are arrays: without one XLA would compute the maximum and its route from
    # all the products again wherever either is used
    y, routes = lax.map(some, x.reshape(-1, *piece))
    batch, h, w, _ = x.shape
    return y.reshape(batch, h // 2, w // 2, -1), (x, kernel, routes)


def _fused_backward(residuals: Any, g: Array) -> tuple[Array, Array, Array]:
    x, kernel, routes = residuals
    piece, how = _plan(x, kernel)
    rights, right_vjp = jax.vjp(how.right, kernel)
    g = g.reshape(routes.shape)

    def some(given: tuple[Array, Array, Array]) -> tuple[list[Array], list[Array]]:
        x, route, g = given
        spread = how.spread([jnp.where(route == i, g, 0) for i in range(4)])
        d_rights = [left.T @ d for left, d in zip(how.left(x), spread, strict=True)]
        d_lefts = [d @ right.T for d, right in zip(spread, rights, strict=True)]
        return d_rights, how.left_transposed(x, d_lefts)

    # not a carry, whose zeros would not vary over devices as `shard_map` asks
    d_rights, views = lax.map(some, (x.reshape(-1, *piece), routes, g))
    d_rights = [each.sum(0) for each in d_rights]
    views = [view.reshape(len(x), *view.shape[2:]) for view in views]
    d_x = interleave(views, (2, 2))[:, : x.shape[1], : x.shape[2]]
    return d_x, right_vjp(d_rights)[0], jnp.where(routes < 4, g, 0).sum((0, 1))


_fused.defvjp(_fused_forward, _fused_backward)


def _route(values: list[Array]) -> tuple[Array, Array]:
    """The maximum of four, and which of them it is (the first of equals), as bytes."""
    a, b, c, d = values
    above, below = jnp.maximum(a, b), jnp.maximum(c, d)
    route = jnp.where(below > above, 2 + (d > c).astype(jnp.uint8), (b > a).astype(jnp.uint8))
    return jnp.maximum(above, below), route


def _im2col(kernel: Array) -> Bilinear:
    """Patches by pooling phase, each times the flat kernel."""

    def left(x: Array) -> list[Array]:
        views = phases(patches(x, kernel.shape[:2], (1, 1), "SAME", (1, 1)), (2, 2))
        return [view.reshape(-1, view.shape[-1]) for view in views]

    def right(kernel: Array) -> list[Array]:
        return [kernel.reshape(-1, kernel.shape[-1])] * 4

    def left_transposed(x: Array, d: list[Array]) -> list[Array]:
        # not `linear_transpose`, whose types do not say over which devices a value varies
        (d_x,) = jax.vjp(left, x)[1](d)
        return phases(jnp.pad(d_x, [(0, 0), *((0, n % 2) for n in x.shape[1:3]), (0, 0)]), (2, 2))

    return Bilinear(left, right, list, list, left_transposed)


def conv_transpose(
    y: Array,
    kernel: Array,
    strides: Sequence[int],
    padding: Padding = "SAME",
    size: Sequence[int] | None = None,
) -> Array:
    """`x[b, r, c] = sum_{p, q: s p + q - lo = r} sum_o y[b, p, o] k[q, c, o]`: `conv`'s adjoint.

    So `<conv(x), y> = <x, conv_transpose(y)>` under one kernel [*window, C, O], one stride s and
    one padding, lo of it in front. y [B, *positions, O] -> [B, *size, C]; size, the shape of
    conv's input, is `strides * positions` unless given. It has reverse derivatives of any order,
    but no forward ones. Raises InputError if conv would not take that size to y's positions.
    Zeiler et al. 2010; Dumoulin and Visin 2016, chapter 4.
    """
    window, positions = kernel.shape[:-2], y.shape[1:-1]
    size = tuple(size or (s * p for s, p in zip(strides, positions, strict=True)))
    pads = adjoint_pads(positions, window, strides, padding, size)
    return _adjoint(y, kernel, tuple(strides), pads, size)


def adjoint_pads(
    positions: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    padding: Padding,
    size: Sequence[int],
) -> tuple[tuple[int, int], ...]:
    """The padding with which conv takes `size` to `positions`, or InputError."""
    pads = (
        lax.padtype_to_pads(size, window, strides, padding) if isinstance(padding, str) else padding
    )
    for p, n, w, s, (low, high) in zip(positions, size, window, strides, pads, strict=True):
        if (n + low + high - w) // s + 1 != p:
            raise InputError(f"no input of size {size} is convolved to {positions} by {padding}")
    return tuple(pads)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _adjoint(y: Array, kernel: Array, strides: Any, pads: Any, size: Any) -> Array:
    window, positions = kernel.shape[:-2], y.shape[1:-1]
    axes = list(zip(positions, size, window, strides, pads, strict=True))

    def library(y: Array, kernel: Array) -> Array:
        flipped = jnp.swapaxes(lax.rev(kernel, range(len(window))), -1, -2)
        edges = [(w - 1 - low, n - s * (p - 1) - 1 + low) for p, n, w, s, (low, _) in axes]
        ones, layout = (1,) * len(window), channels_last(len(window))
        return lax.conv_general_dilated(y, flipped, ones, edges, strides, ones, layout)

    def matmul(y: Array, kernel: Array) -> Array:
        given = y @ kernel.reshape(-1, kernel.shape[-1]).T  # by each position through each tap
        given = given.reshape(*y.shape[:-1], *window, kernel.shape[-2])
        starts = itertools.product(*map(range, strides))
        views = [_view(given, list(zip(start, axes, strict=True))) for start in starts]
        return interleave(views, strides)[:, *map(slice, size)]

    return lax.platform_dependent(y, kernel, cpu=matmul, default=library)


def _adjoint_forward(y: Array, kernel: Array, *how: Any) -> tuple[Array, Any]:
    return _adjoint(y, kernel, *how), (y, kernel)


def _adjoint_backward(strides: Any, pads: Any, size: Any, operands: Any, g: Array):
    y, kernel = operands
    d_y, by_kernel = jax.vjp(lambda kernel: conv(g, kernel, strides, pads), kernel)
    return d_y, *by_kernel(y)


_adjoint.defvjp(_adjoint_forward, _adjoint_backward)


def _view(given: Array, axes: Sequence[Any]) -> Array:
    """The output's view `[start::stride]`, over ceil(size / stride) a side.

    given [B, *positions, *window, C]: what each position adds to the output through each tap.
    """
    rank, hits = len(axes), []
    for start, (p, n, w, s, (low, _)) in axes:
        # through tap q, the output's s t + start hears from position t + shift
        shifts = [(q, (start + low - q) // s) for q in range(w) if (start + low - q) % s == 0]
        hits.append([(q, (-shift, shift + -(-n // s) - p, 0)) for q, shift in shifts])
    shape = [len(given), *(-(-n // s) for _, (_, n, _, s, _) in axes), given.shape[-1]]
    total, zero = jnp.zeros(shape, given.dtype), jnp.zeros((), given.dtype)
    for hit in itertools.product(*hits):
        taps, edges = zip(*hit, strict=True)
        part = given[(slice(None),) * (rank + 1) + taps]
        total += lax.pad(part, zero, [(0, 0, 0), *edges, (0, 0, 0)])
    return total


def interleave(views: Sequence[Array], strides: Sequence[int]) -> Array:
    """The array whose strided views, in row-major order of their starts, are `views`."""
    for axis, s in reversed(list(enumerate(strides, 1))):
        groups = [views[i : i + s] for i in range(0, len(views), s)]
        stacks = [jnp.stack(group, axis + 1) for group in groups]
        views = [v.reshape(*v.shape[:axis], -1, *v.shape[axis + 2 :]) for v in stacks]
    return views[0]
