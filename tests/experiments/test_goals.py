"""The long runs of the results table, shortened nowhere: `make slow`."""

import pytest

from dljax.host.config import parse
from experiments.vision import classify


@pytest.mark.slow
def test_the_demo_reaches_its_goal(tmp_path):
    words = ["--quiet", "--out", str(tmp_path / "demo")]
    result = classify.main(parse(classify.PRESETS, words, "x", ""))
    accuracy = result.metrics["test accuracy"]
    assert len(accuracy["values"]) == 5
    assert accuracy["mean"] >= 0.985
    assert accuracy["mean"] > result.baselines["logistic regression"]["mean"]
    assert result.seconds["total"] < 60
