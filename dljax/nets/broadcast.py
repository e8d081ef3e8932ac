"""A decoder that knows places (S38, S39): each square of an image is of the code and its place.

Watters et al. 2019, whose decoder takes factors of scenes apart better than transposed convolutions
do: a shape is moved by adding to its place, which a first layer does, and need not be drawn anew.
"""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.errors import InputError
from dljax.nets.coders import Activation, ConvEncoder, Shape, Variational, code_size, halved
from dljax.nets.trunk import depth_to_space, space_to_depth
from dljax.typing import Array


class Patches(nn.Module):
    """An encoder of images whose squares of `patch` pixels a side are channels of one place."""

    encoder: nn.Module
    patch: int

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = space_to_depth(x, self.patch)
        return self.encoder(x, train=train)  # pyright: ignore[reportCallIssue]


class Broadcast(nn.Module):
    """`f(z, place)` for each square of `patch` pixels a side, f a network of `hidden` widths.

    Places lie in -1..1, from the top left. They are 1x1 convolutions on the grid of squares, so
    that nothing is computed at the full resolution. z [B, L] -> images [B, *shape], shape (h, w,
    c). Watters et al. 2019, algorithm 1.
    """

    shape: Shape
    hidden: Sequence[int] = (64, 64, 64)
    patch: int = 4
    activation: Activation = jax.nn.relu

    @nn.compact
    def __call__(self, z: Array, *, train: bool = False) -> Array:
        (h, w, c), p = self.shape, self.patch
        rows, columns = -(-h // p), -(-w // p)
        axes = [(jnp.arange(n) + 0.5) * 2 / n - 1 for n in (rows, columns)]
        places = jnp.stack(jnp.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
        first, *others = self.hidden
        # a sum of what code and place give is their joint first layer, at a fraction of its cost
        given = nn.Dense(first, name="code")(z)[:, None]
        x = given + nn.Dense(first, use_bias=False, name="place")(places)[None]
        for width in others:
            x = nn.Dense(width)(self.activation(x))
        x = nn.Dense(c * p * p)(self.activation(x)).reshape(len(z), rows, columns, c * p * p)
        return depth_to_space(x, p)[:, :h, :w]


def spatial(
    shape: Shape,
    latent: int,
    channels: Sequence[int] = (32, 64),
    hidden: Sequence[int] = (128,),
    decoder: Sequence[int] = (64, 64, 64),
    patch: int = 4,
) -> Variational:
    """A convolutional encoder of squares of `patch` pixels a side, and a `Broadcast` decoder.

    Squares are halved once for each of `channels`. Raises InputError for a latent below 1, no
    `decoder` layer, and where there are too few squares to be halved so often.
    """
    outputs = code_size(latent, variational=True)
    if len(shape) != 3 or not decoder:
        raise InputError(f"needs images [h, w, c] and a hidden layer; got {list(shape)}, {decoder}")
    halved((math.ceil(shape[0] / patch), math.ceil(shape[1] / patch)), len(channels))
    encoder = Patches(ConvEncoder((*hidden, outputs), channels), patch)
    return Variational(encoder, Broadcast(shape, decoder, patch))
