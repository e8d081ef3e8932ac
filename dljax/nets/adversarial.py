"""The networks of a GAN (S42, S44): generators of samples or of translations, discriminators."""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.nets.coders import ConvTranspose
from dljax.nets.trunk import Segment, Trunk, Vision
from dljax.ops.conv import conv
from dljax.typing import Array


def leaky_relu(x: Array) -> Array:
    """Slope 0.2 below 0, so that no unit of a discriminator goes dead. Radford et al. 2016."""
    return jax.nn.leaky_relu(x, 0.2)


class Generator(nn.Module):
    """From latents z [B, d] to samples [B, *shape], through dense layers of the widths `hidden`.

    With `channels`, shape is [h, w, c], and maps of `channels[0]` features at `1 / 2^k` of its size
    are doubled k = len(channels) times, back to it. `squash` bounds the samples: the sigmoid for
    pixels. What else is given, y [B, k], stands beside z.
    """

    shape: Sequence[int]
    hidden: Sequence[int] = ()
    channels: Sequence[int] = ()
    squash: Callable[[Array], Array] = lambda x: x

    @nn.compact
    def __call__(self, z: Array, y: Array | None = None, *, train: bool = False) -> Array:
        x = z if y is None else jnp.concatenate([z, y], -1)
        for width in self.hidden:
            x = jax.nn.relu(nn.Dense(width)(x))
        if not self.channels:
            x = nn.Dense(math.prod(self.shape))(x)
            return self.squash(x.reshape(-1, *self.shape))
        h, w, c = self.shape
        rows, columns = (-(-side >> len(self.channels)) for side in (h, w))
        x = nn.Dense(rows * columns * self.channels[0])(x)
        x = x.reshape(-1, rows, columns, self.channels[0])
        for features in (*self.channels[1:], c):
            x = ConvTranspose(features, (2 * x.shape[1], 2 * x.shape[2]))(jax.nn.relu(x))
        return self.squash(x[:, :h, :w])


class Discriminator(nn.Module):
    """From samples x [B, ...] to logits [B], through the layers of the widths `hidden`.

    With `channels`, x is [B, h, w, c], first halved by a 4x4 convolution of stride 2 for each of
    them. With `spectral`, every kernel is divided by its greatest singular value as a matrix, known
    by one step of power iteration from the last (collection `batch_stats`), and so the logit is 1-
    Lipschitz in a dense network. Miyato et al. 2018. With `patches` there is a logit for each place
    of the last map, [B, h', w'], of what that place sees. Isola et al. 2017. What else is given, y,
    stands beside x as more channels, [B, h, w, k], or beside the flat features, [B, k].
    """

    hidden: Sequence[int] = ()
    channels: Sequence[int] = ()
    spectral: bool = False
    patches: bool = False

    @nn.compact
    def __call__(self, x: Array, y: Array | None = None, *, train: bool = False) -> Array:
        def normal(layer: nn.Module, x: Array) -> Array:
            return nn.SpectralNorm(layer)(x, update_stats=train) if self.spectral else layer(x)

        if y is not None and y.ndim == x.ndim > 2:
            x, y = jnp.concatenate([x, y], -1), None
        for features in self.channels:
            layer = nn.Conv(features, (4, 4), 2, conv_general_dilated=conv)
            x = leaky_relu(normal(layer, x))
        if not self.patches:
            x = x.reshape(x.shape[0], -1)
        if y is not None:
            x = jnp.concatenate([x, y], -1)
        for width in self.hidden:
            x = leaky_relu(normal(nn.Dense(width), x))
        return normal(nn.Dense(1), x)[..., 0]


class Translator(nn.Module):
    """Images x [B, h, w, c] to images [B, h, w, outputs] in [0, 1], by a U-Net.

    Its maps have `channels`, each but the first at half the resolution of the one before; pixels
    are taken together in squares of `patch` first. What is near in x is near in the translation
    from the start, which no loss of a CycleGAN says.
    """

    outputs: int
    channels: Sequence[int] = (16, 32)
    patch: int = 1

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        trunk = Trunk(self.channels, residual=True, patch=self.patch)
        head = Segment(self.outputs, residual=True, patch=self.patch)
        return jax.nn.sigmoid(Vision(trunk, head)(x))
