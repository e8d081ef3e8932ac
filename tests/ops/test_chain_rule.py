"""The chain rule by hand equals automatic differentiation (S2, S8, S9)."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.ops.backprop import (
    ACTIVATIONS,
    Layer,
    backward,
    delta_rule,
    forward,
    half_squared_error,
)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_equal_autodiff_at_zero_too(name):
    act = ACTIVATIONS[name]
    z = jnp.concatenate([jnp.linspace(-30, 30, 301), jnp.zeros(1)])
    np.testing.assert_allclose(act.slope(z), jax.vmap(jax.grad(act.value))(z), atol=1e-6)


def test_slopes_at_zero():
    assert ACTIVATIONS["sigmoid"].slope(jnp.zeros(())) == 0.25
    assert ACTIVATIONS["tanh"].slope(jnp.zeros(())) == 1
    assert ACTIVATIONS["relu"].slope(jnp.zeros(())) == 0


def test_the_sigmoids_slope_keeps_its_tail():
    # z = 40: s(z) is 1 in float32, and the slope e^-40
    assert ACTIVATIONS["sigmoid"].slope(jnp.float32(40)) == pytest.approx(np.exp(-40.0), rel=1e-5)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_backward_equals_jax_grad_in_a_deep_network(name):
    act, sizes = ACTIVATIONS[name], (3, 5, 4, 2)
    keys = jax.random.split(jax.random.key(1), 2 * len(sizes))
    layers = [
        Layer(jax.random.normal(keys[2 * i], (a, b)), jax.random.normal(keys[2 * i + 1], (b,)))
        for i, (a, b) in enumerate(itertools.pairwise(sizes))
    ]
    x, target = jax.random.normal(keys[-2], (3,)), jax.random.normal(keys[-1], (2,))

    @functools.partial(jax.jit, static_argnums=1)
    def both(layers, by_hand):
        if not by_hand:
            error = lambda layers: half_squared_error(forward(layers, x, act).outs[-1], target)  # noqa: E731
            return jax.grad(error)(layers)
        done = forward(layers, x, act)
        grads, deltas = backward(layers, done, done.outs[-1] - target, act)
        assert [delta.shape for delta in deltas] == [(5,), (4,), (2,)]
        return grads

    for hand, auto in zip(
        jax.tree.leaves(both(layers, True)), jax.tree.leaves(both(layers, False)), strict=True
    ):
        np.testing.assert_allclose(hand, auto, rtol=1e-4, atol=1e-5)


def test_the_delta_rule_is_descent_on_the_half_squared_error():
    w, x, target = jnp.array([0.5, -1.0]), jnp.array([2.0, 3.0]), jnp.float32(1.5)
    slope = jax.grad(lambda w: (target - w @ x) ** 2 / 2)(w)
    np.testing.assert_allclose(delta_rule(w, x, target, 0.1), w - 0.1 * slope, rtol=1e-5)


def test_the_delta_rule_finds_y_equals_2x():
    def one(w, x):
        return delta_rule(w, x[None], 2 * x, 0.1), None

    w, _ = jax.lax.scan(one, jnp.array([4.0]), jnp.tile(jnp.arange(3.0), 20))
    np.testing.assert_allclose(w, [2.0], rtol=1e-5)
