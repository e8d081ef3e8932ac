"""A small convolutional network from images to images of the same size (S35)."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from dljax.ops.conv import conv
from dljax.typing import Array


class Restorer(nn.Module):
    """`x + f(x)`: 3x3 convolutions of `channels` with ReLU, then one back to the channels of x.

    x [B, h, w, c] of any size -> [B, h, w, c]. It begins as the identity: what it learns is what
    the input lacks (Zhang et al. 2017).
    """

    channels: Sequence[int] = (16, 16)

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        h = x
        for features in self.channels:
            h = jax.nn.relu(nn.Conv(features, (3, 3), conv_general_dilated=conv)(h))
        zero = nn.initializers.zeros_init()
        return x + nn.Conv(x.shape[-1], (3, 3), kernel_init=zero, conv_general_dilated=conv)(h)
