"""Segmentation: the weighted loss, random squares, what is seen eight ways, and that it learns."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import Batch, advance, start
from dljax.data.augment_masks import turn
from dljax.errors import InputError
from dljax.learn import segment
from dljax.learn.optimizers import optimizer
from dljax.nets.trunk import Segment, Trunk, Vision

KEY = jax.random.key(0)
NET = Vision(Trunk((8,)), Segment(2))


class Pixelwise(nn.Module):
    """Two logits of each pixel by itself."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(2)(x)


def patches(n=12, side=16, seed=0):
    """Noisy images of a bright square, whose mask it is."""
    rng = np.random.default_rng(seed)
    y = np.zeros((n, side, side), np.int8)
    for mask, (i, j) in zip(y, rng.integers(0, side - 6, (n, 2)), strict=True):
        mask[i : i + 6, j : j + 6] = 1
    return Batch(
        np.clip(0.4 * y[..., None] + rng.normal(0.3, 0.3, (*y.shape, 1)), 0, 1).astype(np.float32),
        y,
    )


def test_the_loss_is_the_weighted_mean_over_pixels():
    data, weights = patches(3), jnp.array([0.5, 3.0])
    params = Pixelwise().init(KEY, jnp.asarray(data.x))["params"]
    found, (_, metrics) = segment.objective(Pixelwise(), weights)(
        params, {}, jax.tree.map(jnp.asarray, data), KEY
    )
    logits = np.asarray(Pixelwise().apply({"params": params}, data.x))
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    each = -np.log(np.take_along_axis(chances, data.y[..., None].astype(int), -1)[..., 0])
    assert float(found) == pytest.approx(np.mean(each * np.asarray(weights)[data.y]), rel=1e-5)
    assert float(metrics["accuracy"]) == pytest.approx((chances.argmax(-1) == data.y).mean())


def test_it_learns_from_squares_and_tells_whole_images_of_any_size():
    learner = segment.make(NET, optimizer("adam", 1e-2), patches(), batch=6, side=12, augment=turn)
    run, metrics = advance(learner, start(learner, KEY), 60)
    assert metrics["loss"][-1] < 0.4 * metrics["loss"][0]
    params = run.state.fit.params
    for side in (16, 11):
        found = segment.evaluate(NET, params, patches(5, side, 1), "test")
        assert found["test/accuracy"] > 0.9
        assert found["test/mean IoU"] > 0.7


def test_eight_views_are_the_mean_over_what_flips_and_turns_see():
    """So that it sees a turned image as it sees the image, turned."""
    net = Vision(Trunk((8,), patch=2), Segment(3, patch=2))
    x = jax.random.uniform(KEY, (2, 5, 7, 1))
    params = net.init(KEY, x)["params"]

    def predict(x):
        return np.asarray(segment.predict(net, params, x, views=True))

    found = predict(x)
    assert found.shape == (2, 5, 7, 3)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        predict(jnp.rot90(x, 1, (1, 2))), np.rot90(found, 1, (1, 2)), atol=1e-6
    )
    one = np.asarray(segment.predict(net, params, x))
    assert np.abs(one - found).max() > 1e-3


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        (patches(), {"side": 17}, "a crop's side must be from 1 to 16"),
        (patches(), {"weights": (1.0, 2.0, 3.0)}, "weights must be one for each of 2 classes"),
        (Batch(patches().x, patches().y * 2), {}, "takes labels from 0 to 1; got 0 to 2"),
        (
            Batch(patches().x, patches().y[:, :9]),
            {},
            "images .* are needed; got .12, 16, 16, 1. and",
        ),
        (patches(), {"batch": 13}, "batch must be from 1 to the 12"),
    ],
)
def test_what_does_not_fit_is_refused(data, options, said):
    with pytest.raises(InputError, match=said):
        segment.make(NET, optax.sgd(0.1), data, **{"batch": 4, **options})
