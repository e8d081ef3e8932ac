"""Every number of the notes' worked network, to the digits printed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import Learner
from dljax.errors import InputError
from dljax.learn import by_hand
from experiments.foundations._worked import NOTES, agrees, numbers, worked_descent
from experiments.foundations.backprop import Config, main


@pytest.fixture(scope="module", params=[False, True], ids=["hand", "autodiff"])
def found(request):
    with jax.enable_x64(True):
        return numbers(request.param)


@pytest.mark.parametrize("name", NOTES)
def test_the_notes_number_holds(found, name):
    digits = len(repr(NOTES[name]).partition(".")[2])
    assert round(found[name], digits) == NOTES[name]


def test_agreeing_is_rounding_to_the_printed_digits():
    assert agrees(0.35891648, 0.35891648) and agrees(0.358916484, 0.35891648)
    assert not agrees(0.358916486, 0.35891648)


def error(w):
    """E of the worked network at w1 to w8, written out here a second time."""

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    hidden = sigmoid(w[:4].reshape(2, 2) @ [0.05, 0.10] + 0.35)
    out = sigmoid(w[4:].reshape(2, 2) @ hidden + 0.60)
    return ((np.array([0.01, 0.99]) - out) ** 2).sum() / 2


def test_every_slope_is_a_finite_difference(found):
    start = np.array([0.15, 0.20, 0.25, 0.30, 0.40, 0.45, 0.50, 0.55])
    nudges = 1e-5 * np.eye(8)
    by_difference = [(error(start + nudge) - error(start - nudge)) / 2e-5 for nudge in nudges]
    slopes = [found[f"dE/dw{k}"] for k in range(1, 9)]
    np.testing.assert_allclose(slopes, by_difference, rtol=1e-6)
    after = np.array([found[f"w{k} after"] for k in range(1, 9)])
    np.testing.assert_allclose(after, start - 0.5 * np.array(by_difference), rtol=1e-6)
    assert found["E"] == pytest.approx(error(start), rel=1e-12)
    assert found["E after"] == pytest.approx(error(after), rel=1e-12)


def test_the_delta_rule_halves_the_way_to_2_in_each_pass(found):
    """At a rate of 0.1 an example keeps 1 - x^2 / 10 of W - 2: a pass keeps 1 * 0.9 * 0.6."""
    for done in (1, 2, 3):
        assert found[f"W, pass {done}"] == pytest.approx(2 + 2 * 0.54**done, rel=1e-12)


def test_the_worked_network_learns_and_every_gradient_is_jax_grads():
    with jax.enable_x64(True):
        errors, gap = worked_descent(200)
    assert (np.diff(errors) < 0).all()
    assert errors[0] == pytest.approx(0.298371109, abs=5e-10)
    assert gap < 1e-12


def test_networks_trained_by_hand_solve_xor(tmp_path):
    result = main(Config(seeds=2, steps=600, out=tmp_path / "run", quiet=True))
    assert result.metrics["XOR accuracy"]["values"] == [1.0, 1.0]
    right = result.metrics["XOR, steps until all are right"]
    small = result.metrics["XOR, steps until E <= 0.001"]
    assert right["reached"] == 1 and 0 < max(right["values"]) < 600
    assert np.all(np.array(right["values"]) < small["values"])
    assert 1 < result.metrics["2-2-2, steps until E <= 0.001"]["mean"] < 10_000
    assert max(result.metrics["hand - jax.grad, XOR"]["values"]) < 1e-12
    assert result.metrics["notes' numbers that hold"]["mean"] == 1
    assert (tmp_path / "run" / "figures" / "worked.png").stat().st_size > 10_000


def test_steps_are_counted_until_each_criterion_holds_first():
    counter = Learner(lambda key: jnp.int32(0), lambda key, n: ((n + 1) % 4, {}))
    learner = by_hand.timed(counter, lambda n: jnp.stack([n == 0, n == 3, n > 9]))
    key = jax.random.key(0)
    state = learner.init(key)
    for _ in range(6):
        state, _ = learner.step(key, state)
    assert state.steps.tolist() == [0, 3, 6]
    assert state.held.tolist() == [True, True, False]


def test_a_table_of_three_columns_is_printed(tmp_path, capsys):
    main(Config(seeds=1, steps=1, hidden=(1,), out=tmp_path / "run", quiet=True))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["by", "hand", "by", "jax.grad", "notes"] in rows
    assert ["dE/dw5", "0.082167041", "0.082167041", "0.082167041"] in rows
    assert ["w5", "after", "0.358916480", "0.358916480", "0.35891648"] in rows


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(InputError, match=f"--rate must be .*; got {rate}"):
        Config(rate=rate)
