"""Two processes of two devices are one run: as one process of four, killed, and resumed."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dljax import InputError
from dljax.host.checkpoint import steps
from dljax.host.config import Common

ROOT = Path(__file__).parents[2]
WAYS = "sweep", "fed"


@pytest.fixture(scope="module")
def spawn(cache):
    """Start the processes of a run of `count`, by default of two."""
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": str(ROOT),
    }
    started = []

    def start(out, count=2):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        for number in range(count):
            words = [out] if count == 1 else [out, port, number]
            one = subprocess.Popen(
                [sys.executable, ROOT / "tests/host/together.py", *map(str, words)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            started.append(one)
        return started[-count:]

    yield start
    for each in started:
        each.kill()
        each.communicate()


def ended(runs):
    said = [each.communicate(timeout=200)[0] for each in runs]
    assert [each.returncode for each in runs] == [0] * len(runs), said
    return said


@pytest.fixture(scope="module")
def whole(spawn, tmp_path_factory):
    """The folders of a run by one process, and by two."""
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    ended(spawn(one, 1))
    ended(spawn(two))
    return one, two


def arrays(folder, way, who):
    with np.load(folder / f"{way}-{who}.npz") as found:
        return [found[name] for name in found.files]


def test_a_sweep_over_two_processes_is_that_of_one_to_the_bit(whole):
    one, two = whole
    for process in "01":
        for a, b in zip(arrays(one, "sweep", "alone"), arrays(two, "sweep", process), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_batch_over_two_processes_gives_the_gradient_of_one(whole):
    """Each has read half of every batch; sums go over the devices in another order."""
    one, two = whole
    for process in "01":
        for a, b in zip(arrays(one, "fed", "alone"), arrays(two, "fed", process), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_what_is_written_is_written_once(whole):
    for folder in whole:
        for way in WAYS:
            assert (folder / way / "metrics.jsonl").read_text().count("\n") == 6
            assert len(list((folder / way / "tensorboard").iterdir())) == 1


def test_one_killed_ends_the_other_and_both_resume_to_the_same_bits(spawn, whole, tmp_path):
    runs = spawn(tmp_path)
    deadline = time.monotonic() + 120
    while not steps(tmp_path / "fed" / "checkpoints"):
        assert time.monotonic() < deadline
        assert runs[1].poll() is None, [each.communicate()[0] for each in runs]
        time.sleep(0.002)
    runs[1].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    said, _ = runs[0].communicate(timeout=90)
    assert runs[0].returncode != 0, "it was killed after its end: more steps are needed"
    assert time.monotonic() - killed < 60
    assert "another process of this run ended" in said or "another task died" in said, said
    ended(spawn(tmp_path))
    for way in WAYS:
        for process in "01":
            pairs = zip(arrays(whole[1], way, process), arrays(tmp_path, way, process), strict=True)
            assert all((a == b).all() for a, b in pairs)


def test_one_that_crashes_waits_for_nobody(python):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    program = (
        "from dljax.host import processes\n"
        f"processes.join('localhost:{port}', 1, 0)\n"
        "print(processes.told(lambda: 'alone'), flush=True)\n"
        "raise RuntimeError('a mistake')"
    )
    done = python("-c", program, timeout=60)
    assert (done.returncode, done.stdout) == (1, "alone\n")
    assert done.stderr.rstrip().endswith("RuntimeError: a mistake")


def test_where_the_processes_meet_is_told_whole():
    with pytest.raises(InputError, match="--coordinator, --num-processes and --process-id belong"):
        Common(coordinator="localhost:1234", num_processes=2)
