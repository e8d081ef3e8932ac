"""Networks from images to images of the same size, or larger, that begin as a classical method."""

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
    """Overlapping patches are coded, small coefficients shrunk, and the decoded patches averaged.

    `c = E x`, `k = sigmoid(slope (a |c| / threshold - b))`, and a pixel is `sum w D k c / sum w`
    over the patches that it is in, `w = 1 / sum k`. Learnt are E (`encode`), D (`decode`), a
    (`gain`) and b (`bias`). E begins as the orthonormal cosine transform over rows, columns and
    channels, D as its transpose, and a and b as 1, so that k is nearly a step, but for the mean,
    which is kept: Yu and Sapiro 2011; w is of Dabov et al. 2007, eq. 10. x [B, h, w, c] ->
    [B, h, w, c]. Raises InputError for images with fewer than `side` pixels a side.
    """

    threshold: float
    side: int = 8
    slope: float = 16.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        size, patch = x.shape[1:3], (self.side, self.side, x.shape[-1])
        if min(size) < self.side:
            raise InputError(
                f"sides must be at least {self.side} pixels; got {size[0]} x {size[1]}"
            )
        count = int(np.prod(patch))

        def cosines(_: Array) -> Array:
            units = np.eye(count, dtype=np.float32).reshape(*patch, count)
            return jnp.asarray(scipy.fft.idctn(units, axes=(0, 1, 2), norm="ortho"))

        def beginning(mean: float) -> Callable[[Array], Array]:
            return lambda _: jnp.ones(count, jnp.float32).at[0].set(mean)

        encode, decode = self.param("encode", cosines), self.param("decode", cosines)
        gain, bias = self.param("gain", beginning(0)), self.param("bias", beginning(-1))
        code = conv(x, encode, (1, 1), "VALID")
        large = gain[None, None, None] * jnp.abs(code) / self.threshold - bias[None, None, None]
        kept = jax.nn.sigmoid(self.slope * large)
        weight = 1 / kept.sum(-1, keepdims=True)

        def summed(each: Array, kernel: Array) -> Array:
            return conv_transpose(each, kernel, (1, 1), "VALID", size)

        total = summed(weight, jnp.ones((*patch[:2], 1, 1), x.dtype))
        return summed(weight * kept * code, decode) / total


class Restorer(nn.Module):
    """`b(x) + f(x, b(x))`: f is 3x3 convolutions of `channels` with ReLU, `blocks` of `Residual`,
    then one back to the channels of x.

    It begins as b, `begin`, a module or function to images [B, h * enlarge, w * enlarge, c]: what f
    learns is what those lack (Zhang et al. 2017). Without one b is the identity, and f sees x
    alone. f sees squares of `fold` x `fold` pixels of x, and the same places of b(x), as channels,
    so that it is cheap and sees far (Zhang et al. 2018), and computes at x's size (Shi et al.
    2016). x [B, h, w, c] of sides that `fold` divides -> [B, h * enlarge, w * enlarge, c]. Raises
    InputError for others, and for a b of another size.
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
        first = x if self.begin is None else self.begin(x)
        if first.shape != (wanted := (b, h * self.enlarge, w * self.enlarge, c)):
            raise InputError(f"begin must give images {wanted}; got {first.shape}")
        if self.begin is not None:
            seen = jnp.concatenate([seen, space_to_depth(first, out)], -1)
        for features in self.channels:
            seen = jax.nn.relu(nn.Conv(features, (3, 3), conv_general_dilated=conv)(seen))
        for _ in range(self.blocks):
            seen = Residual()(seen)
        zero = nn.initializers.zeros_init()
        last = nn.Conv(c * out**2, (3, 3), kernel_init=zero, conv_general_dilated=conv)
        return first + depth_to_space(last(seen), out)
