"""Convolution by the library's, with gradients that are as fast: for whole images on a CPU."""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dljax.ops import conv as patchwise
from dljax.ops.conv import Padding, adjoint_pads, channels_last, conv, interleave
from dljax.ops.pool import edges
from dljax.typing import Array

Pads = tuple[tuple[int, int], ...]
Binary = Callable[[Array, Array], Array]
FEW = 8  # of less channels a product has too few columns
LARGE = 2**24  # bytes of patches; more outgrow a cache, and the library's convolution is faster


def conv_same(
    lhs: Array, rhs: Array, window_strides: Sequence[int], padding: Padding, **options: Any
) -> Array:
    """As `conv`, and on a CPU faster for SAME padding.

    There the library's convolution is as fast as a product, its gradients are not. Strided, it is
    taken where patches would be `LARGE`. It has reverse derivatives of any order, but no forward
    ones.
    """
    rest = [value for name, value in options.items() if name != "dimension_numbers"]
    plain = rhs.ndim == 4 and padding == "SAME" and all(v in (None, 1, (1, 1)) for v in rest)
    if plain:
        strides, window = tuple(window_strides), rhs.shape[:2]
        pads = tuple(edges(lhs.shape[1:3], window, strides, padding))
        # within shard_map the kernel's gradient is added over the devices that x differs on
        kernel = as_varying(rhs, lhs)
        if strides == (1, 1):
            return _direct(lhs, kernel, pads)
        reached = all(s <= w for s, w in zip(strides, window, strict=True))
        if reached and _large(lhs, window, lhs.size // math.prod(strides)):
            return _strided(lhs, kernel, strides, pads)
    return conv(lhs, rhs, window_strides, padding, **options)


def conv_transpose(y: Array, kernel: Array, strides: Sequence[int], size: Sequence[int]) -> Array:
    """As `conv`'s, for two axes and SAME padding, and on a CPU faster where patches are `LARGE`.

    Each strided view of the output is a convolution by the taps that meet it.
    """
    window, positions = kernel.shape[:2], y.shape[1:3]
    if not _large(y, window, y.size // y.shape[-1] * kernel.shape[-2]):
        return patchwise.conv_transpose(y, kernel, strides, "SAME", size)
    pads = adjoint_pads(positions, window, strides, "SAME", size)

    def view(y: Array, kernel: Array, start: tuple[int, ...]) -> Array:
        axes = zip(start, window, strides, pads, strict=True)
        # through tap q, the output's s t + a hears from position t + (a + low - q) / s
        shifts = [
            {q: (a + low - q) // s for q in reversed(range(w)) if (a + low - q) % s == 0}
            for a, w, s, (low, _) in axes
        ]
        rows, columns = (np.array([*each]) for each in shifts)
        taps = kernel[rows[:, None], columns].swapaxes(-1, -2)
        return _direct(y, taps, tuple((-min(e.values()), max(e.values())) for e in shifts))

    def phases(y: Array, kernel: Array) -> Array:
        starts = itertools.product(*map(range, strides))
        views = [view(y, kernel, start) for start in starts]
        return interleave(views, strides)[:, : size[0], : size[1]]

    def library(y: Array, kernel: Array) -> Array:
        return patchwise.conv_transpose(y, kernel, strides, "SAME", size)

    return lax.platform_dependent(y, as_varying(kernel, y), cpu=phases, default=library)


def _large(x: Array, window: Sequence[int], values: int) -> bool:
    return math.prod(window) * values * x.dtype.itemsize > LARGE


def varying(x: Array) -> frozenset[str]:
    """The axes of a mesh over which x differs, where `shard_map` knows; JAX 0.11 names it anew."""
    kind: Any = jax.typeof(x)
    return getattr(
        getattr(kind, "manual_axis_type", kind), "varying", getattr(kind, "vma", frozenset())
    )


def as_varying(x: Array, like: Array) -> Array:
    """x as one that differs over every axis of a mesh over which `like` does."""
    axes = tuple(varying(like) - varying(x))
    return lax.pcast(x, axes, to="varying") if axes else x


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _direct(x: Array, kernel: Array, pads: Pads) -> Array:
    return _library((1, 1), pads)(x, kernel)


def _direct_forward(x: Array, kernel: Array, pads: Pads) -> tuple[Array, Any]:
    return _direct(x, kernel, pads), (x, kernel)  # which a second derivative may meet


def _direct_backward(pads: Pads, operands: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = operands
    d_x: Any = _direct(g, _turned(kernel), _turned_pads(kernel.shape, pads))
    return d_x, _by_kernel(x, g, pads)


_direct.defvjp(_direct_forward, _direct_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _by_kernel(x: Array, g: Array, pads: Pads) -> Array:
    """`_direct`'s gradient by its kernel, `d[q, i, o] = sum_{b,p} x[b, p+q-low, i] g[b, p, o]`.

    All rows' shifts of g times all columns' of x, one product: [b h w, cols C]' [b h w, rows O].
    """
    (b, h, _, channels), positions = x.shape, g.shape[1:3]
    sides = zip(x.shape[1:3], positions, pads, strict=True)
    rows, columns = [n + sum(ends) - p + 1 for n, p, ends in sides]

    def product(x: Array, g: Array) -> Array:
        low, high = pads[0]
        x = _padded(x, ((0, 0), pads[1]))
        g = _padded(g, ((rows - 1 - low, rows - 1 - high), (0, 0)))
        left = jnp.concatenate([x[:, :, j : j + positions[1]] for j in range(columns)], -1)
        right = jnp.concatenate([g[:, rows - 1 - i : rows - 1 - i + h] for i in range(rows)], -1)
        size = b * h * positions[1]
        found = left.reshape(size, -1).T @ right.reshape(size, -1)
        return found.reshape(columns, channels, rows, -1).transpose(2, 0, 1, 3)

    library = _slope((rows, columns), pads)
    cpu = product if channels >= FEW else library
    return lax.platform_dependent(x, g, cpu=cpu, default=library)


def _by_kernel_forward(x: Array, g: Array, pads: Pads) -> tuple[Array, Any]:
    return _by_kernel(x, g, pads), (x, g)


def _by_kernel_backward(pads: Pads, operands: tuple[Array, Array], d: Array):
    x, g = operands
    return _direct(g, _turned(d), _turned_pads(d.shape, pads)), _direct(x, d, pads)


_by_kernel.defvjp(_by_kernel_forward, _by_kernel_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _strided(x: Array, kernel: Array, strides: Sequence[int], pads: Pads) -> Array:
    return _library(strides, pads)(x, kernel)


def _by_phases(x: Array, kernel: Array, strides: Sequence[int], pads: Pads) -> Array:
    """`_strided` as a sum of convolutions of stride 1, of each strided view of x."""
    sides = zip(x.shape[1:3], kernel.shape, strides, pads, strict=False)
    positions = [(n + sum(ends) - w) // s + 1 for n, w, s, ends in sides]
    x = _padded(x, pads)
    total: Any = 0.0
    for i, j in itertools.product(*map(range, strides)):
        taps = kernel[i :: strides[0], j :: strides[1]]
        rows, columns = (p + w - 1 for p, w in zip(positions, taps.shape, strict=False))
        view = x[:, i :: strides[0], j :: strides[1]][:, :rows, :columns]
        total += _direct(view, taps, ((0, 0), (0, 0)))
    return jnp.asarray(total)


def _strided_forward(x: Array, kernel: Array, *how: Any) -> tuple[Array, Any]:
    return _strided(x, kernel, *how), (x, kernel)


def _strided_backward(strides: Sequence[int], pads: Pads, operands: tuple[Array, Array], g: Array):
    def by(convolution: Callable[..., Array]) -> Callable[..., tuple[Array, Array]]:
        how = functools.partial(convolution, strides=strides, pads=pads)
        return lambda x, kernel, g: jax.vjp(how, x, kernel)[1](g)

    return lax.platform_dependent(*operands, g, cpu=by(_by_phases), default=by(_convolved))


_strided.defvjp(_strided_forward, _strided_backward)


def _padded(x: Array, pads: Sequence[tuple[int, int]]) -> Array:
    edges = [(0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), edges)


def _turned(kernel: Array) -> Array:
    """The kernel of the transposed convolution."""
    return jnp.swapaxes(kernel[::-1, ::-1], -1, -2)


def _turned_pads(window: Sequence[int], pads: Pads) -> Pads:
    return tuple((w - 1 - low, w - 1 - high) for w, (low, high) in zip(window, pads, strict=False))


def _convolved(x: Array, kernel: Array, strides: Sequence[int], pads: Pads) -> Array:
    return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=channels_last(2))


@functools.cache
def _library(strides: Sequence[int], pads: Pads) -> Binary:
    """The library's convolution, under `vmap` too."""
    one = functools.partial(_convolved, strides=strides, pads=pads)
    convolved = jax.custom_batching.custom_vmap(one)

    @convolved.def_vmap
    def each(size: int, batched: Sequence[bool], x: Array, kernel: Array):
        """Kernels one after another: together they would be groups, which on a CPU are slow."""
        if not batched[1]:
            y = convolved(x.reshape(-1, *x.shape[2:]), kernel)
            return y.reshape(*x.shape[:2], *y.shape[1:]), True
        if not batched[0]:
            x = jnp.broadcast_to(x[None], (size, *x.shape))
        return _one_by_one(convolved, one, size, x, kernel), True

    return convolved


@functools.cache
def _slope(window: Sequence[int], pads: Pads) -> Binary:
    """The library's gradient by its kernel, under `vmap` too."""

    def one(x: Array, g: Array) -> Array:
        kernel = jnp.zeros((*window, x.shape[-1], g.shape[-1]), x.dtype)
        kernel = as_varying(as_varying(kernel, x), g)
        return jax.vjp(lambda kernel: _convolved(x, kernel, (1, 1), pads), kernel)[1](g)[0]

    slope = jax.custom_batching.custom_vmap(one)

    @slope.def_vmap
    def each(size: int, batched: Sequence[bool], x: Array, g: Array):
        x, g = (
            leaf if own else jnp.broadcast_to(leaf[None], (size, *leaf.shape))
            for leaf, own in zip((x, g), batched, strict=True)
        )
        return _one_by_one(slope, one, size, x, g), True

    return slope


def _one_by_one(function: Binary, plain: Binary, size: int, a: Array, b: Array) -> Array:
    """`function` of each pair; on a CPU in a loop, and `plain`, without a rule for vmap."""
    if size == 1:
        return function(a[0], b[0])[None]

    def loop(a: Array, b: Array) -> Array:
        return lax.map(lambda pair: plain(*pair), (a, b))

    return lax.platform_dependent(a, b, cpu=loop, default=jax.vmap(plain))
