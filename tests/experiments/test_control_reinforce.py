"""REINFORCE, A2C and the ablation of DQN from the flags to the result, tiny."""

import numpy as np
import pytest

from dljax import InputError
from experiments.control import ablation, reinforce

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
    small = ablation.DQN(capacity=400, warmup=100, batch=8, iterations=50, hidden=(8,))
    monkeypatch.setitem(ablation.DQN_FOR, "CartPole-v1", small)
    config = ablation.Config(
        seeds=2, steps=2_100, validation=2, episodes=3, out=tmp_path / "run", quiet=True
    )
    result = ablation.main(config)
    for way in ("both", "no replay", "no target network", "neither"):
        assert len(result.metrics[f"test return, {way}"]["values"]) == 2
    paired = np.subtract(
        *(result.metrics[f"test return, {w}"]["values"] for w in ("both", "neither"))
    )
    np.testing.assert_allclose(result.metrics["gain over neither"]["values"], paired, atol=1e-3)
    assert (tmp_path / "run/figures/ablation.png").exists()
