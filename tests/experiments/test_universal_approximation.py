import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.nets.shallow import share
from experiments.foundations import universal_approximation as experiment
from experiments.foundations._widths import dense, interpolation_error, solved


def config(out, **changes):
    tiny = {"seeds": 2, "steps": 400, "widths": (1, 32)}
    return experiment.Config(out=out, quiet=True, **tiny | changes)


def test_width_helps_a_relu_network_not_a_linear_one_and_neither_beyond_the_data(tmp_path):
    out = tmp_path / "run"
    found = {k: v["mean"] for k, v in experiment.main(config(out)).metrics.items()}
    for name in experiment.TARGETS:
        assert found[f"{name}, 32 units"] < found[f"{name}, 1 units"] / 2
        linear = found[f"{name}, 1 linear units"]
        assert found[f"{name}, 32 linear units"] == pytest.approx(linear, rel=0.15)
    for name in experiment.INPUTS[1]:
        near, far = found[f"{name}, 1.0 < |x| <= 1.5"], found[f"{name}, 2.0 < |x| <= 3.0"]
        assert found[f"{name}, 32 units"] < near < far
    names = {"errors.png", "outside.png"}
    assert {path.name for path in (out / "figures").iterdir()} == names


def test_the_last_layer_of_a_wide_network_learns_no_faster_than_its_kinks(tmp_path):
    assert [share(width) for width in (1, 32, 128, 1024)] == [1, 1, 1 / 4, 1 / 32]
    member = {"leak": jnp.array(0.0), "target": jnp.array(0)}
    learner = experiment.make(1, 1024, config(tmp_path, steps=10), member)
    before = learner.init(jax.random.key(0))
    weight = before.params["weight"]
    assert jnp.std(weight) == pytest.approx((1 / 32 / 1024) ** 0.5, rel=0.1)
    after, _ = learner.step(jax.random.key(1), learner.step(jax.random.key(1), before)[0])
    moved = {
        name: jnp.abs(after.params[name] - before.params[name]).max() for name in ("weight", "kink")
    }
    assert moved["weight"] * 32 == pytest.approx(float(moved["kink"]), rel=0.05)


def test_two_pieces_make_a_corner_and_a_parabola_meets_its_bound():
    assert interpolation_error(experiment.TARGETS["corner"], 2) < 1e-6
    error = interpolation_error(lambda x: x[..., 0] ** 2, 10)  # |f''| h^2 / 8 = 2 * 0.2^2 / 8
    assert error == pytest.approx(0.01, rel=1e-3)


def test_the_solved_layer_is_exact_where_the_units_can_be_and_no_worse_elsewhere():
    x = dense(2)
    params = {"slope": np.array([[1.0, -1], [1, -1]]), "kink": np.array([[0.5, 0.5], [0.25, 0.25]])}
    ridge = abs(x @ np.ones(2) - 0.75)  # both units' kink, from its two sides
    assert solved(params, x, 3 * ridge - 1) < 1e-6
    assert solved(params, x, x[:, 0] * x[:, 1]) > 0.3
    line = dense(1)
    beyond = np.where(abs(line[:, 0]) > 1, 100, abs(line[:, 0]))  # where there were no data
    assert solved({"slope": np.array([[1.0, -1]]), "kink": np.zeros((1, 2))}, line, beyond) < 1e-6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"widths": (4, 0)}, "--widths must be at least 1; got 0"),
        ({"widths": ()}, "the count of --widths must be at least 1"),
        ({"batch": 0}, "--batch must be at least 1; got 0"),
        ({"rate": -1.0}, "--rate must be above 0; got -1.0"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        experiment.main(config(tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()
