"""A network that tells what an image shows, word by word (S17)."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from dljax.nets.conv import CNN
from dljax.nets.recurrent import Recurrent, States
from dljax.typing import Array


class Captioner(nn.Module):
    """Images [B, h, w, c] and words [B, T] -> logits [B, T, V]: one to many.

    A convolutional network makes the first state of a GRU (Vinyals et al. 2015), and stands beside
    its output at every word (Mao et al. 2015), since what the state alone carries is soon lost. It
    encodes, begins and decodes as the networks of `dljax.nets.translator` do, so that
    `dljax.learn.translate` trains it and writes with it.
    """

    vocabulary: int
    size: int = 64
    channels: Sequence[int] = (8, 16)

    def setup(self):
        self.see = CNN(self.channels, (2 * self.size, self.size))
        self.body = Recurrent((self.size,), "gru", self.vocabulary)
        self.out = nn.Dense(self.vocabulary)

    def __call__(self, images: Array, words: Array, *, train: bool = False) -> Array:
        memory = self.encode(images, train=train)
        return self.decode(memory, words, self.begin(memory, words.shape[1]), train=train)[0]

    def encode(self, images: Array, *, train: bool = False) -> Array:
        return jnp.tanh(self.see(images, train=train))

    def begin(self, memory: Array, most: int) -> States:
        del most
        return ((memory,),)

    def decode(
        self,
        memory: Array,
        words: Array,
        states: States,
        at: int | Array = 0,
        *,
        train: bool = False,
    ) -> tuple[Array, Any]:
        del at
        h, states = self.body(words, states, train=train)
        seen = jnp.broadcast_to(memory[:, None], h.shape)
        return self.out(jnp.concatenate([h, seen], -1)), states
