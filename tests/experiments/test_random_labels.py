"""Random labels (S51), tiny: what each variant changes, and that noise is learnt by heart."""

import numpy as np
import pytest

from dljax import InputError
from dljax.data import load
from experiments.foundations.random_labels import VARIANTS, Config, main, noisy


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("random_labels") / "run"
    config = Config(
        seeds=5, examples=100, hidden=(128,), batch=50, epochs=120, rate=1e-2, out=out, quiet=True
    )
    return main(config), out


def test_each_variant_changes_what_it_says():
    config = Config(examples=200)
    data = load("digits")
    true, labels, shuffled, pixels = noisy(0, config, data)
    np.testing.assert_array_equal(labels[0].x, true[0].x)
    changed = np.mean(labels[0].y != true[0].y)
    assert 0.8 < changed < 1  # a random label is right one time in ten
    moved, still = (np.concatenate([own.x, test]) for own, test in (shuffled, true))
    order = [int(np.flatnonzero((column == moved.T).all(1))[0]) for column in still.T]
    np.testing.assert_array_equal(moved[:, order], still)  # one order for all, tests included
    for before, after in ((true[0].x, pixels[0].x), (true[1], pixels[1])):
        np.testing.assert_array_equal(np.sort(before, 1), np.sort(after, 1))
        assert not np.array_equal(before, after)
    assert all(np.array_equal(each.y, true[0].y) for each, _ in (shuffled, pixels))
    np.testing.assert_array_equal(true[1], data.test.x.reshape(360, -1))


def test_noise_is_learnt_by_heart_and_slower_than_the_truth(done):
    result, _ = done
    for name in VARIANTS:
        assert result.metrics[f"train accuracy {name}"]["mean"] == 1
    step = {name: result.metrics[f"steps to fit {name}"]["mean"] for name in VARIANTS}
    assert step["random labels"] > 1.5 * step["true labels"]
    assert result.targets["train accuracy random labels"]["met"]


def test_random_labels_test_at_chance_not_at_zero(done):
    result, out = done
    accuracy = {name: result.metrics[f"test accuracy {name}"]["mean"] for name in VARIANTS}
    assert abs(accuracy["random labels"] - 0.1) < 0.06
    assert min(accuracy["true labels"], accuracy["shuffled pixels"]) > 0.8
    assert result.baselines["linear, true labels"]["mean"] > 0.8
    assert (out / "figures" / "random_labels.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"examples": 5000}, "--examples"),
        ({"examples": 50, "batch": 51}, "--batch"),
        ({"hidden": (0,)}, "--hidden"),
        ({"epochs": 0}, "--epochs"),
        ({"rate": 0.0}, "--rate"),
        ({"steps": -1}, "--steps"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()
