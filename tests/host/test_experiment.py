"""The command line as a user meets it: help, bad input in one line, results, folders."""

import io
import json
import platform
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError, Learner, sweep
from dljax.host import experiment
from dljax.host.config import Common, one_line, parse, require
from dljax.host.experiment import Study, command_line
from dljax.host.finite import Diverged
from dljax.host.folder import compare
from dljax.host.result import fingerprint, summary, target
from experiments.vision import classify

NOT_DRAWN = experiment.not_drawn  # as users have it; conftest.py makes it raise
TINY = ["--steps", "4", "--seeds", "2", "--hidden", "8", "--channels", "2", "--quiet"]


def run(monkeypatch, capsys, *words, module=classify):
    """Exit status, stdout and stderr of the experiment's command line."""
    monkeypatch.setattr(sys, "argv", ["classify", *map(str, words)])
    status = 0
    try:
        command_line(f"experiments.{module.NAME}", module.main, module.PRESETS, "")
    except SystemExit as end:
        status = end.code
    return status, *capsys.readouterr()


BAD = {
    "--seeds 0": "--seeds must be at least 1; got 0",
    "--steps -5": "--steps must be at least 1; got -5",
    "--batch 0": "--batch must be at least 1; got 0",
    "--batch 2000": "batch must be from 1 to the 1257 training examples; got 2000",
    "--rate 0": "--rate must be above 0; got 0.0",
    "--rate nan": "--rate must be a finite number of 32 bits; got nan",
    "--rate inf": "--rate must be a finite number of 32 bits; got inf",
    "--rate fast": "could not convert string to float: 'fast'; accepted: --rate FLOAT",
    "--dropout 1": "--dropout must be at least 0 and below 1; got 1.0",
    "--smoothing 1.5": "--smoothing must be at least 0 and below 1; got 1.5",
    "--optimizer adamm": "unknown --optimizer 'adamm'; did you mean adam or adagrad?",
    "--schedule cosin": "unknown --schedule 'cosin'; did you mean cosine",
    "--data digitss": "unknown data set 'digitss'; did you mean digits?",
    "--data nowhere.npz": "nowhere.npz",
    "--net cn": "unknown --net 'cn'; did you mean cnn?",
    "--dtype float16": "unknown --dtype 'float16'; did you mean",
    "--preset quik": "unknown --preset 'quik'; did you mean quick?",
    "--step 5": "Unrecognized options: --step, 5",
    "--resume": "--resume needs --out",
    "--seeds 3000000000": "--seeds must be an integer of 32 bits; got 3000000000",
    "--seed 2147483647": "--seed and --seeds: the last seed must be below 2^31; got 2147483651",
    "--steps 2147483648": "--steps must be an integer of 32 bits; got 2147483648",
    f"--out {'x' * 300}": "xxx: File name too long",
    "--seed -1": "--seed must be at least 0; got -1",
    "--checkpoint-every 0": "--checkpoint-every must be at least 1; got 0",
    "--patience 0": "--patience must be at least 1; got 0",
    "--shift -1": "--shift must be at least 0; got -1",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_flags_end_in_one_line_and_status_2(monkeypatch, capsys, tmp_path, words):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(monkeypatch, capsys, *words.split())
    assert status == 2
    assert BAD[words] in err
    assert err.count("\n") == 1
    assert "Traceback" not in err + out
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One tiny run by the command line, whose folder the tests below read."""
    out = tmp_path_factory.mktemp("run") / "digits"
    config = parse(classify.PRESETS, [*TINY, "--out", str(out)], "x", "")
    return out, classify.main(config)


def test_a_run_leaves_what_the_design_says(finished):
    out, result = finished
    found = json.loads((out / "result.json").read_text())
    assert set(found) == {
        "experiment", "systems", "config", "seeds", "metrics", "baselines", "targets",
        "seconds", "fingerprint", "environment",
    }  # fmt: skip
    accuracy = found["metrics"]["test accuracy"]
    assert set(accuracy) == {"mean", "sd", "values", "better"}
    assert accuracy["mean"] == pytest.approx(np.mean(accuracy["values"]))
    assert accuracy["sd"] == pytest.approx(np.std(accuracy["values"], ddof=1))
    assert found["seeds"] == [0, 1]
    assert 0.9 < found["baselines"]["logistic regression"]["mean"] < 1
    assert found["targets"]["test accuracy"]["met"] is False
    assert set(found["seconds"]) == {"compile", "train", "total"}
    assert len(found["fingerprint"]) == 64
    assert found["environment"]["jax"] == jax.__version__
    assert found["environment"]["python"] == platform.python_version()
    assert found["config"]["steps"] == 4
    figures = {path.name for path in (out / "figures").iterdir()}
    assert figures == {
        f"{n}.png" for n in ("curves", "confusion", "reliability", "worst", "filters")
    }
    assert (out / "metrics.jsonl").read_text().count("\n") == 1
    assert "logistic regression" in result.table()


def test_a_finished_run_resumes_to_the_same_fingerprint(monkeypatch, capsys, finished):
    out, result = finished
    status, _, err = run(monkeypatch, capsys, *TINY, "--out", out, "--resume")
    assert (status, err) == (0, "")
    assert json.loads((out / "result.json").read_text())["fingerprint"] == result.fingerprint


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_more_steps_go_on_from_a_finished_run(monkeypatch, capsys, tmp_path, schedule):
    words = [*TINY, "--net", "mlp", "--no-baselines", "--schedule", schedule]
    for name, steps in (("whole", "6"), ("longer", "4")):
        assert run(monkeypatch, capsys, *words, "--steps", steps, "--out", tmp_path / name)[0] == 0
    words += ["--steps", "6", "--out", tmp_path / "longer", "--resume"]
    status, out, err = run(monkeypatch, capsys, *words)
    assert (status, err) == (0, "")
    assert ("made for 4 steps" in out) == (schedule == "cosine")
    found = [json.loads((tmp_path / n / "result.json").read_text()) for n in ("whole", "longer")]
    assert (found[0]["fingerprint"] == found[1]["fingerprint"]) == (schedule == "constant")
    assert json.loads((tmp_path / "longer" / "run.json").read_text())["config"]["steps"] == 6
    status, _, err = run(monkeypatch, capsys, *words, "--steps", "5")
    assert status == 2
    assert "is at step 6, beyond the 5 steps asked for" in err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ([], "holds a run already; add --resume"),
        (["--resume", "--rate", "0.5"], "rate was 0.002, now 0.5"),
        (["--resume", "--seeds", "3", "--batch", "32"], "batch was 64, now 32; seeds was 2, now 3"),
    ],
)
def test_a_folder_is_not_taken_for_another_run(monkeypatch, capsys, finished, more, says):
    status, _, err = run(monkeypatch, capsys, *TINY, "--out", finished[0], *more)
    assert status == 2
    assert says in err


def test_a_folder_of_another_experiment_is_refused(finished):
    with pytest.raises(InputError, match=r"holds vision.classify, not vision.other"):
        Study("vision.other", [], Common(out=finished[0], resume=True))


def test_resuming_nothing_and_writing_nowhere_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        Study("x", [], Common(out=tmp_path / "none", resume=True))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not an empty folder"):
        Study("x", [], Common(out=tmp_path / "file"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("")
    with pytest.raises(InputError, match="not an empty folder"):
        Study("x", [], Common(out=tmp_path / "full"))
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "run.json.7.partial").write_text("")  # by a run that died at once
    assert Study("x", [], Common(out=tmp_path / "left")).out.is_dir()
    with pytest.raises(InputError, match="cannot write"):
        Study("x", [], Common(out=tmp_path / "file" / "below")).out  # noqa: B018


def test_a_figure_that_fails_costs_itself_and_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "not_drawn", NOT_DRAWN)

    def good(path, text):
        path.write_text(text)

    def bad(path):
        raise ValueError("a color\nthat is none")

    with Study("x", ["S1"], Common(out=tmp_path / "run")) as run:
        run.figure("bad.png", bad)
        run.figure("good.png", good, "drawn")
        run.metric("error", [1.0, 2.0], "lower", goal=(3.0, "ours"))
        assert not (tmp_path / "run").exists(), "made when first needed"
    found = json.loads((tmp_path / "run" / "result.json").read_text())
    assert found["metrics"]["error"]["mean"] == 1.5
    assert found["targets"]["error"]["met"] is False, "two seeds are too few"
    assert (tmp_path / "run" / "figures" / "good.png").read_text() == "drawn"
    out, err = capsys.readouterr()
    assert err == "figure bad.png was not drawn: a color that is none\n"
    assert out == f"run in {tmp_path / 'run'}\n"


def test_a_stop_after_the_last_step_says_how_to_go_on(monkeypatch, capsys, tmp_path):
    def stop(data):
        raise KeyboardInterrupt

    monkeypatch.setattr(classify, "logistic_regression", stop)
    status, _, err = run(monkeypatch, capsys, *TINY, "--out", tmp_path)
    assert status == 130
    assert err.startswith("stopped at step 4 by SIGINT; saved. Resume with:\n")
    assert err.endswith(f"--out {tmp_path} --resume\n")


def test_what_fails_in_a_study_leaves_no_result(tmp_path):
    with pytest.raises(ZeroDivisionError), Study("x", [], Common(out=tmp_path / "run")) as run:
        run.metric("x", [1 / 0])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("seeds", "values", "met"),
    [(5, 5, True), (5, 6, True), (1, 6, False), (5, 4, False)],
)
def test_a_gain_needs_enough_seeds_and_values(tmp_path, seeds, values, met):
    run = Study("foundations.x", [], Common(out=tmp_path, seeds=seeds))
    run.gain("gain", 1 + 0.01 * np.arange(values), "two standard errors", seeds=5, of="x")
    assert run.result.targets["gain"]["met"] == met and run.result.metrics["gain"]["of"] == "x"
    run.gain("gain", np.arange(values) - values / 2, "two standard errors", seeds=5)
    assert not run.result.targets["gain"]["met"]


def test_seeds_do_not_depend_on_their_company(tmp_path, finished):
    config = parse(classify.PRESETS, [*TINY, "--seeds", "1", "--seed", "1"], "x", "")
    alone = classify.main(parse(classify.PRESETS, [*TINY, "--seeds", "1", "--seed", "1",
        "--no-baselines", "--out", str(tmp_path / "alone")], "x", ""))  # fmt: skip
    assert config.seeds == 1
    assert not alone.baselines
    both = finished[1].metrics["test loss"]["values"][1]
    assert alone.metrics["test loss"]["values"][0] == pytest.approx(both, rel=1e-4)


def test_a_users_own_table_is_learnt_by_an_mlp(monkeypatch, capsys, tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    x = (rng.normal(size=(200, 3)) + 4 * y[:, None] - 2).astype(np.float32)
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    words = ["--data", tmp_path / "mine.npz", "--seeds", "2", "--steps", "60", "--batch", "32"]
    status, _, err = run(monkeypatch, capsys, *words, "--net", "cnn", "--out", tmp_path / "a")
    assert status == 2
    assert "use --net mlp" in err
    words += ["--hidden", "8", "--rate", "0.02", "--out", tmp_path / "b"]
    status, out, err = run(monkeypatch, capsys, *words)
    assert (status, err) == (0, "")
    found = json.loads((tmp_path / "b" / "result.json").read_text())
    assert found["metrics"]["test accuracy"]["mean"] > 0.97 and found["config"]["net"] == "mlp"
    assert "steps/s" in out


def test_a_terminal_that_lacks_a_sign_is_no_reason_to_stop(monkeypatch):
    screens = [io.TextIOWrapper(io.BytesIO(), encoding="ascii") for _ in range(2)]
    for name, screen in zip(("stdout", "stderr"), screens, strict=True):
        monkeypatch.setattr(sys, name, screen)
    monkeypatch.setattr(sys, "argv", ["x"])

    def main(config):
        print("accuracy 98.9 ± 0.1 %")
        raise InputError("“5”")

    with pytest.raises(SystemExit) as end:
        command_line("x", main, {"quick": Common()}, "")
    said = [screen.buffer.getvalue().decode() for screen in screens if not screen.flush()]
    assert end.value.code == 2
    assert said == ["accuracy 98.9 ? 0.1 %\n", "error: ?5?\n"]


def test_what_diverges_is_called_by_its_part_setting_and_seed(tmp_path):
    def make(bad):
        return Learner(lambda key: bad, lambda key, bad: (bad, {"loss": 0 / bad}))

    with Study("x", [], Common(out=tmp_path, seeds=2, seed=7, quiet=True)) as run:
        learner = sweep(make, jnp.array([1.0, 1, 1, 0]), jnp.array([7, 8] * 2))
        names = run.named(["rate 1", "rate 2"])
        with pytest.raises(Diverged, match=r"^loss is nan at step 1 for deep, rate 2, seed 8$"):
            run.fit(learner, 2, part="deep", names=names)


def test_presets_are_starting_points():
    standard = parse(classify.PRESETS, ["--preset=standard", "--epochs", "3"], "x", "")
    assert (standard.preset, standard.epochs, standard.batch) == ("standard", 3, 128)
    assert parse(classify.PRESETS, [], "x", "").preset == "quick"


def test_programs_are_listed_with_their_first_line(tmp_path):
    (tmp_path / "floor").mkdir()
    (tmp_path / "floor" / "one.py").write_text('"""What it is.\n\nMore."""\n\ndef main(): ...\n')
    (tmp_path / "floor" / "two.py").write_text("def main(): ...\n")
    (tmp_path / "floor" / "none.py").write_text("def helper(): ...\n")
    found = experiment.programs(tmp_path, "*/*.py")
    assert found == {"floor.one": "What it is.", "floor.two": ""}


def test_help_is_help(capsys):
    with pytest.raises(SystemExit) as end:
        parse(classify.PRESETS, ["--help"], "python -m experiments.vision.classify", "What it is.")
    assert not end.value.code
    text = capsys.readouterr().out
    assert "What it is." in text
    assert "Independent runs, trained in one compiled program." in text


LONG_HELP = """
import experiments.vision.classify as c
from dljax.host.experiment import command_line
command_line("x", c.main, c.PRESETS, "word " * 100_000)
"""
USE = "from dljax.host import use; use.main = print; use.run(['all there is'])"


@pytest.mark.parametrize(
    ("words", "read"),
    [
        (["-c", LONG_HELP, "--help"], 5),
        (["-m", "experiments"], 0),
        (["-m", "benchmarks"], 0),
        (["-c", USE], 0),
    ],
    ids=["help", "experiments", "benchmarks", "use"],
)
def test_whoever_reads_may_have_enough(words, read):
    """`| head` is no error, whether it ends in the middle or before what is short was written."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, *words], stdout=pipe, stderr=pipe) as process:
        assert process.stdout and process.stderr and len(process.stdout.read(read)) == read
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 128 + signal.SIGPIPE


def test_small_things():
    assert summary([1, 3], "lower") == {
        "mean": 2,
        "sd": 2**0.5,
        "values": [1, 3],
        "better": "lower",
    }
    five = summary([1] * 5, "higher")
    assert target(five, 0.9, "x")["met"]
    assert not target(summary([1] * 4, "higher"), 0.9, "x")["met"], "too few seeds"
    assert not target(summary([1] * 5, "lower"), 0.9, "x")["met"]
    a, b = np.float32([1, 2]), np.float32([1, 3])
    assert fingerprint([a]) == fingerprint([a.copy()]) != fingerprint([b])
    assert fingerprint([jax.random.key(0)]) != fingerprint([jax.random.key(1)])
    with pytest.raises(InputError, match="--x must be at least 0; got nan"):
        require("--x", float("nan"), at_least=0)
    assert one_line("") == ""
    compare(Path("x"), {"experiment": "a", "config": {}}, {"experiment": "a", "config": {}}, True)
