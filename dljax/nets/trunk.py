"""One trunk, many heads (S32): what an image shows, where, its outline, a number, for any size.

net = Vision(Trunk((16, 32, 64)), Segment(classes=2))
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.nets.coders import ConvTranspose
from dljax.nets.mlp import MLP
from dljax.ops.direct import conv_same
from dljax.typing import Array


class Block(nn.Module):
    """Two 3x3 convolutions, each normalised and rectified; with `residual` what enters is added.

    `y = relu(n(k_2 * relu(n(k_1 * x))) + x)`, x by a 1x1 convolution where the channels or the
    stride differ. x [B, h, w, c] -> [B, ceil(h / stride), ceil(w / stride), features]. He et al.
    2016; n normalises over groups of channels of one image (Wu and He 2018), so that an image's
    features do not depend on its company.
    """

    features: int
    stride: int = 1
    residual: bool = False
    groups: int | None = 8
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        y = jax.nn.relu(self.norm(self.conv(3, self.stride)(x)))
        y = self.norm(self.conv(3)(y))
        if not self.residual:
            return jax.nn.relu(y)
        return jax.nn.relu(y + (x if x.shape == y.shape else self.conv(1, self.stride)(x)))

    def conv(self, side: int, stride: int = 1) -> nn.Conv:
        window, bias = (side, side), self.groups is None
        return nn.Conv(
            self.features,
            window,
            stride,
            use_bias=bias,
            dtype=self.dtype,
            kernel_init=nn.initializers.he_normal(),
            conv_general_dilated=conv_same,
        )

    def norm(self, x: Array) -> Array:
        if self.groups is None:
            return x
        groups = next(g for g in range(self.groups, 0, -1) if self.features % g == 0)
        return GroupNorm(groups, self.dtype)(x)


class GroupNorm(nn.Module):
    """`y = (x - m) / sqrt(v + 1e-6) scale + bias`, m and v of an image's group of channels.

    As Flax's, and on a CPU five times as fast: sums over rows first, then one product and one sum
    a value. x [B, h, w, c], c a multiple of `groups`. Wu and He 2018.
    """

    groups: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        b, h, w, c = x.shape
        scale = self.param("scale", nn.initializers.ones_init(), (c,))
        bias = self.param("bias", nn.initializers.zeros_init(), (c,))
        rows = x.astype(jnp.float32).reshape(b, h, w * c)
        sums = jnp.stack([rows.sum(1), jnp.square(rows).sum(1)])
        shape = (2, b, w, self.groups, c // self.groups)
        mean, square = sums.reshape(shape).sum((2, 4)) / (h * w * c // self.groups)
        slope = jax.lax.rsqrt(jnp.maximum(square - mean**2, 0) + 1e-6)
        mean, slope = (jnp.repeat(each, c // self.groups, -1) for each in (mean, slope))
        slope = slope * scale[None]
        shift = bias[None] - mean * slope
        return (x * slope[:, None, None] + shift[:, None, None]).astype(self.dtype)


class Trunk(nn.Module):
    """A `Block` for each of `channels`, every one but the first at half the resolution.

    x [B, h, w, c] -> maps, finest first: [B, ceil(h / p 2^i), ceil(w / p 2^i), channels[i]]. p is
    `patch`: squares of p x p pixels are taken together first, as channels of one place, so that
    nothing is computed at the full resolution. That is for heads which need none of it.
    """

    channels: Sequence[int] = (16, 32, 64)
    residual: bool = False
    groups: int | None = 8
    dtype: jnp.dtype = jnp.float32
    patch: int = 1

    @nn.compact
    def __call__(self, x: Array) -> list[Array]:
        x, maps = space_to_depth(x, self.patch), []
        for i, features in enumerate(self.channels):
            x = Block(features, 2 if i else 1, self.residual, self.groups, self.dtype)(x)
            maps.append(x)
        return maps


def space_to_depth(x: Array, p: int) -> Array:
    """Squares of p x p pixels as channels: [B, h, w, c] -> [B, ceil(h / p), ceil(w / p), p p c].

    Zeros fill up below and to the right. Shi et al. 2016, eq. 4, the other way.
    """
    x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % p), (0, -x.shape[2] % p), (0, 0)))
    b, h, w, c = x.shape
    x = x.reshape(b, h // p, p, w // p, p, c).swapaxes(2, 3)
    return x.reshape(b, h // p, w // p, p * p * c)


def depth_to_space(x: Array, p: int) -> Array:
    """The inverse: [B, h, w, p p c] -> [B, p h, p w, c]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, p, p, c // p**2).swapaxes(2, 3)
    return x.reshape(b, p * h, p * w, c // p**2)


class Climb(nn.Module):
    """Maps, finest first, to one of resolution `2^-level` that knows them all: a U-Net's way up.

    At each step a transposed convolution doubles the resolution, what the trunk saw there is put
    beside it, and a `Block` joins them. Ronneberger et al. 2015.
    """

    level: int = 0
    residual: bool = False
    groups: int | None = 8
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, maps: Sequence[Array]) -> Array:
        *finer, x = maps[self.level :]
        for skip in reversed(finer):
            x = ConvTranspose(skip.shape[-1], skip.shape[1:3], self.dtype)(x)
            x = jnp.concatenate([skip, x], -1)
            x = Block(skip.shape[-1], 1, self.residual, self.groups, self.dtype)(x)
        return x


class Classify(nn.Module):
    """The mean of the coarsest map over its positions, then dense layers: logits [B, sizes[-1]].

    Lin, Chen and Yan 2014.
    """

    sizes: Sequence[int]

    @nn.compact
    def __call__(self, maps: Sequence[Array], *, train: bool = False) -> Array:
        return MLP(self.sizes)(maps[-1].mean((1, 2)).astype(jnp.float32), train=train)


class Regress(nn.Module):
    """Each channel's mean and where it is strongest, then dense layers: numbers [B, sizes[-1]].

    Where: `sum_p p softmax_p(channel)`, p the position in -1..1 from the top left: a mean alone
    does not know places. Levine et al. 2016, section 4.2.
    """

    sizes: Sequence[int]

    @nn.compact
    def __call__(self, maps: Sequence[Array], *, train: bool = False) -> Array:
        x = maps[-1].astype(jnp.float32)
        h, w = x.shape[1:3]
        share = jax.nn.softmax(x.reshape(len(x), h * w, -1), 1).reshape(x.shape)
        places = [(jnp.arange(n) + 0.5) * 2 / n - 1 for n in (h, w)]
        found = [
            jnp.einsum("bhwc,h->bc", share, places[0]),
            jnp.einsum("bhwc,w->bc", share, places[1]),
        ]
        return MLP(self.sizes)(jnp.concatenate([x.mean((1, 2)), *found], -1), train=train)


class Segment(nn.Module):
    """Logits of every pixel's class, [B, h, w, classes], by the way up to full resolution.

    Each place of the finest map says those of its p x p pixels, p the trunk's `patch`: a transposed
    convolution of stride p whose windows do not overlap.
    """

    classes: int
    residual: bool = False
    groups: int | None = 8
    dtype: jnp.dtype = jnp.float32
    patch: int = 1

    @nn.compact
    def __call__(self, maps: Sequence[Array], *, train: bool = False) -> Array:
        x = Climb(0, self.residual, self.groups, self.dtype)(maps)
        x = nn.Dense(self.classes * self.patch**2, dtype=self.dtype)(x)
        return depth_to_space(x, self.patch).astype(jnp.float32)


class Found(NamedTuple):
    """What a detector says of each cell of its grid, [B, H, W, ...]."""

    heat: Array  # [.., K]: logits that an object of class k has its centre here
    size: Array  # [.., 2]: its height and width, as log(pixels / cell)
    offset: Array  # [.., 2]: of its centre from the cell's top left, in cells


class Detect(nn.Module):
    """Centres, sizes and offsets for each of `classes`, on the grid of the trunk's map `level`.

    A cell of it is `patch 2^level` pixels wide.

    Objects as points: Zhou, Wang and Kraehenbuehl 2019. Heat starts at a chance of .01, so that the
    many empty cells do not drown the first steps (Lin et al. 2017, section 4.1).
    """

    classes: int
    level: int = 2
    residual: bool = False
    groups: int | None = 8
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, maps: Sequence[Array], *, train: bool = False) -> Found:
        x = Climb(self.level, self.residual, self.groups, self.dtype)(maps)
        rare = nn.initializers.constant(math.log(0.01 / 0.99))
        heat = nn.Dense(self.classes, dtype=self.dtype, bias_init=rare, name="heat")(x)
        place = nn.Dense(4, dtype=self.dtype, name="place")(x).astype(jnp.float32)
        return Found(heat.astype(jnp.float32), place[..., :2], place[..., 2:])


class Vision(nn.Module):
    """A trunk and what is asked of it: `head(trunk(x))`, for images [B, h, w, c] of any size."""

    trunk: nn.Module
    head: nn.Module

    def __call__(self, x: Array, *, train: bool = False):
        found = self.head(self.trunk(x), train=train)  # pyright: ignore[reportCallIssue]
        if isinstance(self.head, Segment):  # patches may reach beyond the image
            return found[:, : x.shape[1], : x.shape[2]]
        return found
