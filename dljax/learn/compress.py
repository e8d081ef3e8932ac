"""Lossy compression (S35): a codec learns what it costs in bits, and what it loses, at once."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax.errors import InputError
from dljax.learn import autoencode, risk
from dljax.learner import Learner, Objective
from dljax.nets.codec import Codec, bits
from dljax.typing import Array, Batch, Key, Metrics, PyTree


def objective(net: Codec, weights: Sequence[float]) -> Objective:
    """`J = mean (R + w_level D)`: R bits per pixel, D the mean squared error, a level drawn each.

    Uniform noise stands in for rounding, so that there is a gradient. Ball\u00e9 et al. 2017.
    """

    def mean(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        k_level, k_noise = jax.random.split(key)
        x, variables = batch.x, {"params": params}
        level = jax.random.randint(k_level, (len(x),), 0, len(weights))
        codes: Any = net.apply(variables, x, level, method="encode")
        noise = jax.random.uniform(k_noise, codes.shape, codes.dtype, minval=-0.5, maxval=0.5)
        codes = codes + noise
        decoded: Any = net.apply(variables, codes, level, method="decode")
        chances: Any = net.apply(variables, codes, level, method="chances")
        rate = bits(codes, *chances).sum((1, 2, 3)) / (x.shape[1] * x.shape[2])
        error = jnp.square(decoded - x).mean((1, 2, 3))
        metrics: Metrics = {"bits_per_pixel": rate.mean(), "squared_error": error.mean()}
        return (rate + jnp.asarray(weights)[level] * error).mean(), (extra, metrics)

    return mean


def make(
    net: Codec,
    tx: optax.GradientTransformation,
    x: Array | np.ndarray,
    weights: Sequence[float],
    *,
    batch: int,
) -> Learner:
    """A learner of images x [n, h, w, c], uint8 or in [0, 1], a weight of the error for each level.

    Raises InputError unless there are as many weights as levels, and as `risk.descend` does.
    """
    if len(weights) != len(net.gains):
        raise InputError(f"{len(net.gains)} levels need as many weights; got {len(weights)}")
    autoencode.check_pixels(x)
    return risk.descend(net, objective(net, weights), tx, Batch(x, ()), batch=batch)
