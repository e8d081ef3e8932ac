"""What the models of this chapter are asked: codes of images, images of codes, and new images."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from dljax.host.function import Function, Input
from dljax.learn.vae import Likelihood
from dljax.nets.coders import Autoencoder, Gaussian, Variational
from dljax.typing import Array, PyTree

Decode = Callable[[PyTree, Array], Array]
"""`(weights, codes [B, L]) -> images [B, h, w, c]`."""


def levels(x: Array) -> Array:
    return x


def bits(x: Array) -> Array:
    return (x >= 0.5).astype(x.dtype)


def sample(decode: Decode, latent: int, draw: Callable[..., Array] = jax.random.normal) -> Function:
    """New images, one a seed of n integers: of codes that `draw(key, shape)` gives."""

    def call(weights: PyTree, seeds: Array) -> Array:
        return decode(weights, jax.vmap(lambda seed: draw(jax.random.key(seed), (latent,)))(seeds))

    return Function(call, (Input((), "int32", "seed"),))


def coder(
    net: Autoencoder | Variational,
    latent: int,
    inputs: tuple[Input],
    pixels: Callable[[Array], Array],
    seen: Callable[[Array], Array] = levels,
) -> dict[str, Function]:
    """Of an autoencoder's parameters: `encode` to codes (their means), and `decode` to pixels.

    `seen` makes of scaled images what the encoder reads, `pixels` those of the decoder's outputs.
    """

    def encode(params: PyTree, x: Array) -> Array:
        code: Any = net.apply({"params": params}, seen(x), method="encode")
        return code.mean if isinstance(code, Gaussian) else code

    decode = Function(decoding(net, pixels), (Input((latent,), name="code"),))
    return {"encode": Function(encode, inputs), "decode": decode}


def variational(
    net: Variational,
    latent: int,
    inputs: tuple[Input],
    likelihood: Likelihood,
    seen: Callable[[Array], Array] = levels,
) -> dict[str, Function]:
    """`coder`'s, and `sample` of the prior N(0, I): the means of the pixels."""
    decode = decoding(net, likelihood.mean)
    return coder(net, latent, inputs, likelihood.mean, seen) | {"sample": sample(decode, latent)}


def decoding(net: Autoencoder | Variational, pixels: Callable[[Array], Array]) -> Decode:
    def decode(params: PyTree, code: Array) -> Array:
        return pixels(jnp.asarray(net.apply({"params": params}, code, method="decode")))

    return decode
