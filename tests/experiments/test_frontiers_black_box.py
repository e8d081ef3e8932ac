"""Explanations and their sanity check (S55), tiny: what is compared, and if fairly."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from models import accuracies
from scipy.stats import spearmanr

from dljax import InputError
from dljax.data import load
from experiments.frontiers import _black_box
from experiments.frontiers.black_box import Config, main

TINY = {"seeds": 2, "steps": 60, "noise_steps": 3, "channels": (4,), "hidden": 16, "images": 12}
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("black_box") / "run"
    small = {"path": 20, "points": 3, "rate": 1e-2, "memorised": 64}
    return main(Config(out=out, quiet=True, devices=1, **TINY, **small)), out


def test_similarity_is_spearmans():
    a, b = RNG.integers(0, 4, (2, 3, 5, 4)).astype(float)
    wanted = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(_black_box.similarity(a, b), np.mean(wanted))
    assert _black_box.similarity(a, 3 * a + 1) == pytest.approx(1)
    assert _black_box.similarity(a, 0 * a) == 0  # flat


def test_the_cascade_makes_layers_random_from_the_top():
    def weights(value):
        leaf = {"kernel": value, "bias": value}
        return {"Conv_1": leaf, "Conv_0": leaf, "MLP_0": {"Dense_0": leaf, "Dense_1": leaf}}

    layers = [["Conv_0"], ["Conv_1"], ["MLP_0", "Dense_0"], ["MLP_0", "Dense_1"]]
    found = _black_box.cascade(weights(0), weights(1))
    for depth, each in enumerate(found):
        values = []
        for name in layers:
            part = each
            for word in name:
                part = part[word]
            assert part["kernel"] == part["bias"]
            values.append(part["kernel"])
        assert values == [0] * (4 - depth) + [1] * depth
    assert len(found) == 5


class Brightness(nn.Module):
    """Logits by which the first class is as probable as the first pixels are bright."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return jnp.stack([x[:, 0].sum((1, 2)), 0 * x[:, 0, 0, 0]], -1)


def test_deletion_takes_the_greatest_first():
    x, labels = jnp.ones((2, 2, 2, 1)), jnp.zeros(2, int)
    maps = jnp.asarray([[[4.0, 3.0], [2.0, 1.0]], [[1.0, 2.0], [3.0, 4.0]]])[:, None]
    maps = jnp.broadcast_to(maps, (2, 2, 2, 2))
    found = _black_box.deletion(Brightness(), {}, x, labels, maps, jnp.arange(5))
    logits = np.array([[2, 1, 0, 0, 0], [2, 2, 2, 1, 0]])
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_edges_are_where_the_brightness_changes():
    images = np.zeros((2, 6, 6, 1), np.uint8)
    images[0, :, 3:] = 200
    found, other = _black_box.edges(images)
    assert (found[:, 2:4] == 800).all() and not found[:, [0, 1, 4, 5]].any()
    assert not other.any()


def test_the_result_has_all_that_is_asked(done):
    result, out = done
    metrics = result.metrics
    assert metrics["test accuracy"]["mean"] > 0.5  # of so few steps
    assert metrics["completeness error, integrated gradients"]["mean"] < 0.05
    for name in ("gradient", "gradient x input", "integrated gradients", "occlusion"):
        kinds = ("two seeds alike", "top layer random", "all layers random", "random labels")
        alike, *_, random, noise = (
            np.array(metrics[f"rank correlation, {name}, {kind}"]["values"]) for kind in kinds
        )
        assert (np.abs([alike, random, noise]) <= 1).all() and alike[0] == alike[1]
        change = metrics[f"change by all layers random, {name}"]["values"]
        np.testing.assert_allclose(change, alike - random)
        assert 0 < metrics[f"area of deletion, {name}"]["mean"] < 1
        assert not result.targets[f"gain of deletion, {name}"]["met"]  # two seeds are too few
    assert {"random order", "brightest first", "edges first"} <= set(result.baselines)
    drawn = {path.name for path in (out / "figures").iterdir()}
    assert drawn == {"maps.png", "sanity.png", "deletion.png"}


def test_the_model_is_that_which_was_tested(done):
    (result, out), test = done, load("digits").test
    wanted = result.metrics["test accuracy"]["values"]
    np.testing.assert_allclose(accuracies(out, "", 16 * test.x, test.y), wanted, atol=1e-6)


def test_a_map_of_the_gradient_is_of_the_network_and_not_of_the_image(done):
    """As Adebayo et al. 2018 find; a map times the image hides that it is random."""
    metrics = done[0].metrics
    random = {
        name: metrics[f"rank correlation, {name}, all layers random"]["mean"]
        for name in ("gradient", "integrated gradients")
    }
    assert random["gradient"] < random["integrated gradients"] - 0.2
    assert metrics["change by all layers random, gradient"]["mean"] > 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"seeds": 1}, "--seeds must be at least 2; got 1"),
        ({"window": 9}, "--window must be below 9; got 9"),
        ({"window": 2, "stride": 3}, "--stride must be below 3; got 3"),
        ({"images": 361}, "--images must be below 361; got 361"),
        ({"memorised": 1258}, "--memorised must be below 1258; got 1258"),
        ({"memorised": 63}, "--batch must be below 64; got 64"),
        ({"channels": (1, 1, 1, 1)}, r"--channels must halve 8 pixels fewer times; got \(1, "),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()
