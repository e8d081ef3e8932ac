"""Generators and discriminators: shapes, the spectral norm, one example at a time."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.nets.adversarial import Discriminator, Generator, Translator
from dljax.nets.coders import ConvTranspose


@pytest.mark.parametrize("shape", [(2,), (5, 3)])
def test_a_dense_generator_makes_any_shape(shape):
    net = Generator(shape, (7,))
    x, _ = jax.eval_shape(net.init_with_output, jax.random.key(0), jnp.ones((4, 3)))
    assert x.shape == (4, *shape)


@pytest.mark.parametrize("side", [(8, 8, 1), (28, 28, 3), (7, 10, 1)])
def test_a_convolutional_pair_takes_images_of_any_side(side):
    net = Generator(side, (), (6, 4), jax.nn.sigmoid)
    z = jax.random.normal(jax.random.key(1), (3, 5))
    x, _ = jax.jit(net.init_with_output)(jax.random.key(0), z)
    assert x.shape == (3, *side)
    assert 0 < x.min() < x.max() < 1
    judge = Discriminator((5,), (4, 6))
    logits, _ = jax.eval_shape(judge.init_with_output, jax.random.key(0), x)
    assert logits.shape == (3,)


def test_doubling_is_flaxs_transposed_convolution():
    """nn.ConvTranspose with transpose_kernel is the gradient of a convolution, as ours is."""
    x = jax.random.normal(jax.random.key(0), (2, 3, 5, 4))
    ours, variables = jax.jit(ConvTranspose(6, (6, 10)).init_with_output)(jax.random.key(1), x)
    other = nn.ConvTranspose(6, (4, 4), (2, 2), transpose_kernel=True)
    np.testing.assert_allclose(ours, other.apply(variables, x), rtol=1e-4, atol=1e-5)
    assert ours.shape == (2, 6, 10, 6)


def test_a_patch_is_judged_by_what_it_sees_and_an_image_translated_in_its_size():
    x = jax.random.normal(jax.random.key(0), (2, 16, 16, 3))
    judge = Discriminator((5,), (4, 6), patches=True)
    variables = jax.jit(judge.init)(jax.random.key(1), x)
    logits = judge.apply(variables, x)
    assert logits.shape == (2, 4, 4)
    changed = judge.apply(variables, x.at[0, 12:, 12:].add(1.0))
    assert (changed != logits)[0].any() and not (changed != logits)[0, :2, :2].any()
    assert not (changed != logits)[1].any()
    net = Translator(2, (4, 8), patch=2)
    y, _ = jax.eval_shape(net.init_with_output, jax.random.key(0), x[:, :15])
    assert y.shape == (2, 15, 16, 2)


@pytest.mark.parametrize("channels", [(), (4, 6)])
def test_the_first_samples_and_logits_are_of_the_size_of_one(channels):
    z = jax.random.normal(jax.random.key(0), (256, 16))
    maker, judge = Generator((8, 8, 1), (64,), channels), Discriminator((64,), channels)
    x, _ = jax.jit(maker.init_with_output)(jax.random.key(1), z)
    logits, _ = jax.jit(judge.init_with_output)(jax.random.key(2), x / x.std())
    assert 0.1 < x.std() < 5
    assert 0.05 < logits.std() < 5


def trained(net, x, rounds=60):
    """The variables after the power iteration has converged, as it does over training steps."""

    def renew(variables, _):
        return variables | net.apply(variables, x, train=True, mutable=["batch_stats"])[1], None

    @jax.jit
    def run():
        return jax.lax.scan(renew, net.init(jax.random.key(0), x), None, length=rounds)[0]

    return run()


def test_the_spectral_norm_makes_a_dense_discriminator_1_lipschitz():
    """Leaky ReLU has slopes of at most 1, and each kernel's greatest singular value is 1."""
    x = 10 * jax.random.normal(jax.random.key(3), (200, 4))
    plain, bounded = (Discriminator((32, 32), spectral=flag) for flag in (False, True))
    variables = trained(bounded, x)
    scaled = jax.tree.map(lambda leaf: 5 * leaf, variables["params"])

    def slopes(net, variables):
        one = jax.grad(lambda x: net.apply(variables, x[None])[0])
        return jnp.linalg.norm(jax.vmap(one)(x), axis=1)

    found = slopes(bounded, variables)
    assert found.max() <= 1 + 1e-4
    np.testing.assert_allclose(slopes(bounded, variables | {"params": scaled}), found, rtol=1e-4)
    assert slopes(plain, {"params": scaled}).max() > 2


def test_the_norm_that_is_divided_by_is_the_singular_value():
    x = jax.random.normal(jax.random.key(3), (5, 8, 8, 1))
    variables = trained(Discriminator((), (4, 6), spectral=True), x)
    sigmas = {
        "/".join(str(part.key) for part in path): leaf
        for path, leaf in jax.tree.leaves_with_path(variables["batch_stats"])
        if path[-1].key.endswith("sigma")
    }
    assert len(sigmas) == 3
    kernels = [layer["kernel"] for layer in variables["params"].values()]
    expected = [np.linalg.svd(k.reshape(-1, k.shape[-1]))[1][0] for k in kernels]
    np.testing.assert_allclose(sorted(sigmas.values()), sorted(expected), rtol=1e-3)


@pytest.mark.parametrize("spectral", [False, True])
def test_a_discriminator_judges_each_example_alone(spectral):
    net = Discriminator((8,), (4,), spectral)
    x = jax.random.normal(jax.random.key(0), (6, 8, 8, 1))
    variables = net.init(jax.random.key(1), x)
    slope = jax.grad(lambda x: net.apply(variables, x)[2])(x)
    assert jnp.abs(slope[2]).max() > 0
    assert not jnp.delete(slope, 2, axis=0).any()
