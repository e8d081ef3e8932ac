"""Networks whose weights are Gaussians, for Bayes by backprop (S53)."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from dljax.typing import Array, PyTree

SPREAD = "_spread"  # ends the name of a parameter whose softplus is the standard deviation
START = -4.0  # of those: a standard deviation of .018, so that training begins as if without noise


class BayesianDense(nn.Module):
    """`y ~ N(x m, x^2 s^2)` for weights and a bias `N(m, s^2)` each; in evaluation the mean, `x m`.

    The local reparameterisation: the outputs are drawn, not the weights, so that examples of a
    batch differ and gradients are less noisy. x [B, d] -> [B, features]; draws from the rng
    `dropout`. Blundell et al. 2015; Kingma, Salimans and Welling 2015, eq. 6.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        shape, start = (x.shape[-1], self.features), nn.initializers.he_normal()
        kernel, bias = self.gaussian("kernel", start, shape), self.gaussian("bias", None, shape[1:])
        mean = x @ kernel[0] + bias[0][None]
        if not train:
            return mean
        variance = jnp.square(x) @ jnp.square(kernel[1]) + jnp.square(bias[1])[None]
        noise = jax.random.normal(self.make_rng("dropout"), mean.shape, mean.dtype)
        return mean + jnp.sqrt(variance) * noise

    def gaussian(self, name: str, start: Callable | None, shape: Sequence[int]) -> tuple:
        """The mean and the standard deviation of the weights of one name."""
        mean = self.param(name, start or nn.initializers.zeros_init(), shape)
        spread = self.param(name + SPREAD, nn.initializers.constant(START), shape)
        return mean, jax.nn.softplus(spread)


class BayesianMLP(nn.Module):
    """As `MLP`, of `BayesianDense` layers: x [B, ...] -> [B, sizes[-1]]."""

    sizes: Sequence[int]
    activation: Callable[[Array], Array] = jax.nn.relu

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = x.reshape(x.shape[0], -1)
        for size in self.sizes[:-1]:
            x = self.activation(BayesianDense(size)(x, train=train))
        return BayesianDense(self.sizes[-1])(x, train=train)


def kl(params: PyTree, prior: float | Array) -> Array:
    """`KL(N(m, s^2) || N(0, prior^2))` of all Gaussian weights, in nats.

    `sum log(prior / s) + (s^2 + m^2) / (2 prior^2) - 1/2`. Blundell et al. 2015, eq. 1.
    """
    flat: dict[Any, Any] = flatten_dict(params)
    total = jnp.float32(0)
    for path, spread in flat.items():
        if path[-1].endswith(SPREAD):
            mean = flat[(*path[:-1], path[-1].removesuffix(SPREAD))]
            s = jax.nn.softplus(spread)
            squares = (jnp.square(s) + jnp.square(mean)) / (2 * prior**2)
            total += (jnp.log(prior / s) + squares - 0.5).sum()
    return total
