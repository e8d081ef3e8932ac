"""What a model is asked: of arrays, text, pasts, frames and numbers."""

import csv

import jax
import numpy as np
import pandas as pd
import pytest

from dljax import InputError
from dljax.data.frames import Column
from dljax.data.text import Vocabulary
from dljax.host import use
from dljax.host.config import Common
from dljax.host.experiment import Study
from dljax.host.function import Function, Input
from dljax.host.model import fitting, load


def test_values_choices_and_several_models(tmp_path, capsys):
    """A model of two inputs whose answers are averaged, and one whose answers are not."""
    scale = {"w": np.float32([1, 3])}
    two = (Input((), name="a"), Input((2,), "int32", name="b"))
    add = Function(lambda w, a, b: a[:, None] * w["w"] + b, two, names=("left", "right"))
    pick = Function(lambda w, a: (a * w["w"]).astype(int), (Input((), name="a"),), "choices")
    with Study("x", [], Common(out=tmp_path / "run", seeds=2)) as run:
        run.model(scale, {"add": add, "pick": pick}, part="sum", names=["thin", "thick"])
        run.model(scale, {"pick": pick}, part="other")
    with pytest.raises(InputError, match=r"holds the models other, sum; name one: .*/model/other"):
        load(tmp_path / "run")
    model = load(tmp_path / "run" / "model" / "sum")
    a, b = np.float32([1, 2]), np.int64([[0, 1], [2, 3]])
    answer = model.predict(a, b)
    np.testing.assert_allclose(answer.mean, [[2, 3], [6, 7]])
    np.testing.assert_allclose(answer.sd, np.sqrt([[2, 2], [8, 8]]), rtol=1e-6)
    found = model.ask("pick", a)
    assert (found.mean, found.sd) == (None, None)
    np.testing.assert_array_equal(found.each, [[1, 2], [3, 6]])
    with pytest.raises(InputError, match=r"add takes a float32 \[n\], b int32 \[n, 2\]; got 1"):
        model.predict(a)
    with pytest.raises(InputError, match=r"b must be integers, int32 \[n, 2\]; got float64"):
        model.predict(a, b / 2)
    np.savez(tmp_path / "in.npz", a=a, b=b)
    words = [str(model.folder), str(tmp_path / "in.npz"), "--out", str(tmp_path / "o.csv")]
    assert use.run(["predict", *words]) == 0
    head = (tmp_path / "o.csv").read_text().splitlines()[0]
    assert head == "file,row,left,left sd,right,right sd"
    assert use.run(["predict", *words, "--function", "pick"]) == 0
    assert (tmp_path / "o.csv").read_text().splitlines()[2].endswith(",1,2,6")


def test_what_is_asked_by_number_is_said_so():
    def asked(name):
        return Function(lambda w, n: n, (Input((), "int32", name),)).asked

    assert asked("seed") == "1 2 3 --out new.npz"
    assert asked("paper") == "1 2 3 --out predictions.csv"


def test_text_is_read_a_line_each_by_the_words_that_were_learnt(tmp_path, capsys):
    reader = Vocabulary(("<pad>", "<unk>", "good", "not"))
    read = (Input((3,), "int32", "text", reader=reader),)
    count = Function(
        lambda w, x: w["w"][None] * jax.nn.one_hot(x, 4).sum(1), read, "scores",
        ("none", "unknown", "good", "not"),
    )  # fmt: skip
    with Study("x", [], Common(out=tmp_path / "run", seeds=1)) as run:
        run.model({"w": np.ones((1, 4), np.float32)}, {"predict": count})
    model = load(tmp_path / "run")
    assert "predict " in capsys.readouterr().out
    expected = [[1, 0, 1, 1], [0, 1, 2, 0]]
    mean = model.predict(["not good", "good good odd not"]).mean
    np.testing.assert_array_equal(mean, np.array(expected))
    said = "not learnt, so as the unknown word: word odd\nread up to 3 words: 1 of 2 texts\n"
    assert capsys.readouterr().err == said
    column = pd.Series(["not good", "good good odd not"], dtype=object)
    np.testing.assert_array_equal(model.predict(column).mean, mean)
    (tmp_path / "new.txt").write_text("not good\n\ngood good odd not\n")
    line = ["predict", str(tmp_path / "run"), str(tmp_path / "new.txt"), "--out"]
    assert use.run([*line, str(tmp_path / "o.csv")]) == 0
    rows = [*csv.DictReader((tmp_path / "o.csv").read_text().splitlines())]
    assert [row["row"] for row in rows] == ["1", "3"]
    assert [[int(row[k]) for k in count.names] for row in rows] == expected
    capsys.readouterr()
    for name, content, said in (
        ("empty.txt", "\n\n", "holds blank lines alone"),
        ("rows.csv", "a,b\n1,2\n", "the model reads text files, a line each"),
    ):
        (tmp_path / name).write_text(content)
        assert use.run(["predict", line[1], str(tmp_path / name), "--out", "o.csv"]) == 2
        assert said in capsys.readouterr().err


def test_a_past_is_the_last_rows_of_a_table(tmp_path, capsys):
    read = Input((2, 2), name="past", columns=(Column("b"), Column("a")))
    clock = Input((), name="years")
    told = Function(lambda w, x, t: w["w"] * x.sum(1) + t[:, None], (read, clock), names=("b", "a"))
    with Study("x", [], Common(out=tmp_path / "run", seeds=1)) as run:
        run.model({"w": np.ones(1, np.float32)}, {"predict": told})
    model, path, out = load(tmp_path / "run"), tmp_path / "past.csv", tmp_path / "o.csv"
    path.write_text("day,a,b\n1970-01-01,7,9\n1970-01-02,1,2\n1970-01-03,3,5\n")
    line = ["predict", str(tmp_path / "run"), str(path), "--out", str(out)]
    assert use.run(line) == 0
    (row,) = csv.DictReader(out.read_text().splitlines())
    year = 2 / 365.25
    assert [float(row[k]) for k in "ba"] == pytest.approx([7 + year, 4 + year], rel=1e-5)
    found = model.predict(pd.read_csv(path), [year]).mean
    assert found[0].tolist() == pytest.approx([7 + year, 4 + year], rel=1e-5)
    capsys.readouterr()
    for text, said in (
        ("day,a\n1970-01-01,7\n1970-01-02,7\n", "has no column 'b', which the model needs"),
        ("a,b\n1,7\n1,7\n", "the model needs times in the first column"),
        ("day,a,b\n1970-01-01,7,1\n", "at least two rows"),
    ):
        path.write_text(text)
        assert use.run(line) == 2
        err = capsys.readouterr().err
        assert said in err and err.count("\n") == 1


def test_what_asks_for_seeds_is_given_numbers(tmp_path, capsys):
    draw = Function(lambda w, seed: w["w"][None] * seed[:, None], (Input((), "int32", "seed"),))
    with Study("x", [], Common(out=tmp_path / "run", seeds=2)) as run:
        run.model({"w": np.float32([[1, 2], [3, 4]])}, {"sample": draw})
    out = tmp_path / "drawn.csv"
    assert use.run(["predict", str(tmp_path / "run"), "5", "7", "--out", str(out)]) == 0
    assert out.read_text().splitlines()[2].startswith("7,0,14,")
    for seed in ("3000000000", "9" * 30):
        assert use.run(["predict", str(tmp_path / "run"), seed, "--out", str(out)]) == 2
        assert "seed must be int32 [n]" in capsys.readouterr().err


def test_numbers_that_name_things_are_of_those_that_there_are():
    read = Input((), "int32", "paper", below=3)
    np.testing.assert_array_equal(fitting([0, 2], read), [0, 2])
    for number in (3, -1):
        with pytest.raises(InputError, match=f"paper must be from 0 to 2; got {number}"):
            fitting([1, number], read)


def test_a_frame_is_rows_or_one_past():
    frame = pd.DataFrame({"a": [1.0, 2, 3], "b": [4.0, 5, 6]})
    columns = (Column("b"), Column("a"))
    rows = fitting(frame, Input((2,), columns=columns))
    np.testing.assert_array_equal(rows, [[4, 1], [5, 2], [6, 3]])
    np.testing.assert_array_equal(fitting(frame, Input((2, 2), columns=columns)), [rows[1:]])
