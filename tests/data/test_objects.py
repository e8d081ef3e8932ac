"""Marked pictures: boxes where things are, and every fault in one line that names the file."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dljax.data import objects
from dljax.data.objects import CELLS, digits, load_objects
from dljax.errors import InputError

CELL = ("cell", (2, 3, 5, 6))


def note(*marks):
    """An annotation of (name, (xmin, ymin, xmax, ymax)) each."""
    sides = ("xmin", "ymin", "xmax", "ymax")
    each = "".join(
        f"<object><name>{name}</name><bndbox>"
        + "".join(f"<{side}>{n}</{side}>" for side, n in zip(sides, box, strict=True))
        + "</bndbox></object>"
        for name, box in marks
    )
    return f"<annotation>{each}</annotation>"


def png(h=6, w=8, bright=(), mode="RGB"):
    pixels = np.zeros((h, w, 3), np.uint8)
    for xmin, ymin, xmax, ymax in bright:
        pixels[ymin - 1 : ymax, xmin - 1 : xmax] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures, each with a bright cell, but two, which show nothing."""
    for name in ("Annotations", "JPEGImages"):
        (tmp_path / name).mkdir()
    for i in range(12):
        marks = [] if i in (10, 0) else [CELL]
        (tmp_path / f"JPEGImages/p{i:02}.png").write_bytes(png(bright=[b for _, b in marks]))
        (tmp_path / f"Annotations/p{i:02}.xml").write_text(note(*marks))
    return tmp_path


def write_lists(folder, **lists):
    (folder / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
    for part, names in lists.items():
        (folder / f"ImageSets/Main/{part}.txt").write_text("\n".join(names) + "\n")


@pytest.mark.parametrize("suffix", [".JPG", ".Png"])
def test_a_suffix_may_be_of_capitals(folder, suffix):
    before = load_objects(folder)
    for i in range(12):
        (folder / f"JPEGImages/p{i:02}.png").rename(folder / f"JPEGImages/p{i:02}{suffix}")
    np.testing.assert_array_equal(load_objects(folder).train.x, before.train.x)


def test_a_folder_is_read_and_its_boxes_cover_what_they_mark(folder):
    data = load_objects(folder)
    assert [len(part.x) for part in (data.train, data.validation, data.test)] == [10, 1, 1]
    assert data.classes == ("cell",) and data.dropped == 0
    found = 0
    for x, (box, label) in (data.train, data.validation, data.test):
        assert x.shape[1:] == (6, 8, 3) and x.dtype == np.uint8 and box.shape[1:] == (1, 4)
        for image, own, kind in zip(x, box[:, 0].astype(int), label[:, 0], strict=True):
            covered = image[own[0] : own[2], own[1] : own[3]]
            assert (covered == 255).all() and image.sum() == covered.sum()
            assert kind == (0 if image.any() else -1)
            found += int(kind == 0)
    assert found == 10


def test_splits_by_lists_and_pictures_shrunk(folder):
    write_lists(folder, train=["p03", "p00"], val=["p01"], test=["p10", "p02"])
    data = load_objects(folder, shrink=2)
    assert data.train.x.shape == (2, 3, 4, 3) and len(data.test.x) == 2
    np.testing.assert_allclose(data.train.y.box[0, 0], [1, 0.5, 3, 2.5])
    np.testing.assert_array_equal(data.test.y.label, [[-1], [0]])
    assert data.train.x[0, 1, 1, 0] == 255 and data.train.x[0, 1, 0, 0] == 128


BOMB = '<!DOCTYPE a [<!ENTITY b "x">]><annotation>&b;</annotation>'


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("Annotations/p01.xml", note(("cell", (2, 3, 9, 6))), "p01.xml: box 2, 3, 9, 6 of object"),
        ("Annotations/p01.xml", note(("cell", (-1, 3, 5, 6))), "lies outside the picture of 8 x 6"),
        ("Annotations/p01.xml", note(("cell", ("nan", 3, 5, 6))), "lies outside the picture"),
        (
            "Annotations/p01.xml",
            note(CELL, ("cell", (4, 3, 4, 6))),
            "object 2, 'cell', has no area",
        ),
        ("Annotations/p01.xml", note(("cell", (4, 5, 6, 2))), "has no area"),
        ("Annotations/p01.xml", note(("cell", (4, "", 6, 2))), "p01.xml: object 1, 'cell', has no"),
        ("Annotations/p01.xml", "<annotation><object/></annotation>", "object 1, '', has no"),
        ("Annotations/p01.xml", "<annotation><obj", "p01.xml: "),
        ("Annotations/p01.xml", b"\xff\xfe\x00", "p01.xml: "),
        ("Annotations/p01.xml", BOMB, "p01.xml: .* no DOCTYPE"),
        ("Annotations/p01.xml", None, "Annotations/p01.xml is missing"),
        ("JPEGImages/p01.png", None, "JPEGImages/p01.jpg is missing"),
        ("JPEGImages/p01.png", b"no picture", "JPEGImages/p01.png: "),
        ("JPEGImages/p01.png", png(mode="RGBA"), "JPEGImages/p01.png: RGBA"),
        ("JPEGImages/p01.png", png(w=9), "p01.png is not of 8 x 6 pixels in colour"),
        ("JPEGImages/p01.png", png(mode="L"), "p01.png is not of 8 x 6 pixels in colour"),
        ("ImageSets/Main/val.txt", "", "no picture to choose on; 10 pictures"),
        ("ImageSets/Main/val.txt", "p10", "no picture to choose on shows an object"),
        ("ImageSets/Main/train.txt", "p00\np10", "no picture to learn on shows an object"),
        ("ImageSets/Main/test.txt", "../p01", "is missing"),
        ("ImageSets/Main/test.txt", "p03\np04 1", "picture p04 is listed twice in ImageSets"),
        ("ImageSets/Main/train.txt", "p04\np01\np04", "picture p04 is listed twice"),
        ("ImageSets/Main/test.txt", None, "Main/test.txt is missing, beside ImageSets/Main/train"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_the_file(folder, file, content, said):
    write_lists(folder, train=["p04", "p01"], val=["p02"], test=["p03"])
    path = folder / file
    path.unlink() if content is None else path.write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    with pytest.raises(InputError, match=said) as caught:
        load_objects(folder)
    assert str(caught.value).startswith(str(folder)) and "\n" not in str(caught.value)


def test_a_class_that_is_not_learnt_is_named(folder):
    write_lists(folder, train=["p03"], val=["p01"], test=["p02"])
    (folder / "Annotations/p02.xml").write_text(note(("cel", CELL[1])))
    with pytest.raises(InputError, match=r"p02.xml.*unknown class 'cel'; did you mean cell\?"):
        load_objects(folder)


def test_sets_that_cannot_be_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="unknown set of marked pictures 'bcd'; did you mean bccd"):
        load_objects("bcd")
    with pytest.raises(InputError, match=r"no/such: no such folder, with JPEGImages and Annot"):
        load_objects("no/such")
    with pytest.raises(InputError, match=r"p03.png: 8 x 6 pixels cannot be shrunk by 4"):
        write_lists(folder, train=["p03"], val=["p01"], test=["p02"])
        load_objects(folder, shrink=4)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no picture to learn on; 10 pictures"):
        load_objects(tmp_path / "empty")


def test_composed_digits_are_where_their_boxes_say():
    data = digits(sizes=(30, 4, 4))
    assert data.train.x.shape == (30, 64, 64, 1) and data.train.x.dtype == np.uint8
    box, label = data.train.y
    assert label.min() == -1 and label.max() <= 9 and len(data.classes) == 10
    for image, boxes, kinds in zip(data.train.x[..., 0], box, label, strict=True):
        inside = np.zeros(image.shape, bool)
        for top, left, bottom, right in boxes[kinds >= 0].astype(int):
            inside[top:bottom, left:right] = True
        assert image[~inside].max() < 200
        assert not inside.any() or image[inside].max() > 150
    assert (label == -1).all(1).any()  # of some scenes nothing is the right answer


HELD = Path(os.environ.get("DLJAX_DATA", "")) / "bccd/bccd.tar.gz"


@pytest.mark.skipif(not HELD.is_file(), reason="needs $DLJAX_DATA/bccd/bccd.tar.gz")
def test_blood_cells_are_those_of_the_archive(monkeypatch):
    white = []
    monkeypatch.setattr(objects.pictures, "decode", small(objects.pictures.decode, white))
    data = load_objects("bccd", shrink=4)
    parts = (data.train, data.validation, data.test)
    assert [len(part.x) for part in parts] == [205, 87, 72] and data.classes == CELLS
    counts = [np.bincount(part.y.label[part.y.label >= 0]) for part in parts]
    np.testing.assert_array_equal(np.sum(counts, 0), [4153, 372, 361])
    np.testing.assert_array_equal(counts[2], [805, 71, 69])
    assert data.dropped == 2
    assert data.train.y.box.min() >= 0 and (data.train.y.box <= [120, 160, 120, 160]).all()


def small(decode, seen):
    """Only the first picture is decoded: its pixels stand for all, which saves seconds."""

    def first(content, name):
        if not seen:
            seen.append(decode(content, name))
        return seen[0]

    return first
