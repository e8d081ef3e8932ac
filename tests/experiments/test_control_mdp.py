"""The known gridworld (S45, S46), tiny: what agrees, what is reported, and both mistakes."""

import json

import numpy as np
import pytest
from logs import read

from dljax import InputError
from dljax.envs import tabular
from experiments.control import _mistakes, mdp
from experiments.control._world import exact
from experiments.control.mdp import Config, main


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("mdp") / "run"
    config = Config(
        layout="russell_norvig", gamma=0.8, seeds=5, seed=2, steps=48_000, rate=0.05, out=out,
        quiet=True,
    )  # fmt: skip
    return main(config), out


def test_all_methods_agree_where_moves_are_certain(done):
    result, _ = done
    assert {name: target["value"] for name, target in result.targets.items()} == {
        "error of value iteration": 1e-5,
        "error of policy iteration": 1e-5,
        "error, certain, Q-learning": 1e-5,
        "error, certain, DQN": 1e-2,
        _mistakes.TARGETS: 1e-5,
    }
    assert all(target["met"] for target in result.targets.values())
    assert len(result.metrics["error, certain, DQN"]["values"]) == 5
    assert result.baselines["Q = 0, certain"]["mean"] == 1  # a step from the goal


def test_where_moves_slip_a_falling_rate_is_nearer_and_none_is_near(done):
    result, _ = done
    errors = {label: result.metrics[f"error, slippery, {label}"] for label in mdp.rates(0.8)}
    constant, whole, *falling = (row["mean"] for row in errors.values())
    assert max(falling) < min(constant, whole)
    assert min(falling) > 1e-4
    assert all(row["slope"] < 0 for name, row in errors.items() if name != "rate 0.1")


def test_the_log_and_the_figures_are_there(done):
    _, out = done
    written = json.loads((out / "result.json").read_text())
    assert written["systems"] == ["S45", "S46"] and written["seeds"] == [2, 3, 4, 5, 6]
    for name, members in (("certain", 10), ("dqn", 5), ("slippery", 20)):
        *_, last = read(out / name / "metrics.jsonl")
        assert len(last["error"]) == len(last["optimal"]) == members
        if name != "slippery":
            assert last["optimal"] == [1] * members
    for name in ("q", "errors", "returns"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 10_000


def test_the_exact_q_is_its_own_best_next_value():
    for slip in (0.0, 0.3):
        world = tabular.gridworld(tabular.LAYOUTS["russell_norvig"], slip=slip)
        q = exact(world, 0.95)
        chance = np.asarray(world.transition, float) * ~np.asarray(world.terminal)
        best = np.asarray(world.reward, float) + 0.95 * chance @ q.max(1)
        np.testing.assert_allclose(q, best, atol=1e-12)


def test_the_printed_discount_tells_states_of_a_path_apart_no_more(done):
    """Nothing is earned but at the goal: gamma^i values each state of a path as the first one."""
    result, _ = done
    world = tabular.gridworld(tabular.LAYOUTS["russell_norvig"])
    along = _mistakes.walk(world, exact(world, 0.8), 0.8)
    assert len(along["V*"]) == 5  # the far corner is 5 moves from the goal
    np.testing.assert_allclose(along["V*"], 0.8 ** np.arange(4, -1, -1), rtol=1e-6)
    np.testing.assert_allclose(along["gamma^(i-t)"], along["V*"], rtol=1e-6)
    np.testing.assert_allclose(along["gamma^i"], 0.8**4, rtol=1e-6)
    printed = result.metrics["error of the return, gamma^i"]["mean"]
    assert printed == pytest.approx(1 - 0.8**4, rel=1e-6)
    assert result.metrics["error of the return, gamma^(i-t)"]["mean"] < 1e-6


def test_under_a_time_limit_every_target_is_1_over_1_minus_gamma(done):
    found = _mistakes.endless(0.75)
    assert len(found) == 9
    for values in found.values():
        np.testing.assert_allclose(values, 4, rtol=1e-6)
    metrics = done[0].metrics
    assert metrics["relative error of Q-learning, time limit bootstrapped"]["mean"] < 0.01
    ended = metrics["relative error of Q-learning, time limit taken for an end"]["mean"]
    assert ended == pytest.approx(1 - 0.2 / (1 - 0.8 * 0.5), abs=0.01)  # under a limit of 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"layout": "room"}, "unknown --layout 'room'; did you mean rooms"),
        ({"gamma": 1.0}, "--gamma must be at least 0 and below 1; got 1.0"),
        ({"slip": -0.1}, "--slip must be at least 0 and below 1; got -0.1"),
        ({"rate": 0.0}, "--rate must be above 0; got 0.0"),
        ({"steps": 100}, "--steps must be at least 4000; got 100"),
        ({"seeds": 0}, "--seeds must be at least 1; got 0"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()


def test_presets_are_named_as_everywhere():
    assert list(mdp.PRESETS) == ["quick", "standard"]
