"""The value network: the dueling identity, its table, and its convolutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate

from dljax.nets.q_network import QNetwork


def test_dueling_advantages_sum_to_zero_and_the_mean_is_the_value():
    net = QNetwork(3, (5,), dueling=True)
    x = jax.random.normal(jax.random.key(0), (7, 4))
    params = net.init(jax.random.key(1), x)["params"]
    hidden = np.maximum(x @ params["MLP_0"]["Dense_0"]["kernel"], 0)
    heads = hidden @ params["MLP_0"]["Dense_1"]["kernel"]
    q = net.apply({"params": params}, x)
    np.testing.assert_allclose(q.mean(1), heads[:, 0], atol=1e-5)
    np.testing.assert_allclose(q - q[:, :1], heads[:, 1:] - heads[:, 1:2], atol=1e-5)


def test_a_constant_added_to_all_advantages_changes_nothing():
    net = QNetwork(3, (5,), dueling=True)
    x = jax.random.normal(jax.random.key(0), (7, 4))
    params = net.init(jax.random.key(1), x)["params"]
    moved = jax.tree.map(lambda leaf: leaf, params)
    moved["MLP_0"]["Dense_1"]["bias"] += jnp.array([0.0, 2.0, 2.0, 2.0])
    np.testing.assert_allclose(
        net.apply({"params": moved}, x), net.apply({"params": params}, x), atol=1e-5
    )


def test_one_hot_states_without_hidden_layers_make_a_table():
    net = QNetwork(2, ())
    params = net.init(jax.random.key(0), jnp.eye(5))["params"]
    np.testing.assert_allclose(
        net.apply({"params": params}, jnp.eye(5)), params["MLP_0"]["Dense_0"]["kernel"], atol=1e-6
    )


@pytest.mark.parametrize("dueling", [False, True])
def test_images_are_convolved_before(dueling):
    net = QNetwork(2, (), (3,), dueling=dueling)
    x = jax.random.normal(jax.random.key(0), (4, 6, 5, 2))
    params = net.init(jax.random.key(1), x)["params"]
    kernel = np.asarray(params["Conv_0"]["kernel"])
    maps = np.stack(
        [[correlate(image, kernel[..., k], "valid")[..., 0] for k in range(3)] for image in x]
    )
    flat = np.maximum(np.moveaxis(maps, 1, -1), 0).reshape(4, -1)
    expected = flat @ params["MLP_0"]["Dense_0"]["kernel"]
    if dueling:
        expected = expected[:, :1] + expected[:, 1:] - expected[:, 1:].mean(1, keepdims=True)
    np.testing.assert_allclose(net.apply({"params": params}, x), expected, atol=1e-4)
