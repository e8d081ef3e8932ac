"""The X detectors against slow loops and the lecture's arrays, and the experiment, tiny."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.data.letters import Strength
from dljax.ops.pool import max_pool
from experiments.vision import _arrays, _detectors
from experiments.vision._detectors import CLASSIC, FEATURES
from experiments.vision._pooling import POOLS, Pooled, salt
from experiments.vision.parts import Config, main


def test_pooled_arrays_are_the_notes():
    assert _arrays.agree(_arrays.pools()) == [1, 1]
    text = _arrays.beside(_arrays.pools())
    assert "    6     8       6     8" in text and " 3.25  5.25    3.25  5.25" in text


def test_the_first_feature_on_the_classic_x_gives_the_lectures_map():
    """Rohrer, "How Convolutional Neural Networks work", 2016: to the two digits that it prints."""
    printed = [
        [0.77, -0.11, 0.11, 0.33, 0.55, -0.11, 0.33],
        [-0.11, 1.00, -0.11, 0.33, -0.11, 0.11, -0.11],
        [0.11, -0.11, 1.00, -0.33, 0.11, -0.11, 0.55],
        [0.33, 0.33, -0.33, 0.55, -0.33, 0.33, 0.33],
        [0.55, -0.11, 0.11, -0.33, 1.00, -0.11, 0.11],
        [-0.11, 0.11, -0.11, 0.33, -0.11, 1.00, -0.11],
        [0.33, -0.11, 0.55, 0.33, 0.11, -0.11, 0.77],
    ]
    found = _detectors.matches(jnp.asarray(CLASSIC)[None, ..., None])
    np.testing.assert_allclose(found[0, ..., 0], printed, atol=0.01)
    np.testing.assert_allclose(found[0, ..., 2], np.fliplr(printed), atol=0.01)
    padded = jnp.pad(found, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=-1)
    pooled = [[1, 0.33, 0.55, 0.33], [0.33, 1, 0.33, 0.55], [0.55, 0.33, 1, 0.11]]
    np.testing.assert_allclose(max_pool(padded, (2, 2))[0, :3, :, 0], pooled, atol=0.01)


@pytest.mark.parametrize(("reach", "cap"), [(2, 0.6), (3, 1.0)])
def test_features_in_place_equal_a_slow_loop(reach, cap):
    x = jax.random.uniform(jax.random.key(0), (3, 9, 8, 1))
    image = 2 * np.asarray(x)[..., 0] - 1
    found = np.zeros((3, 7, 6, 3))
    for i, j, part in np.ndindex(7, 6, 3):
        window = image[:, i : i + 3, j : j + 3]
        found[:, i, j, part] = (window * FEATURES[part]).mean((1, 2)).clip(0, cap)
    scores = np.zeros((3, 7, 6))
    for b, i, j in np.ndindex(scores.shape):
        total = found[b, i, j, 1]
        for rows in (-1, 1):
            for columns in (-1, 1):
                part = 0 if rows == columns else 2
                arms = [
                    found[b, i + rows * down, j + columns * across, part]
                    for down in range(1, reach + 1)
                    for across in range(1, reach + 1)
                    if 0 <= i + rows * down < 7 and 0 <= j + columns * across < 6
                ]
                total += max(arms, default=0)
        scores[b, i, j] = total / 5
    np.testing.assert_allclose(
        _detectors.in_place(x, reach, cap), scores.max((1, 2)), rtol=1e-5, atol=1e-6
    )


def test_an_x_scores_most_wherever_it_is():
    shown = _detectors.drawn([0], 40, Strength())
    for score in (_detectors.in_place, _detectors.template, _detectors.anywhere):
        scores = np.asarray(jax.jit(score)(shown.x[0]))
        assert scores[shown.is_x].min() > scores[~shown.is_x].max()
        moved = np.asarray(jax.jit(score)(np.roll(shown.x[0], (2, -3), (1, 2))))
        np.testing.assert_allclose(moved[shown.is_x], scores[shown.is_x], atol=1e-5)


def test_the_threshold_keeps_false_alarms_below_its_bound_and_finds_all_it_can():
    rng = np.random.default_rng(0)
    is_x = np.arange(400) % 2 == 0
    scores = rng.normal(is_x * 1.5, 1)
    cut = _detectors.threshold(scores, is_x, 0.05)
    by_hand = [c for c in scores if (scores[~is_x] >= c).mean() <= 0.05]
    assert (scores[~is_x] >= cut).mean() <= 0.05
    assert (scores[is_x] >= cut).mean() == max((scores[is_x] >= c).mean() for c in by_hand)
    letter = np.where(is_x, 0, 1 + np.arange(400) // 2 % 4)
    rates = _detectors.rates(scores[None], np.array([cut]), letter)
    assert rates[0, 0] == (scores[is_x] >= cut).mean()
    assert rates[0, 1:].mean() == pytest.approx((scores[~is_x] >= cut).mean())
    apart = _detectors.threshold(np.array([0.0, 0.2, 0.8, 1.0]), np.array([0, 0, 1, 1]))
    assert apart == 0.5  # in the middle of the gap


def test_the_pooled_network_differs_in_its_pooling_alone():
    x = jax.random.uniform(jax.random.key(0), (2, 9, 8, 1))
    nets = {name: Pooled(pool, (3,), 4) for name, pool in POOLS.items()}
    params = jax.jit(nets["max pooling"].init)(jax.random.key(1), x)
    shapes = [jax.eval_shape(net.init, jax.random.key(1), x) for net in nets.values()]
    assert shapes[0] == shapes[1] == shapes[2]
    kernel = params["params"]["Conv_0"]["kernel"]
    dense = params["params"]["Dense_0"]["kernel"]
    maps = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    windows = np.asarray(jax.nn.relu(maps))[:, :8].reshape(2, 4, 2, 4, 2, 3)
    by_hand = windows.max((2, 4)), windows.mean((2, 4)), windows[:, :, 0, :, 0]
    for net, pooled in zip(nets.values(), by_hand, strict=True):
        wanted = pooled.reshape(2, -1) @ np.asarray(dense)
        np.testing.assert_allclose(net.apply(params, x), wanted, rtol=1e-4, atol=1e-5)


def test_salt_sets_its_share_of_pixels():
    noisy = np.asarray(salt(jax.random.key(0), jnp.zeros((20, 50, 50, 1)), 0.1))
    assert set(np.unique(noisy)) == {0, 1} and abs(noisy.mean() - 0.1) < 0.006


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("parts") / "run"
    config = Config(
        seeds=1, steps=60, letters=200, examples=200, channels=(4, 8), hidden=8, out=out, quiet=True
    )
    return main(config), out


def test_what_is_found_and_what_is_drawn(done):
    result, out = done
    metrics = result.metrics
    assert result.targets["pooled arrays as the notes'"]["met"]
    assert metrics["X found, at rest, three features"]["mean"] == 1
    assert metrics["X found, shifted and deformed, three features"]["mean"] > 0.9
    assert metrics["false alarms, shifted and deformed, three features"]["mean"] < 0.1
    template = result.baselines["whole template"]
    assert template["metric"] == "X found, shifted and deformed, three features"
    assert metrics["accuracy, 0 % outliers, max pooling"]["mean"] > 0.3
    for figure in ("letters", "roc", "rates", "pooling"):
        assert (out / "figures" / f"{figure}.png").stat().st_size > 10_000


def test_bad_flags_are_named(tmp_path):
    for flags, said in (
        ({"data": "absent.npz"}, "absent.npz"),
        ({"channels": (4,) * 4}, "--channels"),
        ({"letters": 10}, "--letters must be at least 200; got 10"),
        ({"outliers": (1.5,)}, "--outliers must be at least 0 and at most 1; got 1.5"),
    ):
        with pytest.raises(InputError, match=said):
            main(Config(out=tmp_path / "run", quiet=True, **flags))
        assert not (tmp_path / "run").exists()
