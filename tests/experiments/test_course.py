"""Two answers from one network: it beats straight lines, and not the rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.errors import InputError
from experiments.foundations.course import Config, both_losses, main


def test_the_loss_is_both_losses_of_the_two_outputs():
    outputs, targets = jnp.array([[2.0, 3.0], [-1.0, 0.5]]), jnp.array([[1.0, 2.5], [1.0, 1.0]])
    p = jax.nn.sigmoid(outputs[:, 0])
    np.testing.assert_allclose(both_losses(outputs, targets), -jnp.log(p) + 0.25, rtol=1e-6)


def test_it_learns_more_than_straight_lines_and_no_more_than_there_is(tmp_path):
    result = main(Config(seeds=2, steps=400, out=tmp_path / "run", quiet=True))
    for name in ("pass loss", "score RMSE"):
        found = result.metrics[f"test {name}"]["mean"]
        assert result.baselines[f"{name}, the rule"]["mean"] < found
        assert found < result.baselines[f"{name}, straight lines"]["mean"]
    assert result.baselines["score RMSE, the rule"]["mean"] == pytest.approx(10, rel=0.03)
    assert (tmp_path / "run" / "figures" / "students.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"students": 0}, "--students must be at least 1; got 0"),
        ({"batch": 0}, "--batch must be at least 1; got 0"),
        ({"hidden": (8, 0)}, "--hidden must be at least 1; got 0"),
        ({"rate": float("nan")}, "--rate must be .*; got nan"),
        ({"steps": -1}, "--steps must be at least 1; got -1"),
        ({"seeds": 0}, "--seeds must be at least 1; got 0"),
    ],
)
def test_bad_flags_are_named(flags, said):
    with pytest.raises(InputError, match=said):
        Config(**flags)


def test_a_batch_beyond_the_students_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="--batch must be below 51; got 51"):
        main(Config(students=50, batch=51, out=tmp_path / "run", quiet=True))
    assert not (tmp_path / "run").exists()
