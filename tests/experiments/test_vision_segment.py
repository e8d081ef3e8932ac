"""The segmentation experiment: what judges masks, its features, and a tiny run from end to end."""

import numpy as np
import pytest
import scipy.ndimage

from dljax.data import masks
from dljax.data.masks import MaskData
from dljax.errors import InputError
from dljax.host.model import load
from dljax.typing import Batch
from experiments.vision import _segment, segment

RNG = np.random.default_rng(0)
TINY = {
    "quiet": True,
    "seeds": 1,
    "steps": 4,
    "channels": (8,),
    "trees": 3,
    "pixels": 500,
    "side": 8,
}


def test_features_are_alike_wherever_and_tell_edges():
    flat = _segment.features(np.full((20, 24, 1), 7, np.uint8))
    assert flat.shape == (480, 17)
    np.testing.assert_allclose(flat[:, 0], 7)
    np.testing.assert_allclose(np.delete(flat, [0, 1, 5, 9, 13], 1), 0, atol=0.02)
    step = np.zeros((32, 32, 1), np.float32)
    step[:, 16:] = 1
    steep = _segment.features(step).reshape(32, 32, -1)[..., 2]
    assert steep[16].argmax() in (15, 16)
    np.testing.assert_allclose(steep[16, 2:10:7], 0, atol=1e-3)
    turned = _segment.features(np.rot90(step)).reshape(32, 32, -1)
    np.testing.assert_allclose(
        np.rot90(_segment.features(step).reshape(32, 32, -1)), turned, atol=1e-5
    )


def test_each_score_has_the_threshold_that_is_best_for_it_on_validation():
    y = np.zeros((2, 24, 24), int)
    y[:, 8:10], y[:, :, 12:14] = 1, 1
    noise = scipy.ndimage.gaussian_filter(RNG.random((2, 24, 24)), (0, 1, 1))
    chance = np.clip(0.3 * y + noise, 0, 1)
    both = np.stack([1 - chance, chance], -1)
    found, best, guess = _segment.judge(both, y, both, y, ("cell", "membrane"))
    assert set(found) == {"pixel accuracy", "membrane IoU", "membrane Dice", "Rand"}
    for threshold in _segment.THRESHOLDS:
        told = (chance > threshold).astype(int)
        assert (told == y).mean() <= found["pixel accuracy"] + 1e-6
        assert _segment.rand(y, told) <= found["Rand"] + 1e-9
    np.testing.assert_array_equal(guess, chance > best["pixel accuracy"])
    assert _segment.rand(y, y) == pytest.approx(1)


def test_the_best_grey_value_knows_dark_from_bright():
    y = RNG.integers(0, 2, (2, 9, 9))
    part = Batch((200 - 100 * y[..., None]).astype(np.uint8), y)
    data = MaskData("it", part, part, part, ("cell", "membrane"))
    assert _segment.threshold(data)["pixel accuracy"] == 1


def test_errors_are_marked_by_kind():
    truth, guess = np.array([[0, 1, 0, 2]]), np.array([[0, 0, 1, 1]])
    picture = _segment.marked(truth, guess)
    assert (picture[0, 0] == 1).all()
    assert len(np.unique(picture[0], axis=0)) == 4


def test_more_classes_than_two_are_judged_by_their_greatest_chance():
    y = RNG.integers(0, 3, (2, 9, 9))
    found, best, guess = _segment.judge(np.eye(3)[y], y, np.eye(3)[y], y, ("a", "b", "c"))
    assert found == {"pixel accuracy": 1, "mean IoU": 1, "mean Dice": 1}
    assert best == {}
    np.testing.assert_array_equal(guess, y)


def own(path):
    """Noise in two classes, one brighter, in a file."""
    y = RNG.integers(0, 2, (15, 9, 11)).astype(np.uint8)
    x = (80 * y + RNG.integers(0, 40, y.shape)).astype(np.uint8)
    np.savez(path / "mine.npz", x=x, y=y)
    return {"data": str(path / "mine.npz"), "classes": (0, 1), "out": path / "run"}


def test_a_tiny_run_of_a_users_own(tmp_path):
    result = segment.main(segment.Config(**TINY | own(tmp_path)))
    names = {"pixel accuracy", "1 IoU", "1 Dice", "Rand"}
    assert set(result.metrics) == {f"test {name}" for name in names}
    methods = {name.partition(",")[0] for name in result.baselines}
    assert methods == {"random forest", "threshold"}
    assert result.baselines["random forest, pixel accuracy"]["mean"] > 0.9
    drawn = {file.name for file in (tmp_path / "run" / "figures").iterdir()}
    assert drawn == {"masks.png", "curves.png"}
    model = load(tmp_path / "run")
    scaling = model.function()[1].inputs[0].scaling
    assert scaling == masks.load(tmp_path / "mine.npz", (0, 1)).scaling
    shape = model.function()[1].inputs[0].shape
    chances = model.predict(np.zeros((2, *shape))).mean
    assert chances.shape == (2, *shape[:2], 2)
    np.testing.assert_allclose(chances.sum(-1), 1, rtol=1e-5)


def test_squares_that_do_not_fit_are_refused(tmp_path):
    for side, channels in ((10, (8,)), (2, (8, 8, 8))):
        with pytest.raises(InputError, match="--side must be from"):
            segment.main(segment.Config(side=side, channels=channels, **own(tmp_path)))
    assert not (tmp_path / "run").exists()
