"""Outside the support (S52), tiny: what is near and far, who saw what, how sure one is."""

from itertools import pairwise

import numpy as np
import pytest

from dljax import InputError
from dljax.data import load, uci
from dljax.typing import Batch
from experiments.frontiers import _shown, _support
from experiments.frontiers._support import PLACES, PLAIN, Task
from experiments.frontiers.outside import Config, main

TINY = {
    "seeds": 2,
    "plain": 1,
    "features": 2,
    "steps": 60,
    "hidden": (16,),
    "channels": (4, 8),
    "classify_steps": 60,
    "images": 40,
    "points": 2,
    "quiet": True,
}


@pytest.fixture(scope="module")
def diabetes():
    return uci.load("diabetes")


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("outside") / "run"
    return main(Config(out=out, **TINY)), out


def test_places_are_thirds_by_distance():
    distance = np.array([-1.0, 0, 5, 1, 3, 2, 2, 4])
    np.testing.assert_array_equal(_support.places(distance), [0, 0, 3, 1, 2, 1, 2, 3])


def test_a_curve_is_learnt_inside_and_asked_everywhere():
    task = _support.curve("corner", 0, 100, 0.0)
    assert abs(task.train.x).max() < 1 and len(task.validation.y) == 25
    np.testing.assert_array_equal(task.train.y, abs(task.train.x[:, 0]))
    beyond = abs(task.test.x[:, 0]) - 1
    assert beyond[task.place == 0].max() <= 0 < beyond[task.place == 1].min()
    for i in (1, 2, 3):
        assert i - 1.02 < beyond[task.place == i].min() and beyond[task.place == i].max() < i + 0.02


def test_who_learns_below_a_quantile_sees_nothing_beyond_it_and_nobody_what_is_asked(diabetes):
    features, asked = _support.splittable(diabetes, 0.6, 10)
    assert 1 not in features and len(features) == 9  # 1 is of two values: who is a man
    rows = {row.tobytes(): i for i, row in enumerate(diabetes.x)}
    for feature in features[:4]:
        known, every = _support.split(diabetes, feature, asked, 0, 0.6)
        own, all_kinds = (
            [rows[x.tobytes()] for part in task[:2] for x in part.x] for task in (known, every)
        )
        wanted = [rows[x.tobytes()] for x in known.test.x]
        assert len(own) == len(set(own)) == len(all_kinds) == len(set(all_kinds))
        assert not set(wanted) & (set(own) | set(all_kinds))
        most = np.quantile(diabetes.x[:, feature], 0.6)
        value = known.test.x[:, feature]
        assert max(diabetes.x[own, feature]) <= most < max(diabetes.x[all_kinds, feature])
        ends = [(value[known.place == i].min(), value[known.place == i].max()) for i in range(4)]
        assert ends[0][1] <= most < ends[1][0] and all(a[1] <= b[0] for a, b in pairwise(ends))
        np.testing.assert_array_equal(known.test.x, every.test.x)
        assert np.bincount(known.place)[1:].min() >= _support.LEAST
    with pytest.raises(InputError, match=r"--quantile 0.99 leaves no feature of diabetes"):
        _support.splittable(diabetes, 0.99, 10)


def test_errors_are_of_each_place():
    test = Batch(np.zeros((8, 1)), np.zeros(8))
    task = Task(test, test, test, np.repeat(np.arange(4), 2))
    guess = np.array([[0.0, 0, 3, 3, 3, 4, 1, 7]])
    np.testing.assert_allclose(_support.errors(guess, [task]), [[0, 3, 12.5**0.5, 5]])


def test_plain_methods_go_on_as_they_say():
    x = np.random.default_rng(0).uniform(-1, 1, (60, 1))
    part, asked = Batch(x, 2 * x[:, 0] + 1), np.array([[-4.0], [0.5], [4.0]])
    task = Task(part, part, Batch(asked, asked[:, 0]), np.zeros(3, int))
    np.testing.assert_allclose(_support.line(task), [-7, 2, 9], atol=1e-6)
    for method in ("nearest neighbours", "extra trees"):
        assert abs(PLAIN[method](task)).max() <= abs(part.y).max()  # they level off
    inside = task._replace(test=Batch(x, part.y))
    assert max(abs(method(inside) - part.y).mean() for method in PLAIN.values()) < 0.05


def test_strange_images_are_what_they_are_called(digits):
    found = _shown.sorts(digits, "", 30)
    x = digits.test.x[:30]
    np.testing.assert_array_equal(found["inverted"].x, 1 - x)
    np.testing.assert_array_equal(found["upside down"].x[:, ::-1, ::-1], x)
    np.testing.assert_array_equal(np.rot90(found["on its side"].x, -1, (1, 2)), x)
    mixed = found["pixels permuted"].x.reshape(30, -1)
    np.testing.assert_array_equal(np.sort(mixed, 1), np.sort(x.reshape(30, -1), 1))
    assert found["noise"].y is None and 0.4 < found["noise"].x.mean() < 0.6
    with pytest.raises(InputError, match="square images are needed"):
        rows = Batch(x.reshape(30, -1), digits.test.y[:30])
        _shown.sorts(type(digits)("table", rows, rows, rows, digits.classes), "", 5)


def test_another_size_of_images_is_refused(digits, tmp_path):
    np.savez(path := tmp_path / "small.npz", x=np.zeros((100, 4, 4)), y=np.arange(100) % 2)
    with pytest.raises(InputError, match=r"its images are \[4, 4, 1\], and not \[8, 8, 1\]"):
        _shown.sorts(digits, str(path), 5)


def test_sureness_is_counted():
    chances = np.array([[0.95, 0.05], [0.3, 0.7], [0.92, 0.08], [0.5, 0.5]])
    own = np.array([[0.99, 0.01], [0.6, 0.4]])
    found = _shown.sureness(chances, own, np.array([0, 1, 1, 0]))
    assert found["sure"] == 0.5 and found["accuracy"] == 0.75
    assert found["confidence"] == pytest.approx((0.95 + 0.7 + 0.92 + 0.5) / 4)
    assert found["AUROC"] == (4 + 1) / 8  # pairs in which what is its own is the surer
    assert "accuracy" not in _shown.sureness(chances, None, None)


def test_errors_grow_outside_and_the_result_has_all_that_is_asked(done):
    result, out = done
    for name in _support.CURVES:
        for net in ("ReLU", "tanh"):
            rows = [result.metrics[f"RMSE, {name}, {net}, {place}"]["values"] for place in PLACES]
            assert np.shape(rows) == (4, 2)
            grown = result.metrics[f"growth of error, {name}, {net}"]["values"]
            np.testing.assert_allclose(grown, np.subtract(rows[-1], rows[0]), atol=1e-6)
            assert not result.targets[f"growth of error, {name}, {net}"]["met"]  # of two seeds
    far = {method: result.baselines[f"{method}, wave, far"]["mean"] for method in PLAIN}
    assert all(far[m] > 3 * result.baselines[f"{m}, wave, inside"]["mean"] for m in PLAIN)
    lost, seen = (result.metrics[f"RMSE, diabetes, ReLU, far{way}"] for way in ("", ", seen"))
    gain = result.metrics["lost far outside, diabetes, ReLU"]["values"]
    np.testing.assert_allclose(gain, np.subtract(lost["values"], seen["values"]), atol=1e-6)
    drawn = {path.name for path in (out / "figures").iterdir()}
    assert drawn == {"curves.png", "tables.png", "sorts.png", "sure.png", "strengths.png"}


def test_the_nearest_image_tells_what_the_classifier_does_not(done):
    metrics, baselines = done[0].metrics, done[0].baselines
    assert metrics["accuracy, its own"]["mean"] > 3 * metrics["accuracy, inverted"]["mean"]
    for name in ("inverted", "pixels permuted", "noise"):
        assert baselines[f"nearest image, AUROC, {name}"]["mean"] > 0.99
        assert 0 <= metrics[f"sure, {name}"]["mean"] <= 1
    for kind in ("occlusion", "clutter"):
        area, end = (f"area under accuracy, {kind}", f"accuracy, {kind}, full strength")
        start = np.subtract(2 * np.array(metrics[area]["values"]), metrics[end]["values"])
        np.testing.assert_allclose(start, metrics["accuracy, its own"]["values"], atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"plain": 3}, "--plain must be below 3; got 3"),
        ({"batch": 101}, "--batch must be below 101; got 101"),
        ({"quantile": 1.0}, "--quantile must be above 0 and below 1; got 1.0"),
        ({"tables": ("diabetis",)}, "unknown table 'diabetis'; did you mean diabetes"),
        ({"tables": ()}, "the count of --tables must be at least 1"),
        ({"data": "digit"}, "unknown data set 'digit'"),
        ({"noise": -1.0}, "--noise must be at least 0"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", **TINY | flags))
    assert not (tmp_path / "run").exists()
