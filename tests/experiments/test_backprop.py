"""Every number of the notes' worked network, to the digits printed."""

import jax
import numpy as np
import pytest

from experiments.foundations.backprop import NOTES, Config, agrees, main, numbers, worked_descent


@pytest.fixture(scope="module")
def found():
    with jax.enable_x64(True):
        return numbers()


@pytest.mark.parametrize("name", NOTES)
def test_the_notes_number_holds(found, name):
    digits = len(repr(NOTES[name]).partition(".")[2])
    assert round(found[name], digits) == NOTES[name]


def test_agreeing_is_rounding_to_the_printed_digits():
    assert agrees(0.35891648, 0.35891648) and agrees(0.358916484, 0.35891648)
    assert not agrees(0.358916486, 0.35891648)


def test_every_slope_is_a_finite_difference(found):
    """w5's step is rate 0.5 times its slope; and all eight slopes lower E to first order."""
    slopes = np.array([found[f"dE/dw{k}"] for k in range(1, 9)])
    start = np.array([0.15, 0.20, 0.25, 0.30, 0.40, 0.45, 0.50, 0.55])
    after = np.array([found[f"w{k} after"] for k in range(1, 9)])
    np.testing.assert_allclose(after, start - 0.5 * slopes, rtol=1e-12)
    # second order: the drop is less than rate |slopes|^2, by less than a tenth
    drop = found["E"] - found["E after"]
    assert 0.9 < drop / (0.5 * (slopes**2).sum()) < 1.1


def test_the_worked_network_learns_and_every_gradient_is_jax_grads():
    with jax.enable_x64(True):
        errors, gap = worked_descent(200)
    assert (np.diff(errors) < 0).all()
    assert errors[0] == pytest.approx(0.298371109, abs=5e-10)
    assert gap < 1e-12


def test_networks_trained_by_hand_solve_xor(tmp_path):
    result = main(Config(seeds=2, steps=600, out=tmp_path / "run", quiet=True))
    assert result.metrics["XOR accuracy"]["values"] == [1.0, 1.0]
    assert max(result.metrics["hand - jax.grad, XOR"]["values"]) < 1e-12
    assert result.metrics["notes' numbers that hold"]["mean"] == 1
    assert (tmp_path / "run" / "figures" / "worked.png").stat().st_size > 10_000
