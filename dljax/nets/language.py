"""Networks of the next token: recurrent ones, and a small Transformer (S16, S17, S21, S23)."""

from collections.abc import Sequence

import flax.linen as nn

from dljax.nets.attention import Block, back, places
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


class Transformer(nn.Module):
    """Causal blocks over tokens and learnt places: tokens [B, T <= window] -> [B, T, V], ().

    It keeps nothing between calls, so its states are empty. Raises InputError for longer tokens.
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
        steps = tokens.shape[1]
        x = embed(tokens) + places(self, self.window, self.size, steps)
        x = Dropout(self.dropout)(x, train=train)
        for _ in range(self.blocks):
            x = Block(self.heads, 4 * self.size, self.dropout)(x, back(steps), train=train)
        return embed.attend(nn.LayerNorm()(x)), ()
