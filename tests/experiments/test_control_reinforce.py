"""REINFORCE, A2C and the ablation of DQN from the flags to the result, tiny."""

import json

import jax
import jax.numpy as jnp
import models
import numpy as np
import pytest

from dljax import InputError
from dljax.envs.environment import make
from dljax.nets.q_network import QNetwork
from experiments.control import _passes, ablation, reinforce

TINY = ("actors=2", "hidden=(8,)", "expected=100")


@pytest.mark.parametrize("method", ["baseline", "plain", "a2c"])
def test_each_method_is_tested_on_every_seed_within_its_budget(method, tmp_path):
    config = reinforce.Config(
        seeds=2, steps=4_000, set=(*TINY, f"method={method}"), validation=2, episodes=3,
        out=tmp_path / "run", quiet=True,
    )  # fmt: skip
    result = reinforce.main(config)
    assert len(result.metrics["test return"]["values"]) == 2
    assert min(result.metrics["test return of the last policy"]["values"]) > 0
    found = models.returns(tmp_path / "run", make("CartPole-v1"), config)
    assert found == pytest.approx(result.metrics["test return"]["values"])
    # how many steps an episode takes is known afterwards only
    assert ("environment steps a second" in result.metrics) == (method == "a2c")


def test_a_budget_below_one_update_is_refused_before_a_folder_is_made(tmp_path):
    config = reinforce.Config(steps=900, set=TINY, out=tmp_path / "run", quiet=True)
    with pytest.raises(InputError, match="2 episodes of up to 500 steps exceed the budget of 900"):
        reinforce.main(config)
    assert not (tmp_path / "run").exists()


def test_an_unknown_method_is_refused(tmp_path):
    config = reinforce.Config(set=("method=a3c",), out=tmp_path / "run", quiet=True)
    with pytest.raises(InputError, match="unknown --set method 'a3c'; did you mean a2c"):
        reinforce.main(config)
    assert not (tmp_path / "run").exists()


def test_replay_and_target_network_are_taken_away_one_at_a_time(tmp_path, monkeypatch):
    small = ablation.DQN(capacity=400, iterations=50, hidden=(8,))
    monkeypatch.setitem(ablation.DQN_FOR, "CartPole-v1", small)
    config = ablation.Config(
        env="CartPole-v1", seeds=2, steps=600, warmup=100, batch=8, validation=2, episodes=3,
        out=tmp_path / "run", quiet=True,
    )  # fmt: skip
    result = ablation.main(config)
    settings = result.config["settings"]
    assert (settings["actors"], settings["batch"], settings["updates"]) == (1, 8, 1)
    for name, gain in (
        ("test return", "gain over"),
        ("mean return while learning", "gain while learning over"),
    ):
        ways = [result.metrics[f"{name}, {way}"]["values"] for way in ablation.WAYS]
        assert all(len(values) == 2 for values in ways)
        paired = np.subtract(ways[0], ways[3])
        np.testing.assert_allclose(result.metrics[f"{gain} neither"]["values"], paired, atol=1e-3)
        assert not result.targets[f"{gain} neither"]["met"]  # two seeds show nothing
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    curves = np.array([r["validation/return"] for r in records if "validation/return" in r])
    means = result.metrics["mean return while learning, no replay"]["values"]
    np.testing.assert_allclose(means, curves.mean(0)[2:4], rtol=1e-4)
    assert (tmp_path / "run/figures/ablation.png").exists()
    difference = "difference of one pass for all actions and one an action"
    assert 0 <= result.metrics[difference]["mean"] < 1e-5
    assert result.targets[difference]["met"]
    assert result.metrics["times as long, one pass an action"]["mean"] > 1


@pytest.mark.parametrize("net", [QNetwork(3, (7, 5)), QNetwork(2, (6,), (4,), jax.nn.tanh)])
def test_one_pass_an_action_gives_what_one_pass_for_all_does(net):
    seen = jax.random.normal(jax.random.key(0), (5, 6, 6, 2))
    params = net.init(jax.random.key(1), seen)["params"]
    expected = net.apply({"params": params}, seen)
    found = [_passes.of_one(net, params, seen, jnp.int32(a)) for a in range(net.actions)]
    np.testing.assert_allclose(np.stack(found, 1), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"env": "Pendulum-v1"}, "Pendulum-v1 has continuous actions"),
        ({"steps": 900}, "--steps must be at least 1000 of the warm-up and 100 of learning"),
        ({"warmup": 20}, "batch <= warmup <= capacity"),
        ({"actors": 7}, "a multiple of actors, is needed"),
    ],
)
def test_an_ablation_that_cannot_be_is_refused_before_a_folder_is_made(changes, said, tmp_path):
    with pytest.raises(InputError, match=said):
        ablation.main(ablation.Config(out=tmp_path / "run", quiet=True, **changes))
    assert not (tmp_path / "run").exists()
