"""Exact regret and who searches (S59): formulas against brute force, and a tiny run."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.data import load
from dljax.nets.architecture import Size, layered, shared
from experiments.frontiers import _automl
from experiments.frontiers._automl import Table
from experiments.frontiers.automl import PRESETS, Config, main

TINY = {
    "seeds": 3, "steps": 2, "repeats": 2, "depths": (1, 2), "widths": (1, 2), "kernels": (1, 2),
    "processes": 2, "sample": 1, "layers": 2, "live_seeds": 2, "rounds": 2, "live_children": 2,
    "live_steps": 1, "evaluations": 64, "hidden": 4, "examples": 100, "held": 50, "tested": 50,
}  # fmt: skip


def choice(values, worth, order):
    """What a search that sees these values, one after the other, chooses."""
    best = max(order, key=lambda i: values.ravel()[i])  # the first of equals
    return worth[best // values.shape[1]]


@pytest.mark.parametrize("again", [True, False])
def test_random_searchs_regret_is_the_mean_over_all_that_it_may_see(again):
    values = np.array([[0.5, 0.7], [0.7, 0.1], [0.9, 0.5]])  # two ties
    worth, every = np.array([0.3, 0.0, 0.4]), range(values.size)
    for n in (1, 2, 3):
        orders = itertools.product(every, repeat=n) if again else itertools.permutations(every, n)
        wanted = np.mean([choice(values, worth, order) for order in orders])
        found = _automl.chance(values, worth, np.array([n]), again=again)
        np.testing.assert_allclose(found, [wanted], atol=1e-12)


def test_the_first_that_looked_best_is_chosen():
    places, value = np.array([[4, 2, 7, 1]]), np.array([[0.1, 0.5, 0.5, 0.9]])
    assert _automl.chosen(places, value).tolist() == [[4, 2, 2, 1]]


def test_a_process_evaluates_no_child_twice_and_finds_what_is_smooth():
    space = shared((1, 2), (1, 2, 3), (1, 2), (0, 1))
    x = _automl.features(space)
    assert x.shape == (len(space), 7) and len(np.unique(x, axis=0)) == len(space)
    worth = x @ np.linspace(0.1, 0.7, 7)
    table = Table(np.stack([worth, worth], 1), np.stack([worth, worth], 1))
    places, values = _automl.process(0, space, table, 24)
    assert len(set(places)) == 24 and len(values) == 24
    assert table.regret[_automl.chosen(np.array(places), np.array(values))][-1] == 0


def test_a_size_holds_the_largest_child():
    assert _automl.largest(layered(3, (2, 8, 4), (3, 1), (0, 1))) == Size(3, 8, 3)
    space = shared((2, 1), (2, 8), (3, 1), (0, 1))
    assert _automl.largest(space, np.array([[1, 0, 1, 1, 0, 0]])) == Size(1, 2, 1)


def test_images_left_over_are_held_out():
    data = load("digits")
    found = _automl.cut(data, 800, 10_000, 100)
    assert [len(part.y) for part in (found.train, found.validation, found.test)] == [800, 637, 100]
    np.testing.assert_array_equal(found.validation.x[457:], data.validation.x)
    np.testing.assert_array_equal(found.validation.x[:457], data.train.x[800:])


def test_the_spaces_are_as_large_as_is_said():
    config = PRESETS["standard"]
    space = shared(config.depths, config.widths, config.kernels, (0, 1, 2))
    assert len(space) == 486
    assert jnp.unique(space.place(jnp.asarray(space.all()))).size == 486


def test_the_result_has_all_that_is_asked(tmp_path):
    result = main(Config(out=tmp_path / "run", quiet=True, **TINY))
    metrics = result.metrics
    for name, count in {
        "controller": 3,
        "random": 3,
        "evolution": 3,
        "Gaussian process": 2,
    }.items():
        values = np.array(metrics[f"regret after 64, {name}"]["values"])
        assert len(values) == count and (values >= 0).all()
    gain = np.subtract(
        *(metrics[f"regret after 64, {n}"]["values"] for n in ("random", "controller"))
    )
    np.testing.assert_allclose(metrics["gain over random after 64"]["values"], gain, atol=1e-6)
    assert not result.targets["gain over random after 64"]["met"]  # three searches are too few
    assert set(result.baselines) == {
        "logistic regression",
        "random, exactly",
        "random, no pair twice",
    }
    for name in ("controller", "random"):
        assert len(metrics[f"test accuracy, live {name}"]["values"]) == 2
    assert metrics["times as fast as a loop"]["mean"] > 0
    again = main(Config(out=tmp_path / "run", quiet=True, resume=True, **TINY))  # all is done
    assert again.metrics["seconds to train the space"]["mean"] > 0
    name = "regret after 64, controller"
    assert again.metrics[name]["values"] == metrics[name]["values"]
    drawn = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert drawn == {"space.png", "regret.png", "live.png"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"examples": 1257}, "--examples must be below 1257; got 1257"),
        ({"batch": 801}, "--batch must be below 801; got 801"),
        ({"evaluations": 63}, "--evaluations must be at least 64; got 63"),
        ({"children": 65}, "--children must be at least 1 and at most 64; got 65"),
        ({"children": 48}, "--children must divide 64 and --evaluations; got 48"),
        ({"widths": (4, 4)}, r"the options of width must differ and be at least 1; got \(4, 4\)"),
        ({"kernels": (3,)}, "the count of --kernels must be at least 2"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()
