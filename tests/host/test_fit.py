"""`fit` against a learner whose every number is known in advance."""

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError, Learner, start, sweep
from dljax.host import resume
from dljax.host.checkpoint import restore, save, steps
from dljax.host.finite import Diverged
from dljax.host.fit import Keep, Selection, Watch, fit, piece
from dljax.host.result import fingerprint
from dljax.host.screen import Show

KEY = jax.random.key(0)


def counter(best_at=7, bad_at=10**6):
    """The state counts steps; `score` is highest at step `best_at`; `loss` is nan at `bad_at`."""

    def step(key, n):
        n = n + 1
        return n, {
            "loss": jnp.where(n == bad_at, jnp.nan, 1.0 / n),
            "draw": jax.random.uniform(key),
        }

    def evaluate(n):
        return {"score": -jnp.abs(n - best_at).astype(float), "cost": jnp.abs(n - best_at) * 1.0}

    return Learner(lambda key: jnp.int32(0), step), evaluate


def test_the_best_state_is_kept_and_everything_logged(tmp_path):
    learner, evaluate = counter()
    select = Selection("score", lambda n: n)
    fitted = fit(learner, KEY, 12, Watch(evaluate, 2, select), chunk=3, keep=Keep(tmp_path))
    assert fitted.run.step == fitted.run.state == 12
    assert fitted.kept == 6  # steps 6 and 8 tie, the first is kept
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == fitted.records
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    np.testing.assert_allclose(lines[1]["train/loss"], [(1 / 3 + 1 / 4) / 2], rtol=1e-6)
    assert [line["score"] for line in lines] == [[-5], [-3], [-1], [-1], [-3], [-5]]
    assert list((tmp_path / "tensorboard").glob("events.*"))


@pytest.mark.parametrize(("metric", "lowest"), [("score", False), ("cost", True)])
def test_the_highest_or_the_lowest_is_best_and_its_checkpoint_stays(tmp_path, metric, lowest):
    learner, evaluate = counter()
    select = Selection(metric, lambda n: n, lowest=lowest)
    fitted = fit(learner, KEY, 12, Watch(evaluate, 1, select), keep=Keep(tmp_path, 1))
    assert fitted.kept == 7
    assert steps(tmp_path / "checkpoints") == [7, 10, 11, 12]


@pytest.mark.parametrize(("stop", "patience"), [(9, None), (3, None), (9, 3)])
def test_of_equals_the_one_of_the_lowest_tie_is_kept(tmp_path, stop, patience):
    """And a lower tie is an improvement to be patient for, but of a worse score it is none."""
    scores = jnp.array([0, 2, 1, 3, 3, 3, 2, 3, 1, 3])  # at the steps 0 to 9
    losses = jnp.array([9.0, 4, 1, 7, 6, 5, 2, 5, 1, 4])
    learner, _ = counter()
    watch = Watch(
        lambda n: {"score": scores[n], "loss": losses[n]},
        1,
        Selection("score", lambda n: n, patience=patience, tie="loss"),
    )
    fit(learner, KEY, stop, watch, chunk=1, keep=Keep(tmp_path))
    fitted = fit(learner, KEY, 9, watch, chunk=1, keep=Keep(tmp_path, resume=True))
    assert (fitted.kept, fitted.run.step) == ((5, 8) if patience else (9, 9))


def test_an_evaluation_is_compiled_once():
    alone, evaluate = counter()
    traced = []

    def counted(member):
        traced.append(member)
        return evaluate(member.run.state)

    select = Selection("score", lambda member: member.run.state)
    fit(sweep(lambda _: alone, None, range(2)), KEY, 3, Watch(counted, 1, select))
    assert len(traced) == 2  # for its shapes, and for its program


def test_the_last_evaluation_of_the_patience_may_still_improve(tmp_path):
    """And a run that it ends is saved where it ended, under its last score."""
    scores = jnp.array([0, 3, 0, 1, 4, 0, 1, 2, 9, 9])  # at the steps 0 to 9
    learner, _ = counter()
    select = Selection("score", lambda n: n, patience=3)
    watch = Watch(lambda n: {"score": scores[n]}, 1, select)
    fitted = fit(learner, KEY, 9, watch, chunk=1, keep=Keep(tmp_path, 5))
    assert (fitted.kept, fitted.run.step) == (4, 7)
    assert steps(tmp_path / "checkpoints") == [5, 7]
    line, _, _ = (tmp_path / "checkpoints/7/manifest.jsonl").read_text().partition("\n")
    assert json.loads(line)["score"] == 2


def test_early_stopping_waits_for_every_member_and_freezes_each():
    """Members whose scores peak at 3, 5 and 4, then rise again: none goes past its own stop."""
    peaks = jnp.array([3, 5, 4])

    def step(key, state):
        n, peak = state
        return (n + 1, peak), {}

    def make(peak):
        return Learner(lambda key: (jnp.int32(0), peak), step)

    def evaluate(member):
        n, peak = member.run.state
        return {"score": jnp.where(n > peak + 3, 100.0, -jnp.abs(n - peak))}

    select = Selection("score", lambda member: member.run.state[0], patience=3)
    learner = sweep(make, peaks, jnp.arange(3))
    fitted = fit(learner, KEY, 50, Watch(evaluate, 1, select), chunk=1)
    np.testing.assert_array_equal(fitted.kept, peaks)
    assert fitted.run.step == 8


@pytest.mark.parametrize("stop", [2, 5, 6])
def test_a_resumed_run_ends_in_the_same_bits_and_the_same_log(tmp_path, stop):
    learner, evaluate = counter()
    select = Selection("score", lambda n: n)
    watch = Watch(evaluate, 3, select)
    whole = fit(learner, KEY, 12, watch, chunk=2, keep=Keep(tmp_path / "whole"))
    part = tmp_path / "part"
    fit(learner, KEY, stop, watch, chunk=2, keep=Keep(part, 1))
    with (part / "metrics.jsonl").open("a") as lines:
        lines.write('{"step": 99, "cut off by a cra')
    resumed = fit(learner, KEY, 12, watch, chunk=2, keep=Keep(part, resume=True))
    assert fingerprint(resumed.run) == fingerprint(whole.run)
    assert resumed.kept == whole.kept
    scores = {r["step"]: r["score"] for r in resumed.records if "score" in r and r["step"] % 3 == 0}
    assert scores == {r["step"]: r["score"] for r in whole.records if "score" in r}


def walk(rate=1.0, size=()):
    """A random walk whose steps are as long as `rate` says, a number or a schedule."""

    def step(key, state):
        n, x = state
        x += jax.random.normal(key, size) * (rate(n) if callable(rate) else rate)
        return (n + 1, x), {"far": jnp.abs(x).max()}

    return Learner(lambda key: (jnp.int32(0), jnp.zeros(size)), step)


@pytest.mark.parametrize("schedule", [None, lambda steps: lambda n: 1 - n / steps])
def test_more_steps_go_on_and_a_schedule_made_for_fewer_is_said(tmp_path, capsys, schedule):
    def learner(steps):
        one = walk(schedule(steps) if schedule else 1.0)
        return sweep(lambda _: one, None, range(2))

    whole = fit(learner(5), KEY, 5, chunk=2)
    fit(learner(3), KEY, 3, keep=Keep(str(tmp_path)), chunk=2)
    longer = fit(learner(5), KEY, 5, keep=Keep(tmp_path, resume=True), chunk=2)
    said = capsys.readouterr().out
    if schedule:
        assert said.count("\n") == 1 and "was made for 3 steps, and goes on as that of 5" in said
    else:
        assert said == ""
        assert fingerprint(longer.run) == fingerprint(whole.run)
    fit(learner(5), KEY, 5, keep=Keep(tmp_path, resume=True), chunk=2)
    assert capsys.readouterr().out == "", "said once"


@pytest.mark.parametrize(
    ("key", "rates", "seeds", "size", "says"),
    [
        (1, (1, 2), (0, 1), (), "it was begun with another key than asked for"),
        (0, (1, 3), (0, 1), (), "it was begun with other hyperparameters than asked for"),
        (0, (1, 2), (0, 2), (), "it was begun with other seeds than asked for"),
        (0, (1, 2), (0, 1), (3,), r"float32\[2\] in the checkpoint and float32\[2, 3\] in this"),
        (
            0,
            (1, 2, 3),
            (0, 1, 2),
            (),
            r"float32\[2\] in the checkpoint and float32\[3\] in this",
        ),
        (0, (1, 2), (0, 1), (), None),
    ],
)
def test_another_run_is_not_resumed(tmp_path, key, rates, seeds, size, says):
    def fitted(key, rates, seeds, size, resume=False):
        learner = sweep(lambda rate: walk(rate, size), jnp.array(rates, float), seeds)
        return fit(learner, jax.random.key(key), 2, keep=Keep(tmp_path, resume=resume))

    fitted(0, (1, 2), (0, 1), ())
    if says is None:
        assert fitted(key, rates, seeds, size, True).run.step == 2
        return
    with pytest.raises(InputError, match=says):
        fitted(key, rates, seeds, size, True)


def test_a_step_that_computes_something_else_is_said_and_old_checkpoints_are_read(tmp_path, capsys):
    fit(walk(1.0), KEY, 2, keep=Keep(tmp_path))
    fit(walk(2.0), KEY, 2, keep=Keep(tmp_path, resume=True))
    assert "a step computes something else" in capsys.readouterr().out
    found = restore(tmp_path / "checkpoints", resume.Progress(start(walk(), KEY), None))
    save(tmp_path / "checkpoints", 2, found.tree, notes=found.notes["records"])  # as before
    again = fit(walk(1.0), KEY, 3, keep=Keep(tmp_path, resume=True))
    assert [record["step"] for record in again.records] == [2, 3]
    assert capsys.readouterr().out == ""


def test_resuming_before_the_first_checkpoint_starts_from_the_beginning(tmp_path, capsys):
    learner, _ = counter()
    assert fit(learner, KEY, 4, keep=Keep(tmp_path, resume=True)).run.state == 4
    assert "starting from step 0" in capsys.readouterr().out


def test_a_folder_with_checkpoints_is_not_overwritten(tmp_path):
    learner, _ = counter()
    fit(learner, KEY, 4, keep=Keep(tmp_path))
    with pytest.raises(InputError, match="holds checkpoints already"):
        fit(learner, KEY, 4, keep=Keep(tmp_path))
    with pytest.raises(InputError, match="at step 4, beyond the 3 steps"):
        fit(learner, KEY, 3, keep=Keep(tmp_path, resume=True))


def test_a_damaged_checkpoint_is_said_and_the_one_before_is_used(tmp_path, capsys):
    learner, _ = counter()
    whole = fit(learner, KEY, 9, Watch(every=3))
    fit(learner, KEY, 6, Watch(every=3), keep=Keep(tmp_path))
    newest = max((tmp_path / "checkpoints").iterdir(), key=lambda path: int(path.name))
    for file in newest.rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:-1])
    resumed = fit(learner, KEY, 9, Watch(every=3), keep=Keep(tmp_path, resume=True))
    assert "checkpoint lost: step 6" in capsys.readouterr().out
    assert fingerprint(resumed.run) == fingerprint(whole.run)


def test_a_metric_that_is_not_finite_stops_the_run_and_is_named(tmp_path):
    def make(bad_at):
        return counter(bad_at=bad_at)[0]

    learner = sweep(make, jnp.array([100, 8]), jnp.arange(2))
    with pytest.raises(Diverged, match=r"loss is nan at step 8 for seed 6"):
        fit(
            learner,
            KEY,
            12,
            Watch(every=3),
            keep=Keep(tmp_path),
            show=Show(names=["seed 5", "seed 6"]),
        )
    assert sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir()) == [3, 6]


def test_where_members_may_diverge_a_loss_that_is_nan_is_kept_as_such():
    learner, evaluate = counter(bad_at=3)
    odd = lambda n: {"score": jnp.where(n == 2, jnp.nan, evaluate(n)["score"])}  # noqa: E731
    watch = Watch(odd, 1, Selection("score", lambda n: n))
    fitted = fit(learner, KEY, 4, watch, may_diverge=True)
    losses = [record["train/loss"][0] for record in fitted.records]
    np.testing.assert_allclose(losses, [1, 1 / 2, np.nan, 1 / 4], rtol=1e-6)
    assert fitted.kept == 4
    with pytest.raises(Diverged, match="score is nan at step 2"):
        fit(learner, KEY, 4, watch)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"chunk": 0}, "chunk must be at least 1; got 0"),
        ({"chunk": -3}, "chunk must be at least 1; got -3"),
        ({"watch": Watch(every=0)}, "Watch.every must be at least 1; got 0"),
        ({"watch": Watch(every=-1)}, "Watch.every must be at least 1; got -1"),
        ({"keep": Keep(Path("x"), -2)}, "Keep.every must be at least 1; got -2"),
        (
            {"watch": Watch(select=Selection("score", lambda n: n, patience=0))},
            "Selection.patience must be at least 1; got 0",
        ),
        (
            {"watch": Watch(counter()[1], 1, Selection("scor", lambda n: n))},
            "unknown metric in Selection 'scor'; did you mean score or cost?",
        ),
        (
            {"watch": Watch(select=Selection("score", lambda n: n))},
            "unknown metric in Selection 'score'; known: ",
        ),
        ({"steps": -1}, "steps must be at least 0 and below 2^31; got -1"),
        ({"steps": 2**31}, "steps must be at least 0 and below 2^31; got 2147483648"),
        ({"show": Show(names=["a", "b"])}, "names must be one for each of the 1 members; got 2"),
    ],
)
def test_numbers_that_cannot_be_are_refused_in_one_line(given, says):
    with pytest.raises(InputError, match=f"^{re.escape(says)}$"):
        fit(counter()[0], KEY, **{"steps": 4, **given})
    assert not Path("x").exists()


def test_a_chunk_ends_where_something_is_due():
    ends, step = [], 0
    while step < 100:
        step += piece(step, 100, every=30, saves=45, chunk=20)
        ends.append(step)
    assert {30, 45, 60, 90, 100} <= set(ends)
    sizes = {piece(step, 4290, 429, 429, 50) for step in range(0, 4290, 39)}
    assert sizes == {39}, "429 is cut evenly, so that one length is compiled"
    assert piece(0, 100, 25, 100, 20) == 20, "but not into fives, far below the chunk"


def test_quiet_says_nothing(capsys):
    learner, _ = counter()
    fit(learner, KEY, 4)
    assert capsys.readouterr().out == ""


def test_a_state_that_is_not_finite_stops_the_run_though_no_metric_shows_it(tmp_path):
    learner = Learner(
        lambda key: jnp.ones(()),
        lambda key, state: (jnp.where(state > 7, jnp.inf, state + 1), {"loss": state * 0}),
    )
    with pytest.raises(Diverged, match="state is not finite at step 8"):
        fit(learner, KEY, 8, chunk=4, keep=Keep(tmp_path, 4))
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["4"]


def test_the_member_whose_state_is_not_finite_is_named():
    def make(bad):
        return Learner(
            lambda key: jnp.ones(()),
            lambda key, state: (jnp.where(bad, jnp.inf, state + 1), {"loss": jnp.zeros(())}),
        )

    learner = sweep(make, jnp.array([False, True]), jnp.arange(2))
    with pytest.raises(Diverged, match="state is not finite at step 2 for seed 8"):
        fit(learner, KEY, 2, show=Show(names=["seed 7", "seed 8"]))


def test_the_rate_is_of_training_alone():
    learner, _ = counter()
    assert fit(learner, KEY, 4).rate > 0
