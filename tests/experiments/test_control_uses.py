"""Uses of control, tiny: who stands beside whom, that a loss is said, and what DQN cannot do."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from dljax import InputError, grid
from dljax.envs import arm, thermostat
from dljax.envs.environment import make
from dljax.host.result import Result
from dljax.learn import play
from experiments.control import _uses, dqn, uses
from experiments.control.uses import Config, main

TINY = {"seeds": 2, "steps": 4096, "validation": 2, "episodes": 3, "rounds": 3200}


def untrained(run, config, steps, env, agent, part):
    """What `common.learn` would give before the first step: its own test trains."""
    begin = jax.jit(jax.vmap(lambda key: agent.keep(agent.learner.init(key))))
    assert steps == 4096 and config.validation == 2 and part == env.name
    return SimpleNamespace(kept=begin(jax.random.split(jax.random.key(0), len(run.seeds))))


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Result, dict]:
    out = tmp_path_factory.mktemp("uses") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uses.common, "learn", untrained)
        result = main(Config(out=out, quiet=True, **TINY))
    drawn = {path.name: path for path in (out / "figures").iterdir()}
    return result, drawn | {"result": out / "result.json"}


def test_the_plain_controller_wins_against_one_that_learnt_nothing(done):
    result, files = done
    written = json.loads(files["result"].read_text())
    for name, best in (("thermostat", "PI controller"), ("arm", "computed torque")):
        metric = f"test return, {name}"
        assert len(written["metrics"][metric]["values"]) == 2
        target, plain = written["targets"][metric], written["baselines"][f"{best}, {name}"]
        assert target["value"] == plain["mean"] and not target["met"]
        assert target["source"].startswith(best)
        won = written["metrics"][f"share of episodes won, {name}, against {best}"]["values"]
        assert set(np.round(np.multiply(won, 3), 6)) <= {0, 1, 2, 3}
    hindsight = result.baselines["hindsight, thermostat"]["mean"]
    assert result.baselines["PI controller, thermostat"]["mean"] < hindsight < 0
    assert min(result.metrics["cost over that of hindsight, PPO"]["values"]) > 1
    assert result.baselines["computed torque, at the end"]["mean"] < 1e-3


def test_ads_are_placed_better_than_by_chance_and_within_the_bound(done):
    result, _ = done
    regret = {
        name.removeprefix("regret, "): metric["mean"]
        for name, metric in result.metrics.items()
        if name.startswith("regret, ")
    }
    assert set(regret) == {*uses.ENTRANTS, uses.GRADIENT}
    for name in ("LinUCB", "Thompson sampling", "epsilon-greedy"):
        assert regret[name] < regret["random"] / 2
    assert regret[uses.GRADIENT] < regret["random"]
    assert result.targets["regret, LinUCB with a bound"]["met"]
    others = {name: mean for name, mean in regret.items() if name != uses.OPTIMIST}
    (beside,) = (
        (name, each["mean"])
        for name, each in result.baselines.items()
        if each["metric"] == f"regret, {uses.OPTIMIST}"
    )
    assert beside == min(others.items(), key=lambda item: item[1])
    assert result.targets["sum of the widths"]["met"]


def test_what_a_person_looks_at_is_there_and_small(done):
    _, files = done
    assert {"room.png", "reach.png", "regret.png", "arm.gif"} <= set(files)
    assert files["arm.gif"].stat().st_size < 1_000_000
    with Image.open(files["arm.gif"]) as film:
        frames = film.n_frames  # pyright: ignore[reportAttributeAccessIssue]
        assert frames == _uses.FILMED * arm.LIMIT // 2


@pytest.mark.parametrize("env", ["thermostat", "arm", "Pendulum-v1"])
def test_dqn_has_no_place_for_continuous_actions(env, tmp_path):
    with pytest.raises(InputError, match=f"{env} has continuous actions; DQN needs discrete ones"):
        dqn.main(dqn.Config(env=env, out=tmp_path / "run", quiet=True))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"steps": 100}, "--steps must be at least 512; got 100"),
        ({"rounds": 100}, "--rounds must be at least 3200; got 100"),
        ({"ads": 1}, "--ads must be at least 2; got 1"),
        ({"interests": 0}, "--interests must be at least 1; got 0"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **(TINY | flags)))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "rule", "gains"),
    [
        (
            "thermostat",
            thermostat.proportional_integral,
            {"gain": thermostat.GAIN, "reset": thermostat.RESET},
        ),
        ("arm", arm.computed_torque, {"rate": arm.RATE}),
        ("arm", arm.stretch, {"stiff": arm.STIFF, "damp": arm.DAMP}),
    ],
    ids=["PI", "computed torque", "stretch"],
)
def test_no_gain_half_or_twice_as_great_earns_a_plain_controller_more(name, rule, gains):
    env = make(name)

    @jax.jit
    @jax.vmap
    def earned(gains):
        def act(key, seen):
            return jax.vmap(lambda each: rule(each, **gains))(seen)

        return play.evaluate(env, act, jax.random.key(17), 64)["return"]

    tried = grid(
        **{gain: jnp.array([value, value / 2, value * 2]) for gain, value in gains.items()}
    )
    returns = np.asarray(earned(tried))
    assert (returns[0] >= returns - 0.02 * abs(returns[0])).all(), dict(tried, returns=returns)
