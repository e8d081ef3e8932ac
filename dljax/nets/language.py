"""Networks of the next token: recurrent ones, and a small Transformer (S16, S17, S21, S23)."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.nets.dropout import Dropout
from dljax.nets.recurrent import CellName, Recurrent, States
from dljax.typing import Array


class RecurrentLanguage(nn.Module):
    """Recurrent layers and a table of logits: tokens [B, T] -> logits [B, T, V], last states."""

    vocabulary: int
    sizes: Sequence[int] = (512,)
    cell: CellName = "lstm"
    dropout: float | Array = 0.0

    def setup(self):
        self.body = Recurrent(self.sizes, self.cell, self.vocabulary, self.dropout)
        self.head = nn.Dense(self.vocabulary)

    def __call__(
        self, tokens: Array, states: States | None = None, *, train: bool = False
    ) -> tuple[Array, States]:
        h, states = self.body(tokens, states, train=train)
        return self.head(h), states


class Block(nn.Module):
    """`x + attention(norm(x))`, then `x + mlp(norm(x))`, which looks back only: x [B, T, D].

    Vaswani et al. 2017, with the norm in front as in Xiong et al. 2020.
    """

    heads: int
    dropout: float | Array = 0.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        size = x.shape[-1]
        qkv: Any = nn.DenseGeneral((3, self.heads, size // self.heads), use_bias=False)(
            nn.LayerNorm()(x)
        )
        seen = jax.nn.dot_product_attention(*jnp.moveaxis(qkv, 2, 0), is_causal=True)
        seen = nn.DenseGeneral(size, (-2, -1), use_bias=False)(seen)
        x = x + Dropout(self.dropout)(seen, train=train)
        inner = jax.nn.gelu(nn.Dense(4 * size)(nn.LayerNorm()(x)))
        return x + Dropout(self.dropout)(nn.Dense(size)(inner), train=train)


class Transformer(nn.Module):
    """Causal blocks over tokens and learnt positions: tokens [B, T <= window] -> [B, T, V], ().

    It keeps nothing between calls, so its states are empty.
    """

    vocabulary: int
    window: int
    blocks: int = 4
    size: int = 128
    heads: int = 4
    dropout: float | Array = 0.0

    @nn.compact
    def __call__(
        self, tokens: Array, states: tuple[()] | None = None, *, train: bool = False
    ) -> tuple[Array, tuple[()]]:
        embed = nn.Embed(self.vocabulary, self.size, embedding_init=nn.initializers.normal(0.02))
        places = self.param("places", nn.initializers.normal(0.02), (self.window, self.size))
        x = embed(tokens) + places[None, : tokens.shape[1]]
        x = Dropout(self.dropout)(x, train=train)
        for _ in range(self.blocks):
            x = Block(self.heads, self.dropout)(x, train=train)
        return embed.attend(nn.LayerNorm()(x)), ()
