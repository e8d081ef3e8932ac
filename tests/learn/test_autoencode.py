"""Autoencoders against PCA, against losses written out, and against what must be learnt."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from dljax import Batch, InputError, advance, start
from dljax.data import load
from dljax.learn import autoencode
from dljax.learn.optimizers import optimizer
from dljax.nets.coders import convolutional, dense

KEY = jax.random.key(0)
SHAPE = (4, 4, 1)
BCE = optax.sigmoid_binary_cross_entropy


@pytest.fixture(scope="module")
def digits():
    return load("digits").train.x[:256]


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).random((12, *SHAPE), np.float32)


@pytest.fixture(scope="module")
def net():
    return dense(SHAPE, 2, (5,), activation=jnp.tanh)


@pytest.fixture(scope="module")
def params(net, x):
    return jax.jit(net.init)(KEY, x)["params"]


def by_numpy(params, x):
    """The network of the fixtures, written out."""

    def layer(h, p):
        return h @ np.asarray(p["kernel"], np.float64) + np.asarray(p["bias"])

    up, down = params["encoder"], params["decoder"]["mlp"]
    code = layer(np.tanh(layer(x.reshape(len(x), -1), up["Dense_0"])), up["Dense_1"])
    outputs = layer(np.tanh(layer(code, down["Dense_0"])), down["Dense_1"])
    return code, outputs.reshape(x.shape)


@pytest.mark.parametrize("loss", [optax.squared_error, BCE])
def test_the_objective_is_the_mean_over_pixels_written_out(net, params, x, loss):
    found, _ = autoencode.objective(net, loss)(params, {}, Batch(x, ()), KEY)
    _, z = by_numpy(params, x)
    p = 1 / (1 + np.exp(-z))
    bce = -(x * np.log(p) + (1 - x) * np.log(1 - p))
    expected = (bce if loss is BCE else (z - x) ** 2).mean()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    whole = autoencode.evaluate(net, params, x, loss)["validation/loss"]
    np.testing.assert_allclose(whole, expected, rtol=1e-5)


def test_codes_and_reconstructions_do_not_depend_on_the_chunk(net, params, x):
    code, outputs = by_numpy(params, x)
    for chunk in (5, 100):
        np.testing.assert_allclose(autoencode.encode(net, params, x, chunk), code, atol=1e-5)
        found = autoencode.reconstruct(net, params, x, chunk)
        np.testing.assert_allclose(found, outputs, atol=1e-5)
    np.testing.assert_allclose(autoencode.decode(net, params, code), outputs, atol=1e-5)


def test_a_denoising_network_sees_the_corrupted_and_is_scored_on_the_clean(net, params, x):
    def erase(key, x):
        return jnp.zeros_like(x)

    found, _ = autoencode.objective(net, optax.squared_error, erase)(params, {}, Batch(x, ()), KEY)
    _, blind = by_numpy(params, np.zeros_like(x))
    np.testing.assert_allclose(found, ((blind - x) ** 2).mean(), rtol=1e-5)


class Trained(nn.Module):
    """Gives back what it sees, and 2 more where it is trained."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return x + 2.0 * train


def test_the_network_is_told_that_it_is_trained(x):
    loss, _ = autoencode.objective(Trained(), optax.squared_error)({}, {}, Batch(x, ()), KEY)
    np.testing.assert_allclose(loss, 4, rtol=1e-5)


def test_masks_and_noise_have_their_share_and_scale():
    x = jnp.ones((100, 1000))
    masked = autoencode.mask(KEY, x, 0.3)
    assert set(np.unique(masked)) == {0, 1}
    assert float(masked.mean()) == pytest.approx(0.7, abs=0.01)
    noise = autoencode.add_noise(KEY, x, 0.5) - x
    assert abs(float(noise.mean())) < 0.01 and float(noise.std()) == pytest.approx(0.5, abs=0.01)


def test_a_linear_autoencoder_spans_the_pca_subspace():
    """Its decoder's columns do (Baldi and Hornik 1989).

    What the encoder makes of directions in which x hardly varies costs nothing, and stays as drawn.
    """
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    x = (rng.normal(size=(128, 16)) * 0.7 ** np.arange(16) @ turn).astype(np.float32)
    x -= x.mean(0)  # else the mean's direction outweighs all others, and descent crawls
    net = dense((16,), 3, ())
    tx = optimizer("adam", 0.02, steps=2000, schedule="cosine")
    learner = autoencode.make(net, tx, x, optax.squared_error, batch=128)
    run, _ = advance(learner, start(learner, KEY), 2000)
    params, wanted = run.state.fit.params, PCA(3).fit(x)
    columns = np.asarray(params["decoder"]["mlp"]["Dense_0"]["kernel"], float).T
    assert subspace_angles(columns, wanted.components_.T).max() < 1e-3
    error = autoencode.evaluate(net, params, x, optax.squared_error)["validation/loss"]
    kept = wanted.inverse_transform(wanted.transform(x))
    np.testing.assert_allclose(error, ((kept - x) ** 2).mean(), rtol=1e-3)


def trained(learner, steps):
    run, metrics = advance(learner, start(learner, KEY), steps)
    return run.state.fit.params, metrics["loss"]


def test_a_convolutional_one_learns_digits(digits):
    net, tx = convolutional((8, 8, 1), 8, (8, 16), (32,)), optimizer("adam", 5e-3)
    learner = autoencode.make(net, tx, digits, BCE, batch=64)
    params, _ = trained(learner, 150)
    error = np.mean((jax.nn.sigmoid(autoencode.reconstruct(net, params, digits)) - digits) ** 2)
    assert error < 0.6 * digits.var(0).mean()


def test_layers_trained_in_turn_start_a_deep_network_well(digits):
    """Sigmoids, four layers deep: from fresh layers as many steps only find the mean image.

    The 150 steps of each layer by itself come before.
    """
    net = dense((8, 8, 1), 6, (40, 20), activation=jax.nn.sigmoid)
    make = functools.partial(
        autoencode.stacked, net, optimizer("adam", 1e-2), digits, optax.squared_error, batch=64
    )
    constant = digits.var(0).mean()
    plain = autoencode.make(net, optimizer("adam", 1e-2), digits, optax.squared_error, batch=64)
    _, losses = trained(plain, 100)
    assert losses[-20:].mean() > 0.8 * constant
    learner = make(pretrain=150)
    _, losses = trained(learner, 100)
    assert losses[0] < 0.8 * constant
    assert losses[-20:].mean() < 0.5 * constant


def test_each_layer_is_an_autoencoder_of_the_code_below(digits, monkeypatch):
    """The deepest layer, taken alone, gives back the code that it is fed better than its mean."""
    net = dense((8, 8, 1), 6, (40, 20), activation=jax.nn.sigmoid)
    args = (net, optimizer("adam", 1e-2), digits, optax.squared_error)
    make, fed = autoencode.make, []

    def recorded(net, tx, x, *rest, **options):
        fed.append(x)
        return make(net, tx, x, *rest, **options)

    monkeypatch.setattr(autoencode, "make", recorded)
    trained = jax.jit(lambda key: (autoencode.layerwise(key, *args, batch=64, steps=300), fed))
    params, codes = trained(KEY)
    up, down = params["encoder"], params["decoder"]["mlp"]

    def layer(h, p):
        return h @ p["kernel"] + p["bias"][None]

    h = digits.reshape(len(digits), -1)
    np.testing.assert_array_equal(codes[0], h)
    for i in (1, 2):
        h = jax.nn.sigmoid(layer(h, up[f"Dense_{i - 1}"]))
        np.testing.assert_allclose(codes[i], h, rtol=1e-4, atol=1e-5)
    back = jax.nn.sigmoid(layer(layer(h, up["Dense_2"]), down["Dense_0"]))
    assert ((back - h) ** 2).mean() < 0.5 * h.var(0).mean()


@pytest.mark.parametrize("bad", [1.5, -0.1, np.nan])
def test_pixels_outside_0_to_1_are_refused_where_they_are_bits(net, x, bad):
    x = x.copy()
    x[3, 2, 1] = bad
    tx = optimizer("adam", 1e-2)
    with pytest.raises(InputError, match=r"pixels must be in \[0, 1\]; got "):
        autoencode.make(net, tx, x, BCE, batch=4)
    autoencode.make(net, tx, x, optax.squared_error, batch=4)  # any numbers will do


def test_only_dense_networks_are_stacked(digits):
    net = convolutional((8, 8, 1), 8, (8,), ())
    args = (KEY, net, optimizer("adam", 1e-2), digits, optax.squared_error)
    with pytest.raises(InputError, match="only a dense"):
        autoencode.layerwise(*args, batch=8, steps=1)


def test_bytes_are_scaled(net, params):
    x = np.random.default_rng(0).integers(0, 256, (6, *SHAPE), dtype=np.uint8)
    scaled = x.astype(np.float32) / 255
    autoencode.check_pixels(x)
    for f in (autoencode.encode, autoencode.reconstruct):
        np.testing.assert_allclose(f(net, params, x), f(net, params, scaled), atol=1e-6)


def test_the_loss_is_of_errors_and_of_their_edges():
    flat = jnp.zeros((1, 5, 5, 1))
    step = flat.at[:, :, 2:].set(0.5)  # wrong in three columns of five, and at one edge
    assert float(autoencode.edge_aware(step, flat, 0.0, 0.0).mean()) == pytest.approx(0.3)
    assert float(autoencode.edge_aware(step, flat, 1.0, 0.0).mean()) == pytest.approx(0.3 + 0.1)
    assert float(autoencode.edge_aware(step, step).mean()) == pytest.approx(1.2e-3)
    turned = autoencode.edge_aware(step.swapaxes(1, 2), flat, 1.0, 0.0)
    assert float(turned.mean()) == pytest.approx(0.3 + 0.1)
    more = autoencode.edge_aware(jnp.tile(step, (2, 1, 1, 3)), jnp.tile(flat, (2, 1, 1, 3)))
    assert more.shape == (2, 5, 5, 3)
