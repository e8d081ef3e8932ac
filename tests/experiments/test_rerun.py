import subprocess
import sys

import pytest

from experiments import rerun


def result(values, seeds=3, **more):
    metrics = {"accuracy": {"mean": sum(values) / len(values), "sd": 0.01, "values": values}}
    return {"metrics": metrics, "seeds": list(range(seeds)), "seconds": {}} | more


def test_what_moved_is_named_with_both_numbers():
    before = result([0.5, 0.6, 0.7])
    assert [*rerun.moved(before, result([0.5, 0.6, 0.7 + 1e-7]))] == []
    assert [*rerun.moved(before, result([0.5, 0.6, 0.8]))] == [
        "accuracy: 0.6333, was 0.6 (sd 0.01)"
    ]
    other = result([1.0]) | {"metrics": {"loss": {"mean": 1.0, "sd": 0.0, "values": [1.0]}}}
    assert [*rerun.moved(before, other)] == ["accuracy: gone", "loss: new, 1"]


def test_of_fewer_seeds_the_first_is_compared_with_its_own():
    assert [*rerun.moved(result([0.5, 0.6, 0.7]), result([0.5], seeds=1))] == []
    assert [*rerun.moved(result([0.5, 0.6, 0.7]), result([0.6], seeds=1))]


def test_what_is_not_finite_is_the_same_as_itself_alone():
    assert rerun.same(None, None) and not rerun.same(None, 1.0)


@pytest.mark.parametrize("seconds, told", [({"total": 5.0, "train": 4.0}, 5), ({"train": 4.0}, 4)])
def test_seconds_are_of_the_whole_where_that_is_known(seconds, told):
    assert rerun.taken({"seconds": seconds}) == told


def test_a_result_runs_again_by_its_own_command_and_is_kept_where_asked(tmp_path):
    command = [sys.executable, "-m", "experiments.rerun", "frontiers/limits"]
    keep = ["--keep", str(tmp_path)]
    done = subprocess.run([*command, *keep], cwd=rerun.ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("frontiers/limits, ") and "failed" not in done.stdout
    assert (tmp_path / "frontiers/limits/result.json").is_file()
    refused = subprocess.run([*command, "--write", "--seeds", "1"], capture_output=True, text=True)
    assert refused.returncode == 2 and "without --seeds" in refused.stderr
