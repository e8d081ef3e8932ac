"""Attention: where a network looks while it writes, and blocks of it (S17, S19, S23).

Queries are [B, T, Q], what is looked at [B, S, M]. Each module keeps its weights [B, T, S] under
`intermediates`, `weights`, for whoever asks flax for them.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.errors import InputError
from dljax.nets.dropout import Dropout
from dljax.typing import Array


def weigh(scores: Array, seen: Array) -> Array:
    """`w_j = exp(s_j) / sum_k exp(s_k)` over the places that are `seen`: [..., S] -> [..., S].

    Rows sum to 1, and what is not seen weighs 0; where nothing is seen, all places weigh alike.
    """
    # a finite floor: a row of minus infinities would be nan
    return jax.nn.softmax(jnp.where(seen, scores, jnp.finfo(scores.dtype).min))


class Additive(nn.Module):
    """`s_tj = v . tanh(W q_t + U m_j)`. Bahdanau et al. 2015, appendix A.1.2."""

    size: int

    def setup(self):
        self.of_query = nn.Dense(self.size, use_bias=False)
        self.of_memory = nn.Dense(self.size)
        self.score = nn.Dense(1, use_bias=False)

    def keys(self, memory: Array) -> Array:
        """What of the memory is the same for every query: [B, S, size]."""
        return self.of_memory(memory)

    def __call__(self, query: Array, keys: Array, values: Array, real: Array) -> Array:
        """The mean of values [B, S, M] as the query weighs those that are `real`: [B, T, M]."""
        both = jnp.tanh(self.of_query(query)[:, :, None] + keys[:, None])
        weights = weigh(self.score(both)[..., 0], real[:, None])
        self.sow("intermediates", "weights", weights)
        return weights @ values


class Multiplicative(nn.Module):
    """`s_tj = q_t . W m_j / sqrt(d)`. Luong et al. 2015, eq. 8, "general".

    Not divided, as there, the softmax soon looks at one place only and learns no other.
    """

    size: int  # of the query

    def setup(self):
        self.of_memory = nn.Dense(self.size, use_bias=False)

    def keys(self, memory: Array) -> Array:
        """What of the memory is the same for every query: [B, S, size]."""
        return self.of_memory(memory)

    def __call__(self, query: Array, keys: Array, values: Array, real: Array) -> Array:
        """The mean of values [B, S, M] as the query weighs those that are `real`: [B, T, M]."""
        scores = query @ keys.swapaxes(1, 2) / math.sqrt(self.size)
        weights = weigh(scores, real[:, None])
        self.sow("intermediates", "weights", weights)
        return weights @ values


class MultiHead(nn.Module):
    """`softmax(q k^T / sqrt(d)) v` in several heads side by side. Vaswani et al. 2017."""

    heads: int
    size: int

    def setup(self):
        if self.size % self.heads:
            raise InputError(f"a width must be a multiple of {self.heads} heads; got {self.size}")
        each = (self.heads, self.size // self.heads)
        self.query = nn.DenseGeneral(each, use_bias=False)
        self.memory = nn.DenseGeneral((2, *each), use_bias=False)
        self.out = nn.DenseGeneral(self.size, (-2, -1), use_bias=False)

    def keys(self, memory: Array) -> tuple[Array, Array]:
        """Keys and values of what is looked at, each [B, S, heads, size / heads]."""
        both = self.memory(memory)
        return both[:, :, 0], both[:, :, 1]

    def __call__(self, query: Array, keys: Array, values: Array, seen: Array) -> Array:
        """[B, T, Q] -> [B, T, size], where `seen` [B or 1, T or 1, S] may be looked at."""
        q = self.query(query) / math.sqrt(self.size // self.heads)
        weights = weigh(jnp.einsum("bthd,bshd->bhts", q, keys), seen[:, None])
        self.sow("intermediates", "weights", weights)
        return self.out(jnp.einsum("bhts,bshd->bthd", weights, values))


class Mlp(nn.Module):
    """`W_2 gelu(W_1 norm(x))`."""

    inner: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return nn.Dense(x.shape[-1])(jax.nn.gelu(nn.Dense(self.inner)(nn.LayerNorm()(x))))


class Block(nn.Module):
    """`x + attention(norm x)`, then `x + mlp(norm x)`: [B, T, D] -> [B, T, D].

    Vaswani et al. 2017, with the norms in front (Xiong et al. 2020).
    """

    heads: int
    inner: int
    dropout: float | Array = 0.0

    @nn.compact
    def __call__(self, x: Array, seen: Array, *, train: bool = False) -> Array:
        """`seen` [B or 1, T or 1, T] says where each step may look; see `back`."""
        look, normal = MultiHead(self.heads, x.shape[-1]), nn.LayerNorm()(x)
        found = look(normal, *look.keys(normal), seen)
        x = x + Dropout(self.dropout)(found, train=train)
        return x + Dropout(self.dropout)(Mlp(self.inner)(x), train=train)


def back(steps: int) -> Array:
    """Each step sees itself and those before it, [1, T, T]."""
    return jnp.tril(jnp.ones((1, steps, steps), bool))


def places(module: nn.Module, window: int, size: int, steps: int) -> Array:
    """A module's learnt vectors of the first `steps` of `window` places, [1, T, size].

    Raises InputError if there are more steps than places.
    """
    if steps > window:
        raise InputError(f"{type(module).__name__} sees {window} steps at most; got {steps}")
    learnt = module.param("places", nn.initializers.normal(0.02), (window, size))
    return jnp.asarray(learnt)[None, :steps]
