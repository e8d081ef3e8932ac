"""DQN's experiment: it learns a little, resumes to the bit in the middle of episodes, refuses."""

import json

import models
import numpy as np
import pytest

from dljax import InputError
from dljax.envs.environment import make
from dljax.host import fit
from dljax.host.checkpoint import steps as steps_saved
from experiments.control import dqn

TINY = (
    "actors=4", "iterations=25", "capacity=800", "warmup=400", "batch=16", "period=25", "n=3",
    "double=True", "dueling=True", "hidden=16",
)  # fmt: skip


def config(out, **changes):
    options = {"seeds": 2, "steps": 2_400, "validation": 2, "episodes": 2, "quiet": True}
    return dqn.Config(out=out, set=TINY, **(options | changes))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    return dqn.main(config(out)), out


def test_it_tests_every_seed_and_counts_the_random_steps(whole):
    result, out = whole
    assert result.systems == ["S47"]
    assert len(result.metrics["test return"]["values"]) == 2
    assert "random policy" in result.baselines
    assert (out / "figures" / "return.png").stat().st_size > 10_000
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    # 400 and 2 x 4 for three-step returns before learning, then 100 a step
    assert lines[0]["validation/steps"] == [508, 508]
    assert lines[-1]["validation/steps"] == [2408, 2408]
    assert all(np.isfinite(line["train/value"]).all() for line in lines)


def test_the_model_earns_what_was_tested(whole):
    result, out = whole
    tested = result.metrics["test return"]["values"]
    assert models.returns(out, make("CartPole-v1"), config(out)) == pytest.approx(tested)


def test_a_run_cut_in_the_middle_of_episodes_goes_on_to_the_same_bits(whole, tmp_path):
    result, _ = whole
    out = tmp_path / "cut"
    advance, steps = fit.advance_spread, []

    def stopping(*args):
        if len(steps) == 11:
            raise KeyboardInterrupt
        steps.append(args)
        return advance(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dljax.host.fit.advance_spread", stopping)
        with pytest.raises(KeyboardInterrupt):
            dqn.main(config(out, checkpoint_every=150))
    assert not (out / "result.json").exists()
    assert steps_saved(out / "checkpoints")[-1] == 10  # 150 environment steps are two of 100
    again = dqn.main(config(out, checkpoint_every=150, resume=True))
    assert again.fingerprint == result.fingerprint
    assert again.metrics["test return"] == result.metrics["test return"]


@pytest.mark.parametrize(("share", "halfway"), [(0, 0.1), (1, 0.55)])
def test_no_exploring_is_over_at_once(monkeypatch, share, halfway):
    """optax holds the first value for ever where a schedule has no steps."""
    made = {}
    monkeypatch.setattr(dqn.dqn, "make", lambda *_, **told: made.update(told))
    chosen = dqn.DQN(steps=100_000, explore=share, epsilon=0.1)
    dqn.learner(None, None, chosen)
    assert made["epsilon"](50_000) == pytest.approx(halfway, rel=1e-4)
    assert made["epsilon"](100_000) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"env": "Pendulum-v1"}, "Pendulum-v1 has continuous actions"),
        ({"env": "CartPole-v2"}, "unknown environment 'CartPole-v2'; did you mean CartPole-v1"),
        (
            {"steps": 450},
            "--steps must be at least 400 of the warm-up and 100 of learning; got 450",
        ),
        ({"sampled": True}, "--sampled: DQN has a greedy policy only"),
        ({"set": (*TINY, "loss=cubic")}, "unknown --set loss 'cubic'"),
        ({"set": (*TINY, "activation=step")}, "unknown --set activation 'step'"),
        ({"set": (*TINY, "batch=900")}, "batch <= warmup <= capacity"),
        ({"set": (*TINY, "rate=0")}, "--set rate must be above 0; got 0.0"),
        (
            {"set": (*TINY, "explore=-1")},
            "--set explore must be at least 0 and at most 1; got -1.0",
        ),
        ({"set": (*TINY, "epsilon=2")}, "--set epsilon must be at least 0 and below 1; got 2.0"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_folder_is_made(changes, said, tmp_path):
    wrong = dict(changes)
    chosen = wrong.pop("set", TINY)
    out = tmp_path / "out"
    with pytest.raises(InputError, match=said):
        dqn.main(dqn.Config(out=out, set=chosen, **({"seeds": 2, "steps": 2_400} | wrong)))
    assert not out.exists()
