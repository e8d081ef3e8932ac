"""Whatever file of a run is damaged, resuming it ends as if nothing had been, or in one line."""

import itertools
import json
import random
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from dljax import InputError, Learner
from dljax.host import checkpoint
from dljax.host.config import Common
from dljax.host.experiment import Study
from dljax.host.fit import Watch
from dljax.host.result import fingerprint

STEPS = 8
SOON = 6  # where the first sitting ends


def walk() -> Learner:
    """A random walk, whose every number depends on all before it."""

    def step(key, state):
        state = 0.9 * state + jax.random.normal(key)
        return state, {"at": state}

    return Learner(jax.random.normal, step)


LEARNER = walk()


def train(out: Path, steps: int, resume: bool = False):
    """The fingerprint and the log of a run of so many steps, saved at every second."""
    with Study("walk", [], Common(out=out, seeds=1, resume=resume, quiet=True)) as run:
        fitted = run.fit(LEARNER, steps, Watch(every=2))
    log = [{k: v for k, v in each.items() if k != "seconds"} for each in fitted.records]
    lines = (out / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == fitted.records
    return fingerprint(fitted.run), log


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """How the run ends that nothing befell."""
    return train(tmp_path_factory.mktemp("whole") / "run", STEPS)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a run that was stopped."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    train(out, SOON)
    return out


@pytest.fixture
def copied(stopped, tmp_path):
    """A function that gives a fresh copy of that folder."""

    def copy(name: str = "run") -> Path:
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        return Path(shutil.copytree(stopped, tmp_path / name))

    return copy


def flip(file: Path, chance: random.Random) -> None:
    data = bytearray(file.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    file.write_bytes(data)


def cut(file: Path, chance: random.Random) -> None:
    file.write_bytes(file.read_bytes()[: chance.randrange(file.stat().st_size)])


def blank(file: Path, chance: random.Random) -> None:
    lines = file.read_bytes().split(b"\n")
    lines[chance.randrange(len(lines))] = b""
    file.write_bytes(b"\n".join(lines))


def lose(file: Path, chance: random.Random) -> None:
    file.unlink()


def replace(file: Path, chance: random.Random) -> None:
    file.unlink()
    file.mkdir()


def test_any_damage_to_any_file_costs_nothing_or_is_told_in_a_line(whole, stopped, copied, capsys):
    chance = random.Random(10)
    files = [f.relative_to(stopped) for f in sorted(stopped.rglob("*")) if f.is_file()]
    ours = {"run.json", "run.lock", "metrics.jsonl", "result.json"}
    assert ours < {file.name for file in files}
    few = [file for file in files if file.name in ours]
    many = [file for file in files if file.parts[0] == "checkpoints"]
    harms = [flip, cut, blank, lose, replace]
    cases = [*itertools.product(few, harms)]
    cases += [(chance.choice(many), chance.choice(harms)) for _ in range(18)]
    refused = resumed = 0
    for file, harm in cases:
        out = copied()
        before = (out / file).read_bytes()
        if not before and harm in (flip, cut):
            continue
        harm(out / file, chance)
        if (out / file).is_file() and (out / file).read_bytes() == before:
            continue
        capsys.readouterr()
        try:
            assert train(out, STEPS, resume=True) == whole, (harm.__name__, file)
            resumed += 1
            said = capsys.readouterr().out.splitlines()
            assert len(said) == 1 + (file.parts[:2] == ("checkpoints", str(SOON))), said
        except (InputError, OSError) as error:  # a command line makes either one line
            assert "\n" not in str(error)
            assert file.name == "run.json" or harm is replace, (harm.__name__, file, error)
            refused += 1
    assert resumed > 20 and refused > 1


def seal(folder: Path, about: object) -> None:
    """A manifest whose hash is right, whatever it says."""
    import hashlib

    line = json.dumps(about)
    digest = hashlib.sha256(line.encode()).hexdigest()
    (folder / "manifest.jsonl").write_text(f"{line}\n{digest}\n")


@pytest.mark.parametrize("about", [{}, [], None, "x", {"step": SOON, "score": None, "files": {}}])
def test_a_manifest_of_another_kind_is_a_lost_step(whole, copied, capsys, about):
    out = copied()
    seal(out / "checkpoints" / str(SOON), about)
    assert train(out, STEPS, resume=True) == whole
    said = f"checkpoint lost: step {SOON}: its manifest is of another kind"
    assert said in capsys.readouterr().out


def test_a_step_under_another_number_is_not_believed(whole, copied, capsys):
    out = copied()
    folder = out / "checkpoints"
    (folder / str(SOON)).rename(folder / "99999")
    shutil.copytree(folder / "2", folder / "30")
    assert train(out, STEPS, resume=True) == whole
    said = capsys.readouterr().out
    assert f"checkpoint lost: step 99999: its manifest is that of step {SOON}" in said
    assert "checkpoint lost: step 30: its manifest is that of step 2" in said


@pytest.mark.parametrize("name", [str(STEPS), "30", f"{SOON}.1", ".dljax-5"])
@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_is_called_like_a_step_never_makes_a_save_fail(whole, copied, tmp_path, name, kind):
    out = copied()
    stray = out / "checkpoints" / name
    if kind == "file":
        stray.write_text("not ours")
    elif kind == "link":
        stray.symlink_to(tmp_path)
    else:
        stray.mkdir()
    assert train(out, STEPS, resume=True) == whole
    again = train(out, STEPS, resume=True)
    assert again == whole
    assert checkpoint.steps(out / "checkpoints") == [4, 6, 8]  # a stray 6.1 takes no place
    if kind == "file" and not name.startswith("."):
        assert stray.read_text() == "not ours"


def test_a_run_without_any_manifest_does_not_begin_anew(copied):
    out = copied()
    for manifest in out.glob("checkpoints/*/manifest.jsonl"):
        manifest.unlink()
    before = sorted(out.rglob("*"))
    with pytest.raises(InputError) as caught:
        train(out, STEPS, resume=True)
    for step in ("2", "4", "6"):
        assert f"step {step}: it has no manifest" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(out.rglob("*")) == before


def test_a_log_may_hold_what_json_has_no_number_for(tmp_path):
    def step(key, state):
        return state + 1, {"odd": jnp.where(state % 2 == 0, jnp.inf, jnp.nan)}

    learner = Learner(lambda key: jnp.int32(0), step)
    for steps, resume in ((2, False), (4, True)):
        config = Common(out=tmp_path / "run", seeds=1, resume=resume, quiet=True)
        with Study("x", [], config) as run:
            fitted = run.fit(learner, steps, chunk=1, may_diverge=True)
            run.metric("odd", [fitted.records[0]["train/odd"][0]])
    assert [str(each["train/odd"]) for each in fitted.records] == ["[inf]", "[nan]"] * 2

    def refuse(name: str) -> float:
        raise AssertionError(name)

    for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line, parse_constant=refuse)
        assert record["train/odd"] == [None] and record["not finite"]["train/odd"] in "[inf] [nan]"
    found = json.loads((tmp_path / "run" / "result.json").read_text(), parse_constant=refuse)
    odd = found["metrics"]["odd"]
    assert odd["values"] == [None] and odd["mean"] is None
    assert odd["not finite"] == {"mean": "inf", "values": "[inf]"}
