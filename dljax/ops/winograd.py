"""Winograd's minimal 3x3 convolution, by the four positions of each 2x2 pooling window."""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from dljax.typing import Array


class Bilinear(NamedTuple):
    """A convolution, `combine(left(x) @ right(kernel))`, at the positions of a 2x2 window.

    `left` and `left_transposed` are each other's transposes, as are `combine` and `spread`.
    """

    left: Callable[[Array], list[Array]]  # [B, h, w, C] -> T of [m, K], m = B (h // 2) (w // 2)
    right: Callable[[Array], list[Array]]  # [kh, kw, C, O] -> T of [K, O]
    combine: Callable[[list[Array]], list[Array]]  # T of [m, O] -> 4 of [m, O]
    spread: Callable[[list[Array]], list[Array]]  # 4 of [m, O] -> T of [m, O]
    # T of [m, K] -> the 4 phases of x, [B, ceil(h / 2), ceil(w / 2), C], rows and columns apart
    left_transposed: Callable[[Array, list[Array]], list[Array]]  # of x too, for its type alone


def winograd(shape: Sequence[int]) -> Bilinear:
    """F(2x2, 3x3) for stride 1 and SAME padding: 16 products a 2x2 window instead of 36.

    `Y = A'[(G k G') . (B' d B)]A` for each 4x4 tile d. Lavin and Gray 2016, eq. 8; here the last
    rows of B' and A' change sign. The four outputs of a tile are one 2x2 pooling window.
    """
    batch, h, w, channels = shape
    tiles = (batch, h // 2, w // 2, channels)

    def left(x: Array) -> list[Array]:
        ends = [(1, n % 2 == 0) for n in (h, w)]
        x = jnp.pad(x, ((0, 0), *ends, (0, 0)))

        def view(i: int, j: int) -> Array:
            end = (batch, i + 2 * tiles[1] - 1, j + 2 * tiles[2] - 1, channels)
            return lax.slice(x, (0, i, j, 0), end, (1, 2, 2, 1))

        tile = [view(i, j) for i, j in itertools.product(range(4), repeat=2)]
        return [v.reshape(-1, channels) for v in _both_axes(_input_rows, tile)]

    def right(kernel: Array) -> list[Array]:
        return _both_axes(_kernel_rows, [kernel[i, j] for i in range(3) for j in range(3)])

    def left_transposed(x: Array, d: list[Array]) -> list[Array]:
        d_tile = _both_axes(_input_rows_transposed, [v.reshape(tiles) for v in d])
        columns = [_overlap(d_tile[j::4], axis=1, odd=h % 2) for j in range(4)]
        rows = zip(*columns, strict=True)
        return list(itertools.chain(*(_overlap(row, axis=2, odd=w % 2) for row in rows)))

    combine = functools.partial(_both_axes, _output_rows)
    spread = functools.partial(_both_axes, _output_rows_transposed)
    return Bilinear(left, right, combine, spread, left_transposed)


def _both_axes(transform: Callable[..., list[Array]], square: list[Array]) -> list[Array]:
    """`T square T'` for the rows' transform T; a square is a list in row-major order."""
    n = math.isqrt(len(square))
    columns = [transform(*square[j::n]) for j in range(n)]
    return list(itertools.chain(*(transform(*row) for row in zip(*columns, strict=True))))


def _input_rows(a: Array, b: Array, c: Array, d: Array) -> list[Array]:
    return [a - c, b + c, c - b, d - b]


def _input_rows_transposed(a: Array, b: Array, c: Array, d: Array) -> list[Array]:
    return [a, b - c - d, b + c - a, d]


def _kernel_rows(a: Array, b: Array, c: Array) -> list[Array]:
    return [a, (a + b + c) / 2, (a - b + c) / 2, c]


def _output_rows(a: Array, b: Array, c: Array, d: Array) -> list[Array]:
    return [a + b + c, b - c + d]


def _output_rows_transposed(a: Array, b: Array) -> list[Array]:
    return [a, a + b, a - b, b]


def _overlap(parts: Sequence[Array], axis: int, odd: int) -> list[Array]:
    """Adds tiles of four at stride 2, the first of which starts at -1, into x: its even, odd rows.

    x[2s] = p1[s] + p3[s - 1], x[2s + 1] = p2[s] + p0[s + 1]; as sums of shifts, not a scatter.
    Both have one row more than the tiles where x has an `odd` number.
    """

    def shift(part: Array, low: int, high: int) -> Array:
        config = [(low, high, 0) if i == axis else (0, 0, 0) for i in range(part.ndim)]
        return lax.pad(part, jnp.zeros((), part.dtype), config)

    even_rows = shift(parts[1], 0, odd) + shift(parts[3], 1, odd - 1)
    return [even_rows, shift(parts[2], 0, odd) + shift(parts[0], -1, 1 + odd)]
