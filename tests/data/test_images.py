"""Data sets by name and by path: their splits, and one clear line for every kind of bad input."""

import gzip
import hashlib
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dljax.data import files, images, load
from dljax.data.files import read_idx
from dljax.data.images import CLOTHES, THINGS
from dljax.errors import InputError

needs_files = pytest.mark.skipif(
    not os.path.isdir(os.path.join(os.environ.get("DLJAX_DATA", "absent"), "mnist")),
    reason="needs the real files: set DLJAX_DATA to a folder that holds mnist/ and fashion_mnist/",
)


def refusal(read, *arguments):
    with pytest.raises(InputError) as caught:
        read(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def save(tmp_path, **arrays):
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays)
    return str(path)


def made(n=40, shape=(4, 5), classes=2):
    """uint8 images whose every pixel is 6 times the example's number, and labels in turn."""
    x = np.broadcast_to(
        (6 * np.arange(n, dtype=np.uint8)).reshape(n, *[1] * len(shape)), (n, *shape)
    )
    return x, np.arange(n) % classes


def parts(data):
    return data.train, data.validation, data.test


def assert_canonical(data):
    for part in parts(data):
        assert part.x.dtype in (np.uint8, np.float32)
        assert part.y.dtype == np.int32
        assert len(part.x) == len(part.y) > 0
    assert set(data.train.y) == set(range(len(data.classes)))


def test_digits_are_scikit_learns_in_fixed_parts():
    from sklearn.datasets import load_digits

    data = load("digits")
    assert_canonical(data)
    assert [part.x.shape for part in parts(data)] == [(n, 8, 8, 1) for n in (1257, 180, 360)]
    assert data.classes == tuple("0123456789")

    def rows(x, y):
        return sorted(map(tuple, np.c_[x.reshape(-1, 64), y].tolist()))

    mine = [np.concatenate([getattr(part, field) for part in parts(data)]) for field in "xy"]
    x, y = load_digits(return_X_y=True)
    assert rows(mine[0] * 16, mine[1]) == rows(x, y)
    again = load("digits")
    assert all(np.array_equal(a, b) for a, b in zip(data.test, again.test, strict=True))


def test_the_digits_split_never_changes():
    # Published scores are on this split: a new hash means that they no longer stand.
    digest = hashlib.sha256(load("digits").test.y.tobytes()).hexdigest()
    assert digest.startswith("90b64c9407bb9336")


@needs_files
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_mnists(name):
    data = load(name)
    assert_canonical(data)
    assert [part.x.shape for part in parts(data)] == [
        (n, 28, 28, 1) for n in (55_000, 5_000, 10_000)
    ]
    counts = np.bincount(np.concatenate([data.train.y, data.validation.y]))
    if name == "mnist":  # the class counts of LeCun's training set
        assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
        assert data.train.y[:5].tolist() == [5, 0, 4, 1, 9]
    else:
        assert counts.tolist() == [6000] * 10
        assert data.classes == CLOTHES
        assert CLOTHES[data.train.y[0]] == "Ankle boot"


@pytest.mark.skipif(
    not os.path.isdir(os.path.join(os.environ.get("DLJAX_DATA", "absent"), "cifar10_part")),
    reason="needs the real files: set DLJAX_DATA to a folder that holds cifar10_part/",
)
def test_cifar10():
    data = load("cifar10")
    assert_canonical(data)
    assert [part.x.shape for part in parts(data)] == [
        (n, 32, 32, 3) for n in (18_000, 2_000, 1_000)
    ]
    # the official files begin with a frog and two trucks, the test's with a cat and two ships
    assert [THINGS[i] for i in data.train.y[:3]] == ["frog", "truck", "truck"]
    assert [THINGS[i] for i in data.test.y[:3]] == ["cat", "ship", "ship"]
    skies = data.train.x[data.train.y == 0].mean((0, 1, 2))
    assert skies[2] > skies[0]  # behind airplanes it is blue


@needs_files
def test_the_validation_part_is_the_training_files_end():
    whole = read_idx_of("mnist/train-images-idx3-ubyte.gz", 3)
    data = load("mnist")
    assert np.array_equal(data.train.x[..., 0], whole[:55_000])
    assert np.array_equal(data.validation.x[..., 0], whole[55_000:])


def read_idx_of(name, rank):
    """An oracle for `read_idx`: skip the header, take the rest."""
    with gzip.open(os.path.join(os.environ["DLJAX_DATA"], name)) as stream:
        values = np.frombuffer(stream.read(), np.uint8)[4 + 4 * rank :]
    return values.reshape(-1, 28, 28) if rank == 3 else values


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_a_users_images_are_cut_in_three_without_loss(tmp_path, shape):
    x, y = made(40, shape)
    data = load(save(tmp_path, x=x, y=y))
    assert_canonical(data)
    assert [len(part.y) for part in parts(data)] == [32, 4, 4]
    assert data.train.x.shape[1:] == (*shape, 1)[:3]
    assert data.train.x.dtype == np.uint8
    numbers = np.concatenate([part.x[:, 0, 0, 0] // 6 for part in parts(data)])
    labels = np.concatenate([part.y for part in parts(data)])
    assert sorted(numbers) == list(range(40))
    assert np.array_equal(labels, numbers % 2)
    assert data.classes == ("0", "1")
    assert data.name == "mine"


def test_a_users_own_test_set_is_kept_whole(tmp_path):
    x, y = made(40)
    data = load(save(tmp_path, x=x[:30], y=y[:30], x_test=x[30:], y_test=y[30:]))
    assert [len(part.y) for part in parts(data)] == [26, 4, 10]
    assert np.array_equal(data.test.x[..., 0], x[30:])


def test_a_table_stays_a_table_standardised(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 3)) * 1e6
    data = load(save(tmp_path, x=x, y=np.arange(40) % 2))
    assert_canonical(data)
    assert data.train.x.shape == (32, 3)
    assert data.train.x.dtype == np.float32
    assert np.array_equal(
        np.sort(data.scaling.apply(x), 0),
        np.sort(np.concatenate([part.x for part in parts(data)]), 0),
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4", np.int64, ">u2"])
def test_images_of_other_number_types_are_converted(tmp_path, dtype):
    x, y = made(40)
    floats = np.dtype(dtype).kind == "f"
    data = load(save(tmp_path, x=(x / 256 if floats else x).astype(dtype), y=y))
    assert data.train.x.dtype == (np.float32 if floats else np.uint8)
    assert data.train.x.max() == (234 / 256 if floats else 234)


X, Y = made()
FLOATS = X / np.float32(256)
TABLE = FLOATS[:, 0]


def changed(array, value, dtype=None):
    array = array.astype(dtype or array.dtype)
    array.reshape(-1)[7] = value
    return array


BAD = {
    "no y": ({"x": X}, "no array y"),
    "no x": ({"y": Y}, "no array x"),
    "neither": ({"images": X, "labels": Y}, "no array x and no y"),
    "pickled x": ({"x": X.astype(object), "y": Y}, "cannot read x"),
    "pickled y": ({"x": X, "y": np.array([{}] * 40, object)}, "cannot read y"),
    "strings for x": ({"x": TABLE.astype(str), "y": Y}, "x must be numbers"),
    "complex": ({"x": FLOATS + 1j, "y": Y}, "complex64"),
    "dates": ({"x": TABLE.astype("datetime64[s]"), "y": Y}, "datetime64"),
    "records": ({"x": np.zeros((40, 2), "i4,f4"), "y": Y}, "x must be numbers"),
    "NaN pixel": ({"x": changed(FLOATS, np.nan), "y": Y}, "NaN"),
    "infinite pixel": ({"x": changed(FLOATS, np.inf), "y": Y}, "inf"),
    "infinity in a table": ({"x": changed(TABLE, -np.inf), "y": Y}, "infinity"),
    "too large for float32": ({"x": changed(TABLE, 1e300, float), "y": Y}, "too large"),
    "rank 1": ({"x": X[:, 0, 0], "y": Y}, "got uint8 [40]"),
    "rank 5": ({"x": X[:, None, None], "y": Y}, "got uint8 [40, 1, 1, 4, 5]"),
    "a number for x": ({"x": np.float32(1), "y": Y}, "got float32 []"),
    "one-hot labels": ({"x": X, "y": np.eye(2, dtype=int)[Y]}, "got int64 [40, 2]"),
    "labels with a point": ({"x": X, "y": Y + 0.5}, "must be classes; got the number 0.5"),
    "labels of another kind": ({"x": X, "y": Y + 1j}, "y must be labels [n]; got complex128"),
    "a number to tell": ({"x": X, "y": np.arange(40)}, "got 40 of them in 40 rows"),
    "fewer classes": ({"x": X, "y": Y, "classes": ["a"]}, "0..0, as many; got 0 to 1"),
    "other classes": ({"x": X, "y": Y.astype(str), "classes": ["0", "b"]}, "'1' is none of"),
    "channels first": ({"x": np.zeros((40, 3, 32, 32)), "y": Y}, "has its channels first"),
    "short group": ({"x": X, "y": Y, "group": Y[:-1]}, "group must be [40], as y; got [39]"),
    "one class": ({"x": X, "y": Y * 0}, "one class"),
    "lengths differ": ({"x": X, "y": Y[:-1]}, "x has 40 examples but y has 39"),
    "too few": ({"x": X[:9], "y": Y[:9]}, "at least 10 examples"),
    "none": ({"x": X[:0], "y": Y[:0]}, "empty"),
    "no pixels": ({"x": X[:, :0], "y": Y}, "empty"),
    "only x_test": ({"x": X, "y": Y, "x_test": X}, "no array y_test"),
    "only y_test": ({"x": X, "y": Y, "y_test": Y}, "no array x_test"),
    "empty test": ({"x": X, "y": Y, "x_test": X[:0], "y_test": Y[:0]}, "x_test is empty"),
    "new test label": ({"x": X, "y": Y, "x_test": X, "y_test": Y + 1}, "y_test holds the label 2"),
    "another test size": ({"x": X, "y": Y, "x_test": X[:, :3], "y_test": Y}, "got [3, 5, 1]"),
    "another test range": (
        {"x": X, "y": Y, "x_test": FLOATS, "y_test": Y},
        "learnt pixels from 0 to 255",
    ),
}


@pytest.mark.parametrize(("arrays", "words"), BAD.values(), ids=BAD.keys())
def test_bad_arrays_are_refused_in_one_line(tmp_path, arrays, words):
    path = save(tmp_path, **arrays)
    message = refusal(load, path)
    assert words in message
    assert message.startswith(path)


def test_files_that_are_no_npz_are_refused(tmp_path):
    whole = save(tmp_path, x=X, y=Y)
    content = Path(whole).read_bytes()
    np.save(tmp_path / "array.npy", X)
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    (tmp_path / "nothing.npz").write_bytes(b"")
    for name in ("array.npy", "cut.npz", "nothing.npz"):
        assert "not an .npz file" in refusal(load, tmp_path / name), name
    assert "no such file" in refusal(load, tmp_path / "absent.npz")
    assert "a folder of .png or .jpg files a class" in refusal(load, tmp_path)


def test_a_flipped_byte_in_an_npz_is_noticed(tmp_path):
    path = tmp_path / "packed.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).integers(0, 255, (40, 8, 8)), y=Y)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    assert "cannot read x" in refusal(load, path)


def test_a_zip_of_other_things_is_refused(tmp_path):
    path = tmp_path / "other.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"not an array")
        archive.writestr("y.npy", b"\x93NUMPY\x01\x00\xff\xff{")
    assert str(path) in refusal(load, path)


def forged(path, size):
    """An `.npz` file whose list says that x takes `size` bytes."""
    np.savez_compressed(path, x=X, y=Y)
    with zipfile.ZipFile(path, "a") as archive:
        archive.infolist()[0].file_size = size
        archive.writestr("note", "")  # else the list is not written anew
    return path


def test_arrays_beyond_the_limit_are_refused_before_any_is_read(tmp_path, monkeypatch):
    path = forged(tmp_path / "bomb.npz", 4_700_000_000)
    monkeypatch.setattr(np, "load", None)
    message = refusal(load, path)
    assert "unpacks to 4,700,000" in message and str(path) in message
    monkeypatch.setattr(files, "LARGEST", X.nbytes)  # x alone would do
    assert f"at most {X.nbytes} are accepted" in refusal(load, save(tmp_path, x=X, y=Y))


def test_no_more_is_unpacked_than_a_zip_says(tmp_path):
    assert "cannot read x" in refusal(load, forged(tmp_path / "short.npz", 300))


def test_what_memory_cannot_hold_is_one_line(tmp_path, monkeypatch):
    def read(*_):
        raise MemoryError

    monkeypatch.setattr(images, "read", read)
    assert "too large for this machine's memory" in refusal(load, save(tmp_path, x=X, y=Y))


@pytest.mark.parametrize(("name", "near"), [("minst", "mnist"), ("fashion-mnist", "fashion_mnist")])
def test_an_unknown_name_suggests_the_nearest(name, near):
    assert f"did you mean {near}" in refusal(load, name)


def test_a_strange_name_is_told_all_that_is_known():
    for name in ("imagenet", ""):
        message = refusal(load, name)
        assert "digits, fashion_mnist, mnist" in message
        assert ".npz" in message


def idx(path, values, *shape, magic=None):
    header = (magic or bytes((0, 0, 8, len(shape)))) + struct.pack(f">{len(shape)}I", *shape)
    path.write_bytes(gzip.compress(header + values))
    return path


def test_idx_gives_back_what_was_written(tmp_path):
    values = bytes(range(24))
    array = read_idx(idx(tmp_path / "idx.gz", values, 2, 3, 4), rank=3)
    assert array.tolist() == np.arange(24).reshape(2, 3, 4).tolist()


def test_bad_idx_files_are_refused(tmp_path):
    path = tmp_path / "idx.gz"
    assert "its header says 24" in refusal(read_idx, idx(path, bytes(23), 2, 3, 4), 3)
    assert "its header says 24" in refusal(read_idx, idx(path, bytes(25), 2, 3, 4), 3)
    huge = idx(path, b"", 2**32 - 1, 2**32 - 1, 9)
    assert "at most 2,147,483,648 are accepted" in refusal(read_idx, huge, 3)
    assert "with 1 axes" in refusal(read_idx, idx(path, bytes(24), 2, 3, 4), 1)
    bomb = idx(tmp_path / "bomb.gz", bytes(10**7), 2, 3, 4)
    tracemalloc.start()
    assert "holds more; its header says 24" in refusal(read_idx, bomb, 3)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()
    floats = idx(path, bytes(24), 6, magic=bytes((0, 0, 13, 1)))
    assert "not an IDX file of bytes" in refusal(read_idx, floats, 1)
    whole = idx(path, os.urandom(1000), 1000).read_bytes()
    for damaged in (whole[:500], whole[:12], b"", b"plain text", whole[:-8] + bytes(8)):
        path.write_bytes(damaged)
        assert str(path) in refusal(read_idx, path, 1)
    assert "absent" in refusal(read_idx, tmp_path / "absent.gz", 1)
