"""Two processes of two devices are one run: as one process of four, killed, and resumed."""

import json
import os
import re
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

    def start(out, count=2, program=ROOT / "tests/host/together.py", flags=None):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        for number in range(count):
            words = [out] if count == 1 else [out, port, number]
            if flags is not None:
                meet = ["--coordinator", f"localhost:{port}", "--num-processes", count]
                words = flags if count == 1 else [*flags, *meet, "--process-id", number]
            one = subprocess.Popen(
                [sys.executable, program, *map(str, words)],
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


@pytest.fixture
def spawn_counted(spawn, tmp_path):
    """The same of a small experiment, by its command line."""
    (tmp_path / "counted.py").write_text(COUNTED)

    def start(out, count=2, *flags):
        words = ["--out", out, "--devices", 4 // count, "--quiet", *flags]
        return spawn(out, count, tmp_path / "counted.py", words)

    return start


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


COUNTED = """
import time
from pathlib import Path
import jax, jax.numpy as jnp
from dljax import Learner, sweep
from dljax.host import experiment
from dljax.host.config import Common
from dljax.host.experiment import Study

COUNT = Learner(lambda key: jax.random.normal(key), lambda key, n: (n + 1, {"loss": n}))

def main(config):
    with Study("counted", ["S0"], config) as run:
        fitted = run.fit(sweep(lambda _: COUNT, None, run.seeds), config.steps, chunk=20)
        run.metric("loss", fitted.records[-1]["train/loss"])
        print("fitted", run.each(lambda n: n, fitted.run.state.run.state).shape, flush=True)
    return run.result

experiment.command_line("counted", main, {"quick": Common(seeds=3, steps=40)}, "Count.")
"""


def test_an_experiment_of_two_processes_is_that_of_one(spawn_counted, tmp_path):
    alone, both = tmp_path / "alone", tmp_path / "both"
    (said,) = ended(spawn_counted(alone, 1))
    first, second = ended(spawn_counted(both))
    assert "fitted (3,)" in said and "fitted (3,)" in first
    assert "fitted" not in second, "the first speaks for all"
    one, two = (json.loads((out / "result.json").read_text()) for out in (alone, both))
    assert one["fingerprint"] == two["fingerprint"] and one["metrics"] == two["metrics"]


def test_a_signal_to_any_stops_all_at_the_same_step(spawn_counted, tmp_path):
    out = tmp_path / "run"
    runs = spawn_counted(out, 2, "--steps", "1000000", "--checkpoint-every", "20")
    deadline = time.monotonic() + 120
    while not steps(out / "checkpoints"):
        assert time.monotonic() < deadline
        assert runs[1].poll() is None, [each.communicate()[0] for each in runs]
        time.sleep(0.01)
    runs[1].send_signal(signal.SIGTERM)
    said = [each.communicate(timeout=100)[0] for each in runs]
    assert [each.returncode for each in runs] == [128 + signal.SIGTERM] * 2, said
    stopped = {re.search(r"stopped at step (\d+) by SIGTERM; saved", each)[1] for each in said}
    assert len(stopped) == 1 and int(stopped.pop()) == max(steps(out / "checkpoints"))


def test_where_the_processes_meet_is_told_whole():
    with pytest.raises(InputError, match="--coordinator, --num-processes and --process-id belong"):
        Common(coordinator="localhost:1234", num_processes=2)
