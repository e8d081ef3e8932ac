"""The experiment augment (S43), tiny: who sees what, what is made of it, what is refused."""

import json
import re

import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.data import load
from experiments.generative import _augment
from experiments.generative._augment import NONE, OWN, Setting
from experiments.generative.augment import Config, main

TINY = {
    "seeds": 2,
    "steps": 20,
    "labels": (20, 40),
    "channels": (2,),
    "hidden": 8,
    "game": 5,
    "width": 8,
    "latent": 3,
    "pool": 80,
    "batch": 16,
    "shares": (0.5,),
    "quiet": True,
}


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_a_seeds_fewer_labels_are_part_of_its_more_and_even(digits):
    rows = _augment.subsets((20, 40), [3, 4], digits, 60)
    assert rows.shape == (2, 2, 60)
    for seed in (0, 1):
        few, more = rows[0, seed], rows[1, seed]
        assert set(few) == set(more[:20]) and len(set(more)) == 40
        assert np.bincount(digits.train.y[few]).tolist() == [6] * 10
        assert np.bincount(digits.train.y[more[:40]]).tolist() == [4] * 10
    assert set(rows[1, 0]) != set(rows[1, 1])


def test_what_is_made_for_a_seed_is_of_no_other_seeds_company(digits):
    def made(seeds):
        rows = _augment.subsets((20, 40), seeds, digits, 40)
        return _augment.made(digits, (20, 40), rows, seeds, lambda y: jnp.zeros((*y.shape[:2], 1)))

    alone, beside = made([3]), made([2, 3])
    for name in ("shifts", "bends", "mixup", "Gaussian"):
        np.testing.assert_array_equal(alone[name].x, beside[name].x[1::2], name)


def test_made_images_are_of_the_labels_that_they_replace(digits):
    rows = _augment.subsets((20, 40), [0], digits, 40)
    seen = []

    def own(y):
        seen.append(y)
        return jnp.zeros((*y.shape[:2], 8, 8, 1))

    found = _augment.made(digits, (20, 40), rows, [0], own)
    label = digits.train.y[rows.reshape(2, -1)]
    assert list(found) == [NONE, "shifts", "bends", "mixup", "Gaussian", OWN]
    np.testing.assert_array_equal(seen[0].argmax(-1), label)
    for name, made in found.items():
        assert made.x.shape == (2, 40, 8, 8, 1) and made.x.dtype == np.uint8
        if name != "mixup":
            np.testing.assert_array_equal(made.y.argmax(-1), label)
    np.testing.assert_array_equal(found[NONE].x[1], np.round(255 * digits.train.x[rows[1, 0]]))
    assert not found[OWN].x.any()
    np.testing.assert_allclose(found["mixup"].y.sum(-1), 1, rtol=1e-5)


def test_the_gaussian_has_the_means_of_what_is_known():
    """Its covariance too, where there is enough to know it by."""
    rng = np.random.default_rng(0)
    y = np.arange(4000) % 2
    turn = np.array([[0.05, 0.02], [0.0, 0.03]])
    x = np.where(y == 0, 0.4, 0.6)[:, None] + rng.normal(size=(4000, 2)) @ turn
    made = _augment.gaussian(1, x, y, np.repeat([0, 1], 4000))
    for k, mean in ((0, 0.4), (1, 0.6)):
        part = made[4000 * k : 4000 * (k + 1)]
        np.testing.assert_allclose(part.mean(0), mean, atol=5e-3)
        np.testing.assert_allclose(np.cov(part.T), turn.T @ turn, atol=2e-4)


def test_the_share_of_the_best_mean_is_chosen_for_each_number_of_labels():
    settings = [Setting(NONE, 0.0), Setting("a", 0.3), Setting("a", 1.0)]
    scores = np.array([[[0.5, 0.9, 0.6], [0.5, 0.1, 0.6]], [[0.5, 0.8, 0.6], [0.5, 0.6, 0.7]]])
    found = _augment.chosen(settings, scores)
    assert found["a"].tolist() == [2, 1] and found[NONE].tolist() == [0, 0]


def test_it_runs_and_leaves_its_result(tmp_path):
    result = main(Config(**TINY, out=tmp_path / "run"))
    gain = result.metrics["gain of augmentation, 20 labels"]["values"]
    own = result.metrics["test accuracy, 20 labels"]["values"]
    plain = result.baselines["no augmentation: 20 labels"]["values"]
    np.testing.assert_allclose(gain, np.subtract(own, plain), atol=1e-7)
    assert not result.targets["gain of augmentation, 20 labels"]["met"]  # of two seeds alone
    assert result.baselines["support vectors: 40 labels"]["mean"] > 0.7
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert written["systems"] == ["S43"]
    for name in ("augment", "images"):
        assert (tmp_path / "run" / "figures" / f"{name}.png").stat().st_size > 10_000
    for part in ("generator", "classifier"):
        assert (tmp_path / "run" / "model" / part / "model.json").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            {"labels": (25,)},
            "--labels must be multiples of the 10 classes, from 20 to 1130; got 25",
        ),
        ({"labels": (1200,), "pool": 4000}, "--labels must be multiples"),
        ({"labels": (100,)}, "--labels must be below 81; got 100"),
        ({"batch": 41}, "--batch must be below 41; got 41"),
    ],
)
def test_flags_that_do_not_fit_the_data_are_named_and_leave_nothing(flags, said, tmp_path):
    with pytest.raises(InputError, match=f"^{re.escape(said)}"):
        main(Config(**TINY | flags, out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()
