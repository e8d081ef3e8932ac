"""The folder of a run belongs to one process, and what is on record there is told or refused."""

import contextlib
import dataclasses
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from dljax import InputError, Learner
from dljax.host import folder, screen
from dljax.host.config import Common
from dljax.host.experiment import Study
from dljax.host.fit import Keep, fit

HOLDER = """
import sys, time
from pathlib import Path
from dljax.host.folder import take_lock
take_lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def test_a_folder_is_one_process_own_until_it_dies(tmp_path):
    words = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "held\n"
        with pytest.raises(InputError) as caught:
            Study("x", [], Common(out=tmp_path)).out  # noqa: B018
        other.kill()
    said = f"{tmp_path} is in use by process {other.pid}; choose another"
    assert str(caught.value) == said
    with Study("x", [], Common(out=tmp_path)) as run:
        assert run.out == tmp_path
    assert json.loads((tmp_path / "run.json").read_text())["experiment"] == "x"


def test_of_two_runs_on_one_folder_the_second_is_refused(tmp_path):
    first, second = (Study("x", [], Common(out=tmp_path, seed=seed)) for seed in (0, 1))
    with first:
        assert first.out == tmp_path
        with pytest.raises(InputError, match="in use by process"):
            second.out  # noqa: B018
    with pytest.raises(InputError, match="holds a run already"):
        second.out  # noqa: B018
    assert json.loads((tmp_path / "run.json").read_text())["config"]["seed"] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", "run.lock", "result.json"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked(Common):
    free = Common.free | {"prompt"}
    prompt: str = "a"
    rate: float = 1.0


def test_what_is_free_may_differ_in_a_resumed_run(tmp_path):
    with Study("x", [], Asked(out=tmp_path)) as run:
        assert run.out
    record = json.loads((tmp_path / "run.json").read_text())["config"]
    assert set(record) == {"seeds", "seed", "steps", "preset", "rate"}
    with Study("x", [], Asked(out=tmp_path, resume=True, prompt="b")) as run:
        assert run.result.config["prompt"] == "b"
    with pytest.raises(InputError, match=r"another configuration: rate was 1\.0, now 2\.0"):
        Study("x", [], Asked(out=tmp_path, resume=True, prompt="b", rate=2.0))


def test_a_run_of_several_commits_says_so(tmp_path):
    with Study("x", [], Common(out=tmp_path)) as run:
        assert run.out
    now, path = run.result.environment["commit"], tmp_path / "run.json"
    record = json.loads(path.read_text())
    for before, said in ((record["commits"], now), (["1234567"], f"1234567, {now}"),
                         (None, f"unknown, {now}")):  # fmt: skip
        kept = (
            record | {"commits": before}
            if before
            else {"config": record["config"], "experiment": "x"}
        )
        path.write_text(json.dumps(kept))
        with Study("x", [], Common(out=tmp_path, resume=True)) as run:
            assert run.out and run.result.environment["commit"] == said
    assert json.loads(path.read_text())["commits"] == ["unknown", now]
    path.write_text(json.dumps(record | {"commits": 3}))
    with pytest.raises(InputError, match="is damaged"):
        Study("x", [], Common(out=tmp_path, resume=True))


def test_a_resumed_run_is_alone_too(tmp_path):
    with Study("x", [], Common(out=tmp_path)) as run:
        assert run.out
    first, second = (Study("x", [], Common(out=tmp_path, resume=True)) for _ in range(2))
    with first:
        assert first.out
        with pytest.raises(InputError, match="in use by process"), second:
            second.out  # noqa: B018


def test_two_fits_without_a_study_have_no_folder_in_common(tmp_path):
    """Whatever one of them does when the other comes: here at its own evaluation."""
    learner = Learner(lambda key: jnp.float32(0), lambda key, state: (state + 1, {"loss": state}))
    said = []

    def show(step, record, doing=""):
        with pytest.raises(InputError, match="in use by process") as caught:
            fit(learner, jax.random.key(0), 4, keep=Keep(tmp_path, resume=True))
        said.append(caught.value)

    @contextlib.contextmanager
    def shown(*_):
        yield show

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screen, "screen", shown)
        fit(learner, jax.random.key(0), 4, keep=Keep(tmp_path), chunk=2)
    assert len(said) == 2
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    fit(learner, jax.random.key(0), 6, keep=Keep(tmp_path, resume=True))


def test_runs_begun_in_one_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [Study("a.b", [], Common()) for _ in range(3)]
    for run in runs:
        run.root = tmp_path / "runs" / "a" / "b" / "20260101-000000"
        with run:
            assert run.out
    names = sorted(path.name for path in (tmp_path / "runs" / "a" / "b").iterdir())
    assert names == ["20260101-000000", "20260101-000000-2", "20260101-000000-3"]


def test_the_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with Study("x", [], Common(out=folder.Path("~/run"))) as run:
        assert run.out == tmp_path / "run"
    assert not (tmp_path / "~").exists()
    with pytest.raises(InputError, match="--out: cannot use ~nobody-here/run"):
        Study("x", [], Common(out=folder.Path("~nobody-here/run")))


@pytest.mark.parametrize("name", ["x" * 300, "file/below", "file"])
def test_a_folder_that_cannot_be_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out: ") as caught:
        Study("x", [], Common(out=tmp_path / name)).out  # noqa: B018
    assert "\n" not in str(caught.value)


def test_a_damaged_record_is_refused_with_what_belongs_there(tmp_path):
    """Cut at every place, with bits of every byte flipped, or of another shape."""
    config = Common(out=tmp_path, resume=True)
    with Study("x", [], Common(out=tmp_path)) as run:
        assert run.out
    path = tmp_path / "run.json"
    whole = path.read_bytes()
    flipped = [
        whole[:i] + bytes([whole[i] ^ 1 << bit]) + whole[i + 1 :]
        for i in range(len(whole))
        for bit in (0, 5, 7)
    ]
    cut = [whole[:i] for i in range(len(whole) - 2)]
    said = set()
    for text in [*flipped, *cut, b"{}", b"[]", b"null", b'{"experiment": "x", "config": 3}']:
        path.write_bytes(text)
        try:
            folder.check_folder("x", config)
            assert given(text) == given(whole)  # a blank for another, the name of what is null
        except InputError as error:
            assert "\n" not in str(error)
            said.add(str(error))
    known = json.loads(whole)
    wanted = json.dumps({name: known[name] for name in ("experiment", "config")})
    assert f"{path} is damaged; a run of this command has {wanted} there" in said
    path.write_bytes(whole)
    folder.check_folder("x", config)


def given(text: bytes) -> dict[str, object]:
    found = json.loads(text)
    return {k: v for k, v in found["config"].items() if v is not None} | {"": found["experiment"]}
