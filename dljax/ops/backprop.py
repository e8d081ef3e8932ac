"""The chain rule by hand (S2, S8, S9, S10): what automatic differentiation does, spelled out.

For understanding and for checking. Training elsewhere in dljax goes through `jax.grad`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dljax.typing import Array


class Activation(NamedTuple):
    """A function of the net input z, and its slope at z."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def sigmoid_slope(z: Array) -> Array:
    """`s'(z) = s(z) (1 - s(z))`, at most 1/4."""
    return jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)  # 1 - s(z) would round to 0 from z = 17 on


def tanh_slope(z: Array) -> Array:
    """`tanh'(z) = 1 - tanh(z)^2`, at most 1, and 1 at z = 0."""
    return 1 - jnp.tanh(z) ** 2


def relu_slope(z: Array) -> Array:
    """`relu'(z) = 1 where z > 0, else 0`; at z = 0, where there is none, 0 as in jax.nn.relu."""
    return (z > 0).astype(z.dtype)


ACTIVATIONS = {
    "sigmoid": Activation(jax.nn.sigmoid, sigmoid_slope),
    "tanh": Activation(jnp.tanh, tanh_slope),
    "relu": Activation(jax.nn.relu, relu_slope),
    "linear": Activation(lambda z: z, jnp.ones_like),
}


class Layer(NamedTuple):
    """Weights w [I, O], from input i to output j, and biases b [O]."""

    w: Array
    b: Array


class Pass(NamedTuple):
    """A forward pass: the net inputs of each layer [O], and the outputs, the input x first."""

    nets: list[Array]
    outs: list[Array]


def forward(layers: Sequence[Layer], x: Array, act: Activation) -> Pass:
    """`z_l = W_l' a_{l-1} + b_l`, `a_l = act(z_l)`, `a_0 = x`: one example, x [I]."""
    nets, outs = [], [x]
    for w, b in layers:
        nets.append(outs[-1] @ w + b)
        outs.append(act.value(nets[-1]))
    return Pass(nets, outs)


def half_squared_error(out: Array, target: Array) -> Array:
    """`E = sum_j (t_j - a_j)^2 / 2`, whose slope in a_j is `a_j - t_j`."""
    return jnp.sum((target - out) ** 2) / 2


def backward(
    layers: Sequence[Layer], done: Pass, slope_out: Array, act: Activation
) -> tuple[list[Layer], list[Array]]:
    """The gradient of E in every weight and bias, and `delta_l = dE/dz_l`, first layer first.

    `delta_L = slope_out * act'(z_L)`, `delta_l = (W_{l+1} delta_{l+1}) * act'(z_l)`,
    `dE/dW_l = a_{l-1} delta_l'`, `dE/db_l = delta_l`; slope_out [O] is `dE/da_L`.
    Rumelhart, Hinton and Williams 1986, eqs. 4-7.
    """
    grads, deltas, slope = [], [], slope_out
    for layer, z, before in zip(layers[::-1], done.nets[::-1], done.outs[-2::-1], strict=True):
        delta = slope * act.slope(z)
        grads.append(Layer(jnp.outer(before, delta), delta))
        deltas.append(delta)
        slope = layer.w @ delta
    return grads[::-1], deltas[::-1]


def gradient(
    layers: Sequence[Layer], x: Array, target: Array, act: Activation
) -> tuple[Array, list[Layer]]:
    """`E` and `dE/dW`, `dE/db` of one example, by the chain rule alone."""
    done = forward(layers, x, act)
    grads, _ = backward(layers, done, done.outs[-1] - target, act)
    return half_squared_error(done.outs[-1], target), grads


def descend(layers: Sequence[Layer], grads: Sequence[Layer], rate: float) -> list[Layer]:
    """`W <- W - rate dE/dW`, `b <- b - rate dE/db` (S7)."""
    return [
        Layer(w - rate * dw, b - rate * db) for (w, b), (dw, db) in zip(layers, grads, strict=True)
    ]


def delta_rule(w: Array, x: Array, target: Array, rate: float) -> Array:
    """`w <- w + rate (t - w'x) x`: descent on `(t - w'x)^2 / 2` for one linear neuron.

    w, x [I], target scalar. Widrow and Hoff 1960.
    """
    return w + rate * (target - w @ x) * x
