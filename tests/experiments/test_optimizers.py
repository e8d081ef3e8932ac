"""Tiny runs of the two experiments on descent: what they write, and what they refuse."""

import json

import numpy as np
import pytest
from logs import read

from dljax import InputError
from experiments.foundations import descent, optimizers


@pytest.fixture(scope="module")
def race(tmp_path_factory):
    out = tmp_path_factory.mktemp("race")
    config = optimizers.Config(out=out, quiet=True, seeds=2, steps=120, rates=4, hidden=16)
    return out, optimizers.main(config)


def test_every_optimiser_is_reported_at_its_own_rate(race):
    out, result = race
    assert list(result.metrics) == [f"test accuracy {name}" for name in optimizers.ENTRANTS]
    for row in result.metrics.values():
        assert len(row["values"]) == 2
        low, high = row["good_rates"]
        assert 1e-4 * 0.99 <= low <= high <= 10**1.5 * 1.01
    assert result.metrics["test accuracy adam"]["mean"] > 0.7
    assert result.metrics["test accuracy momentum"]["lost"] > 0
    assert json.loads((out / "result.json").read_text())["systems"] == ["S11"]
    assert (out / "figures" / "rates.png").stat().st_size > 10_000
    shares = np.array([record["train/finite"] for record in read(out / "metrics.jsonl")])
    assert shares.shape[1] == 2 and 0 < shares.min() <= shares.max() <= 1  # one a seed


def test_a_rate_that_overflows_is_lost_and_not_chosen(tmp_path):
    config = optimizers.Config(
        out=tmp_path, quiet=True, seeds=1, steps=30, rates=2, lowest=0.03, highest=1e30, hidden=4
    )
    result = optimizers.main(config)
    assert result.metrics["test accuracy momentum"]["rate"] == pytest.approx(0.03)
    assert result.metrics["test accuracy momentum"]["lost"] == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"lowest": 2.0, "highest": 1.0}, "--lowest must be below 1.0; got 2.0"),
        ({"lowest": 0.0}, "--lowest must be at least 1e-30; got 0.0"),
        ({"batch": 2000}, "--batch must be below 1258; got 2000"),
        ({"rates": 0}, "--rates must be at least 1; got 0"),
    ],
)
def test_bad_flags_end_in_one_line(tmp_path, flags, said):
    with pytest.raises(InputError, match=said):
        optimizers.main(optimizers.Config(out=tmp_path, **flags))


def test_descent_measures_noise_batches_and_thresholds(tmp_path, monkeypatch):
    monkeypatch.setattr(descent._scales, "ADAPTIVE", ("adam",))
    config = descent.Config(out=tmp_path, quiet=True, seeds=2, steps=300, hidden=8, draws=60)
    result = descent.main(config)
    assert -1.15 < result.metrics["slope of the noise"]["mean"] < -0.9
    assert abs(result.metrics["noise / exact"]["mean"] - 1) < 0.1
    for batch in (1, 32, 1257):
        assert result.metrics[f"train loss, batch {batch}"]["mean"] < np.log(10)
    assert all(goal["met"] for goal in result.targets.values())
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "batches.png",
        "quadratic.png",
        "scales.png",
    }
