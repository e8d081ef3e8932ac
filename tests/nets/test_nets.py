"""Networks: shapes, precision, dropout and batch normalisation."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.nets import CNN, MLP
from dljax.nets.residual import ResidualMLP

X = np.random.default_rng(0).normal(size=(6, 8, 8, 1)).astype("f")


@pytest.mark.parametrize("net", [MLP((5, 3)), CNN((2, 4), (5, 3))])
def test_dropout_and_train_leave_a_plain_network_alone(net):
    variables = net.init(jax.random.key(0), X)
    np.testing.assert_array_equal(net.apply(variables, X), net.apply(variables, X, train=True))


def test_the_notes_listing_has_the_weights_that_its_valid_padding_gives():
    """S31: 3x3 x 32, pool, 3x3 x 64, pool, 1,600 to 1,024 to 10; 3,136 if padded."""

    def weights(padding: str) -> int:
        net, image = CNN((32, 64), (1024, 10), padding=padding), jnp.zeros((1, 28, 28, 1))
        shapes = jax.eval_shape(net.init, jax.random.key(0), image)
        return sum(leaf.size for leaf in jax.tree.leaves(shapes))

    assert weights("VALID") == 320 + 18_496 + 1_639_424 + 10_250 == 1_668_490
    assert weights("SAME") == 320 + 18_496 + 3_212_288 + 10_250


@pytest.mark.parametrize("activation", [jax.nn.relu, jnp.tanh])
def test_a_valid_network_is_torchs_order_of_convolution_activation_and_pooling(activation):
    """Against the library's convolution and Flax's pooling."""
    net = CNN((4,), (3,), activation=activation, padding="VALID")
    params = net.init(jax.random.key(0), X)["params"]
    kernel, bias = params["Conv_0"]["kernel"], params["Conv_0"]["bias"]
    layout = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(X, kernel, (1, 1), "VALID", dimension_numbers=layout)
    y = nn.max_pool(activation(y + bias[None, None, None]), (2, 2), (2, 2)).reshape(len(X), -1)
    head = params["MLP_0"]["Dense_0"]
    outputs = net.apply({"params": params}, X)
    np.testing.assert_allclose(outputs, y @ head["kernel"] + head["bias"][None], atol=1e-5)


def test_dropout_keeps_the_mean_and_draws_anew():
    net = MLP((400, 3), dropout=0.5)
    variables = net.init(jax.random.key(0), X)
    keys = jax.random.split(jax.random.key(1), 400)

    def apply(key):
        return net.apply(variables, X, train=True, rngs={"dropout": key})

    outputs = jax.vmap(apply)(keys)
    assert not np.array_equal(outputs[0], outputs[1])
    error = outputs.std(0) / np.sqrt(len(keys))
    np.testing.assert_array_less(jnp.abs(outputs.mean(0) - net.apply(variables, X)), 5 * error)


def test_batch_norm_learns_the_mean_of_its_input():
    net = MLP((4, 3), batch_norm=True)
    variables = net.init(jax.random.key(0), X)
    _, updated = net.apply(variables, X, train=True, mutable=["batch_stats"])
    hidden = X.reshape(6, -1) @ variables["params"]["Dense_0"]["kernel"]
    momentum = 0.99
    np.testing.assert_allclose(
        updated["batch_stats"]["BatchNorm_0"]["mean"], (1 - momentum) * hidden.mean(0), rtol=1e-4
    )


@pytest.mark.parametrize("batch_norm", [False, True])
def test_bfloat16_computes_nearly_the_same_and_keeps_float32_weights(batch_norm):
    plain = CNN((4, 4), (8, 3), 0.0, batch_norm)
    half = CNN((4, 4), (8, 3), 0.0, batch_norm, jnp.bfloat16)
    variables = plain.init(jax.random.key(0), X)
    assert all(
        leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(half.init(jax.random.key(0), X))
    )
    a, b = plain.apply(variables, X), half.apply(variables, X)
    assert b.dtype == jnp.float32
    assert 0 < jnp.abs(a - b).max() < 0.1 * jnp.abs(a).max()


def test_a_linear_network_is_one_matrix():
    net = MLP((6, 5, 3), activation=lambda x: x)
    params = net.init(jax.random.key(0), X)["params"]
    product = (
        params["Dense_0"]["kernel"] @ params["Dense_1"]["kernel"] @ params["Dense_2"]["kernel"]
    )
    outputs = net.apply({"params": params}, X)
    np.testing.assert_allclose(outputs, X.reshape(6, -1) @ product, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("depth, skip", [(1, 1), (4, 1), (16, 1), (64, 1), (4, 0)])
def test_a_deep_network_keeps_the_size_of_what_goes_through_it(depth, skip):
    """From the first layer to the head, at the start; by the weights themselves, in NumPy."""
    x = np.random.default_rng(1).normal(size=(200, 32)).astype("f")
    net = ResidualMLP(3, depth, 128, skip)
    layers = net.init(jax.random.key(0), x)["params"]
    kernels = [np.asarray(layers[f"Dense_{i}"]["kernel"]) for i in range(depth + 1)]
    h = first = x @ kernels[0]
    for kernel in kernels[1:]:
        h = skip * h + np.maximum(h @ kernel, 0)
    growth = np.sqrt(np.mean(h**2) / np.mean(first**2))
    assert 1 <= growth < 1.5 if skip else 0.4 < growth < 2
