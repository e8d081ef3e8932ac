"""A stochastic policy, tiny: DQN stays below the best deterministic one, actor-critics do not."""

import jax
import pytest

from dljax import InputError
from dljax.envs import aliased
from experiments.control import stochastic
from experiments.control.stochastic import Config, main

WORLD = "aliased-gridworld"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("stochastic") / "run"
    config = Config(seeds=3, steps=64_000, rate=0.2, out=out, quiet=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stochastic, "WORLDS", (aliased.corridor,))  # the other takes as long
        return main(config), out


def test_dqn_is_bounded_by_the_best_deterministic_policy(done):
    result, _ = done
    best = result.baselines[f"best deterministic policy, {WORLD}"]["mean"]
    assert best == pytest.approx(0.02, abs=1e-6)
    values = result.metrics[f"return, {WORLD}, DQN"]["values"]
    assert len(values) == 3 and max(values) <= best + 1e-6


def test_policy_gradients_do_what_it_cannot(done):
    """And only while they draw lots: their likeliest actions are a deterministic policy again."""
    result, _ = done
    best = result.baselines[f"best policy, {WORLD}"]["mean"]
    for name in ("REINFORCE", "actor-critic"):
        label = f"return, {WORLD}, {name}"
        assert max(result.metrics[label]["values"]) <= best + 1e-5
        likeliest = result.metrics[f"{label}, its likeliest action"]["mean"]
        assert likeliest <= result.targets[label]["value"] + 1e-6
    assert result.targets[f"return, {WORLD}, actor-critic"]["met"]
    assert result.metrics[f"return, {WORLD}, actor-critic"]["mean"] > best - 0.15


def test_they_begin_uneven(done):
    """With chances e^2 to 1 for one sign, so that even ones are learnt."""
    world = aliased.rock_paper_scissors()
    entrant = stochastic.entrants(Config(), world)["actor-critic"]
    chances = entrant.policy(jax.jit(entrant.learner.init)(jax.random.key(0)))
    assert chances[0, 0] == pytest.approx(2.718281828**2 / (2.718281828**2 + 2), abs=0.02)
    assert aliased.value(world, chances) < -3


def test_the_figures_are_drawn(done):
    _, out = done
    for name in ("returns", "chances"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"steps": 100}, "--steps must be at least 16000; got 100"),
        ({"rate": 0.0}, "--rate must be above 0; got 0.0"),
        ({"gamma": 1.0}, "--gamma must be at least 0 and below 1; got 1.0"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()
