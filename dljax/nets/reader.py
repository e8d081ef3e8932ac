"""Networks that read a sequence and say something of it, at every step or in all (S15, S17)."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.errors import InputError
from dljax.nets.attention import Block, back, places
from dljax.nets.mlp import MLP
from dljax.typing import Array

Pool = Callable[[Array, Array | None], Array]
"""What is read of a body's outputs h [B, T, H], `real` [B, T] being false at padding."""


def every(h: Array, real: Array | None) -> Array:
    """All steps, [B, T, H]."""
    return h


def last(h: Array, real: Array | None) -> Array:
    """The last step, which of layers that read forwards repeats the last real one, [B, H]."""
    return h[:, -1]


def average(h: Array, real: Array | None) -> Array:
    """The mean over real steps, 0 where there are none, [B, H]."""
    if real is None:
        return h.mean(1)
    return jnp.where(real[..., None], h, 0).sum(1) / jnp.maximum(real.sum(1), 1)[:, None]


class Reader(nn.Module):
    """A body and a linear reading of it: x [B, T, ...], or tokens [B, T], -> [B, T, K] or [B, K].

    Layers of `dense` widths stand before the body, over each flattened step. With `padding`, tokens
    of 0 are none. The body is `Recurrent`, or `Attention`, which takes no padding. Raises
    InputError for `last` of a body that reads both ways: what reads backwards ends at the first.
    """

    body: nn.Module
    outputs: int
    pool: Pool = every
    padding: bool = False
    dense: Sequence[int] = ()

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        if self.pool is last and getattr(self.body, "bidirectional", False):
            raise InputError("the last step of layers that read both ways is not what both read")
        real = x > 0 if self.padding else None
        if self.dense:
            x = x.reshape(*x.shape[:2], -1)
        for width in self.dense:
            x = jax.nn.relu(nn.Dense(width)(x))
        body: Any = self.body
        h, _ = body(x, train=train) if real is None else body(x, real=real, train=train)
        return nn.Dense(self.outputs)(self.pool(h, real))


class Attention(nn.Module):
    """A block of causal attention with learnt places: x [B, T, D], or tokens, -> [B, T, H], ().

    Raises InputError if T is above `window`.
    """

    size: int
    window: int
    tokens: int = 0
    heads: int = 2

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> tuple[Array, tuple[()]]:
        x = nn.Embed(self.tokens, self.size)(x) if self.tokens else nn.Dense(self.size)(x)
        x = x + places(self, self.window, self.size, x.shape[1])
        x = Block(self.heads, 4 * self.size)(x, back(x.shape[1]), train=train)
        return nn.LayerNorm()(x), ()


class Window(nn.Module):
    """An MLP of the last `width` words, each place with weights of its own: [B, T] -> [B, K]."""

    tokens: int
    width: int
    size: int
    sizes: Sequence[int]

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        return MLP(self.sizes)(nn.Embed(self.tokens, self.size)(x[:, -self.width :]), train=train)


class Bag(nn.Module):
    """An MLP of how often each word occurs, in whatever order: tokens [B, T] -> [B, K].

    Tokens of 0 are padding.
    """

    tokens: int
    sizes: Sequence[int]

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        counts = jax.nn.one_hot(x - 1, self.tokens - 1).sum(1)
        return MLP(self.sizes)(counts, train=train)
