"""A run's model: the same weights and answers after loading, here and where there is JAX alone."""

import csv
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dljax import InputError
from dljax import data as data_sets
from dljax.data.images import ImageData
from dljax.data.scaling import BYTES
from dljax.host import experiment, use
from dljax.host.config import Common
from dljax.host.experiment import Study
from dljax.host.function import Function, Input, classifier, variables
from dljax.host.model import load
from dljax.learn.risk import predict
from dljax.nets import CNN, MLP
from dljax.typing import Batch

NOT_WRITTEN = experiment.not_written  # as users have it; conftest.py makes it raise
SEEDS = 3
NET = CNN((2,), (4, 3), dropout=0.5, batch_norm=True)
CLASSES = ("a heart", "a ring", "a cross")
ALONE = """
import json, struct, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError(name + " is not here")
sys.meta_path.insert(0, Block())
import jax, numpy as np
with open({folder!r} + "/weights.safetensors", "rb") as file:
    about = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    content = file.read()
def array(told):
    begin, end = told["data_offsets"]
    return np.frombuffer(content[begin:end], np.float32).reshape(told["shape"])
weights = {{name: array(told)[1] for name, told in about.items() if name != "__metadata__"}}
def read(path):
    return jax.export.deserialize(bytearray(open(path, "rb").read())).call
x = np.load({x!r})
np.savez({out!r}, logits=read({folder!r} + "/predict.jaxexport")(weights, x), **read({whole!r})(x))
loaded = {{name.partition(".")[0] for name in sys.modules}}
assert not loaded & {blocked}, loaded & {blocked}
"""
BLOCKED = {
    "dljax", "experiments", "flax", "optax", "chex", "orbax", "safetensors", "pandas", "sklearn",
    "matplotlib", "tyro", "rich", "jaxtyping", "gymnax", "etils",
}  # fmt: skip


@pytest.fixture(scope="module")
def weights():
    """Of all seeds, with statistics of batches that are not those of a start."""

    def one(key):
        made = dict(NET.init(key, jnp.zeros((1, 6, 6, 1))))
        return made.pop("params"), jax.tree.map(lambda leaf: leaf + 0.3, made)

    return jax.vmap(one)(jax.random.split(jax.random.key(0), SEEDS))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (33, 6, 6, 1), np.uint8)


@pytest.fixture(scope="module")
def folder(weights, images, tmp_path_factory):
    """What a finished run leaves."""
    out = tmp_path_factory.mktemp("run") / "made"
    part = Batch(images, np.zeros(len(images), np.int32))
    data = ImageData("mine", part, part, part, CLASSES, BYTES)
    with Study("vision.mine", [], Common(out=out, seeds=SEEDS, seed=7)) as run:
        run.model(variables(weights), {"predict": classifier(NET, data)})
    return out


@pytest.fixture(scope="module")
def model(folder):
    return load(folder)


@pytest.fixture(scope="module")
def logits(weights, images):
    return np.asarray(jax.jit(jax.vmap(lambda w: predict(NET, w, images)))(weights))


def arrays(path):
    with np.load(path) as found:
        return dict(found)


def softmax(logits):
    return np.asarray(jax.nn.softmax(logits))


def test_weights_come_back_to_the_bit(model, weights):
    found = {k: np.asarray(v) for k, v in model.weights.items()}
    params = weights[0]
    kernel = np.asarray(params["MLP_0"]["Dense_1"]["kernel"])
    np.testing.assert_array_equal(found["params/MLP_0/Dense_1/kernel"], kernel)
    assert len(found) == len(jax.tree.leaves(weights))
    both = jax.tree.leaves(variables(weights))
    # JAX and the file both sort by name
    for (name, leaf), given in zip(sorted(found.items()), both, strict=True):
        np.testing.assert_array_equal(leaf, given, err_msg=name)


def test_the_ensemble_is_the_mean_of_probabilities(model, logits, images):
    answer = model.predict(images)
    np.testing.assert_allclose(answer.each, logits, atol=1e-5)
    np.testing.assert_allclose(answer.mean, softmax(logits).mean(0), atol=1e-6)
    np.testing.assert_allclose(answer.sd, softmax(logits).std(0, ddof=1), atol=1e-6)
    assert answer.mean.shape == (33, 3)
    assert np.abs(answer.mean - softmax(logits.mean(0))).max() > 1e-4, "which is another mean"


def test_one_seed_is_asked_by_index(model, logits, images):
    assert (len(model), len(model[1])) == (SEEDS, 1)
    for found in (model[1], model[-2]):
        assert found.about["members"] == ["seed 8"]
        np.testing.assert_allclose(found.predict(images).mean, softmax(logits[1]), atol=1e-6)
        assert (found.predict(images).sd == 0).all()
    with pytest.raises(IndexError):
        model[SEEDS]


def test_one_export_takes_any_number_of_rows_of_any_type(model, images):
    whole = model.predict(images).mean
    for n in (1, 7, 33):
        np.testing.assert_allclose(model.predict(images[:n]).mean, whole[:n], atol=1e-6)
        call = model.functions["predict"].call
        raw = call(model.members[0], images[:n].astype(np.float32))
        assert raw.shape == (n, 3)
    for dtype in (np.int32, np.float32, np.float64):
        np.testing.assert_array_equal(model.predict(images.astype(dtype)).mean, whole)
    np.testing.assert_array_equal(model.predict(images[..., 0]).mean, whole, "grey, no channel")


def test_the_same_logits_where_there_is_jax_alone(model, folder, images, tmp_path):
    assert use.run(["export", str(folder), "--to", str(tmp_path / "whole.jaxexport")]) == 0
    np.save(tmp_path / "x.npy", images[:7].astype(np.float32))
    paths = {"x": "x.npy", "out": "out.npz", "whole": "whole.jaxexport"}
    paths = {name: str(tmp_path / path) for name, path in paths.items()}
    text = ALONE.format(blocked=BLOCKED, folder=str(folder / "model"), **paths)
    # not in the repository, whose folder Python would look into
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found, answer = arrays(paths["out"]), model.predict(images[:7])
    np.testing.assert_allclose(found["logits"], answer.each[1], atol=1e-6)
    for name in ("mean", "sd", "each"):
        np.testing.assert_allclose(found[name], getattr(answer, name), atol=1e-6)


def test_pictures_become_a_table_of_classes(model, folder, images, tmp_path, capsys):
    for i in range(3):
        Image.fromarray(images[i, ..., 0]).save(tmp_path / f"{i}.png")
    np.savez(tmp_path / "more.npz", x=images[3:5])
    out = tmp_path / "predictions.csv"
    words = [tmp_path, tmp_path / "more.npz", "--out", out]
    assert use.run(["predict", str(folder), *map(str, words)]) == 0
    assert f"5 rows of predict by 3 members in {out}" in capsys.readouterr().out
    rows = [*csv.DictReader(out.read_text().splitlines())]
    mean = model.predict(images[:5]).mean
    assert [row["class"] for row in rows] == [CLASSES[k] for k in mean.argmax(-1)]
    assert [row["file"] for row in rows[:3]] == [str(tmp_path / f"{i}.png") for i in range(3)]
    assert [row["row"] for row in rows] == ["0", "0", "0", "0", "1"]
    chances = [[float(row[name]) for name in CLASSES] for row in rows]
    np.testing.assert_allclose(chances, mean, atol=1e-5)
    np.testing.assert_allclose([float(row["probability"]) for row in rows], mean.max(-1), atol=1e-5)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The run of a table with a number that lacks, a category, and a column that says nothing."""
    folder = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 40)
    frame = pd.DataFrame({
        "size": np.where(np.arange(40) % 9, 100 * kind + rng.normal(size=40), np.nan),
        "same": 3, "shape": np.where(kind, "round", "flat"), "kind": np.where(kind, "pea", "bean"),
    })  # fmt: skip
    data = data_sets.load(frame, target="kind")
    net = MLP((4, len(data.classes)))
    weights = jax.vmap(lambda key: net.init(key, jnp.asarray(data.train.x[:1])))(
        jax.random.split(jax.random.key(0), 2)
    )
    with Study("table", [], Common(out=folder / "run", seeds=2)) as run:
        run.model(weights, {"predict": classifier(net, data)})
    answers = jax.vmap(lambda w: net.apply(w, jnp.asarray(data.test.x)))(weights)
    return folder, frame, data, softmax(answers).mean(0)


def test_a_tables_columns_come_in_any_order(table, capsys):
    folder, frame, data, expected = table
    model = load(folder / "run")
    assert data.classes == model.names == ("bean", "pea")
    whole = model.predict(frame).mean
    for row in expected:  # which rows are for the test is the splits' affair
        assert np.abs(whole - row).max(-1).min() < 1e-5
    frame[["shape", "kind", "size"]].to_csv(folder / "new.csv", index=False)
    out = folder / "told.csv"
    line = ["predict", str(folder / "run"), str(folder / "new.csv"), "--out", str(out)]
    assert use.run(line) == 0
    rows = [*csv.DictReader(out.read_text().splitlines())]
    found = [[float(row["bean"]), float(row["pea"])] for row in rows]
    np.testing.assert_allclose(found, whole, atol=1e-5)
    frame[["shape"]].to_csv(folder / "new.csv", index=False)
    assert use.run(line) == 2
    assert "has no column 'size', which the model needs" in capsys.readouterr().err


def test_what_no_training_row_had_is_named(table, capsys):
    folder, _, _, _ = table
    run, new, out = folder / "run", folder / "new.csv", folder / "told.csv"
    pd.DataFrame({"size": [1.0, None], "shape": ["round", None]}).to_csv(new, index=False)
    line = ["predict", str(run), str(new), "--out", str(out)]
    assert use.run(line) == 0
    told = "values are missing, filled by the median, or as no category, since training had none"
    assert capsys.readouterr().err == f"{told}: column shape\n", "sizes were missing in training"
    pd.DataFrame({"size": [1.0] * 3, "shape": ["oval", "flat", "cubic"]}).to_csv(new, index=False)
    assert use.run(line) == 0
    said = "not learnt, so as no category: column shape, values 'cubic', 'oval', in 2 rows\n"
    assert capsys.readouterr().err == said
    load(run).predict(pd.read_csv(new))
    assert capsys.readouterr().err == said, "in Python too"


def test_the_columns_of_a_table_are_shown_with_their_codes(table, capsys):
    assert use.run(["show", str(table[0] / "run")]) == 0
    text = capsys.readouterr().out
    for said in ("column size: numbers", "column shape: 0 flat, 1 round", "of bean, pea"):
        assert f" {said}\n" in text


def test_pictures_are_no_table_and_a_table_no_pictures(table, folder, images, tmp_path, capsys):
    Image.fromarray(images[0, ..., 0]).save(tmp_path / "one.png")
    (tmp_path / "rows.csv").write_text("size,shape\n1,round\n")
    runs = {folder: "rows.csv: the model learnt pictures [6, 6, 1], not a table", table[0] / "run":
            "one.png: the model learnt a table, not pictures"}  # fmt: skip
    for run, said in runs.items():
        file = tmp_path / said.partition(":")[0]
        line = ["predict", str(run), str(file), "--out", str(tmp_path / "o.csv")]
        assert use.run(line) == 2
        assert capsys.readouterr().err == f"error: {tmp_path / said}\n"


def test_arrays_out_are_what_python_gives(model, folder, images, tmp_path):
    np.save(tmp_path / "x.npy", images)
    words = [str(tmp_path / "x.npy"), "--out", str(tmp_path / "out.npz"), "--member", "2"]
    assert use.run(["predict", str(folder), *words]) == 0
    found = arrays(tmp_path / "out.npz")
    np.testing.assert_array_equal(found["mean"], model[2].predict(images).mean)
    assert found["each"].shape == (1, 33, 3)


def test_exports(model, folder, tmp_path, capsys):
    from safetensors.numpy import load_file

    one = tmp_path / "one.safetensors"
    assert use.run(["export", str(folder), "--to", str(one), "--member", "1"]) == 0
    for name, leaf in load_file(one).items():
        np.testing.assert_array_equal(leaf, model.weights[name][1])
    stable = tmp_path / "whole.stablehlo"
    assert use.run(["export", str(folder), "--to", str(stable)]) == 0
    assert stable.read_bytes().startswith(b"ML\xefR"), "MLIR's bytecode"
    capsys.readouterr()
    assert use.run(["export", str(folder), "--to", str(tmp_path / "it.onnx")]) == 2
    assert "not possible here" in capsys.readouterr().err
    assert not (tmp_path / "it.onnx").exists()


def test_show_tells_what_is_there_in_80_columns(folder, capsys):
    assert use.run(["show", str(folder)]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    first = ("vision.mine", "float32 [n, 6, 6, 1]", "a ring", "seed 9", "Dense_1/kernel")
    for said in (*first, '"seed": 7'):
        assert said in text


def spoil(folder, name, tmp_path):
    """A copy of a model with one byte of a file changed."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in (folder / "model").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    return copy


@pytest.mark.parametrize("name", ["weights.safetensors", "predict.jaxexport", "model.json"])
def test_a_damaged_file_is_named(folder, tmp_path, name, capsys):
    copy = spoil(folder, name, tmp_path)
    assert use.run(["show", str(copy)]) == 2
    err = capsys.readouterr().err
    assert f"{copy / name} is damaged" in err
    assert err.count("\n") == 1
    (copy / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing" if "json" not in name else "no mod"):
        load(copy)


BAD = {
    "predict RUN small.npy --out o.csv": "small.npy: x must be float32 [n, 6, 6, 1]; got uint8",
    "predict RUN shares.npy --out o.csv": "shares.npy: pixels from 0.5 to 0.5; this model learnt",
    "predict RUN words.npy --out o.csv": "words.npy: x must be float32 [n, 6, 6, 1]; got <U1 [2]",
    "predict RUN nan.npy --out o.csv": "nan.npy: x holds NaN, infinity",
    "predict RUN small.npz --out o.csv": "small.npz holds examples [5, 6, 1]; the model learnt [6,",
    "predict RUN table.csv --out o.csv": "table.csv: the model learnt pictures [6, 6, 1], not a t",
    "predict RUN text.png --out o.csv": "text.png: cannot identify image",
    "predict RUN other.npz --out o.csv": "other.npz has no array x",
    "predict RUN huge.npy --out o.csv": "huge.npy: cannot be read: mmap length is greater",
    "predict RUN none.npy --out o.csv": "none.npy: x must be float32 [n, 6, 6, 1]; got float64 [0]",
    "predict RUN x.tar --out o.csv": "x.tar: no such file",
    "predict RUN text.txt --out o.csv": "text.txt: not an .npz file, or a damaged one",
    "predict RUN small.npy --out o.xls": "--out must end in .csv or .npz; got o.xls",
    "predict RUN small.npy --out o.csv --member 3": "--member must be from 0 to 2; got 3",
    "predict RUN small.npy --out o.csv --function decode": "unknown function 'decode'",
    "predict nowhere small.npy --out o.csv": "nowhere: no such folder",
    "predict empty small.npy --out o.csv": "empty holds no model",
    "predict RUN empty --out o.csv": "empty holds no .png or .jpg file",
    "predict RUN": "the following arguments are required: FILE, --out",
    "export RUN --to it.pt": "--to must end in .safetensors or .jaxexport or .stablehlo; got it.pt",
    "shwo RUN": "invalid choice: 'shwo'",
}


@pytest.mark.parametrize("line", BAD)
def test_mistakes_are_one_line(folder, tmp_path, monkeypatch, capsys, line):
    monkeypatch.chdir(tmp_path)
    np.save("small.npy", np.zeros((2, 5, 6, 1), np.uint8))
    np.save("shares.npy", np.full((2, 6, 6, 1), 0.5))
    np.save("words.npy", np.array(["a", "b"]))
    np.save("nan.npy", np.full((2, 6, 6, 1), np.nan))
    np.save("none.npy", np.zeros(0))
    with open("huge.npy", "wb") as file:  # a header alone, of more than memory holds
        told = {"descr": "<f4", "fortran_order": False, "shape": (10**13, 6, 6, 1)}
        np.lib.format.write_array_header_1_0(file, told)
    np.savez("other.npz", z=np.zeros(3))
    np.savez("small.npz", x=np.zeros((2, 5, 6), np.uint8))
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    for name in ("text.png", "text.txt"):
        (tmp_path / name).write_text("words")
    (tmp_path / "empty").mkdir()
    assert use.run([str(folder) if word == "RUN" else word for word in line.split()]) == 2
    err = capsys.readouterr().err
    assert BAD[line] in err
    assert err.count("\n") == 1
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize(
    ("line", "out"),
    [
        ("predict RUN x.npy --out OUT", "told.csv"),
        ("predict RUN x.npy --out OUT", "told.npz"),
        ("export RUN --to OUT", "one.safetensors"),
        ("export RUN --to OUT", "one.jaxexport"),
        ("report RUN --to OUT", "report.html"),
    ],
)
def test_a_full_disk_costs_one_line_and_no_file(
    folder, images, tmp_path, monkeypatch, capsys, line, out
):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", images)
    (tmp_path / out).write_text("from before")
    begin = Path.write_bytes

    def full(path, content):
        begin(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    words = {"RUN": str(folder), "OUT": out}
    assert use.run([words.get(word, word) for word in line.split()]) in (1, 2)
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and out in err and "No space left on device" in err
    assert {path.name for path in tmp_path.iterdir()} == {"x.npy", out}
    assert (tmp_path / out).read_text() == "from before"


def test_a_model_that_cannot_be_written_costs_itself_and_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "not_written", NOT_WRITTEN)

    def bad(weights, x):
        raise ValueError("no such\nthing")

    with Study("x", [], Common(out=tmp_path / "run", seeds=2)) as run:
        run.metric("error", [1.0, 2.0])
        run.model({"w": np.zeros(2)}, {"predict": Function(bad, (Input((1,)),))})
    assert json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]
    out, err = capsys.readouterr()
    assert err == "model was not written: no such thing\n"
    assert out == f"run in {tmp_path / 'run'}\n"
    assert not (tmp_path / "run" / "model").exists()
