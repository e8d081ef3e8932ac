"""Networks from images to images of the same size, or larger, that begin as a plain way (S35)."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft

from dljax.errors import InputError
from dljax.nets.coders import Residual
from dljax.nets.trunk import depth_to_space, space_to_depth
from dljax.ops.conv import conv, conv_transpose
from dljax.typing import Array


class SlidingCoder(nn.Module):
    """An autoencoder of all squares of `side` pixels, which keeps of their codes what is large.

    `c = E x`, `k = sigmoid(a |c| - b)`, `x' = sum w D k c / sum w` over the squares that a pixel is
    in, `w = 1 / sum k`. It begins as the cosine transform of all three axes, E its transpose D,
    with k a step at `threshold` that `slope` softens, and 1 for the mean (Yu and Sapiro 2011; w of
    Dabov et al. 2007, eq. 10). x [B, h, w, c] -> [B, h, w, c]. Raises InputError for images below
    a square.
    """

    threshold: float
    side: int = 8
    slope: float = 16.0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        size, window = x.shape[1:3], (self.side, self.side, x.shape[-1])
        if min(size) < self.side:
            raise InputError(
                f"sides must be at least {self.side} pixels; got {size[0]} x {size[1]}"
            )
        count = int(np.prod(window))

        def cosines(_: Array) -> Array:
            units = np.eye(count, dtype=np.float32).reshape(*window, count)
            return jnp.asarray(scipy.fft.idctn(units, axes=(0, 1, 2), norm="ortho"))

        encode, decode = self.param("encode", cosines), self.param("decode", cosines)
        mean, slope = np.arange(count) == 0, self.slope
        steep = self.param("steep", lambda _: jnp.where(mean, 0, slope / self.threshold))
        least = self.param("least", lambda _: jnp.where(mean, -slope, slope))
        code = conv(x, encode, (1, 1), "VALID")
        kept = jax.nn.sigmoid(steep[None, None, None] * jnp.abs(code) - least[None, None, None])
        weight = 1 / kept.sum(-1, keepdims=True)

        def summed(each: Array, kernel: Array) -> Array:
            return conv_transpose(each, kernel, (1, 1), "VALID", size)

        total = summed(weight, jnp.ones((*window[:2], 1, 1)))
        return summed(weight * kept * code, decode) / total


class Restorer(nn.Module):
    """`b(x) + f(x, b(x))`: f is 3x3 convolutions of `channels` with ReLU, `blocks` of `Residual`,
    then one back to the channels of x.

    It begins as b, `begin`, a module or function: what f learns is what that lacks (Zhang et al.
    2017). Without one b is the identity, and to `enlarge` cubic interpolation, and f sees x alone.
    f sees squares of `fold` x `fold` pixels of x as channels, so that it is cheap and sees far
    (Zhang et al. 2018), and itself computes at x's size (Shi et al. 2016). x [B, h, w, c] of any
    sides that `fold` divides -> [B, h * enlarge, w * enlarge, c]. Raises InputError for others.
    """

    channels: Sequence[int] = (16, 16)
    blocks: int = 0
    fold: int = 1
    enlarge: int = 1
    begin: Callable[[Array], Array] | None = None

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        b, h, w, c = x.shape
        if h % self.fold or w % self.fold:
            raise InputError(f"sides must be multiples of {self.fold} pixels; got {h} x {w}")
        seen, out = space_to_depth(x, self.fold), self.fold * self.enlarge
        if self.begin:
            first = self.begin(x)
            seen = jnp.concatenate([seen, space_to_depth(first, out)], -1)
        elif self.enlarge > 1:
            first = jax.image.resize(x, (b, h * self.enlarge, w * self.enlarge, c), "cubic")
        else:
            first = x
        for features in self.channels:
            seen = jax.nn.relu(nn.Conv(features, (3, 3), conv_general_dilated=conv)(seen))
        for _ in range(self.blocks):
            seen = Residual()(seen)
        zero = nn.initializers.zeros_init()
        last = nn.Conv(c * out**2, (3, 3), kernel_init=zero, conv_general_dilated=conv)
        return first + depth_to_space(last(seen), out)
