"""What is learnt of training inputs: no number type changes a result, and no test row is seen."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from dljax.data import load, scaling
from dljax.data.stream import as_seen
from dljax.errors import InputError

RNG = np.random.default_rng(0)
RANGES = {  # least, greatest, and what become 0 and 1
    "bits": (0, 1, 0, 1),
    "16 levels": (0, 16, 0, 16),
    "dark": (0, 100, 0, 100),
    "bytes": (0, 254, 0, 255),
    "12 bits": (0, 4095, 0, 4095),
    "signed": (-100, 100, -100, 100),
}
TYPES = (np.uint8, np.int8, np.int32, np.uint16, np.int64, np.float32, np.float64)


def saved(path, **arrays):
    np.savez(path / "mine.npz", **arrays)
    return load(path / "mine.npz")


def holds(dtype, low, high):
    kind = np.dtype(dtype).kind
    return kind == "f" or (np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max)


@pytest.mark.parametrize("low, high, zero, one", RANGES.values(), ids=RANGES)
def test_no_number_type_changes_what_a_network_sees(tmp_path, low, high, zero, one, capsys):
    x = RNG.integers(low, high, (200, 3, 4), endpoint=True)
    x[:50], x[50:100] = low, high  # so that the training part has both
    y = np.arange(200) % 2
    types = [dtype for dtype in TYPES if holds(dtype, low, high)]
    seen = []
    for dtype in types:
        data = saved(tmp_path, x=x.astype(dtype), y=y)
        parts = data.train, data.validation, data.test
        seen.append([np.asarray(as_seen(jax.tree.map(jnp.asarray, part)).x) for part in parts])
        assert tuple(data.scaling) == (zero, one)
        raw = data.scaling.apply(x.astype(dtype))
        assert raw.dtype == np.float32
        np.testing.assert_array_equal(raw, ((x - zero) / (one - zero)).astype(np.float32))
        np.testing.assert_allclose(jax.jit(data.scaling.apply)(x.astype(dtype)), raw, rtol=1e-6)
    assert len(types) >= 3
    for each in seen[1:]:
        for one_part, other in zip(seen[0], each, strict=True):
            np.testing.assert_array_equal(one_part, other)
    assert np.concatenate(seen[0]).min() == 0 and np.concatenate(seen[0]).max() > 0.99
    assert ("pixels are" in capsys.readouterr().err) == (one != 255)


def test_shipped_bytes_and_digits_are_scaled_as_their_raw_pixels_are():
    from sklearn.datasets import load_digits

    data, raw = load("digits"), load_digits().images
    expected = {x.tobytes() for x in (raw / 16).astype(np.float32)}
    assert {x.tobytes() for x in data.scaling.apply(raw)} == expected
    assert {x.tobytes() for x in data.test.x} <= expected


def table(n=300):
    x = RNG.normal(size=(n, 4)) * [1e-3, 1, 50, 1e5] + [0, 3, -200, 1e6]
    x[:, 3] = x[:, 3].round()
    return x, np.arange(n) % 3


def test_tables_are_standardised_by_the_training_part_alone(tmp_path):
    x, y = table()
    held = {"x_test": 7 * x[200:] + 5, "y_test": y[200:]}
    data = saved(tmp_path, x=x[:200], y=y[:200], **held)
    np.testing.assert_allclose(data.train.x.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(data.train.x.std(0), 1, atol=1e-4)
    known = StandardScaler().fit(data.scaling.sd * data.train.x + data.scaling.mean)
    expected = known.transform(held["x_test"])
    np.testing.assert_allclose(data.test.x, expected, rtol=1e-3, atol=1e-3)
    other = saved(tmp_path, x=x[:200], y=y[:200], **held | {"x_test": x[200:]})
    jax.tree.map(np.testing.assert_array_equal, other.scaling, data.scaling)


def test_units_do_not_matter_to_a_table(tmp_path):
    x, y = table()
    found = saved(tmp_path, x=x, y=y).train.x
    moved = saved(tmp_path, x=x * [1000, 0.01, 3, 1] + [5, -2, 0, 7], y=y).train.x
    np.testing.assert_allclose(found, moved, atol=2e-3)


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.float32, np.float64])
def test_no_number_type_changes_a_table(tmp_path, dtype):
    x = RNG.integers(-300, 300, (60, 3))
    y = np.arange(60) % 2
    wanted, found = (saved(tmp_path, x=x.astype(t), y=y) for t in (np.float32, dtype))
    np.testing.assert_array_equal(wanted.train.x, found.train.x)
    np.testing.assert_array_equal(found.scaling.apply(x.astype(dtype)), wanted.scaling.apply(x))


def test_missing_numbers_are_the_median_and_told_by_an_indicator():
    x = RNG.normal(size=(50, 3)).astype(np.float32)
    x[::5, 1] = np.nan
    found = scaling.columns(x)
    seen = found.apply(x)
    assert seen.shape == (50, 4)
    known = x[~np.isnan(x[:, 1]), 1]
    filled = np.where(np.isnan(x[:, 1]), np.median(known), x[:, 1])
    np.testing.assert_allclose(seen[:, 1], (filled - known.mean()) / known.std(), atol=1e-5)
    np.testing.assert_array_equal(seen[:, 2], np.isnan(x[:, 1]))
    late = np.array([[np.nan, 0, 0]], np.float32)  # missing where no training row was
    np.testing.assert_allclose(found.apply(late)[0, 0], (np.median(x[:, 0]) - x[:, 0].mean())
                               / x[:, 0].std(), atol=1e-5)  # fmt: skip
    np.testing.assert_allclose(jax.jit(found.apply)(x), seen, atol=1e-6)


def test_categories_are_one_hot_and_an_unknown_one_is_none():
    x = np.array([[0, 5.0], [1, 6], [2, 7], [0, 9]], np.float32)
    seen = scaling.columns(x, categories=[3, 0]).apply(np.r_[x, [[9, 6.75]]])
    np.testing.assert_array_equal(seen[:, :3], [*np.eye(3), np.eye(3)[0], np.zeros(3)])
    assert abs(seen[-1, 3]) < 1e-6


def test_constant_columns_are_dropped_and_named(capsys):
    x = np.c_[np.ones(9), np.arange(9), np.full(9, np.nan), np.full(9, 1e8)]
    assert scaling.columns(x, ["a", "b", "c", "d"]).apply(x).shape == (9, 1)
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(InputError, match="no column of the table changes"):
        scaling.columns(x[:, :1])


@pytest.mark.parametrize("make", ["pixels", "columns"])
def test_what_is_written_as_json_is_read_to_the_last_bit(make):
    x = RNG.normal(size=(20, 3)) / 3
    x = x if make == "columns" else x[..., None, None]
    found = getattr(scaling, make)(x)
    again = scaling.from_json(json.loads(json.dumps(scaling.as_json(found))))
    assert jax.tree.structure(again) == jax.tree.structure(found)
    jax.tree.map(np.testing.assert_array_equal, again, found)
    np.testing.assert_array_equal(again.apply(x), found.apply(x))


def test_pixels_without_a_range_are_refused():
    with pytest.raises(InputError, match="all pixels of the training part are -3"):
        load((np.full((40, 4, 4), -3.0), np.arange(40) % 2))


def test_pixels_of_another_range_are_refused():
    image = RNG.random((1, 4, 4, 1))
    for known, raw in ((scaling.UNIT, 255 * image), (scaling.BYTES, image)):
        with pytest.raises(InputError, match="this model learnt pixels from 0 to"):
            known.check(raw)
    scaling.BYTES.check((image * 255).astype(np.uint8))
    scaling.UNIT.check(image)
    with pytest.raises(InputError, match="NaN"):
        scaling.UNIT.check(image * np.nan)
