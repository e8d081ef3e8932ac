"""A person's own files and objects: one data set, whatever it came in."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_wine

from dljax.data import load, sources
from dljax.errors import InputError

RNG = np.random.default_rng(0)


def refusal(*given, **options):
    with pytest.raises(InputError) as error:
        load(*given, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def parts(data):
    return data.train, data.validation, data.test


def assert_same(a, b):
    assert a.classes == b.classes
    for one, other in zip(parts(a), parts(b), strict=True):
        np.testing.assert_allclose(one.x, other.x, atol=1e-5)
        np.testing.assert_array_equal(one.y, other.y)


@pytest.fixture
def wine(tmp_path):
    frame = load_wine(as_frame=True).frame
    frame["target"] = np.array(load_wine().target_names)[frame["target"]]
    return frame


def test_a_table_is_the_same_data_set_whatever_it_came_in(tmp_path, wine):
    wanted = load(load_wine())
    assert wanted.classes == ("class_0", "class_1", "class_2")
    wine.to_csv(tmp_path / "a.csv", index=False)
    wine.to_csv(tmp_path / "b.tsv", sep="\t", index=False)
    wine.to_csv(tmp_path / "c.csv", sep=";", index=False)
    for source in (wine, *(tmp_path / name for name in ("a.csv", "b.tsv", "c.csv"))):
        assert_same(load(source, target="target"), wanted)
    x, y = load_wine(return_X_y=True)
    np.savez(tmp_path / "d.npz", x=x, y=y, classes=load_wine().target_names)
    np.savez(tmp_path / "e.npz", x=x, y=wine["target"].to_numpy(str))
    for source in (tmp_path / "d.npz", tmp_path / "e.npz", load_wine(as_frame=True)):
        assert_same(load(source), wanted)
    assert_same(load((x, wine["target"].to_numpy(str))), wanted)


def test_shuffled_labels_and_their_order_do_not_matter_to_names(tmp_path):
    x = RNG.normal(size=(60, 2))
    y = np.array(["b", "a", "c"] * 20)
    data = load((x, y))
    assert data.classes == ("a", "b", "c")
    raw = dict(zip(map(tuple, data.scaling.apply(x).tolist()), y, strict=True))
    for part in parts(data):
        assert [data.classes[k] for k in part.y] == [raw[tuple(row)] for row in part.x.tolist()]
    assert load((x, 5 * (y == "a") - 2)).classes == ("-2", "3")


def mixed(n=120):
    """A table of numbers, text, gaps, a constant, and what only tells rows apart."""
    kind = RNG.choice(["red", "green", "blue"], n)
    frame = pd.DataFrame({"id": np.arange(n), "name": [f"row {i * 7}" for i in range(n)]})
    frame["age"] = np.where(RNG.random(n) < 0.2, np.nan, RNG.normal(40, 9, n))
    frame["colour"], frame["same"], frame["sure"] = kind, 3, RNG.random(n) < 0.5
    frame.loc[::10, "colour"] = np.nan
    frame["y"] = np.where(kind == "red", "yes", "no")
    return frame


def test_text_gaps_and_constants_are_learnt_from_the_training_part(tmp_path, capsys):
    frame = mixed()
    frame["split"] = ["train"] * 80 + ["validation"] * 20 + ["test"] * 20
    frame.loc[100:, "colour"] = "violet"  # which only the test part has
    frame.to_csv(tmp_path / "mine.csv", index=False)
    data = load(tmp_path / "mine.csv", target="y")
    said = capsys.readouterr().err
    assert "only number or name the rows: columns id, name" in said
    assert "one value only: column same" in said and "columns age, colour" in said
    # age, whether it is missing, three colours, whether that is missing, sure
    assert data.train.x.shape == (80, 7) and data.classes == ("no", "yes")
    assert data.example.columns[1] == ("colour", ("blue", "green", "red"))
    known = frame["age"][:80].dropna()
    filled = frame["age"].fillna(known.median()).to_numpy()
    np.testing.assert_allclose(
        np.concatenate([data.train.x, data.validation.x, data.test.x])[:, 0],
        (filled - known.mean()) / known.std(ddof=0), atol=1e-5,
    )  # fmt: skip
    np.testing.assert_array_equal(data.train.x[:, 1], frame["age"][:80].isna())
    for code, colour in enumerate(("blue", "green", "red")):
        np.testing.assert_array_equal(data.train.x[:, 2 + code], frame["colour"][:80] == colour)
    np.testing.assert_array_equal(data.test.x[:, 2:6], 0)


def test_what_is_predicted_of_is_read_as_what_was_learnt_from(tmp_path, capsys):
    frame = mixed()
    frame.to_csv(tmp_path / "mine.csv", index=False)
    data = load(tmp_path / "mine.csv", target="y")
    new = frame[["sure", "colour", "age"]]  # in another order, without what says nothing
    new.to_csv(tmp_path / "new.csv", index=False)
    names, raw = sources.rows(tmp_path / "new.csv", data.example, data.scaling)
    assert names[:2] == ["1", "2"]
    seen = {tuple(row) for row in data.scaling.apply(raw).tolist()}
    assert seen == {tuple(row) for part in parts(data) for row in part.x.tolist()}
    new.drop(columns="age").to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(InputError, match="no column 'age', which the model needs"):
        sources.rows(tmp_path / "new.csv", data.example, data.scaling)
    new.assign(age="old").to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(InputError, match="'age' holds 'old' where the model learnt numbers"):
        sources.rows(tmp_path / "new.csv", data.example, data.scaling)
    new.assign(colour=["mauve", *new.colour[1:]]).to_csv(tmp_path / "new.csv", index=False)
    capsys.readouterr()
    sources.rows(tmp_path / "new.csv", data.example, data.scaling)
    assert "column colour, value 'mauve', in 1 row\n" in "".join(capsys.readouterr())
    new.assign(age=["31", *["old"] * (len(new) - 1)]).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(InputError, match="'age' holds 'old'"):  # not the first, which is a number
        sources.rows(tmp_path / "new.csv", data.example, data.scaling)


def test_labels_are_text_in_whatever_array():
    x, y = RNG.normal(size=(30, 2)), np.array(["no", "yes"] * 15)
    for labels in (y, y.astype(object), y.tolist(), y.astype("S"), pd.Series(y)):
        assert load((x, labels)).classes == ("no", "yes")
        assert load({"data": x, "target": labels}).classes == ("no", "yes")  # fetch_openml's


def test_no_two_classes_have_one_name():
    x, y = RNG.normal(size=(30, 2)), np.array(["no", "yes", "no "] * 10)
    assert load((x, y)).classes == ("no", "yes")
    said = refusal({"x": x, "y": np.arange(30) % 2, "classes": ["no", "no"]})
    assert said == "two classes are called no"


def test_columns_may_be_called_by_numbers_but_not_alike():
    frame = pd.DataFrame(RNG.normal(size=(30, 3)))
    frame[3] = ["no", "yes"] * 15
    assert load(frame, target="3").train.x.shape[1] == 3
    frame.columns = ["a", "b", "a", "kind"]
    assert refusal(frame, target="kind") == "two columns are called a"


def test_a_count_of_rows_is_dropped_beside_rows_without_a_label(capsys):
    frame = pd.DataFrame({"id": np.arange(60), "a": RNG.normal(size=60), "who": np.arange(60) // 3})
    frame["kind"] = ["x"] * 28 + [None] * 4 + ["y"] * 28
    for labels in (frame["kind"], frame["kind"].astype("string"), frame["kind"].astype("category")):
        data = load(frame.assign(kind=labels), target="kind", group="who")
        assert data.example and [each.name for each in data.example.columns] == ["a"]
        assert "column id" in (said := capsys.readouterr().err) and "4 rows without" in said


def test_columns_name_groups_and_times(wine):
    wine["who"], wine["when"] = np.arange(len(wine)) // 6, RNG.permutation(len(wine))
    wine = wine.sample(frac=1, random_state=0)
    assert load(wine, target="target", group="who").train.x.shape[1] == 14  # and the time
    data = load(wine.drop(columns="who"), target="target", time="when")
    assert data.train.x.shape == (142, 13)


def paint(root, sizes=((9, 9),), mode="RGB", classes=("dog", "cat"), n=8):
    for k, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(n):
            high, wide = sizes[i % len(sizes)]
            pixels = RNG.integers(100 * k, 100 * k + 150, (high, wide, 3), np.uint8)
            image = Image.fromarray(pixels).convert(mode)
            image.save(root / name / f"{i}.{'png' if i % 2 else 'PNG'}")


def test_a_folder_of_pictures_a_class(tmp_path):
    paint(tmp_path / "pets")
    data = load(str(tmp_path / "pets"))
    assert data.classes == ("cat", "dog") and data.name == "pets"
    assert data.train.x.shape == (12, 9, 9, 3) and data.train.x.dtype == np.uint8
    for part in parts(data):
        assert ((part.x.mean((1, 2, 3)) > 120) == (part.y == 0)).all()  # cats are bright
    names, raw = sources.rows(tmp_path / "pets", data.example, data.scaling)
    assert raw.shape == (16, 9, 9, 3) and names[0].endswith("cat/0.PNG")
    one = sources.rows(tmp_path / "pets" / "cat" / "1.png", data.example, data.scaling)[1]
    np.testing.assert_array_equal(one[0], np.asarray(Image.open(tmp_path / "pets/cat/1.png")))


def test_what_is_said_of_a_picture_does_not_depend_on_its_company(tmp_path):
    """Of levels 0 to 16 in arrays, and of picture files that hold such levels."""
    for level in (20, 200):
        Image.fromarray(np.full((8, 8), level, np.uint8)).save(tmp_path / f"{level}.png")
    data = load((RNG.integers(0, 17, (40, 8, 8)), np.arange(40) % 2))
    assert data.example
    alone = [sources.rows(tmp_path / f"{v}.png", data.example, data.scaling)[1] for v in (20, 200)]
    _, both = sources.rows(tmp_path, data.example, data.scaling)
    np.testing.assert_allclose(np.concatenate(alone), np.sort(both, 0), rtol=1e-6)
    seen = data.scaling.apply(np.concatenate(alone))[:, 0, 0, 0]
    np.testing.assert_allclose(seen, [20 / 255, 200 / 255], rtol=1e-5)
    for k in range(2):
        (tmp_path / "dim" / "ab"[k]).mkdir(parents=True)
        for i in range(10):
            image = Image.fromarray(RNG.integers(0, 41, (8, 8), np.uint8))
            image.save(tmp_path / "dim" / "ab"[k] / f"{i}.png")
    dim = load(tmp_path / "dim")
    assert dim.example and dim.example.pictures
    _, raw = sources.rows(tmp_path / "20.png", dim.example, dim.scaling)
    assert (raw == 20).all()


def test_mixed_sizes_are_named_and_resized_by_a_flag(tmp_path):
    paint(tmp_path / "pets", sizes=((9, 9), (12, 20)))
    assert "is 20 x 12 pixels, but" in refusal(tmp_path / "pets")
    assert "--size 64" in refusal(tmp_path / "pets")
    data = load(tmp_path / "pets", size=6)
    assert data.train.x.shape[1:] == (6, 6, 3)
    assert sources.rows(tmp_path / "pets", data.example, data.scaling)[1].shape == (16, 6, 6, 3)


def test_transparency_is_put_on_white_and_grey_becomes_colour(tmp_path):
    paint(tmp_path / "pets")
    clear = np.zeros((9, 9, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / "pets" / "cat" / "clear.png")
    Image.fromarray(np.full((9, 9), 7, np.uint8)).save(tmp_path / "pets" / "dog" / "grey.png")
    data = load(tmp_path / "pets")
    x = np.concatenate([data.train.x, data.validation.x, data.test.x])
    means = x.mean((1, 2, 3)).tolist()
    assert x.shape == (18, 9, 9, 3) and 255.0 in means and 7.0 in means


def test_pictures_in_folders_of_parts(tmp_path):
    for part, n in (("train", 10), ("test", 3)):
        paint(tmp_path / "pets" / part, n=n)
    data = load(tmp_path / "pets")
    assert [len(part.y) for part in parts(data)] == [18, 2, 6]


def test_a_pair_of_idx_files(tmp_path):
    x, y = RNG.integers(0, 256, (30, 4, 5), np.uint8), np.arange(30, dtype=np.uint8) % 3
    for name, array in (("my-images-idx3-ubyte", x), ("my-labels-idx1-ubyte", y)):
        header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
        (tmp_path / name).write_bytes(header + array.tobytes())
    for name in ("my-images-idx3-ubyte", "my-labels-idx1-ubyte"):
        assert_same(load(tmp_path / name), load((x, y)))


class Hugging:
    """What a data set of Hugging Face shows of itself."""

    def __init__(self, **columns):
        self.columns, self.column_names = columns, list(columns)
        self.features = {name: SimpleNamespace() for name in columns}
        self.features["label"] = SimpleNamespace(names=["no", "yes"])

    def __getitem__(self, name):
        return list(self.columns[name])


def test_data_sets_of_hugging_face_by_what_they_show():
    x, y = RNG.integers(0, 255, (40, 5, 5), np.uint8), np.arange(40) % 2
    shown = [Image.fromarray(image) for image in x]
    data = load(Hugging(image=shown, label=y))
    assert data.train.x.shape == (32, 5, 5, 1) and data.classes == ("no", "yes")
    parts = {"train": Hugging(image=shown[:30], label=y[:30])}
    parts["test"] = Hugging(image=shown[30:], label=y[30:])
    data = load(parts)
    np.testing.assert_array_equal(data.test.x[..., 0], x[30:])
    table = load({"train": Hugging(a=x[:30, 0, 0], b=x[:30, 1, 1], label=y[:30]),
                  "test": Hugging(a=x[30:, 0, 0], b=x[30:, 1, 1], label=y[30:])})  # fmt: skip
    assert table.test.x.shape == (10, 2) and table.classes == ("no", "yes")


def test_scikit_learns_images_stay_images():
    data = load(load_digits())
    assert data.train.x.shape[1:] == (8, 8, 1) and data.train.x.max() == 1


def test_what_is_no_data_set_is_refused(tmp_path, wine, monkeypatch):
    assert "no data set: int" in refusal(3)
    assert "x must be numbers" in refusal(([[1], [1, 2]] * 10, ["a", "b"] * 10))
    assert "--target COLUMN, one of alcohol" in refusal(wine)
    assert "did you mean target" in refusal(wine, target="targt")
    assert "must be classes; got the number" in refusal(wine, target="alcohol")
    assert "--target says nothing about the data set digits" in refusal("digits", target="y")
    assert "--size says nothing about" in refusal(tmp_path / "x.csv", size=3)
    assert "no such file" in refusal(tmp_path / "x.csv", target="y")
    (tmp_path / "x.csv").write_text("a,b\n")
    assert "no row under its names" in refusal(tmp_path / "x.csv", target="a")
    (tmp_path / "x.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    assert "cannot be read as a table" in refusal(tmp_path / "x.csv", target="a")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    assert "pip install pyarrow" in refusal(tmp_path / "x.parquet", target="a")
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    assert "a folder of .png or .jpg files a class" in refusal(tmp_path / "pets")
