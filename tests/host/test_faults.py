"""Runs that are killed, stopped or run out of disk, as real processes."""

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLI = ["-m", "experiments.vision.classify", "--seeds", "2", "--hidden", "8", "--channels", "2"]


@pytest.fixture(scope="module")
def spawn(cache):
    """Start `python ARGS` in the repository's root, with compiled programs shared by all."""
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT}",
        "PYTHONUNBUFFERED": "1",
    }

    def start(*args):
        return subprocess.Popen(
            [sys.executable, *map(str, args)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def newest(folder: Path) -> int:
    """The newest step in a checkpoint folder, -1 for none; its files may come and go meanwhile."""
    names = os.listdir(folder) if folder.exists() else []
    return max((int(name.split(".")[0]) for name in names if name[0].isdigit()), default=-1)


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        if process.poll() is not None:
            return
        time.sleep(0.002)


@pytest.mark.parametrize("most", [8, pytest.param(25, marks=pytest.mark.slow)])
def test_a_run_killed_often_ends_in_the_same_bits(spawn, tmp_path, most):
    """Most kills come soon after a new checkpoint, often in a save; each fourth at start-up."""
    victim = ROOT / "tests/host/victim.py"
    undisturbed, error = spawn(victim, tmp_path / "whole").communicate()
    assert len(undisturbed.split()[-1]) == 64, error
    chance, out, kills, at = random.Random(0), tmp_path / "killed", 0, []
    while kills < most:
        process = spawn(victim, out)
        before = newest(out / "checkpoints")
        if kills % 4:
            wait_for(lambda before=before: newest(out / "checkpoints") > before, process)
            time.sleep(chance.random() * 0.1)
        else:
            time.sleep(chance.random() * 3)
        process.kill()
        _, error = process.communicate()
        assert process.returncode == -signal.SIGKILL, (
            f"ended by itself after {kills} kills: {error}"
        )
        kills += 1
        at.append(newest(out / "checkpoints"))
    last, error = spawn(victim, out).communicate()
    assert last.split()[-1] == undisturbed.split()[-1], f"killed at {at}: {error}"
    whole, killed = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "killed")
    )
    for record in whole + killed:
        del record["seconds"]
    assert killed == whole


@pytest.fixture(scope="module")
def undisturbed(spawn, tmp_path_factory):
    """The fingerprint of the command line's run when nothing stops it."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    _, error = spawn(*CLI, "--steps", "600", "--out", out).communicate()
    assert not error
    return json.loads((out / "result.json").read_text())["fingerprint"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_command_it_prints_resumes(spawn, tmp_path, undisturbed, number):
    out = tmp_path / "stopped here"
    process = spawn(*CLI, "--steps", "600", "--out", out)
    wait_for(lambda: newest(out / "checkpoints") > 0, process)
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 128 + number, error
    first, last = error.strip().splitlines()
    stopped = newest(out / "checkpoints")
    assert 0 < stopped < 600
    assert first == f"stopped at step {stopped} by {number.name}; saved. Resume with:"
    words = shlex.split(last)
    assert words[1:3] == ["-m", "experiments.vision.classify"]
    assert words[-1] == "--resume"
    resumed = spawn(*words[1:])
    _, error = resumed.communicate(timeout=120)
    assert (resumed.returncode, error) == (0, "")
    found = json.loads((out / "result.json").read_text())
    assert found["fingerprint"] == undisturbed


def test_a_full_disk_is_said_and_the_checkpoint_before_stays_good(spawn, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("cannot mount a small disk here (needs root)")
    process = again = None
    try:
        out = disk / "run"
        process = spawn(*CLI, "--steps", "3000", "--checkpoint-every", "100", "--out", out)
        wait_for(lambda: newest(out / "checkpoints") > 0, process)
        filler = disk / "filler"
        while process.poll() is None:  # take whatever space there is, until the run gives up
            try:
                with filler.open("ab", buffering=0) as file:
                    while file.write(b"\0" * 4096):
                        pass
            except OSError:
                time.sleep(0.002)
        _, error = process.communicate(timeout=120)
        assert process.returncode == 1, error
        assert "no space left" in error.lower()
        assert "Traceback" not in error
        assert error.count("\n") <= 2
        filler.unlink()
        again = spawn(
            *CLI, "--steps", "3000", "--checkpoint-every", "100", "--out", out, "--resume"
        )
        kept = newest(out / "checkpoints")
        assert kept > 0
        wait_for(lambda: newest(out / "checkpoints") > kept, again)
        assert again.poll() is None, again.communicate()
    finally:
        for started in (process, again):
            if started is not None:
                started.kill()
                started.communicate()
        subprocess.run(["umount", "-l", str(disk)], check=True)
