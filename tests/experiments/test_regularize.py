"""The overfitting experiment (S13, S14), tiny: its data, its choices, its early stopping."""

import json

import numpy as np
import pytest
from logs import read

from dljax import InputError
from dljax.data import load
from experiments.foundations import regularize
from experiments.foundations.regularize import Config, main, subsets


@pytest.fixture(scope="module")
def data():
    return load("digits")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("regularize") / "run"
    config = Config(
        seeds=3,
        seed=4,
        steps=250,
        examples=50,
        noise=0.3,
        hidden=(32,),
        dropout=(0.0,),  # none, so that its gain has to be 0
        weight_decay=(1.0,),
        rate=1e-2,
        patience=100,
        out=out,
        quiet=True,
    )
    return main(config), out


def test_the_share_of_wrong_labels_is_exact_and_no_example_is_drawn_twice(data):
    config = Config(seeds=3, examples=60, noise=0.25)
    noisy, clean = subsets(config, data), subsets(Config(seeds=3, examples=60, noise=0), data)
    np.testing.assert_array_equal(noisy.x, clean.x)
    np.testing.assert_array_equal((noisy.y != clean.y).sum(1), 15)
    assert noisy.y.min() >= 0 and noisy.y.max() <= 9
    assert not np.array_equal(clean.x[0], clean.x[1])
    everything = subsets(Config(seeds=1, examples=1257, noise=0), data)
    np.testing.assert_array_equal(np.bincount(everything.y[0]), np.bincount(data.train.y))


def test_the_plain_network_overfits_and_early_stopping_stops_at_the_least_validation_loss(done):
    result, out = done
    rows = [record for record in read(out / "metrics.jsonl") if "validation/loss" in record]
    steps = [row["step"] for row in rows]
    validation = np.array([row["validation/loss"] for row in rows])[:, :3]  # the plain members
    own = np.array([row["own/loss"] for row in rows])[:, :3]
    stop = [steps[i] for i in validation.argmin(0)]
    assert result.metrics["step of early stopping"]["values"] == stop
    assert np.all(validation[-1] > 1.2 * validation.min(0))
    assert np.all(own[-1] < 0.1)


def test_the_result_compares_every_way_seed_by_seed(done):
    result, out = done
    written = json.loads((out / "result.json").read_text())
    assert written["systems"] == ["S13", "S14"] and written["seeds"] == [4, 5, 6]
    plain = np.array(result.metrics["test accuracy plain"]["values"])
    for way in ("dropout", "weight decay", "early stopping", "all three"):
        assert len(result.metrics[f"gain of {way}"]["values"]) == 3
        assert result.targets[f"gain of {way}"]["met"] is False  # three seeds are too few
    assert 0.3 < plain.mean() < 0.95
    assert len(result.baselines["logistic regression"]["values"]) == 3
    assert (out / "figures" / "regularize.png").stat().st_size > 10_000


def test_a_seed_trains_alike_under_every_strength_so_that_gains_are_paired(done):
    """Dropout of 0 is plain training, seed by seed to the bit; a decay of 1 is not."""
    result, out = done
    assert result.metrics["gain of dropout"]["values"] == [0, 0, 0]
    *_, last = read(out / "metrics.jsonl")
    plain, decayed, dropped = np.split(np.array(last["own/loss"]), 4)[:3]  # of 3 seeds each
    np.testing.assert_array_equal(dropped, plain)
    assert len(set(plain)) == 3
    assert (decayed > 2 * plain).all()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"examples": 2000}, "--examples"),
        ({"noise": 1.0}, "--noise"),
        ({"dropout": (0.5, 1.0)}, "--dropout"),
        ({"weight_decay": (-1.0,)}, "--weight-decay"),
        ({"weight_decay": ()}, "--weight-decay"),
        ({"patience": 0}, "--patience"),
        ({"batch": 51, "examples": 50}, "--batch"),
        ({"hidden": (0,)}, "--hidden"),
        ({"rate": -1.0}, "--rate"),
        ({"seeds": 0}, "--seeds"),
        ({"seed": -1}, "--seed"),
        ({"steps": -1}, "--steps"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()


def test_presets_are_named_as_everywhere():
    assert list(regularize.PRESETS) == ["quick", "standard"]
