"""A network that reads a sentence and says what it is (S15, S17, S23): many to one."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.nets.dropout import Dropout
from dljax.nets.reader import average
from dljax.nets.recurrent import CellName, Recurrent
from dljax.typing import Array

PAD, UNK = 0, 1  # as `dljax.data.text.words` numbers them


class SentenceClassifier(nn.Module):
    """Tokens [B, T], padded by 0 at the end -> logits [B, classes]; or [B, T, 1 + F], with numbers.

    F numbers are told of each token, floats as the token then is, and stand beside its vector.
    Recurrent layers read both ways; what they say is pooled over the real tokens, by mean and by
    maximum, so that padding changes nothing and a row of nothing but padding pools to 0. In
    training a share `forget` of the words becomes the unknown one (word dropout, Iyyer et al.
    2015), for which a network otherwise has few examples.
    """

    vocabulary: int
    classes: int
    size: int = 64  # of a word's vector
    sizes: Sequence[int] = (64,)
    cell: CellName = "lstm"
    dropout: float | Array = 0.0
    forget: float = 0.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        told = x[..., 1:] if x.ndim == 3 else None
        tokens = x if told is None else x[..., 0].astype(jnp.int32)
        real = tokens != PAD
        if train and self.forget:
            lost = jax.random.bernoulli(self.make_rng("dropout"), self.forget, tokens.shape) & real
            tokens = jnp.where(lost, UNK, tokens)
            told = None if told is None else jnp.where(lost[..., None], 0, told)
        start = nn.initializers.normal(0.1)
        x = nn.Embed(self.vocabulary, self.size, embedding_init=start)(tokens)
        x = Dropout(self.dropout)(x, train=train)
        x = x if told is None else jnp.concatenate([x, told], -1)
        body = Recurrent(self.sizes, self.cell, dropout=self.dropout, bidirectional=True)
        h, _ = body(x, real=real, train=train)
        return nn.Dense(self.classes)(pooled(h, real))


def pooled(h: Array, real: Array) -> Array:
    """Mean and maximum over the real steps of h [B, T, H], 0 where none is: [B, 2 H]."""
    highest = jnp.where(real[..., None], h, -jnp.inf).max(1)
    return jnp.concatenate([average(h, real), jnp.where(real.any(1)[:, None], highest, 0)], -1)
