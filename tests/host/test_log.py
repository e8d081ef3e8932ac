"""One function, `record -> None`, is what the host calls; whoever listens hears the same run."""

import importlib
import json
import re
import types

import jax
import jax.numpy as jnp
import pytest

from dljax import InputError, Learner
from dljax.host import log
from dljax.host.config import Common, parse
from dljax.host.experiment import Study
from dljax.host.fit import Keep, fit

KEY = jax.random.key(0)
COUNT = Learner(lambda key: jnp.float32(0), lambda key, n: (n + 1, {"loss": n}))


def plain(records):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


def test_an_event_file_is_not_empty_after_its_first_record(tmp_path):
    journal = log.Log(tmp_path)
    (file,) = (tmp_path / "tensorboard").glob("events.*")
    before = file.stat().st_size
    journal.write({"step": 1, "seconds": 0.0, "train/loss": [0.5, 0.25]})
    assert file.stat().st_size > before + 20
    journal.close()


def test_a_closed_log_has_written_its_events(tmp_path):
    journal = log.Log(tmp_path, [])
    journal.write({"step": 1, "seconds": 0.0, "train/loss": [0.5, 0.25]})
    journal.close()
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"train/loss/0" in events.read_bytes() and b"train/loss/1" in events.read_bytes()


def test_a_function_hears_each_record_of_a_run_and_of_its_resumed_one_from_the_first(tmp_path):
    said, again = [], []
    fitted = fit(COUNT, KEY, 6, keep=Keep(tmp_path / "a", 2, log=("json", said.append)), chunk=2)
    assert said == fitted.records and len(said) == 3
    assert not (tmp_path / "a" / "tensorboard").exists()
    fit(COUNT, KEY, 2, keep=Keep(tmp_path / "b", 2, log=(print,)), chunk=2)
    keep = Keep(tmp_path / "b", 2, resume=True, log=(again.append, "json"))
    fit(COUNT, KEY, 6, keep=keep, chunk=2)
    assert plain(again) == plain(said)
    lines = (tmp_path / "b" / "metrics.jsonl").read_text().splitlines()
    assert plain(map(json.loads, lines)) == plain(said)


def test_loggers_are_named_on_the_command_line(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("HEARD = []\n\ndef hear(record):\n    HEARD.append(record)\n")
    monkeypatch.syspath_prepend(tmp_path)
    out = tmp_path / "run"
    argv = ["--quiet", "--seeds", "1", "--log", "tensorboard", "--log", "mine:hear", "--out", out]
    config = parse({"quick": Common()}, [*map(str, argv)], "x", "")
    assert config.log == ("tensorboard", "mine:hear")
    with Study("x", [], config) as run:
        fitted = run.fit(COUNT, 4)
    assert fitted.records == importlib.import_module("mine").HEARD
    assert not (out / "metrics.jsonl").exists()
    assert list((out / "tensorboard").glob("events.*"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tensorbord", "unknown logger 'tensorbord'; did you mean tensorboard?"),
        ("nowhere:f", "logger 'nowhere:f': no module 'nowhere' is found"),
        ("math:cosh2", "unknown function of math 'cosh2'; did you mean "),
        ("math:pi", "logger 'math:pi' is no function but float"),
    ],
)
def test_a_logger_that_is_none_is_refused_before_anything_is_made(tmp_path, name, says):
    with pytest.raises(InputError, match=f"^{re.escape(says)}"):
        Study("x", [], Common(log=(name,), out=tmp_path / "run"))
    with pytest.raises(InputError, match=f"^{re.escape(says)}"):
        fit(COUNT, KEY, 2, keep=Keep(tmp_path / "run", log=(name,)))
    assert not (tmp_path / "run").exists()


def test_a_logger_that_fails_leaves_the_folder_to_the_next(tmp_path):
    def refuse(record):
        raise ConnectionError("gone")

    for _ in range(2):
        with pytest.raises(ConnectionError):
            fit(COUNT, KEY, 2, keep=Keep(tmp_path, log=(refuse,)))
    fit(COUNT, KEY, 2, keep=Keep(tmp_path))


SENT = """
import sys, time
from pathlib import Path
from dljax.host import log
from wandb.proto.wandb_internal_pb2 import Record as Sent
from wandb.sdk.internal.datastore import DataStore

folder = Path(sys.argv[1])
journal = log.Log(folder, [{"step": 1, "seconds": 0.0, "loss": [0.5]}], ["wandb"])
journal.write({"step": 3, "seconds": 0.0, "loss": [0.25]})
journal.close()
(file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
assert (folder / "wandb.id").read_text() in file.name
rows, until = [], time.monotonic() + 60
while len(rows) < 2 and time.monotonic() < until:  # another process writes, which may be late
    rows, store = [], DataStore()
    store.open_for_scan(str(file))
    while (data := store.scan_data()) is not None:
        sent = Sent.FromString(data)
        if sent.HasField("history"):
            rows.append({each.key or "/".join(each.nested_key): each.value_json
                         for each in sent.history.item})
for row in rows:
    print(row["_step"], row["loss/0"])
"""


@pytest.mark.parametrize("content", [b"\xff", b"", b"../../etc", b"01234567"])
def test_a_damaged_number_of_weights_and_biases_is_made_anew(tmp_path, monkeypatch, content):
    told = types.SimpleNamespace(step=0, finish=lambda: None)
    stub = types.SimpleNamespace(
        Settings=lambda **_: None, init=lambda id, **_: setattr(told, "id", id) or told
    )
    monkeypatch.setattr(log, "imported_wandb", lambda: stub)
    (tmp_path / "wandb.id").write_bytes(content)
    with log.wandb(tmp_path):
        assert told.id == (tmp_path / "wandb.id").read_text()
    assert re.fullmatch("[0-9a-f]{8}", told.id)
    assert (told.id == content.decode(errors="replace")) == (content == b"01234567")


def test_weights_and_biases_gets_the_records_offline(python, tmp_path):
    """Read back from the file that `wandb sync` would send; a process, for its service's sake."""
    pytest.importorskip("wandb")
    done = python("-c", SENT, tmp_path, WANDB_MODE="offline")
    assert done.stdout.splitlines() == ["1 0.5", "3 0.25"], done.stderr
