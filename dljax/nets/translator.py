"""Networks that write one sequence while they read another (S17, S19, S23).

    memory = encode(source [B, S])                      source padded by 0 at its end
    state = begin(memory, most)                         what the decoder carries, for `most` tokens
    logits, state = decode(memory, tokens, state, at)   tokens [B, T], which stand at `at` and after

All leaves of memory and state lead with B. Called with source and target at once, a network gives
all logits [B, T, V] in one go: a decoder never looks at later tokens. Source, target and output
share one table of vectors (Press and Wolf 2017).
"""

from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.nets.attention import Additive, Block, Mlp, MultiHead, Multiplicative
from dljax.nets.dropout import Dropout
from dljax.nets.recurrent import CellName, Recurrent, States
from dljax.ops.recurrence import CELLS
from dljax.typing import Array

PAD = 0


class Table(nn.Module):
    """Vectors of tokens, `sqrt(D) E_token`, and their logits, `E z + b`."""

    vocabulary: int
    size: int

    def setup(self):
        start = nn.initializers.normal(self.size**-0.5)
        self.vectors = nn.Embed(self.vocabulary, self.size, embedding_init=start)
        self.bias = self.param("bias", nn.initializers.zeros_init(), (self.vocabulary,))

    def __call__(self, tokens: Array) -> Array:
        return self.vectors(tokens) * self.size**0.5

    def logits(self, z: Array) -> Array:
        return self.vectors.attend(z) + self.bias[None, None]


class Read(NamedTuple):
    """What a recurrent encoder keeps of a source."""

    real: Array  # [B, S]
    keys: Array  # [B, S, hidden]
    values: Array  # [B, S, hidden]
    summary: Array  # [B, hidden]: the last state of each direction


class RecurrentTranslator(nn.Module):
    """A bidirectional encoder and a decoder of two layers, the lower of which looks back.

    The lower layer's output is the query, and what it finds goes into the upper layer and the
    output (as in Wu et al. 2016), so that no attention stands inside a loop over time. Without
    `attention` what it finds is always the encoder's last states, the bottleneck: Cho et al. 2014.
    Sutskever et al. 2014; Bahdanau et al. 2015; Luong et al. 2015.
    """

    vocabulary: int
    size: int = 256  # of a token's vector
    hidden: int = 512  # of each decoder layer; half of it for each direction of the encoder
    cell: CellName = "gru"
    attention: Literal["additive", "multiplicative"] | None = "multiplicative"
    dropout: float | Array = 0.0

    def setup(self):
        self.table = Table(self.vocabulary, self.size)
        self.drop = Dropout(self.dropout)
        options: dict[str, Any] = {"cell": self.cell, "dropout": self.dropout}
        self.encoder = Recurrent((self.hidden // 2,), bidirectional=True, **options)
        self.first = nn.Dense(2 * self.hidden)
        self.lower = Recurrent((self.hidden,), **options)
        self.upper = Recurrent((self.hidden,), **options)
        if self.attention:
            kinds = {"additive": Additive, "multiplicative": Multiplicative}
            self.look = kinds[self.attention](self.hidden)
        self.out = nn.Dense(self.size)

    def __call__(self, source: Array, target: Array, *, train: bool = False) -> Array:
        memory = self.encode(source, train=train)
        state = self.begin(memory, target.shape[1])
        return self.decode(memory, target, state, train=train)[0]

    def encode(self, source: Array, *, train: bool = False) -> Read:
        real = source != PAD
        x = self.drop(self.table(source), train=train)
        h, last = self.encoder(x, real=real, train=train)
        keys = self.look.keys(h) if self.attention else h
        return Read(real, keys, h, jnp.concatenate([each[0] for each in last], -1))

    def begin(self, memory: Read, most: int) -> tuple[States, States]:
        del most
        lower, upper = jnp.split(jnp.tanh(self.first(memory.summary)), 2, -1)
        rest = (jnp.zeros_like(lower),) * (CELLS[self.cell].states - 1)
        return ((lower, *rest),), ((upper, *rest),)

    def decode(
        self,
        memory: Read,
        tokens: Array,
        state: tuple[States, States],
        at: int | Array = 0,
        *,
        train: bool = False,
    ) -> tuple[Array, tuple[States, States]]:
        del at
        x = self.drop(self.table(tokens), train=train)
        query, lower = self.lower(x, state[0], train=train)
        if self.attention:
            found = self.look(query, memory.keys, memory.values, memory.real)
        else:
            found = jnp.broadcast_to(memory.summary[:, None], query.shape)
        h, upper = self.upper(jnp.concatenate([query, found], -1), state[1], train=train)
        z = jnp.tanh(self.out(jnp.concatenate([h, found], -1)))
        return self.table.logits(z), (lower, upper)


class DecoderBlock(nn.Module):
    """`x + attention(norm x)` to what was written, then to the source, then `x + mlp(norm x)`.

    Keys and values of what was written are held in `past`, each [B, most, heads, D / heads].
    """

    heads: int
    size: int
    inner: int
    dropout: float | Array = 0.0

    def setup(self):
        self.own, self.other = (MultiHead(self.heads, self.size) for _ in range(2))
        self.norms = [nn.LayerNorm() for _ in range(2)]
        self.mlp, self.drop = Mlp(self.inner), Dropout(self.dropout)

    def keys(self, memory: Array) -> tuple[Array, Array]:
        return self.other.keys(memory)

    def __call__(
        self, x: Array, past: Any, at: int | Array, keys: Any, real: Array, *, train: bool
    ) -> tuple[Array, Any]:
        normal = self.norms[0](x)
        own_keys, own_values = (
            jax.lax.dynamic_update_slice_in_dim(old, new, at, 1)
            for old, new in zip(past, self.own.keys(normal), strict=True)
        )
        places, now = jnp.arange(own_keys.shape[1]), at + jnp.arange(x.shape[1])
        back = places[None, None] <= now[None, :, None]
        x = x + self.drop(self.own(normal, own_keys, own_values, back), train=train)
        found = self.other(self.norms[1](x), keys[0], keys[1], real[:, None])
        x = x + self.drop(found, train=train)
        return x + self.drop(self.mlp(x), train=train), (own_keys, own_values)


class TransformerTranslator(nn.Module):
    """Blocks that look at all of the source, and blocks that look back and at the source.

    Vaswani et al. 2017, with the norms in front (Xiong et al. 2020) and places told by sines, so
    that a sequence may be longer than any in training.
    """

    vocabulary: int
    size: int = 256
    blocks: int = 3  # of the encoder, and as many of the decoder
    heads: int = 4
    inner: int = 512
    dropout: float | Array = 0.0

    def setup(self):
        self.table = Table(self.vocabulary, self.size)
        self.drop = Dropout(self.dropout)
        inside = self.inner, self.dropout
        self.encoder = [Block(self.heads, *inside) for _ in range(self.blocks)]
        self.decoder = [DecoderBlock(self.heads, self.size, *inside) for _ in range(self.blocks)]
        self.norms = [nn.LayerNorm() for _ in range(2)]

    def __call__(self, source: Array, target: Array, *, train: bool = False) -> Array:
        memory = self.encode(source, train=train)
        state = self.begin(memory, target.shape[1])
        return self.decode(memory, target, state, train=train)[0]

    def placed(self, tokens: Array, at: int | Array, train: bool) -> Array:
        places = at + jnp.arange(tokens.shape[1])
        x = self.table(tokens) + sines(places, self.size)[None]
        return self.drop(x, train=train)

    def encode(self, source: Array, *, train: bool = False) -> tuple[Array, Any]:
        """What is real, and of each decoder block the keys and values of the source."""
        real, x = source != PAD, self.placed(source, 0, train)
        for block in self.encoder:
            x = block(x, real[:, None], train=train)
        x = self.norms[0](x)
        return real, [block.keys(x) for block in self.decoder]

    def begin(self, memory: tuple[Array, Any], most: int) -> Any:
        real, keys = memory
        empty = jnp.zeros((len(real), most, *keys[0][0].shape[2:]), keys[0][0].dtype)
        return [(empty, empty) for _ in self.decoder]

    def decode(
        self,
        memory: tuple[Array, Any],
        tokens: Array,
        state: Any,
        at: int | Array = 0,
        *,
        train: bool = False,
    ) -> tuple[Array, Any]:
        x, after = self.placed(tokens, at, train), []
        for block, past, keys in zip(self.decoder, state, memory[1], strict=True):
            x, past = block(x, past, at, keys, memory[0], train=train)
            after.append(past)
        return self.table.logits(self.norms[1](x)), after


def sines(places: Array, size: int) -> Array:
    """`sin(t / 10000^(2i/D))` and `cos`, half each: [T] -> [T, D]. Vaswani et al. 2017, 3.5."""
    slow = jnp.exp(-jnp.log(10000.0) * jnp.arange(size // 2) / (size // 2))
    turns = places[:, None] * slow[None]
    return jnp.concatenate([jnp.sin(turns), jnp.cos(turns)], -1)
