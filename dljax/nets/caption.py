"""A network that tells what an image shows, word by word (S17)."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from dljax.nets.conv import CNN
from dljax.nets.recurrent import Recurrent, States
from dljax.typing import Array


class Captioner(nn.Module):
    """Images [B, h, w, c] and words [B, L] -> logits [B, L, V], states.

    A convolutional network makes the first state of a GRU, whose later states may be handed on in
    place of the images. Without words it reads one, the first of the vocabulary.
    """

    vocabulary: int
    size: int = 64
    channels: Sequence[int] = (8, 16)

    @nn.compact
    def __call__(
        self,
        images: Array | None,
        words: Array | None = None,
        states: States | None = None,
        *,
        train: bool = False,
    ) -> tuple[Array, States]:
        if images is not None:
            seen = CNN(self.channels, (2 * self.size, self.size))(images, train=train)
            states = ((jnp.tanh(seen),),)
        if words is None:
            words = jnp.zeros((1 if images is None else len(images), 1), jnp.int32)
        h, states = Recurrent((self.size,), "gru", self.vocabulary)(words, states, train=train)
        return nn.Dense(self.vocabulary)(h), states
