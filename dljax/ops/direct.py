"""Convolution by the library's, with gradients that are as fast: for whole images on a CPU."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from dljax.ops.conv import Padding, channels_last, conv
from dljax.typing import Array


def conv_same(
    lhs: Array, rhs: Array, window_strides: Sequence[int], padding: Padding, **options: Any
) -> Array:
    """As `conv`, and on a CPU faster where the window is odd, the stride 1, the padding SAME.

    There the library's convolution is as fast as a product, its gradient by the kernel is not. It
    has reverse derivatives of any order, but no forward ones.
    """
    rest = [value for name, value in options.items() if name != "dimension_numbers"]
    plain = rhs.ndim == 4 and tuple(window_strides) == (1, 1) and padding == "SAME"
    plain = plain and all(value in (None, 1, (1, 1)) for value in rest)
    # of few channels patches are small
    if plain and all(n % 2 for n in rhs.shape[:2]) and rhs.shape[2] >= 8:
        # within shard_map the kernel's gradient is added over the devices that x differs on
        return _direct(lhs, as_varying(rhs, lhs))
    return conv(lhs, rhs, window_strides, padding, **options)


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


@jax.custom_vjp
def _direct(x: Array, kernel: Array) -> Array:
    return _convolved(x, kernel)


def _direct_forward(x: Array, kernel: Array) -> tuple[Array, Any]:
    return _direct(x, kernel), (x, kernel)  # which a second derivative may meet


def _direct_backward(operands: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = operands
    return _direct(g, _turned(kernel)), _by_kernel(x, g, kernel.shape[:2])


_direct.defvjp(_direct_forward, _direct_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _by_kernel(x: Array, g: Array, window: tuple[int, int]) -> Array:
    """`_direct`'s gradient by its kernel, `d[q, i, o] = sum_{b, p} x[b, p + q, i] g[b, p, o]`.

    All rows' shifts of g times all columns' of x, one product: [b h w, cols C]' [b h w, rows O].
    """

    def product(x: Array, g: Array) -> Array:
        (rows, columns), (b, h, w, channels) = window, x.shape
        x = jnp.pad(x, ((0, 0), (0, 0), (columns // 2, columns // 2), (0, 0)))
        g = jnp.pad(g, ((0, 0), (rows // 2, rows // 2), (0, 0), (0, 0)))
        left = jnp.concatenate([x[:, :, j : j + w] for j in range(columns)], -1)
        right = jnp.concatenate([g[:, rows - 1 - i : rows - 1 - i + h] for i in range(rows)], -1)
        found = left.reshape(b * h * w, -1).T @ right.reshape(b * h * w, -1)
        return found.reshape(columns, channels, rows, -1).transpose(2, 0, 1, 3)

    def library(x: Array, g: Array) -> Array:
        shape = jnp.zeros((*window, x.shape[-1], g.shape[-1]), x.dtype)
        shape = as_varying(as_varying(shape, x), g)
        return jax.vjp(lambda kernel: _library(x, kernel), shape)[1](g)[0]

    return lax.platform_dependent(x, g, cpu=product, default=library)


def _by_kernel_forward(x: Array, g: Array, window: tuple[int, int]) -> tuple[Array, Any]:
    return _by_kernel(x, g, window), (x, g)


def _by_kernel_backward(window: Any, operands: tuple[Array, Array], d: Array):
    x, g = operands
    return _direct(g, _turned(d)), _direct(x, d)


_by_kernel.defvjp(_by_kernel_forward, _by_kernel_backward)


def _turned(kernel: Array) -> Array:
    """The kernel of the transposed convolution."""
    return jnp.swapaxes(kernel[::-1, ::-1], -1, -2)


def _library(x: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=channels_last(2))


_convolved = jax.custom_batching.custom_vmap(_library)


@_convolved.def_vmap
def _convolved_each(size: int, batched: Sequence[bool], x: Array, kernel: Array):
    """Kernels one after another: together they would be groups, which on a CPU are slow."""
    if not batched[1]:
        y = _convolved(x.reshape(-1, *x.shape[2:]), kernel)
        return y.reshape(*x.shape[:2], *y.shape[1:]), True
    if not batched[0]:
        x = jnp.broadcast_to(x[None], (size, *x.shape))
    if size == 1:
        return _convolved(x[0], kernel[0])[None], True

    def loop(x: Array, kernel: Array) -> Array:
        return lax.map(lambda each: _library(*each), (x, kernel))

    return lax.platform_dependent(x, kernel, cpu=loop, default=jax.vmap(_library)), True
