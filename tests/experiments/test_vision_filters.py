"""Filters against scipy, the notes' arrays, what a layer sees, and the experiment, tiny."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models import accuracies
from PIL import Image
from scipy import ndimage

from dljax import InputError
from dljax.data import load
from dljax.nets import CNN
from experiments.vision import _arrays, _filters
from experiments.vision._filters import FILTERS, filtered
from experiments.vision.filters import Config, main


def test_the_notes_arrays_are_ours():
    arrays = _arrays.convolutions()
    assert _arrays.agree(arrays) == [1] * 3
    assert _arrays.agree([arrays[0]._replace(ours=np.array([[17]]))]) == [0]
    assert "    4     3     4       4     3     4" in _arrays.beside(arrays)


@pytest.mark.parametrize("kernel", [*FILTERS.values(), np.arange(25.0).reshape(5, 5) - 9])
def test_a_filter_is_scipys_correlation_and_turned_about_its_convolution(kernel):
    image = np.random.default_rng(0).uniform(0, 1, (11, 14, 3)).astype(np.float32)
    ours = np.asarray(filtered(jnp.asarray(image), jnp.asarray(kernel, jnp.float32)))
    for theirs, own in ((ndimage.correlate, kernel), (ndimage.convolve, kernel[::-1, ::-1])):
        wanted = theirs(image.astype(float), own[..., None], mode="nearest")
        np.testing.assert_allclose(ours, wanted, atol=1e-4)


def test_of_a_constant_image_edges_are_0_and_sharpening_leaves_all():
    flat = jnp.full((6, 7, 1), 200.0)
    for name, kernel in FILTERS.items():
        found = filtered(flat, jnp.asarray(kernel))
        assert np.array_equal(found, flat if name == "sharpen" else 0 * flat)


def test_a_units_patch_is_where_its_gradient_is():
    x, net = jax.random.uniform(jax.random.key(0), (1, 32, 40, 1)), CNN((3, 3, 3), (2,))
    params = jax.jit(net.init)(jax.random.key(1), x)["params"]
    places = (4, 5), (2, 3), (1, 1)
    for layer, (row, column) in enumerate(places, 1):

        def unit(kernels, x, layer=layer, row=row, column=column):
            # the mean of the windows in place of the maximum, and no ReLU: all that may count does
            for kernel in kernels[:layer]:
                x = jax.lax.conv_general_dilated(
                    x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
                )
                x = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            return x[0, row, column, 0]

        kernels = [jnp.abs(params[f"Conv_{i}"]["kernel"]) for i in range(3)]
        support = np.argwhere(np.asarray(jax.jit(jax.grad(unit, 1))(kernels, x))[0, ..., 0])
        sees = _filters.field(layer)
        ends = np.array([[at * sees.jump + sees.start for at in (row, column)]] * 2)
        ends[1] += sees.size - 1
        inside = np.clip(ends, 0, np.array([31, 39]))
        np.testing.assert_array_equal([support.min(0), support.max(0)], inside)
        patch = _filters.crop(sees, np.asarray(x[0]), row, column)
        assert patch.shape == (sees.size, sees.size, 1)
        lit = patch[inside[0, 0] - ends[0, 0] :, inside[0, 1] - ends[0, 1] :]
        assert lit[0, 0, 0] == x[0, inside[0, 0], inside[0, 1], 0]


def test_responses_are_the_greatest_of_each_map_and_where():
    x = jax.random.uniform(jax.random.key(0), (3, 16, 16, 1))
    net = CNN((4, 5, 6), (2,))
    params = jax.jit(net.init)(jax.random.key(1), x)["params"]
    maps, responses = jax.jit(
        lambda params: [f(net, (params, {}), x) for f in (_filters.layers, _filters.responses)]
    )(params)
    assert [each.shape for each in maps] == [(3, 8, 8, 4), (3, 4, 4, 5), (3, 2, 2, 6)]
    for response, each in zip(responses, maps, strict=True):
        flat = np.asarray(each).reshape(3, -1, each.shape[-1])
        np.testing.assert_allclose(response.value, flat.max(1), rtol=1e-5, atol=1e-6)
        picked = np.take_along_axis(flat, np.asarray(response.place)[:, None], 1)[:, 0]
        np.testing.assert_allclose(picked, flat.max(1), rtol=1e-5, atol=1e-6)


def test_purity_is_1_for_a_detector_of_a_class_and_less_for_what_knows_none():
    labels = jnp.arange(400) % 10
    noise = np.random.default_rng(0).uniform(0.1, 1, (400, 50))
    detectors = 2.0 * jax.nn.one_hot(labels, 10)
    assert _filters.purity(detectors, labels, 10) == 1
    assert 0.15 < _filters.purity(jnp.asarray(noise), labels, 10) < 0.4
    dead = jnp.concatenate([detectors, jnp.zeros((400, 3))], 1)
    assert _filters.purity(dead, labels, 10) == 1


def test_tuning_is_1_for_one_orientation_and_0_for_all():
    waves = 12
    one = np.zeros((_filters.ANGLES, waves, 2), np.float32)
    one[3, 5] = 2
    assert _filters.tuning(jnp.asarray(one.reshape(-1, 2))) == pytest.approx(1)
    assert _filters.tuning(jnp.ones((_filters.ANGLES * waves, 2))) == pytest.approx(0, abs=1e-6)
    gratings = _filters.gratings((8, 8, 1))
    assert gratings.shape == (16, 12, 8, 8, 1) and gratings.min() >= 0 and gratings.max() <= 1
    # the first orientation changes along x alone, the ninth along y alone
    assert np.ptp(gratings[0], 1).max() < 1e-6 and np.ptp(gratings[8], 2).max() < 1e-6


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filters")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "own.png")
    digits = load("digits").train
    np.savez(folder / "few.npz", x=digits.x[:300], y=digits.y[:300])
    config = Config(
        seeds=1, steps=60, units=6, hidden=8, data=str(folder / "few.npz"),
        picture=folder / "own.png", out=folder / "run", quiet=True,
    )  # fmt: skip
    return main(config), folder / "run"


def test_what_is_measured_and_drawn(done):
    result, out = done
    assert result.metrics["arrays as the notes'"]["values"] == [1, 1, 1]
    assert len(result.metrics["edge: off scipy's"]["values"]) == 6
    assert all(result.targets[f"{name}: off scipy's"]["met"] for name in FILTERS)
    assert result.targets["edge of constant images"]["met"]
    for measure in ("class purity", "linear readout", "orientation tuning"):
        assert 0 <= result.metrics[f"{measure}, layer 3"]["mean"] <= 1
        assert result.baselines[f"untrained {measure}, layer 3"]["metric"] == f"{measure}, layer 3"
    for figure in ("photographs", "patches", "hierarchy", "filters"):
        assert (out / "figures" / f"{figure}.png").stat().st_size > 3_000
    test = load(result.config["data"]).test
    wanted = result.metrics["test accuracy"]["values"]
    np.testing.assert_allclose(accuracies(out, "", test.x, test.y), wanted, atol=1e-6)


def test_bad_input_is_one_line_that_names_it(tmp_path):
    alpha, deep, dot, torn = (tmp_path / f"{name}.png" for name in ("alpha", "deep", "dot", "torn"))
    Image.new("RGBA", (9, 9)).save(alpha)
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(deep)
    Image.new("L", (1, 1)).save(dot)
    Image.new("L", (99, 99)).save(torn)
    torn.write_bytes(torn.read_bytes()[:60])
    absent = tmp_path / "absent.png"
    np.savez(tmp_path / "table.npz", x=np.eye(20), y=np.arange(20) % 2)
    cases = [{"picture": each} for each in (alpha, deep, dot, torn, absent)]
    for flags in [*cases, {"data": str(tmp_path / "table.npz")}]:
        with pytest.raises(InputError) as caught:
            main(Config(out=tmp_path / "run", quiet=True, **flags))
        said = str(caught.value)
        assert str(next(iter(flags.values()))) in said and "\n" not in said
        assert not (tmp_path / "run").exists()
