"""Adversarial examples (S54), tiny: the exact worst case, and what the result holds."""

import dataclasses
import itertools

import numpy as np
import pytest
from models import accuracies

from dljax import InputError
from dljax.data import load
from dljax.host.experiment import Study
from dljax.host.result import Result
from experiments.frontiers import _adversarial
from experiments.frontiers._adversarial import BOTH, PLAIN, TRAINED
from experiments.frontiers.adversarial import PRESETS, Config, main

TINY = {
    "seeds": 2, "channels": (), "hidden": 8, "steps": 3, "images": 24, "points": 3,
    "steps_of_attack": 4, "stride": 0.1, "restarts": 2,
}  # fmt: skip


def test_the_worst_case_of_bits_equals_all_flips():
    rng = np.random.default_rng(0)
    w, b, epsilon = rng.normal(size=(3, 5)), rng.normal(size=3), 0.2
    x, y = rng.uniform(size=(40, 5)), rng.integers(0, 3, 40)
    found = _adversarial.unbroken(w, b, x - epsilon > 0.5, x + epsilon > 0.5, y)
    for image, label, right in zip(x, y, found, strict=True):
        choices = [{p - epsilon > 0.5, p + epsilon > 0.5} for p in image]
        told = [(w @ np.array(bits) + b).argmax() for bits in itertools.product(*choices)]
        assert right == all(k == label for k in told)
    assert 0 < found.sum() < 40


def test_networks_in_turn_are_told_apart_again():
    kept = {PLAIN: np.arange(6).reshape(3, 2), TRAINED: 10 + np.arange(6).reshape(3, 2)}
    both = np.asarray(_adversarial.alternating(kept))
    found = dict(_adversarial.halves(both.T))
    for name, weights in kept.items():
        np.testing.assert_array_equal(found[name].T, weights)


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({}, [True, True, True, True, True]),
        ({f"PGD accuracy, {TRAINED}": 0.87}, [True, True, True, False, True]),
        ({f"PGD accuracy, {PLAIN}": 0.02}, [True, True, False, True, True]),
        ({"restarts": 9}, None),
        ({"epsilon": 0.25}, None),
        ({"seeds": 2}, None),
    ],
)
def test_targets_are_of_the_attack_that_is_asked(change, held, tmp_path):
    config = dataclasses.asdict(PRESETS["standard"])
    means = {
        f"clean accuracy, {PLAIN}": 0.99, f"FGSM accuracy, {PLAIN}": 0.8,
        f"PGD accuracy, {PLAIN}": 0.0, f"PGD accuracy, {TRAINED}": 0.9,
        f"clean accuracy, {TRAINED}": 0.985,
    }  # fmt: skip
    for name, value in change.items():
        (config if name in config else means)[name] = value
    run = Study("frontiers.adversarial", ["S54"], Config(out=tmp_path / "run"))
    run.result = Result("frontiers.adversarial", ["S54"], config, [0])
    run.result.metrics = {name: {"mean": mean} for name, mean in means.items()}
    _adversarial.reach(run)
    assert [each["met"] for each in run.result.targets.values()] == (held or [])


def test_the_result_has_all_that_is_asked(tmp_path):
    result = main(Config(out=tmp_path / "run", quiet=True, devices=1, **TINY))
    metrics = result.metrics
    for name in BOTH:
        for what in ("clean", "FGSM", "PGD", "unbounded"):
            values = metrics[f"{what} accuracy, {name}"]["values"]
            assert len(values) == 2 and 0 <= min(values) <= max(values) <= 1
        assert len(metrics[f"share that targeted PGD turns, {name}"]["values"]) == 2
    own = "accuracy on plain networks' examples, "
    assert sum(metric.startswith(own) for metric in metrics) == 4
    # of MNIST alone, and of the attack that was asked for
    assert len(result.targets) == 6
    assert result.targets["unbounded accuracy, plain"]["met"] == (
        metrics["unbounded accuracy, plain"]["mean"] == 0
    )
    plain = {name: each["mean"] for name, each in result.baselines.items()}
    for name in ("logistic regression", "logistic regression on bits"):
        assert plain[f"{name}, attacked at its best"] < 0.8 < plain[name]
    test = load("digits").test
    for name in BOTH:
        found = accuracies(tmp_path / "run", name.replace(" ", "-"), 16 * test.x, test.y)
        np.testing.assert_allclose(found, metrics[f"clean accuracy, {name}"]["values"], atol=1e-6)
    drawn = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert drawn == {"curves.png", "plain.png", "trained.png", "steps.png", "transfer.png"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"epsilon": -0.1}, "--epsilon must be at least 0 and at most 1; got -0.1"),
        ({"small": 1.5}, "--small must be at least 0 and at most 1; got 1.5"),
        ({"length": 8.5}, "--length must be below 8.0; got 8.5"),
        ({"images": 1, "target": 2}, "--images 1: all are of --target 2"),
        ({"target": 10}, "--target must be below 10; got 10"),
        ({"batch": 1258}, "--batch must be below 1258; got 1258"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError) as error:
        main(Config(**TINY | {"out": tmp_path / "run"} | flags))
    assert str(error.value).startswith(said) and "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
