"""Images with masks: how they are split, and one line for each thing that may be wrong."""

import numpy as np
import pytest
from PIL import Image

from dljax.data import masks
from dljax.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (15, 6, 8), dtype=np.uint8)
Y = RNG.choice(np.array([0, 255], np.uint8), (15, 6, 8))


def folder(path, x=X, y=Y):
    for name, arrays in (("images", x), ("masks", y)):
        (path / name).mkdir()
        for i, array in enumerate(arrays):
            Image.fromarray(array).save(path / name / f"slice{i}.png")
    return path


def test_a_folder_and_an_archive_are_read_in_order_and_split_in_order(tmp_path):
    np.savez(tmp_path / "mine.npz", x=X, y=Y)
    for path in (folder(tmp_path), tmp_path / "mine.npz"):
        found = masks.load(path)
        parts = found.train, found.validation, found.test
        assert [len(part.y) for part in parts] == [10, 2, 3]
        np.testing.assert_array_equal(np.concatenate([part.x for part in parts]), X[..., None])
        np.testing.assert_array_equal(np.concatenate([part.y for part in parts]), Y // 255)
        assert found.test.y.dtype == np.int8
        assert found.classes == ("0", "255")


def test_the_training_part_says_how_pixels_of_any_range_are_scaled(tmp_path, capsys):
    """What a model of them is asked is then as the file has it."""
    x = RNG.uniform(-1, 1, (15, 6, 8, 1)).astype(np.float32)
    x[12] *= 1.5  # a test image
    np.savez(tmp_path / "mine.npz", x=x, y=Y)
    found = masks.load(tmp_path / "mine.npz")
    assert (found.scaling.low, found.scaling.high) == (x[:10].min(), x[:10].max())
    assert "becomes 0" in capsys.readouterr().err
    for part, raw in zip(
        (found.train, found.validation, found.test), (x[:10], x[10:12], x[12:]), strict=True
    ):
        np.testing.assert_array_equal(part.x, found.scaling.apply(raw))
    np.savez(tmp_path / "mine.npz", x=Y // 255, y=Y)
    assert masks.load(tmp_path / "mine.npz").train.x.max() == 1


def test_values_say_which_class_is_which(tmp_path):
    y = Y // 255 * 7
    y[0, 0, 0] = 3
    np.savez(tmp_path / "mine.npz", x=X / np.float32(255), y=y)
    found = masks.load(tmp_path / "mine.npz", (7, 3, 0))
    np.testing.assert_array_equal(found.train.y, np.array([2, -1, -1, 1, -1, -1, -1, 0])[y[:10]])
    assert found.train.x.dtype == np.float32


def test_a_mask_may_number_the_colours_of_a_palette(tmp_path):
    """As Pascal VOC's do, of 8 bits or fewer, with a transparent colour too."""
    path = folder(tmp_path)
    for i, (each, bits) in enumerate(zip(Y, (8, 4, 2, 1) * len(Y), strict=False)):
        picture = Image.fromarray(np.asarray(each > 0).astype(np.uint8), "P")
        picture.putpalette([0, 0, 0, 9, 9, 200])
        picture.save(path / "masks" / f"slice{i}.png", bits=bits, transparency=0)
    found = masks.load(path, (0, 1))
    every = np.concatenate([found.train.y, found.validation.y, found.test.y])
    np.testing.assert_array_equal(every, Y > 0)


def test_a_grey_mask_has_no_transparent_colour(tmp_path):
    file = folder(tmp_path) / "masks" / "slice4.png"
    Image.fromarray(Y[4]).save(file, transparency=0)
    with pytest.raises(InputError, match=r"slice4\.png: a colour that is transparent"):
        masks.load(tmp_path)


def test_numbers_split_as_the_challenges_slices():
    assert masks.counted(30) == (20, 4, 6)
    assert masks.counted(3) == (1, 1, 1)


def spoilt(i, array):
    """The arrays, one of them another."""
    return lambda arrays: [array if i == j else each for j, each in enumerate(arrays)]


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (spoilt(3, X[0, :, :7]), list, "images/slice3.png: 7 x 6 pixels of 1 channel, but"),
        (spoilt(3, np.stack([X[0]] * 3, -1)), list, "images/slice3.png: 8 x 6 pixels of 3 channel"),
        (list, spoilt(2, Y[0, :5]), "masks/slice2.png: 8 x 5 pixels of 1 channel; a mask of"),
        (list, spoilt(2, np.stack([Y[0]] * 3, -1)), "masks/slice2.png: 8 x 6 pixels of 3 channels"),
        (list, spoilt(4, Y[0] // 2), "masks/slice4.png: holds 127, none of the declared classes"),
        (spoilt(1, np.zeros((6, 8, 4), np.uint8)), list, "images/slice1.png: RGBA"),
        (spoilt(1, np.zeros((6, 8), np.uint16)), list, "images/slice1.png: 16-bit grey"),
        (spoilt(1, np.zeros((1, 1), np.uint8)), list, "images/slice1.png: 1 x 1 pixels"),
    ],
)
def test_what_is_wrong_with_a_picture_is_said_in_one_line(tmp_path, x, y, said):
    path = folder(tmp_path, x(X), y(Y))
    with pytest.raises(InputError) as found:
        masks.load(path)
    assert str(found.value).startswith(f"{path}/{said}")
    assert "\n" not in str(found.value)


def test_a_damaged_picture_is_named(tmp_path):
    file = folder(tmp_path) / "images" / "slice7.png"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(InputError, match=r"images/slice7\.png: .* is accepted$"):
        masks.load(tmp_path)


def test_pictures_without_fellows_and_empty_folders(tmp_path):
    with pytest.raises(InputError, match="no PNG or JPEG file in its folder images"):
        masks.load(tmp_path)
    (folder(tmp_path) / "masks" / "slice3.png").unlink()
    with pytest.raises(InputError, match=r"images/slice3\.png: without its fellow .*masks/slice3,"):
        masks.load(tmp_path)
    (tmp_path / "images" / "slice3.jpg").touch()
    with pytest.raises(InputError, match=r"images/slice3\.png: beside .*slice3\.jpg, of the same"):
        masks.load(tmp_path)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": X}, "has no array y"),
        ({"x": X[0], "y": Y}, "x must be images"),
        ({"x": X, "y": Y[:, :5]}, "y must be integers"),
        ({"x": X, "y": Y / 255.0}, "y must be integers"),
        ({"x": X, "y": Y // 2}, "holds 127, none of the declared classes 0, 255"),
        ({"x": X[:2], "y": Y[:2]}, "at least 3 images with masks"),
        ({"x": X, "y": 0 * Y}, "no mask to learn from shows class 255"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(InputError, match=said) as found:
        masks.load(tmp_path / "mine.npz")
    assert "mine" in str(found.value)


@pytest.mark.parametrize("values", [(0,), (0, 0), (0, 256), tuple(range(129))])
def test_classes_must_be_declared_apart(tmp_path, values):
    np.savez(tmp_path / "mine.npz", x=X, y=Y)
    with pytest.raises(InputError, match="the classes' values must be 2 to 128 of"):
        masks.load(tmp_path / "mine.npz", values)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="did you mean isbi"):
        masks.load("isbl")
    with pytest.raises(InputError, match="no such file or folder"):
        masks.load("none/mine.npz")
    with pytest.raises(InputError, match=r"scenes has classes of its own; got \[0, 1, 2\]"):
        masks.load("scenes", (0, 1, 2))


def test_scenes_are_of_digits_never_seen_elsewhere():
    found = masks.scenes(30)
    assert found.train.x.shape == (20, 64, 64, 1)
    assert 0.02 < found.test.y.mean() < 0.3
    assert not (found.train.x[:4] == found.validation.x).all()


def test_the_challenges_slices():
    try:
        found = masks.load("isbi")
    except InputError as error:
        pytest.skip(f"no ISBI slices here: {error}")
    assert [part.x.shape for part in (found.train, found.validation, found.test)] == [
        (n, 512, 512, 1) for n in (20, 4, 6)
    ]
    assert found.test.y.mean() == pytest.approx(0.1965, abs=0.001)  # of membrane
    assert found.test.x[found.test.y == 1].mean() < found.test.x[found.test.y == 0].mean() - 40
