"""The experiment progressive (S44), tiny: both networks, their time, the images that they learn."""

from dataclasses import replace

import numpy as np
import pytest

from dljax import InputError
from dljax.data import load
from dljax.data.domains import emoji_designs
from dljax.host.fit import Fitted
from dljax.host.model import load as model_of
from experiments.generative import _grown, _images, progressive


def tiny(out, **changes):
    small = {"seeds": 2, "steps": 6, "channels": (2, 2), "batch": 4, "latent": 2, "side": 10}
    return progressive.Config(out=out, quiet=True, **small | changes)


def test_both_are_trained_and_the_fixed_is_judged_twice(tmp_path, monkeypatch):
    """Also of MNIST, whose goals for a GAN are not for this."""
    monkeypatch.setattr(_images, "STEPS", 20)
    monkeypatch.setattr(_images, "load", lambda name: replace(load(name), name="mnist"))
    result = progressive.main(tiny(tmp_path / "run"))
    distance = "Frechet distance"
    whole, own = (result.metrics[f"{distance}, {kind}"] for kind in ("fixed", "grown"))
    ((told, goal),) = result.targets.items()
    assert told == f"{distance}, grown"
    assert goal["value"] == whole["mean"]
    seconds = [result.metrics[f"seconds of training, {kind}"]["mean"] for kind in _grown.KINDS]
    assert goal["met"] == (own["mean"] <= whole["mean"] and seconds[0] < seconds[1])
    assert 1 <= result.metrics[f"steps of {_grown.EQUAL}"]["mean"] <= 6
    for name in ("grown", "fixed"):
        assert (tmp_path / "run" / "figures" / f"{name}.png").stat().st_size > 5_000
    images = model_of(tmp_path / "run").ask("sample", [1, 2]).each
    assert images.shape == (4, 2, 10, 10, 1)


def test_levels_share_the_steps_before_the_last():
    config = tiny(None, channels=(2, 2, 2), side=16, steps=100, last=0.4, fading=0.5)
    assert progressive.grows(config) == (0, 30, 60)
    assert progressive.fade(config, (0, 30, 60)) == 15


def fitted(*laps):
    steps, seconds = np.cumsum(laps, 0).T.tolist()
    records = [{"step": int(n), "seconds": t} for n, t in zip(steps, seconds, strict=True)]
    return Fitted(None, None, records, {}, None)


def test_time_is_of_training_and_the_fixed_network_gets_no_less():
    grown, fixed = fitted((10, 30), (10, 2), (10, 4)), fitted((10, 50), (10, 3), (10, 3))
    assert _grown.spent(grown) == {10: 2, 20: 4, 30: 8}  # 28 s of the first lap were no training
    fits = {"grown": grown, "fixed": fixed}
    assert _grown.stage_of(fits, [10, 20, 30]) == 2
    assert _grown.stage_of({"grown": fixed, "fixed": grown}, [10, 20, 30]) == 2  # not yet in time
    assert _grown.stage_of({"grown": fitted((10, 9), (5, 1)), "fixed": fixed}, [10, 20, 30]) == 0


def test_images_stand_in_the_middle_of_black():
    data = load("digits")
    found = _grown.padded(data, 11)
    assert found.test.x.shape[1:] == (11, 11, 1)
    np.testing.assert_array_equal(found.test.x[:, 1:9, 1:9], data.test.x)
    assert found.test.x.sum() == data.test.x.sum()
    x = np.arange(4.0).reshape(1, 2, 2, 1)
    doubled = np.kron(x[0, :, :, 0], np.ones((2, 2)))
    np.testing.assert_array_equal(_grown.enlarged(x, 4)[0, :, :, 0], doubled)


def test_no_emoji_of_a_thing_is_in_two_parts():
    try:
        blob, new, things = emoji_designs()
    except InputError as error:
        pytest.skip(f"needs the emoji: {error}")
    data = _grown.pictures("emoji", 4)
    of = [
        {each.tobytes(): thing for each, thing in zip(design, things, strict=True)}
        for design in (blob, new)
    ]
    parts = data.train, data.validation, data.test
    sides = [{of[y][x.tobytes()] for x, y in zip(*part, strict=True)} for part in parts]
    assert set.union(*sides) == {*things} and sum(map(len, sides)) == len({*things})
    assert sum(len(part.y) for part in parts) == 2 * len(things)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"side": 6}, "--side must be at least 8 for digits; got 6"),
        ({"side": 9}, "--side must be a multiple of 2 for 2 levels of --channels; got 9"),
    ],
)
def test_sides_that_cannot_be_are_refused(tmp_path, changes, says):
    with pytest.raises(InputError, match=says):
        progressive.main(tiny(tmp_path / "refused", **changes))
    assert not (tmp_path / "refused").exists()
