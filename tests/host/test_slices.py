"""A sweep cut into jobs: what died is run again by the same command, and all become one result."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dljax.host import slices, use

ROOT = Path(__file__).parents[2]
TINY = """
import os
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
        if config.seed == 5 and not Path("mended").exists():
            os._exit(9)
        run.metric("score", run.seeds, goal=(4.5, "ours"))
        run.metric("only here", run.seeds) if config.seed == 3 else None
        run.baseline("plain", "score", config.seed)
    return run.result

if __name__ == "__main__":
    experiment.command_line("tiny", main, PRESETS, "")
"""


ASKED = "tiny --seeds 5 --seed 3 --jobs 2 --cluster local --at-once 2 --out all"


def test_a_slice_that_died_is_run_again_and_all_are_merged(tmp_path, cache):
    (tmp_path / "tiny.py").write_text(TINY)
    environment = os.environ | {
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
    }

    def run(*more):
        words = [sys.executable, "-m", "dljax", "sweep", *ASKED.split(), *more]
        return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)

    done = run()
    assert done.returncode == 2 and "0 of 2 slices are done" in done.stdout
    assert done.stderr.startswith("error: 1 of 2 slices ended without a result: ")
    (tmp_path / "mended").touch()
    done = run()
    assert done.returncode == 0 and "1 of 2 slices are done" in done.stdout, done.stderr
    found = json.loads((tmp_path / "all" / "result.json").read_bytes())
    assert found["seeds"] == found["metrics"]["score"]["values"] == [3, 4, 5, 6, 7]
    assert found["metrics"].keys() == {"score"}
    assert found["targets"]["score"] == {"value": 4.5, "source": "ours", "met": True}
    assert found["baselines"]["plain"]["mean"] == 4  # of 3 and 5
    assert (found["config"]["seeds"], found["config"]["seed"]) == (5, 3)
    assert "all holds another sweep" in run("--wide").stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("vision.classif --seeds 4 --jobs 2", "vision.classif is no experiment"),
        ("vision.classify --seeds 4 --jobs 5", "--jobs must be at most the 4 seeds; got 5"),
        ("vision.classify --seeds 4 --jobs 2 --rate 0", "--rate must be above 0"),
    ],
)
def test_mistakes_are_told_before_any_job_begins(tmp_path, capsys, words, says):
    assert use.run(["sweep", *words.split(), "--out", str(tmp_path / "all")]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "all").exists()


def test_jobs_are_as_even_as_may_be():
    assert slices.cut(10, 7, 3) == [(10, 2), (12, 2), (14, 3)]
    assert slices.cut(0, 1024, 16) == [(64 * i, 64) for i in range(16)]
