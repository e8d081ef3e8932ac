"""The benchmarks' harness on functions whose cost is known, and its command line."""

import json
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import accelerator
from benchmarks.measure import compiled, interleaved, matmul_peak, quartiles, row, training
from dljax import InputError, Learner, sweep


def test_rounds_are_interleaved_and_warmups_do_not_count():
    calls = []
    times = interleaved(
        {"a": lambda: calls.append("a"), "b": lambda: (calls.append("b"), time.sleep(0.02))[0]}, 3
    )
    assert calls == ["a", "b"] * 4
    assert times["a"]["median_ms"] < 20 <= times["b"]["q1_ms"] <= times["b"]["median_ms"]


def test_quartiles_are_in_milliseconds():
    assert quartiles([0.001, 0.002, 0.003, 0.004, 0.005]) == {
        "median_ms": 3.0,
        "q1_ms": 2.0,
        "q3_ms": 4.0,
    }


def test_a_row_compares_with_the_fastest_peer_and_with_the_peak():
    times = {
        name: {"median_ms": value, "q1_ms": value, "q3_ms": value}
        for name, value in (("us", 2.0), ("slow", 9.0), ("fast", 3.0))
    }
    made = row("work", times, ours="us", gflop=0.1, peak=200.0, compile_ms=5.0)
    assert made["ratio"] == 1.5
    assert made["peak_share"] == 0.25
    assert set(made["peers"]) == {"slow", "fast"}
    assert made["compile_ms"] == 5.0


def test_compilation_is_apart_and_static_arguments_are_dropped():
    power = jax.jit(lambda x, n: x**n, static_argnums=1)
    executable, times = compiled(power, jnp.full(3, 2.0), 3, static=(1,))
    np.testing.assert_array_equal(executable(jnp.full(3, 3.0)), np.full(3, 27.0))
    assert times["compile_ms"] > 0 < times["first_ms"]


def test_the_peak_is_a_rate():
    assert 0 < matmul_peak((64,), 2) < 1e7


def test_a_benchmark_is_listed_run_and_written(tmp_path, monkeypatch):
    (tmp_path / "trivial.py").write_text(
        '"""A trivial one."""\n\nfrom benchmarks.measure import interleaved, row\n\n\n'
        "def main(peak):\n"
        '    made = row("nothing", interleaved({"ours": int, "peer": int}, 2), ours="ours")\n'
        '    return [made, made | {"ratio": float("nan")}]\n'
    )
    monkeypatch.setattr(command, "HERE", tmp_path)
    monkeypatch.setattr(command, "matmul_peak", lambda: 100.0)
    monkeypatch.setattr("benchmarks.__path__", [str(tmp_path)])
    assert command.listed() == {"trivial": "A trivial one."}
    found = command.run("trivial", tmp_path / "results")
    suffix = "-gpu" if jax.default_backend() == "gpu" else ""
    written = json.loads((tmp_path / "results" / f"trivial{suffix}.json").read_text())
    assert written["rows"][0] == json.loads(json.dumps(found["rows"][0]))
    assert written["rows"][1]["ratio"] is None  # NaN is not JSON
    assert set(written) == {*found, "not finite"}
    assert set(found) == {"benchmark", "rows", "matmul_peak_gflops", "environment"}
    assert written["rows"][0]["matmul_peak_gflops"] == 100 and written["rows"][0]["cores"] >= 1
    assert "nothing" in command.table(found) and "peer" in command.table(found)


def test_training_goes_on_from_call_to_call_and_says_its_devices():
    doubling = Learner(lambda key: jnp.ones(()), lambda key, x: (2 * x, {"x": x}))
    more, used = training(sweep(lambda _: doubling, None, range(3)), 2)
    np.testing.assert_array_equal(more()["x"][-1], [2, 2, 2])
    np.testing.assert_array_equal(more()["x"][-1], [8, 8, 8])
    assert used == jax.local_device_count()


def test_a_part_of_the_accelerators_work_says_how_it_ended(capfd):
    assert accelerator.attempt(["platform"], {}, 60) == ""
    assert accelerator.attempt(["no.such.module"], {}, 60) == "status 1"
    assert accelerator.attempt(["timeit", "-n1", "-r1", "import time; time.sleep(9)"], {}, 1) == (
        "stopped at its limit of 1 s"
    )


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match="unknown benchmark 'swep'; did you mean sweep"):
        command.run("swep")


def test_the_control_benchmark_spreads_our_seeds_over_all_devices(python):
    program = """if True:
        from benchmarks import control
        mine = control.Ours("ppo", 3)
        run = mine.train(mine.start(0), 500)
        assert len(run.state.run.step.sharding.device_set) == mine.devices
        print(mine.devices, *mine.returned(run, 0))
    """
    done = [python("-c", program, devices=count) for count in (1, 2)]
    assert [each.returncode for each in done] == [0, 0], done
    (alone, *one), (spread, *two) = ([float(word) for word in d.stdout.split()] for d in done)
    assert (alone, spread) == (1, 2)
    assert len(one) == len(two) == 3  # a return a seed, without the copy that fills up
    np.testing.assert_allclose(two, one, rtol=0.1)


def test_the_command_line_lists_and_refuses(python):
    listed = python("-m", "benchmarks")
    assert listed.returncode == 0
    assert any(line.startswith("sweep ") for line in listed.stdout.splitlines())
    for words in (["swep"], ["sweep", "more"]):
        refused = python("-m", "benchmarks", *words)
        assert refused.returncode == 2
        assert refused.stderr.startswith("error: ") and refused.stderr.count("\n") == 1
