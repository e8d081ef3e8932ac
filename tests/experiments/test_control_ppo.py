"""The agents' experiments, tiny: PPO from the flags to the result, its settings, and its frames."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import models
import numpy as np
import pytest
from logs import read
from PIL import Image

from dljax import InputError, Learner
from dljax.envs.environment import make
from dljax.learn import play
from experiments.control import _frames, common, ppo
from experiments.control.common import Agent
from experiments.control.controllers import RULES, controllers
from experiments.control.ppo import Config, main
from experiments.control.settings import (
    DQN_FOR,
    PPO,
    PPO_FOR,
    REINFORCE_FOR,
    TARGETS,
    Settings,
    settle,
)

TINY = ("actors=4", "horizon=16", "minibatches=2", "epochs=2", "hidden=(8,)")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("ppo") / "run"
    config = Config(
        seeds=2,
        seed=7,
        steps=2600,
        set=(*TINY, "normalize_observations=True"),
        validation=3,
        episodes=5,
        out=out,
        quiet=True,
    )
    return main(config), out


def test_the_result_holds_every_seed_its_goal_and_what_was_not_learnt(done):
    result, out = done
    written = json.loads((out / "result.json").read_text())
    assert written["systems"] == ["S48"] and written["seeds"] == [7, 8]
    assert written["config"]["settings"]["actors"] == 4
    for name in ("test return", "test return of the last policy", "steps until 500"):
        assert len(written["metrics"][name]["values"]) == 2
    assert written["targets"] == {}  # so short a run says nothing about a goal
    assert written["metrics"]["share that reached 500"]["values"] == [0, 0]
    assert written["metrics"]["steps until 500"]["values"] == [2560, 2560]  # all they had
    random, rule = (written["baselines"][name] for name in ("random policy", "linear rule"))
    assert len(random["values"]) == len(rule["values"]) == 2
    assert 10 < random["mean"] < 60 < rule["mean"] <= 500
    assert result.metrics["environment steps a second"]["mean"] > 0
    for figure in ("return.png", "episode.png", "episode.gif"):
        assert (out / "figures" / figure).stat().st_size > 10_000


def test_the_model_earns_what_was_tested(done):
    """With what the learner normalises observations by, which is not what a start has."""
    result, out = done
    config = Config(seeds=2, seed=7, episodes=5)
    assert result.config["settings"]["normalize_observations"]
    tested = result.metrics["test return"]["values"]
    assert models.returns(out, make("CartPole-v1"), config) == pytest.approx(tested)


def test_an_action_of_a_box_is_the_likeliest_within_it():
    env = make("Pendulum-v1")
    chosen = dataclasses.replace(PPO_FOR["Pendulum-v1"], hidden=(4,))
    agent = ppo.agent(env, Config(env="Pendulum-v1"), chosen)
    kept = agent.keep(agent.learner.init(jax.random.key(0)))
    seen = jax.random.normal(jax.random.key(1), (5, 3))
    np.testing.assert_allclose(
        agent.says(kept, seen), np.clip(agent.act(kept, jax.random.key(0), seen), -2, 2), atol=1e-6
    )
    assert common.acting(env, agent).says == "values"


def test_the_log_counts_environment_steps(done):
    _, out = done
    rows = list(read(out / "metrics.jsonl"))
    assert [row["step"] for row in rows] == list(range(1, 41))
    assert [row["validation/steps"] for row in rows] == [[64 * step] * 2 for step in range(1, 41)]


def test_the_policy_that_validated_best_is_tested_beside_the_last(tmp_path):
    """A learner that is good until its first evaluation only, which is after 5 steps."""
    env = make("CartPole-v1")

    def step(key, state):
        return {"steps": state["steps"] + 1}, {"return": jax.random.uniform(key), "episodes": 1.0}

    def act(kept, key, seen):
        push = controllers(env)["linear rule"](key, seen)
        return jnp.where(kept["steps"] > 5, 1 - push, push)

    learner = Learner(lambda key: {"steps": jnp.int32(0)}, step)

    def says(kept, seen):
        return seen[:, :2] + kept["steps"]

    agent = Agent(learner, 5, lambda state: state, act, says)
    config = Config(seeds=2, validation=2, episodes=4, out=tmp_path / "run", quiet=True)
    result = common.train("control.ppo", [], config, Settings(steps=1000), env, agent)
    assert result.metrics["test return"]["mean"] > 400
    assert result.metrics["test return of the last policy"]["mean"] < 40
    assert result.metrics["steps until 500"]["values"] == [25, 25]  # the first evaluation
    assert result.metrics["share that reached 500"]["values"] == [1, 1]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"env": "CartPole"}, "unknown environment 'CartPole'; did you mean CartPole-v1"),
        ({"set": ("rates=1",)}, "unknown setting in --set 'rates'; did you mean rate"),
        ({"set": ("rate=fast",)}, "--set rate must be a number; got 'fast'"),
        ({"set": ("actors=2.5",)}, "--set actors must be an integer; got 2.5"),
        ({"set": ("activation=swash",)}, "unknown --set activation 'swash'; did you mean swish"),
        ({"set": ("minibatches=7",)}, "minibatches must divide the rollout"),
        ({"set": ("gamma=2",)}, "--set gamma must be at least 0 and at most 1; got 2.0"),
        ({"set": ("rate=-1.0",)}, "--set rate must be above 0; got -1.0"),
        ({"set": ("anneal=1",)}, "--set anneal must be true or false; got 1"),
        ({"set": ("value_weight=-1",)}, "--set value-weight must be at least 0; got -1.0"),
        ({"set": ("hidden=wide",)}, "--set hidden must be a tuple; got 'wide'"),
        ({"set": ("repeat=0",)}, "--set repeat must be at least 1; got 0"),
        ({"set": ("channels=(4,)",)}, "--set channels needs an image"),
        ({"set": ("hidden=(8,0)",)}, "--set hidden must be at least 1; got 0"),
        ({"steps": 100}, "--steps must be at least 500"),
        ({"validation": 0}, "--validation must be at least 1"),
        ({"episodes": 0}, "--episodes must be at least 1"),
        ({"seeds": 0}, "--seeds must be at least 1"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()


def test_settings_are_the_environments_with_changes_in_place():
    config = Config(steps=1000, set=("rate=1", "hidden=8", "anneal=False", "activation=relu"))
    found = settle(PPO(), PPO_FOR, config)
    changed = {"rate": 1.0, "hidden": (8,), "anneal": False, "activation": "relu", "steps": 1000}
    assert found == dataclasses.replace(PPO_FOR["CartPole-v1"], **changed)
    assert settle(PPO(), PPO_FOR, Config(env="Catch-bsuite")) == PPO()
    # as messages write it, and by its annotation, whatever the default's type
    named = Config(env="Catch-bsuite", set=("value-weight=1", "norm=2"))
    assert settle(PPO(), PPO_FOR, named) == PPO(value_weight=1.0, norm=2.0)


def test_every_environment_of_the_settings_and_goals_exists():
    named = {*PPO_FOR, *DQN_FOR, *REINFORCE_FOR, *RULES, *_frames.DRAWN}
    for name in named | {env for _, env in TARGETS}:
        assert make(name).name
    for name, chosen in PPO_FOR.items():
        ppo.agent(make(name, repeat=chosen.repeat), Config(env=name), chosen)  # raises nothing


@pytest.mark.parametrize("name", RULES)
def test_a_known_rule_is_better_than_chance(name):
    env = make(name)
    known = controllers(env)
    assert len(known) == 2
    returns = [
        float(jax.jit(lambda act=act: play.evaluate(env, act, jax.random.key(0), 16))()["return"])
        for act in known.values()
    ]
    assert returns[1] > returns[0]


@pytest.mark.parametrize("name", _frames.DRAWN)
def test_an_episode_is_drawn(name, tmp_path):
    env = make(name)
    seen = jax.vmap(env.reset)(jax.random.split(jax.random.key(0), 5))[1]
    path = _frames.strip(tmp_path / "episode.png", name, np.asarray(seen), np.ones(5))
    assert path is not None and path.stat().st_size > 4000
    path = _frames.film(tmp_path / "episode.gif", name, np.asarray(seen))
    assert path is not None
    with Image.open(path) as film:
        assert film.n_frames == 5 or "MinAtar" in name or "Pong" in name  # alike at first


def test_what_cannot_be_drawn_is_left_out(tmp_path):
    assert _frames.strip(tmp_path / "x.png", "Catch-bsuite", np.ones((5, 10)), np.ones(5)) is None
    assert _frames.film(tmp_path / "x.gif", "Catch-bsuite", np.ones((5, 10))) is None
