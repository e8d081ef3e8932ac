"""The experiment features (S41), tiny: gains, rankings that are known, and its result."""

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from dljax import InputError
from dljax.typing import Batch
from experiments.generative import _features, features
from experiments.generative._features import RANKS

N = 400


@pytest.fixture(scope="module")
def made():
    """Four classes; bits of which the first two tell all, the third copies the first, one tells
    little, one nothing, and one does not vary."""
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(4), N // 4)
    high, low = y // 2, y % 2
    weak = np.where(rng.random(N) < 0.2, high, rng.random(N) < 0.5)
    columns = (high, np.where(rng.random(N) < 0.03, 1 - low, low), high, weak, rng.random(N) < 0.5)
    x = np.stack([*columns, np.ones(N)], 1).astype(np.float32)
    return Batch(x, y.astype(np.int32))


def test_bins_hold_equally_many_and_equal_values_are_in_one():
    x = np.random.default_rng(0).gamma(0.3, size=(800, 2))
    codes = _features.binned(x, 4)
    assert (np.stack([np.bincount(each) for each in codes.T]) == 200).all()
    ties = np.repeat([[0.0], [1.0], [5.0]], 300, axis=0)
    found = _features.binned(ties, 4)[:, 0]
    assert all(len(set(found[i : i + 300])) == 1 for i in (0, 300, 600))
    assert len(set(found)) == 3


def test_gains_are_scikit_learns_of_the_bins(made):
    rng = np.random.default_rng(1)
    x = np.concatenate([made.x, rng.normal(made.y[:, None], 2.0, (N, 2))], 1)
    codes = _features.binned(x, 5)
    expected = [mutual_info_score(each, made.y) for each in codes.T]
    np.testing.assert_allclose(_features.gains(Batch(x, made.y), 5), expected, atol=1e-5)


def test_a_copy_tells_much_and_adds_nothing(made):
    by_gain = list(RANKS["gain"](made, 2, 0))
    assert by_gain[:3] == [0, 2, 1] and by_gain[3] == 3
    assert list(RANKS["gain - redundancy"](made, 2, 0)[:2]) == [0, 1]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", RANKS)
def test_a_ranking_names_every_feature_once_and_what_is_constant_is_no_error(name, made):
    order = RANKS[name](made, 4, 0)
    assert sorted(order) == list(range(made.x.shape[1]))
    if name != "chance":
        assert set(order[:3]) == {0, 1, 2} or name == "gain - redundancy"


def test_parts_are_disjoint_and_hold_each_class_alike():
    data = Batch(np.arange(200.0)[:, None], np.arange(200) % 4 // 3)
    parts = _features.split(data, 3)
    assert [len(part.y) for part in parts] == [120, 40, 40]
    assert sorted(np.concatenate([part.x[:, 0] for part in parts])) == list(range(200))
    assert all(part.y.mean() == 0.25 for part in parts)
    assert (_features.split(data, 4).test.x != parts.test.x).any()


def test_validation_chooses_the_fewest_of_the_best():
    found = features.Curves(
        [1, 3, 9],
        {"a": np.array([[0.5, 0.9, 0.9], [0.7, 0.2, 0.8]])},
        {"a": np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])},
    )
    accuracy, count = features.chosen(found, "a")
    np.testing.assert_array_equal(accuracy, [0.2, 0.6])
    np.testing.assert_array_equal(count, [3, 9])


def test_the_result_holds_every_ranking(tmp_path):
    config = features.Config(
        seeds=2, data=("breast_cancer",), kept=(1, 4, 50), neighbours=(5,), quiet=True,
        out=tmp_path / "run",
    )  # fmt: skip
    result = features.main(config)
    found = result.metrics["cancer, accuracy of 4"]
    assert next(iter(result.metrics)) == "cancer, accuracy of 4" and len(found["values"]) == 2
    assert found["mean"] > 0.85
    assert result.baselines["cancer, all 30"]["mean"] > 0.9
    for name in RANKS:
        if name != "gain":
            other = result.baselines[f"cancer, {name}, 4"]["values"]
            lead = result.metrics[f"cancer, lead over {name}, 4"]["values"]
            np.testing.assert_allclose(lead, np.subtract(found["values"], other), atol=1e-6)
    assert (tmp_path / "run" / "figures" / "features.png").stat().st_size > 5000


def test_bad_flags_are_named(tmp_path):
    with pytest.raises(InputError, match="--kept names 3 2 times"):
        features.main(features.Config(kept=(3, 3), out=tmp_path / "run"))
    with pytest.raises(InputError, match="--bins"):
        features.Config(bins=1)
