"""Encoders and decoders: shapes for any image, what touches what, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.nets.coders import ConvTranspose, Gaussian, Residual, convolutional, dense, halved

KEY = jax.random.key(0)


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (7, 9, 2)])
@pytest.mark.parametrize("make", [dense, convolutional])
@pytest.mark.parametrize("variational", [False, True])
def test_codes_and_images_have_their_shapes(make, shape, variational):
    net = make(shape, 3, variational=variational)

    def passes():
        x = jnp.zeros((2, *shape))
        params = net.init(KEY, x)
        code = net.apply(params, x, method="encode")
        return code, net.apply(params, jnp.zeros((5, 3)), method="decode"), net.apply(params, x)

    code, decoded, whole = jax.eval_shape(passes)
    for leaf in jax.tree.leaves(code):
        assert leaf.shape == (2, 3)
    assert isinstance(code, Gaussian) == variational
    assert decoded.shape == (5, *shape) and whole.shape == (2, *shape)
    assert decoded.dtype == whole.dtype == jnp.float32


def test_residual_blocks_start_as_nothing_and_then_look_around():
    block, x = Residual(jnp.tanh), jax.random.normal(KEY, (1, 5, 5, 3))
    out, params = block.init_with_output(KEY, x)
    np.testing.assert_array_equal(out, x)
    kernel = jnp.ones_like(params["params"]["Dense_0"]["kernel"])
    params["params"]["Dense_0"]["kernel"] = kernel
    seen = jax.grad(lambda x: block.apply(params, x)[0, 2, 2].sum())(x)
    reached = np.abs(seen[0]).sum(-1) > 0
    assert reached[1:4, 1:4].all() and reached.sum() == 9


@pytest.mark.parametrize("make", [dense, convolutional])
def test_hidden_units_are_dropped_in_training_alone(make):
    net, x = make((4, 4, 1), 2, hidden=(16,), dropout=0.5), jnp.ones((2, 4, 4, 1))
    params = net.init(KEY, x)
    plain = net.apply(params, x)
    kept, dropped = (net.apply(params, x, train=t, rngs={"dropout": KEY}) for t in (False, True))
    np.testing.assert_array_equal(kept, plain)
    assert (dropped != plain).any()


def test_the_mirror_of_halving_reaches_every_pixel():
    """Of 7 x 9 pixels, halved to 4 x 5 and 2 x 3: each hears from the code."""
    net = convolutional((7, 9, 1), 2, (4, 4), (), activation=jnp.tanh)
    params = net.init(KEY, jnp.zeros((1, 7, 9, 1)))
    slope = jax.jacobian(lambda z: net.apply(params, z[None], method="decode")[0])(jnp.ones(2))
    assert (jnp.abs(slope) > 0).all()
    seen = jax.grad(lambda x: net.apply(params, x, method="encode").sum())(jnp.ones((1, 7, 9, 1)))
    assert (seen != 0).all()


def test_a_transposed_layer_keeps_the_variance_of_its_input():
    layer = ConvTranspose(16, (32, 32))
    x = jax.random.normal(KEY, (4, 16, 16, 64))
    out, _ = layer.init_with_output(jax.random.key(1), x)
    assert float(out[:, 2:-2, 2:-2].var()) == pytest.approx(1, rel=0.15)


def test_the_variational_call_decodes_the_mean():
    net, x = dense((4, 4, 1), 2, (8,), variational=True), jax.random.normal(KEY, (3, 4, 4, 1))
    params = net.init(KEY, x)
    mean = net.apply(params, x, method="encode").mean
    np.testing.assert_array_equal(net.apply(params, x), net.apply(params, mean, method="decode"))


def test_without_hidden_layers_the_autoencoder_is_linear():
    net, (x, y) = dense((4, 4, 1), 2, ()), jax.random.normal(KEY, (2, 5, 4, 4, 1))
    params = net.init(KEY, x)
    f = lambda x: net.apply(params, x)  # noqa: E731
    np.testing.assert_allclose(f(2 * x - y), 2 * f(x) - f(y), atol=1e-5)


def test_bfloat16_is_close_and_ends_in_float32():
    x = jax.random.normal(KEY, (2, 8, 8, 1))
    for make in (dense, convolutional):
        params = make((8, 8, 1), 2).init(KEY, x)
        exact, low = (make((8, 8, 1), 2, dtype=d).apply(params, x) for d in ("float32", "bfloat16"))
        assert low.dtype == jnp.float32
        np.testing.assert_allclose(low, exact, atol=0.05 * np.abs(exact).max())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: dense((8, 8, 1), 0), "latent must be at least 1; got 0"),
        (lambda: convolutional((8, 8, 1), -1, variational=True), "got -1"),
        (lambda: convolutional((3, 8, 1), 2, (4, 4, 4)), "3 pixels cannot be halved 3 times"),
        (lambda: convolutional((64,), 2), r"\[64\]"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(make, said):
    with pytest.raises(InputError, match=said) as error:
        make()
    assert "\n" not in str(error.value)


def test_halving_stops_at_a_single_pixel():
    assert halved((3, 8), 2) == [(3, 8), (2, 4), (1, 2)]
    with pytest.raises(InputError, match="halved"):
        halved((3, 8), 3)
