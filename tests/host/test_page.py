"""The page of finished runs: what stands in it, and that it needs nothing else."""

import base64
import json
import re

import pytest

from dljax.errors import InputError
from dljax.host import page, use
from dljax.host.result import Result, summary, target

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def finished(folder, rate=0.1, steps=1000, **more):
    """A run's folder as an experiment leaves it."""
    config = {"seeds": 2, "seed": 3, "preset": "quick", "rate": rate, "net": "<b>cnn</b>"}
    result = Result("vision.classify", ["S24"], config | more, [3, 4])
    accuracy = result.metrics["test accuracy"] = summary([0.5, 0.75], "higher")
    result.metrics["<script>"] = summary([float("nan")], "lower")
    result.targets["test accuracy"] = target(accuracy, 0.9, "our goal")
    result.baselines["nearest & dearest"] = {"metric": "test accuracy", "mean": 0.875}
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "worst.png").write_bytes(PIXEL)
    result.write(folder)
    (folder / "part").mkdir()
    rows = [json.dumps({"step": s, "seconds": 1.5, "loss": [s, None]}) for s in range(1, steps + 1)]
    (folder / "metrics.jsonl").write_text("\n".join([*rows, '{"step": 1001, "lo']))
    (folder / "part" / "metrics.jsonl").write_text('{"step": 7, "loss": [1.0, 2.0]}\nnull\n')
    return folder


def written(tmp_path, *folders):
    return page.write(folders, tmp_path / "new" / "page.html").read_text()


def curves_in(text):
    (found,) = re.findall('id="curves" type="application/json">(.*?)</script>', text)
    return json.loads(found)


def test_a_run_is_all_in_one_file(tmp_path):
    text = written(tmp_path, finished(tmp_path / "run"))
    addresses = set(re.findall(r"https?://[^\"')]+|src=\"(?!data:)", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a kind of element
    (image,) = re.findall('data:image/png;base64,([^"]+)', text)
    assert base64.b64decode(image) == PIXEL
    for said in ("0.625 ± 0.1768", "goal 0.9 missed: our goal", "0.875", "not finite"):
        assert said in text
    assert "data-run" not in text  # nothing to choose from


def test_curves_stand_in_the_order_of_their_names(tmp_path):
    folder = finished(tmp_path / "run", steps=3)
    for name in "hbgfcaed":
        (folder / name).mkdir()
        (folder / name / "metrics.jsonl").write_text('{"step": 1, "loss": [1.0, 2.0]}\n')
    names = [chart["name"] for chart in curves_in(written(tmp_path, folder))["charts"]]
    assert names == [*(f"{each}: loss" for each in "abcdefgh"), "loss", "part: loss"]


def test_what_a_run_is_called_is_text(tmp_path):
    text = written(tmp_path, finished(tmp_path / "run", note="</script><script>alert(1)"))
    assert "<b>cnn" not in text and "&lt;b&gt;cnn" in text and "nearest &amp; dearest" in text
    assert text.count("<script") == 2 and "alert(1)</td>" in text


def test_curves_keep_their_last_point_and_skip_half_written_lines(tmp_path):
    found = curves_in(written(tmp_path, finished(tmp_path / "run")))
    loss, part = found["charts"]
    assert (loss["name"], part["name"]) == ("loss", "part: loss")
    (curve,) = loss["runs"]
    assert len(curve["steps"]) <= page.POINTS and curve["steps"][-1] == 1000
    assert all(values == [step, None] for step, values in zip(*curve.values(), strict=True))
    assert part["runs"] == [{"steps": [7], "values": [[1.0, 2.0]]}]


def test_runs_stand_side_by_side_what_differs_first(tmp_path):
    one, two = finished(tmp_path / "a" / "run"), finished(tmp_path / "b" / "run", rate=0.3, steps=5)
    text = written(tmp_path, one, two)
    marked = re.findall('<tr class="differs"><td>(.*?)</td>', text)
    assert marked == ["rate"] and text.index(">rate<") < text.index(">seeds<")
    assert [run["name"] for run in curves_in(text)["runs"]] == ["a/run", "b/run"]
    assert len({run["color"] for run in curves_in(text)["runs"]}) == 2
    assert text.count("data-run=") == 2 and text.count("<figure>") == 2


def test_the_command_makes_the_run_again(tmp_path):
    text = written(tmp_path, finished(tmp_path / "run", channels=[8, 16], baselines=False))
    (command,) = re.findall("<pre>(.*?)</pre>", text)
    assert command.startswith("python -m experiments.vision.classify --seeds 2 --seed 3 --rate 0.1")
    assert command.endswith("--channels 8 16 --no-baselines")


def test_the_command_line_writes_it(tmp_path, capsys):
    run = finished(tmp_path / "run")
    assert use.run(["report", str(run), str(run), "--to", str(tmp_path / "both.html")]) == 0
    assert f"report in {tmp_path / 'both.html'}" in capsys.readouterr().out
    assert len(curves_in((tmp_path / "both.html").read_text())["runs"]) == 2
    assert use.run(["report", str(tmp_path / "none")]) == 2
    assert "none is no folder" in capsys.readouterr().err


def test_what_is_no_finished_run_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere is no folder"):
        page.write([tmp_path / "nowhere"], tmp_path / "page.html")
    with pytest.raises(InputError, match="no run made it"):
        page.write([tmp_path], tmp_path / "page.html")
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InputError, match="its run is not finished"):
        page.write([tmp_path], tmp_path / "page.html")
    for damage in ("{", "[]", "{}"):
        (tmp_path / "result.json").write_text(damage)
        with pytest.raises(InputError, match=r"result\.json is damaged"):
            page.write([tmp_path], tmp_path / "page.html")
    run = finished(tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--to: cannot write"):
        page.write([run], tmp_path / "file" / "page.html")
    assert not (tmp_path / "page.html").exists()
