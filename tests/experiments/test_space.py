"""Permuted pixels, variations and hearts (S24, S25), tiny: what is compared and if fairly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models import accuracies

from dljax import InputError
from dljax.data import load
from dljax.data.variations import KINDS
from dljax.nets import MLP
from experiments.vision import _hearts, _space
from experiments.vision.space import PRESETS, Config, main

TINY = {"seeds": 2, "augmented": 1, "steps": 3, "points": 2, "images": 30, "hearts": 100}


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_the_networks_have_equally_many_weights(digits):
    for config in PRESETS.values():
        nets = _space.equal(config.channels, config.hidden, digits)
        assert abs(nets["MLP"][1] / nets["CNN"][1] - 1) <= 0.02
    assert nets["CNN"][1] == 9 * (8 + 8 * 16) + 24 + 64 * 64 + 64 + 65 * 10
    with pytest.raises(InputError, match="--hidden 8: 322 weights, and of an MLP at best 310"):
        _space.equal((2, 4), 8, digits)
    with pytest.raises(InputError, match=r"--channels must halve 8 pixels fewer times; got \(1, "):
        _space.equal((1, 1, 1, 1), 8, digits)


def test_an_order_of_the_pixels_is_an_order_of_the_first_weights_rows(digits):
    """So a dense layer that may start with either, as an MLP's does, cannot mind."""
    x, order = digits.test.x[:5], np.random.default_rng(0).permutation(64)
    net = MLP((7, 10))
    params = net.init(jax.random.key(0), x)["params"]
    kernel = params["Dense_0"]["kernel"]
    moved = params | {"Dense_0": params["Dense_0"] | {"kernel": kernel[order]}}
    found = _space.Ordered(net, jnp.asarray(order)).apply({"params": {"net": moved}}, x)
    np.testing.assert_allclose(found, net.apply({"params": params}, x), atol=1e-5)


def test_augmentation_is_of_the_kinds_that_are_on(digits):
    x, distorted = digits.train.x[:64], jax.jit(_space.distorted)
    none, clutter = np.zeros(len(KINDS), bool), np.array([kind == "clutter" for kind in KINDS])
    np.testing.assert_array_equal(distorted(jax.random.key(0), x, none, 0.5), x)
    found = np.asarray(distorted(jax.random.key(0), x, clutter, 0.5))
    changed = (found != x).any((1, 2, 3))
    assert (found >= x).all() and 0.3 < changed.mean() < 0.7


def test_varied_images_start_as_they_are(digits):
    strengths = np.array([0.0, 1.0])
    found = _space.varied(np.round(255 * digits.test.x[:4]).astype(np.uint8), strengths)
    assert found.shape == (len(KINDS), 2, 4, 8, 8, 1) and found.dtype == np.uint8
    assert (found[:, 0] == found[0, 0]).all() and (found[:, 1] != found[:, 0]).any((2, 3, 4)).all()
    np.testing.assert_array_equal(_space.area(np.array([[0.0, 1], [1, 1], [0, 1]])), [0.5, 1])


def test_hearts_are_where_and_how_their_moments_say():
    data = _hearts.hearts(jax.random.key(0), 200)
    assert data.x.dtype == np.uint8 and np.abs(data.y).max() <= 1
    found = _hearts.plain(data, data, {"own": data})["own"]
    # of 11 to 13 pixels: what a direction by its third moments is good to
    assert found["moments"][_hearts.ANGLE] < 10 and found["moments"][_hearts.PLACE] < 0.1
    assert 80 < found["mean"][_hearts.ANGLE] < 100
    assert found["ridge on pixels"][_hearts.PLACE] < found["mean"][_hearts.PLACE]


def test_angles_are_compared_around_the_circle():
    near, far = np.radians([359, 90]), np.radians([1, 270])
    numbers, wanted = (np.stack([np.cos(a), np.sin(a), a * 0, a * 0], -1) for a in (near, far))
    wanted[:, 2:] = [3, 4]
    found = _hearts.errors(numbers, wanted)
    np.testing.assert_allclose(found[_hearts.ANGLE], (2 + 180) / 2, atol=1e-4)
    np.testing.assert_allclose(found[_hearts.PLACE], 5 * _hearts.AWAY * _hearts.SIDE)


def test_the_result_has_all_that_is_asked(tmp_path):
    result = main(Config(out=tmp_path / "run", quiet=True, channels=(4, 4), hidden=32, **TINY))
    metrics, targets = result.metrics, result.targets
    change, drop = "change under permutation, MLP", "drop under permutation, CNN"
    assert set(targets) == {change, drop}
    assert not any(target["met"] for target in targets.values())  # two seeds are too few
    mlp = [metrics[f"test accuracy, MLP{way}"]["values"] for way in (", pixels permuted", "")]
    np.testing.assert_allclose(metrics[change]["values"], np.subtract(*mlp), atol=1e-6)
    test = load("digits").test
    for name in ("MLP", "CNN"):
        found = accuracies(tmp_path / "run", name, 16 * test.x, test.y)
        np.testing.assert_allclose(found, metrics[f"test accuracy, {name}"]["values"], atol=1e-6)
    for kind in KINDS:
        assert len(metrics[f"area, {kind}, CNN"]["values"]) == 2
        assert len(metrics[f"gain of other kinds, {kind}, MLP"]["values"]) == 1
        assert 0 <= result.baselines[f"logistic regression, {kind}"]["mean"] <= 1
    for error in (_hearts.ANGLE, _hearts.PLACE):
        assert metrics[f"{error}, in clutter"]["better"] == "lower"
        assert result.baselines[f"moments, {error}, clean"]["mean"] < 15
    drawn = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert drawn == {"variations.png", "curves.png", "order.png", "hearts.png"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"augmented": 11}, "--augmented must be below 11; got 11"),
        ({"batch": 1258}, "--batch must be below 1258; got 1258"),
        ({"points": 1}, "--points must be at least 2; got 1"),
        ({"most": 1.5}, "--most must be at least 0 and at most 1"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()
