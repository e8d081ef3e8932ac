"""Autoencoders (S34, S35): give back the input through a short code; plain, denoising, stacked."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from dljax.data.stream import unit_scale
from dljax.errors import InputError
from dljax.learn import risk, shapes
from dljax.learn.risk import Loss
from dljax.learner import Fit, Learner, Objective, advance, start
from dljax.nets.coders import Autoencoder, DenseDecoder
from dljax.nets.mlp import MLP
from dljax.typing import Array, Batch, Key, Metrics, PyTree

Corrupt = Callable[[Key, Array], Array]
"""`(key, x) -> what the network sees of x`: noise, fewer pixels, no colour."""


def objective(net: nn.Module, loss: Loss, corrupt: Corrupt | None = None) -> Objective:
    """`J = mean L(f(corrupt(x)), x)` over images and pixels.

    `loss` is optax.squared_error, or optax.sigmoid_binary_cross_entropy where f gives logits.
    Without `corrupt` f sees x; with it, this is the denoising autoencoder of Vincent et al. 2008.
    """

    def mean(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        k_corrupt, k_drop = jax.random.split(key)
        seen = batch.x if corrupt is None else corrupt(k_corrupt, batch.x)
        rngs = {"dropout": k_drop}
        outputs: Any = net.apply({"params": params}, seen, train=True, rngs=rngs)
        return loss(outputs, batch.x).mean(), (extra, {})

    return mean


def make(
    net: nn.Module,
    tx: optax.GradientTransformation,
    x: Array | np.ndarray,
    loss: Loss,
    *,
    batch: int,
    corrupt: Corrupt | None = None,
) -> Learner:
    """A learner of x [n, ...] from itself, in epochs of batches; uint8 is scaled to [0, 1].

    Raises InputError if `batch` exceeds n, if the loss is a cross-entropy and x not in [0, 1], or
    if the network's outputs are not shaped as x.
    """
    if loss is optax.sigmoid_binary_cross_entropy:
        check_pixels(x)
    learner = risk.descend(net, objective(net, loss, corrupt), tx, Batch(x, ()), batch=batch)
    shapes.check(shapes.given(net, lambda: risk.first(x, corrupt)), x.shape[1:], "x has")
    return learner


def stacked(
    net: Autoencoder,
    tx: optax.GradientTransformation,
    x: Array | np.ndarray,
    loss: Loss,
    *,
    batch: int,
    pretrain: int,
) -> Learner:
    """`make`, but `net`, which is `dense`, starts from layers trained one after another.

    Each layer, `pretrain` steps long, is an autoencoder of the code below it; then all are
    fine-tuned together by the learner's steps. Bengio et al. 2007, section 3; Hinton and
    Salakhutdinov 2006 do so with restricted Boltzmann machines.
    """
    tuning = make(net, tx, x, loss, batch=batch)

    def init(key: Key) -> risk.State:
        k_layers, k_tuning = jax.random.split(key)
        params = layerwise(k_layers, net, tx, x, loss, batch=batch, steps=pretrain)
        return tuning.init(k_tuning)._replace(fit=Fit(params, {}, tx.init(params)))

    return Learner(init, tuning.step)


def layerwise(
    key: Key,
    net: Autoencoder,
    tx: optax.GradientTransformation,
    x: Array | np.ndarray,
    loss: Loss,
    *,
    batch: int,
    steps: int,
) -> PyTree:
    """The parameters of a dense `net`, its layers trained one after another; see `stacked`."""
    encoder, decoder = net.encoder, net.decoder
    if not (isinstance(encoder, MLP) and isinstance(decoder, DenseDecoder)):
        raise InputError("only a dense autoencoder is trained layer by layer")
    widths, act, codes = tuple(encoder.sizes), encoder.activation, x.reshape(len(x), -1)
    params: PyTree = {"encoder": {}, "decoder": {"mlp": {}}}
    last = len(widths) - 1
    for i, (k, width) in enumerate(zip(jax.random.split(key, last + 1), widths, strict=True)):
        # as in the whole network, the code and the image are linear, and what is between is not
        up = [MLP((width,))] + [act] * (i < last)
        down = [MLP((codes.shape[-1],))] + [act] * (i > 0)
        layer = Autoencoder(nn.Sequential(up), nn.Sequential(down))
        learner = make(layer, tx, codes, optax.squared_error if i else loss, batch=batch)
        trained = advance(learner, start(learner, k), steps)[0].state.fit.params
        codes = encode(layer, trained, codes)
        ends = {side: trained[side]["layers_0"]["Dense_0"] for side in ("encoder", "decoder")}
        params["encoder"][f"Dense_{i}"] = ends["encoder"]
        params["decoder"]["mlp"][f"Dense_{last - i}"] = ends["decoder"]
    return params


def encode(net: nn.Module, params: PyTree, x: Array | np.ndarray, chunk: int = 500) -> Any:
    """What the encoder makes of x [n, ...], at most `chunk` examples in memory at a time."""
    return chunked(lambda x: net.apply({"params": params}, x, method="encode"), x, chunk)


def decode(net: nn.Module, params: PyTree, z: Array, chunk: int = 500) -> Array:
    """The decoder's outputs of codes z [n, L]."""
    return chunked(lambda z: net.apply({"params": params}, z, method="decode"), z, chunk)


def reconstruct(net: nn.Module, params: PyTree, x: Array | np.ndarray, chunk: int = 500) -> Array:
    """The network's outputs for x [n, ...]; of a variational one, at the posterior's mean."""
    return chunked(lambda x: net.apply({"params": params}, x), x, chunk)


def chunked(f: Callable[[Array], Any], x: Array | np.ndarray, chunk: int) -> Any:
    """`f` [B, ...] -> tree of [B, ...] over all of x [n, ...], `chunk` rows at a time."""

    def one(row: Array) -> Any:
        return jax.tree.map(lambda leaf: leaf[0], f(unit_scale(row)[None]))

    return jax.lax.map(one, jnp.asarray(x), batch_size=chunk)


def evaluate(
    net: nn.Module,
    params: PyTree,
    x: Array | np.ndarray,
    loss: Loss,
    split: str = "validation",
) -> Metrics:
    """The mean loss over images and pixels, named `split/loss`."""
    return {f"{split}/loss": loss(reconstruct(net, params, x), unit_scale(jnp.asarray(x))).mean()}


def edge_aware(outputs: Array, images: Array, weight: float = 0.1, eps: float = 1e-3) -> Array:
    """`r(e) + weight (r(e_x) + r(e_y))`, `r(e) = sqrt(e^2 + eps^2)`: losses [B, h, w, c].

    e is the error of images [B, h, w, c], e_x and e_y its differences to the next pixel, which are
    those of edges. Charbonnier et al. 1994; for images, Lai et al. 2017, eq. 1.
    """
    error = outputs - images
    more = jnp.pad(error, ((0, 0), (0, 1), (0, 1), (0, 0)), "edge")
    across, down = more[:, :-1, 1:] - error, more[:, 1:, :-1] - error
    here, *edges = (jnp.sqrt(each**2 + eps**2) for each in (error, across, down))
    return here + weight * sum(edges)


def mask(key: Key, x: Array, share: float) -> Array:
    """Each pixel of x is 0 with probability `share`. Vincent et al. 2008, section 2.3."""
    return jnp.where(jax.random.bernoulli(key, share, x.shape), 0, x)


def add_noise(key: Key, x: Array, scale: float | Array) -> Array:
    """`x + scale e`, `e ~ N(0, 1)`; not clipped."""
    noise = jax.random.normal(key, x.shape, jnp.result_type(x, jnp.float32))
    return x + scale * noise


def check_pixels(x: Any) -> None:
    """Raises InputError if x, where its values are known, is neither uint8 nor within [0, 1]."""
    if isinstance(x, Tracer) or x.dtype == jnp.uint8:
        return
    x = np.asarray(x)  # else a known array's least would be traced within a trace
    low, high = x.min(), x.max()
    if not (low >= 0 and high <= 1):  # NaN fails too
        raise InputError(f"pixels must be in [0, 1]; got {low:g} to {high:g}")
