"""Saliency: closed forms of linear scores, completeness, and occlusion by a slow loop."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.learn import saliency
from dljax.nets import CNN, MLP

KEY = jax.random.key(0)
X = np.random.default_rng(0).random((4, 6, 5, 1), dtype=np.float32)
LABELS = np.array([2, 0, 1, 2])
LAST = np.random.default_rng(1).standard_normal((30, 3)).astype(np.float32)


def linear(x):
    return x.reshape(len(x), -1) @ LAST + 0.7


@pytest.fixture(scope="module")
def smooth():
    """A network that is smooth on the way, so that a quadrature can be exact."""
    net = MLP((8, 3), jnp.tanh)
    params = net.init(KEY, X)
    return lambda x: net.apply(params, x)


def test_of_a_linear_score_all_but_the_gradient_tell_each_inputs_share():
    weights = LAST.T[LABELS].reshape(X.shape)
    near = functools.partial(np.testing.assert_allclose, atol=1e-5)
    near(saliency.maps(saliency.gradient, linear, X, LABELS), weights)
    near(saliency.maps(saliency.gradient_times_input, linear, X, LABELS), X * weights)
    few = functools.partial(saliency.integrated_gradients, steps=1)
    near(saliency.maps(few, linear, X, LABELS), X * weights)
    based = functools.partial(saliency.integrated_gradients, base=0.25, steps=3)
    near(saliency.maps(based, linear, X, LABELS), (X - 0.25) * weights)
    single = functools.partial(saliency.occlusion, window=1, fill=0.25)
    near(saliency.maps(single, linear, X, LABELS), (X - 0.25) * weights)


def test_a_map_of_many_is_each_examples_own_whatever_the_chunk(smooth):
    method = saliency.gradient
    found = saliency.maps(method, smooth, X, LABELS, chunk=3)
    one = saliency.maps(method, smooth, X[1:2], LABELS[1:2])
    np.testing.assert_allclose(found[1:2], one, atol=1e-6)


def test_integrated_gradients_are_complete(smooth):
    rise = smooth(X)[np.arange(4), LABELS] - smooth(0 * X)[np.arange(4), LABELS]
    left = []
    for steps in (1, 4, 16):
        method = functools.partial(saliency.integrated_gradients, steps=steps)
        left.append(np.abs(saliency.maps(method, smooth, X, LABELS).sum((1, 2, 3)) - rise).max())
    assert left[0] > 1e-3 > left[1] > 4 * left[2]  # midpoints: a sixteenth each time
    np.testing.assert_allclose(left[2], 0, atol=1e-4)
    times = saliency.maps(saliency.gradient_times_input, smooth, X, LABELS)
    assert np.abs(times.sum((1, 2, 3)) - rise).max() > 1e-2  # which are not


def test_integrated_gradients_are_the_integral(smooth):
    x, label = X[0], LABELS[0]
    nodes, weights = np.polynomial.legendre.leggauss(16)  # exact up to powers of 31
    shares = ((nodes + 1) / 2).astype(np.float32)
    slopes = jax.vmap(jax.grad(lambda x: smooth(x[None])[0, label]))(
        shares[:, None, None, None] * x[None]
    )
    wanted = x * np.tensordot(weights / 2, np.asarray(slopes), 1)
    found = saliency.maps(saliency.integrated_gradients, smooth, x[None], LABELS[:1])
    np.testing.assert_allclose(found[0], wanted, atol=1e-5)


@pytest.mark.parametrize(("window", "stride"), [(3, 1), (2, 2), (4, 3)])
def test_occlusion_is_the_mean_fall_under_every_square_over_a_pixel(window, stride):
    x = np.concatenate([X[0], 1 - X[0]], -1)
    weights = np.random.default_rng(2).standard_normal(x.shape)

    def score(x):
        return jnp.tanh((x * weights).sum())

    falls = [[[] for _ in range(5)] for _ in range(6)]
    for top in sorted({*range(0, 6 - window, stride), 6 - window}):
        for left in sorted({*range(0, 5 - window, stride), 5 - window}):
            filled = x.copy()
            filled[top : top + window, left : left + window] = 0.5
            fall = float(score(x) - score(filled))
            for row in range(top, top + window):
                for column in range(left, left + window):
                    falls[row][column].append(fall)
    wanted = np.array([[np.mean(each) for each in row] for row in falls])
    found = saliency.occlusion(score, jnp.asarray(x), window, stride, 0.5)
    assert found.shape == (6, 5, 1)
    np.testing.assert_allclose(found[..., 0], wanted, atol=1e-5)


def test_methods_explain_a_convolution_for_many_networks_at_once():
    net = CNN((3,), (3,))
    params = jax.vmap(lambda key: net.init(key, X))(jax.random.split(KEY, 2))

    @jax.vmap
    def found(params):
        return saliency.maps(
            saliency.integrated_gradients, lambda x: net.apply(params, x), X, LABELS
        )

    both = found(params)
    for i in range(2):
        own = jax.tree.map(lambda leaf, i=i: leaf[i], params)
        rise = (net.apply(own, X) - net.apply(own, 0 * X))[np.arange(4), LABELS]
        np.testing.assert_allclose(both[i].sum((1, 2, 3)), rise, atol=0.02)


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        (saliency.integrated_gradients, {"steps": 0}, "steps must be at least 1; got 0"),
        (saliency.occlusion, {"window": 6}, "window must be at most 5 pixels; got 6"),
        (saliency.occlusion, {"window": 0}, "window must be at least 1; got 0"),
        (saliency.occlusion, {"window": 2, "stride": 3}, "stride must be at most the window, 2"),
    ],
)
def test_what_cannot_be_is_one_line(method, options, said):
    with pytest.raises(InputError, match=said):
        saliency.maps(functools.partial(method, **options), linear, X, LABELS)
