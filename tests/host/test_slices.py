"""A sweep cut into jobs: what died is run again by the same command, and all become one result."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dljax.host import slices, use
from dljax.host.folder import take_lock
from dljax.host.result import as_json, summary, target

ROOT = Path(__file__).parents[2]
TINY = """
import os
import time
from dataclasses import dataclass
from pathlib import Path
import jax.numpy as jnp
from dljax import Learner, sweep
from dljax.host import experiment
from dljax.host.config import Common
from dljax.host.experiment import Study

COUNT = Learner(lambda key: jnp.float32(0), lambda key, n: (n + 1, {"loss": n}))

@dataclass(frozen=True, kw_only=True)
class Config(Common):
    wide: bool = False

PRESETS = {"quick": Config(steps=2)}

def main(config):
    with Study("tiny", ["S0"], config) as run:
        run.fit(sweep(lambda _: COUNT, None, run.seeds), config.steps)
        while Path("slow").exists():
            Path(f"slow {config.seed}").touch()
            time.sleep(0.1)
        if config.seed == 5 and not Path("mended").exists():
            os._exit(9)
        run.metric("score", run.seeds, goal=(4.5, "ours"))
        run.metric("only here", run.seeds) if config.seed == 3 else None
        run.target("each", 1, "ours, every seed", config.seed == 5)
        run.baseline("plain", "score", config.seed)
        run.baseline("spread", "score", run.seeds)
    return run.result

if __name__ == "__main__":
    experiment.command_line("tiny", main, PRESETS, "")
"""


FOUR = "vision.classify --seeds 4 --jobs 2"
ASKED = "tiny --seeds 5 --seed 3 --jobs 2 --cluster local --at-once 2 --out all"


def until(there, process):
    while not there():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def test_slices_that_were_stopped_or_died_are_run_again_and_all_are_merged(tmp_path, cache):
    (tmp_path / "tiny.py").write_text(TINY)
    environment = os.environ | {
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
    }

    def start(*more):
        words = [sys.executable, "-m", "dljax", "sweep", *ASKED.split(), *more]
        return subprocess.Popen(
            words, cwd=tmp_path, env=environment, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    (tmp_path / "slow").touch()
    process = start()
    try:
        until(lambda: all((tmp_path / f"slow {seed}").exists() for seed in (3, 5)), process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does at Ctrl-C
        _, said = process.communicate(timeout=60)
    finally:
        (tmp_path / "slow").unlink()  # or jobs that were not stopped would wait for ever
    assert (process.returncode, said) == (130, "stopped: the same command goes on\n")

    process = start()
    out, said = process.communicate()
    assert process.returncode == 2 and "0 of 2 slices are done" in out
    assert said.startswith("error: 1 of 2 slices ended without a result: ")
    assert (tmp_path / "all/slices/0001.txt").read_text().count(" -m tiny ") == 2  # both are kept
    (tmp_path / "mended").touch()
    process = start()
    out, said = process.communicate()
    assert process.returncode == 0 and "1 of 2 slices are done" in out, said
    found = json.loads((tmp_path / "all" / "result.json").read_bytes())
    assert found["seeds"] == found["metrics"]["score"]["values"] == [3, 4, 5, 6, 7]
    assert found["metrics"].keys() == {"score"}
    assert found["targets"] == {
        "score": {"value": 4.5, "source": "ours", "met": True, "of": "mean"},
        "each": {"value": 1, "source": "ours, every seed", "met": False},
    }
    assert found["baselines"]["plain"]["mean"] == (2 * 3 + 3 * 5) / 5
    assert found["baselines"]["spread"]["values"] == [3, 4, 5, 6, 7]
    assert (found["config"]["seeds"], found["config"]["seed"]) == (5, 3)
    assert "all holds another sweep" in start("--wide").communicate()[1]


def of_slice(first, values, better="lower", **more):
    """A slice's result as it is read, of three seeds."""
    metric = summary(values, better)
    found = {
        "experiment": "tiny", "systems": [], "config": {}, "seeds": [first, first + 1, first + 2],
        "metrics": {"error": metric}, "baselines": {}, "targets": {}, "seconds": {},
        "fingerprint": "", "environment": {"commit": "a", "device": "cpu"},
    }  # fmt: skip
    return json.loads(as_json(found | more))


def test_a_goal_is_met_by_the_mean_or_else_by_every_slice():
    def both(*goals):
        found = [of_slice(3 * i, [i] * 3, targets={"error": goal}) for i, goal in enumerate(goals)]
        return slices.merge(found).targets["error"]["met"]

    mean = target(summary([0], "lower"), 0.5, "ours")
    each = {"value": 0.5, "source": "every seed"}
    assert both(mean, mean) is True  # though three seeds were too few to say so
    assert both(each | {"met": True}, each | {"met": False}) is False
    assert both(each | {"met": True}, each | {"met": True}) is True


def test_values_that_are_not_finite_are_merged_as_nan():
    merged = slices.merge([of_slice(0, [1, 2, np.nan]), of_slice(3, [1, 2, 3])])
    np.testing.assert_array_equal(merged.metrics["error"]["values"], [1, 2, np.nan, 1, 2, 3])
    assert "nan" in merged.table()


def test_a_metric_without_a_value_a_seed_is_left_out_and_said(capsys):
    merged = slices.merge([of_slice(0, [1, 2, 3]), of_slice(3, [1])])
    assert merged.metrics == {}
    assert "not one value a seed: error" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("commits", "says"),
    [(("a", "a"), "a"), (("a, b", "b"), "a, b"), ((None, "b"), "b"), ((None, None), None)],
)
def test_an_environment_tells_what_differs(commits, says):
    found = [
        of_slice(0, [1, 2, 3], environment={"commit": commit, "cpus": i, "devices": 1})
        for i, commit in enumerate(commits)
    ]
    assert slices.merge(found).environment == {"commit": says, "cpus": "0, 1", "devices": 1}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("vision.classif --seeds 4 --jobs 2", "vision.classif is no experiment"),
        ("vision.classify --seeds 4 --jobs 5", "--jobs must be at most the 4 seeds; got 5"),
        ("vision.classify --seeds 4 --jobs 2 --rate 0", "--rate must be above 0"),
        ("vision.classify --seeds 4 --jobs 2 --seed -1", "--seed must be at least 0; got -1"),
        ("vision.classify --seeds 4 --jobs 2 --at-once 0", "--at-once must be at least 1; got 0"),
        (f"{FOUR} --cluster slurm --slurm time", "--slurm must be NAME=VALUE; got time"),
        (f"{FOUR} --cluster slurm --slurm partition=gpu", "--slurm time=MINUTES is needed"),
        (
            f"{FOUR} --cluster local --slurm time=5",
            "--slurm time=5: the jobs are processes of this",
        ),
    ],
)
def test_mistakes_are_told_before_any_job_begins(tmp_path, capsys, words, says):
    assert use.run(["sweep", *words.split(), "--out", str(tmp_path / "all")]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "all").exists()


def test_what_submitit_refuses_is_one_line(tmp_path):
    words = f"-m dljax sweep {FOUR} --cluster slurm --slurm time=5 --out {tmp_path}/all".split()
    environment = os.environ | {"PATH": "", "JAX_PLATFORMS": "cpu"}  # no srun
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stderr.startswith("error: submitit: Could not detect")
    assert done.stderr.count("\n") == 1


def test_a_sweep_is_of_one_process(tmp_path, capsys):
    lock = take_lock(tmp_path, slices.LOCK)
    assert use.run(["sweep", *FOUR.split(), "--cluster", "local", "--out", str(tmp_path)]) == 2
    os.close(lock)
    assert "is in use by process" in capsys.readouterr().err


def test_damaged_files(tmp_path, capsys):
    (tmp_path / slices.OURS).write_text("{")
    assert use.run(["sweep", *FOUR.split(), "--cluster", "local", "--out", str(tmp_path)]) == 2
    assert f"{tmp_path / slices.OURS} is damaged; a sweep of" in capsys.readouterr().err
    (tmp_path / "result.json").write_text('{"metrics"')
    assert slices.read(tmp_path) is None


SAVES = """
import signal, sys, time, pathlib
signal.signal(signal.SIGTERM, lambda *_: (print("saved"), sys.exit(3)))
pathlib.Path("begun").touch()
for _ in range(600):
    time.sleep(0.1)
"""


def test_a_job_that_is_to_end_lets_its_run_save(tmp_path):
    (tmp_path / "saves.py").write_text(SAVES)
    ours = (
        "import sys; from dljax.host import slices; sys.exit(slices.run_slice(sys.argv[1:], None))"
    )
    words = [sys.executable, "-c", ours, "saves", "--out", "slices/0000"]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    process = subprocess.Popen(words, cwd=tmp_path, env=environment)
    until((tmp_path / "begun").exists, process)
    process.send_signal(signal.SIGUSR2)
    assert process.wait(30) == 3
    assert (tmp_path / "slices/0000.txt").read_text().endswith("saved\n")


def test_ctrl_c_while_jobs_are_submitted_is_ours_afterwards():
    with pytest.raises(KeyboardInterrupt), slices.held():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        os.kill(os.getpid(), signal.SIGINT)
        within = True
    assert within
    child.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.5)
    child.kill()
    child.wait()


def test_jobs_are_as_even_as_may_be():
    assert slices.cut(10, 7, 3) == [(10, 2), (12, 2), (14, 3)]
    assert slices.cut(0, 1024, 16) == [(64 * i, 64) for i in range(16)]
