"""Shapes of input and output (S17), tiny: every one is told, beside its plain methods."""

import numpy as np

from dljax.host.model import load
from experiments.sequences import _shapes
from experiments.sequences.shapes import Config, main


def test_forecasts_are_of_steps_that_no_earlier_split_was_asked():
    split, _ = _shapes.forecasts("sines", 5, 2)
    asked = [np.unique(each.y) for each in split]
    assert not set(asked[0]) & set(asked[1]) and not set(asked[1]) & set(asked[2])


def test_captions_of_the_test_are_in_no_other_split():
    split = _shapes.pictures(200).split
    known = {tuple(row) for each in (split.train, split.validation) for row in each.y.tolist()}
    assert not known & {tuple(row) for row in split.test.y.tolist()}
    assert _shapes.nearest(split) == 0


def test_every_shape_is_told_beside_its_plain_methods(tmp_path, monkeypatch):
    out = tmp_path / "run"
    monkeypatch.setattr(_shapes, "HELD", 20)
    monkeypatch.setattr(_shapes, "ASKED", 20)
    result = main(
        Config(
            seeds=1,
            steps=2,
            examples=100,
            hidden=8,
            length=30,
            past=6,
            horizon=2,
            rates=(1e-3,),
            out=out,
            quiet=True,
        )
    )
    assert list(result.metrics) == [
        "one to one: test accuracy",
        "many to one: test accuracy",
        "one to many: captions all right",
        "many to many: frames right",
        "forecast: RMSE",
    ]
    assert {each["metric"] for each in result.baselines.values()} == set(result.metrics)
    texts = load(out / "model" / "texts").predict(["the food was good , not bad at all"])
    assert texts.mean.shape == (1, 2)
    digits = load(out / "model" / "digits").predict(np.zeros((3, 8, 8)))
    assert digits.mean.shape == (3, 10)
    for name in ("captions", "films"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 5_000
