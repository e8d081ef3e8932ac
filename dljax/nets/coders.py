"""Encoders and decoders (S34, S36): images to short codes and back, dense or convolutional."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.errors import InputError, check_count
from dljax.nets.mlp import MLP
from dljax.ops.conv import conv
from dljax.ops.direct import conv_transpose
from dljax.typing import Array

Shape = tuple[int, ...]
Activation = Callable[[Array], Array]
WINDOW = (4, 4)  # twice the stride: every pixel of a decoded image hears from as many positions


class Gaussian(NamedTuple):
    """`N(mean, exp(log_var))`, independent over the last axis; both [..., L]."""

    mean: Array
    log_var: Array


class Residual(nn.Module):
    """`x + k_2 * a(k_1 * a(x))`, k_1 of 3x3 and k_2 of 1x1 pixels: x [B, h, w, c] -> the same.

    k_2 starts at 0, and so the block as the identity. He et al. 2016b.
    """

    activation: Activation = jax.nn.relu
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        features, zeros = x.shape[-1], nn.initializers.zeros_init()
        look = nn.Conv(features, (3, 3), dtype=self.dtype, conv_general_dilated=conv)
        mix = nn.Dense(features, dtype=self.dtype, kernel_init=zeros)
        return x + mix(self.activation(look(self.activation(x))))


class ConvEncoder(nn.Module):
    """For each of `channels` a 4x4 convolution of stride 2 and an activation; then an MLP head.

    `blocks` of `Residual` stand behind each convolution; `dropout` is of the head's hidden units.
    x [B, h, w, c] -> [B, sizes[-1]].
    """

    sizes: Sequence[int]
    channels: Sequence[int] = (32, 64)
    activation: Activation = jax.nn.relu
    dtype: jnp.dtype = jnp.float32
    blocks: int = 0
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        for features in self.channels:
            halve = nn.Conv(features, WINDOW, 2, dtype=self.dtype, conv_general_dilated=conv)
            x = halve(x)
            for _ in range(self.blocks):
                x = Residual(self.activation, self.dtype)(x)
            x = self.activation(x)
        return MLP(self.sizes, self.activation, self.dropout, dtype=self.dtype)(x, train=train)


class ConvTranspose(nn.Module):
    """The adjoint of a 4x4 convolution of stride 2, and a bias: x [B, h, w, c] -> [B, *size, O].

    `size` [2] is a spatial shape that the convolution halves, rounding up, to (h, w).
    """

    features: int
    size: Shape
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        # only a quarter of the window meets any one output, so that the variance is of that quarter
        start = nn.initializers.variance_scaling(4.0, "fan_in", "truncated_normal", -1, -2)
        kernel = self.param("kernel", start, (*WINDOW, self.features, x.shape[-1]))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        x, kernel, bias = (array.astype(self.dtype) for array in (x, kernel, bias))
        return conv_transpose(x, kernel, (2, 2), self.size) + bias[None, None, None]


class DenseDecoder(nn.Module):
    """An MLP from codes z [B, L] to images [B, *shape]: logits or means, as the loss takes them."""

    shape: Shape
    hidden: Sequence[int] = (500,)
    activation: Activation = jax.nn.relu
    dtype: jnp.dtype = jnp.float32
    dropout: float = 0.0

    @nn.compact
    def __call__(self, z: Array, *, train: bool = False) -> Array:
        sizes = (*self.hidden, math.prod(self.shape))
        net = MLP(sizes, self.activation, self.dropout, dtype=self.dtype, name="mlp")
        flat = net(z, train=train)
        return flat.reshape(len(z), *self.shape)


class ConvDecoder(nn.Module):
    """A `ConvEncoder` backwards: dense layers, then a `ConvTranspose` for each of `channels`.

    `blocks` of `Residual` stand before each. z [B, L] -> images [B, *shape], shape (h, w, c).
    """

    shape: Shape
    hidden: Sequence[int] = (256,)
    channels: Sequence[int] = (32, 64)
    activation: Activation = jax.nn.relu
    dtype: jnp.dtype = jnp.float32
    blocks: int = 0
    dropout: float = 0.0

    @nn.compact
    def __call__(self, z: Array, *, train: bool = False) -> Array:
        *sizes, smallest = halved(self.shape[:2], len(self.channels))
        *widths, first = (self.shape[-1], *self.channels)
        dense = (*self.hidden, math.prod(smallest) * first)
        x = MLP(dense, self.activation, self.dropout, dtype=self.dtype)(z, train=train)
        x = x.reshape(len(z), *smallest, first)
        for size, features in zip(reversed(sizes), reversed(widths), strict=True):
            for _ in range(self.blocks):
                x = Residual(self.activation, self.dtype)(x)
            x = ConvTranspose(features, size, self.dtype)(self.activation(x))
        return x.astype(jnp.float32)


class Autoencoder(nn.Module):
    """`decode(encode(x))`: x [B, ...] -> codes [B, L] -> [B, ...]."""

    encoder: nn.Module
    decoder: nn.Module

    def encode(self, x: Array, *, train: bool = False) -> Array:
        return self.encoder(x, train=train)  # pyright: ignore[reportCallIssue]

    def decode(self, z: Array, *, train: bool = False) -> Array:
        return self.decoder(z, train=train)  # pyright: ignore[reportCallIssue]

    def __call__(self, x: Array, *, train: bool = False) -> Array:
        return self.decode(self.encode(x, train=train), train=train)


class Variational(nn.Module):
    """An encoder of 2L outputs gives the posterior's mean and log-variance [B, L]; a decoder of L.

    The call decodes the mean. Kingma and Welling 2014, appendix C.
    """

    encoder: nn.Module
    decoder: nn.Module

    def encode(self, x: Array, *, train: bool = False) -> Gaussian:
        outputs = self.encoder(x, train=train)  # pyright: ignore[reportCallIssue]
        return Gaussian(*jnp.split(outputs, 2, -1))

    def decode(self, z: Array, *, train: bool = False) -> Array:
        return self.decoder(z, train=train)  # pyright: ignore[reportCallIssue]

    def __call__(self, x: Array, *, train: bool = False) -> Array:
        return self.decode(self.encode(x, train=train).mean, train=train)


def dense(
    shape: Shape,
    latent: int,
    hidden: Sequence[int] = (500,),
    *,
    variational: bool = False,
    activation: Activation = jax.nn.relu,
    dtype: jnp.dtype = jnp.float32,
    dropout: float = 0.0,
) -> Any:
    """Dense layers `shape -> hidden -> latent -> reversed(hidden) -> shape`, an `Autoencoder`.

    With `variational` it is a `Variational`. No hidden layer makes a linear autoencoder. Raises
    InputError for a latent below 1.
    """
    outputs = code_size(latent, variational)
    encoder = MLP((*hidden, outputs), activation, dropout, dtype=dtype)
    decoder = DenseDecoder(shape, tuple(reversed(hidden)), activation, dtype, dropout)
    return (Variational if variational else Autoencoder)(encoder, decoder)


def convolutional(
    shape: Shape,
    latent: int,
    channels: Sequence[int] = (32, 64),
    hidden: Sequence[int] = (256,),
    *,
    variational: bool = False,
    activation: Activation = jax.nn.relu,
    dtype: jnp.dtype = jnp.float32,
    blocks: int = 0,
    dropout: float = 0.0,
) -> Any:
    """Images (h, w, c) halved once for each of `channels`, dense layers, and all of it backwards.

    With `blocks` of `Residual` at each resolution, and `dropout` of hidden dense units.

    An `Autoencoder`, or with `variational` a `Variational`. Raises InputError for a latent below 1,
    and where a side is too short to be halved so often.
    """
    outputs = code_size(latent, variational)
    if len(shape) != 3:
        raise InputError(f"a convolutional network needs images [h, w, c]; got {list(shape)}")
    halved(shape[:2], len(channels))
    more = (activation, dtype, blocks, dropout)
    encoder = ConvEncoder((*hidden, outputs), channels, *more)
    decoder = ConvDecoder(shape, tuple(reversed(hidden)), channels, *more)
    return (Variational if variational else Autoencoder)(encoder, decoder)


def code_size(latent: int, variational: bool) -> int:
    """The encoder's outputs: the code, or its mean and log-variance."""
    check_count(latent=latent)
    return 2 * latent if variational else latent


def halved(size: Shape, times: int) -> list[Shape]:
    """The spatial shape, and what is left of it after each halving, rounded up.

    Raises InputError if a side is a single pixel before the last halving.
    """
    sizes = [tuple(size)]
    for _ in range(times):
        if min(sizes[-1]) == 1:
            raise InputError(f"a side of {min(size)} pixels cannot be halved {times} times")
        sizes.append(tuple(-(-n // 2) for n in sizes[-1]))
    return sizes
