"""A convolutional network from images to images of the same size, or larger (S35)."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from dljax.errors import InputError
from dljax.nets.coders import Residual
from dljax.nets.trunk import depth_to_space, space_to_depth
from dljax.ops.conv import conv
from dljax.typing import Array


class Restorer(nn.Module):
    """`x + f(x)`: 3x3 convolutions of `channels` with ReLU, `blocks` of `Residual`, then one back
    to the channels of x.

    It begins as the identity: what it learns is what the input lacks (Zhang et al. 2017). f sees
    squares of `fold` x `fold` pixels as channels, so that it is cheap and sees far (Zhang et al.
    2018). To `enlarge` is cubic interpolation, to which f adds, which itself computes at the small
    size (Shi et al. 2016). x [B, h, w, c] of any sides that `fold` divides -> [B, h * enlarge,
    w * enlarge, c]. Raises InputError for others.
    """

    channels: Sequence[int] = (16, 16)
    blocks: int = 0
    fold: int = 1
    enlarge: int = 1

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        b, h, w, c = x.shape
        if h % self.fold or w % self.fold:
            raise InputError(f"sides must be multiples of {self.fold} pixels; got {h} x {w}")
        seen, out = space_to_depth(x, self.fold), self.fold * self.enlarge
        for features in self.channels:
            seen = jax.nn.relu(nn.Conv(features, (3, 3), conv_general_dilated=conv)(seen))
        for _ in range(self.blocks):
            seen = Residual()(seen)
        zero = nn.initializers.zeros_init()
        last = nn.Conv(c * out**2, (3, 3), kernel_init=zero, conv_general_dilated=conv)
        lacking = depth_to_space(last(seen), out)
        if self.enlarge > 1:
            x = jax.image.resize(x, (b, h * self.enlarge, w * self.enlarge, c), "cubic")
        return x + lacking
