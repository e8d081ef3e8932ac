"""Classification data sets with fixed splits, by name or from a user's `.npz` file."""

import gzip
import json
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dljax.data import scaling
from dljax.data.scaling import BYTES, UNIT, Columns, Pixels
from dljax.data.store import fetch, is_path
from dljax.errors import InputError, unknown
from dljax.typing import Batch

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
THINGS = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
KEYS = ("x", "y", "x_test", "y_test")
LARGEST = 2**31  # bytes of a file's arrays, which conversion and training hold several times


@dataclass(frozen=True, eq=False)
class ImageData:
    """A classification data set with fixed splits, as numpy arrays.

    x: images [n, h, w, c], mostly in [0, 1], or a table [n, features], float32 as `scaling.apply`
    gives them of raw ones; images of `BYTES` may be kept raw, as uint8, which `stream.as_seen`
    scales. y: int32 [n] in 0..len(classes) - 1, every class among the training
    examples. scaling: learnt on the training part.
    """

    name: str
    train: Batch
    validation: Batch
    test: Batch
    classes: tuple[str, ...]
    scaling: Pixels | Columns = UNIT


def load(name_or_path: str | os.PathLike[str]) -> ImageData:
    """The data set of one of the names in `NAMED`, or the user's at a path to an `.npz` file.

    digits: 1257 training, 180 validation and 360 test images [8, 8, 1], float32 in [0, 1].
    mnist, fashion_mnist: 55 000, 5 000 (the training file's last) and 10 000, uint8 [28, 28, 1].
    cifar10: 18 000, 2 000 and 1 000, uint8 [32, 32, 3].
    A path: see `read_npz`. Raises InputError for anything else.
    """
    name = os.fspath(name_or_path)
    if name in NAMED:
        return NAMED[name]()
    if is_path(name):
        return read_npz(Path(name).expanduser())
    raise unknown("data set", name, [*NAMED, "path/to/file.npz"])


def digits() -> ImageData:
    """scikit-learn's digits (UCI, Alpaydin and Kaynak 1998): 16 grey levels, divided by 16."""
    from sklearn.datasets import load_digits  # here, since importing scikit-learn takes a second

    images, labels = load_digits(return_X_y=True)
    levels = Pixels(np.float32(0), np.float32(16))
    everything = Batch(levels.apply(images.reshape(-1, 8, 8, 1)), labels.astype(np.int32))
    test, validation, train = split(everything, 360, 180)
    return ImageData("digits", train, validation, test, DIGITS, levels)


def mnist(name: str = "mnist", classes: tuple[str, ...] = DIGITS) -> ImageData:
    """MNIST (LeCun et al. 1998), or what else is kept in four files of its format."""

    def part(prefix: str) -> Batch:
        x = read_idx(fetch(f"{name}/{prefix}-images-idx3-ubyte.gz"), rank=3)
        y = read_idx(fetch(f"{name}/{prefix}-labels-idx1-ubyte.gz"), rank=1)
        return Batch(x[..., None], y.astype(np.int32))

    whole, test = part("train"), part("t10k")
    train, validation = take(whole, slice(None, -5000)), take(whole, slice(-5000, None))
    return ImageData(name, train, validation, test, classes, BYTES)


def fashion_mnist() -> ImageData:
    """Fashion-MNIST (Xiao et al. 2017)."""
    return mnist("fashion_mnist", CLOTHES)


def cifar10() -> ImageData:
    """The first 20 000 training and 1 000 test images of CIFAR-10 (Krizhevsky 2009).

    Kept as pictures whose 1 000 rows are an image each, and `labels.json`.
    """
    from dljax.data import pictures  # here, since it is of no use to the other sets

    def part(numbers: Iterable[int], key: str) -> Batch:
        sheets = [pictures.read(fetch(f"cifar10_part/batch_{i}.png")) for i in numbers]
        return Batch(np.concatenate(sheets).reshape(-1, 32, 32, 3), np.array(labels[key], np.int32))

    labels = json.loads(fetch("cifar10_part/labels.json").read_bytes())
    whole, test = part(range(20), "train_0_to_19"), part([50], "test_50")
    train, validation = take(whole, slice(None, -2000)), take(whole, slice(-2000, None))
    return ImageData("cifar10", train, validation, test, THINGS, BYTES)


NAMED: dict[str, Callable[[], ImageData]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
}


def take(data: Batch, rows) -> Batch:
    """The chosen rows of x and y."""
    return Batch(data.x[rows], data.y[rows])


def split(data: Batch, *sizes: int) -> list[Batch]:
    """Parts of the given sizes, then the rest, of a permutation that is the same everywhere."""
    # The legacy generator: NumPy promises that its numbers never change.
    order = np.random.RandomState(0).permutation(len(data.y))
    return [take(data, rows) for rows in np.split(order, np.cumsum(sizes))]


def read_idx(path: Path, rank: int) -> np.ndarray:
    """The uint8 array with `rank` axes of a gzipped IDX file, MNIST's format.

    Raises InputError if the gzip is damaged, or the header and the data disagree; no more is
    unpacked than the header says.
    """
    try:
        with gzip.open(path) as stream:
            magic = stream.read(4)
            if magic != bytes((0, 0, 8, rank)):  # 8: unsigned bytes
                raise InputError(f"{path} is not an IDX file of bytes with {rank} axes")
            shape = struct.unpack(f">{rank}I", stream.read(4 * rank))
            size = check_size(path, math.prod(shape))
            content = stream.read(size + 1)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise InputError(f"{path} is not a whole gzip file: {error}") from error
    if len(content) != size:
        more = "more" if len(content) > size else f"{len(content)} values"
        raise InputError(f"{path} holds {more}; its header says {size}")
    return np.frombuffer(bytearray(content), np.uint8).reshape(shape)


def check_size(name: object, size: int) -> int:
    """The size, once sure that it is not above `LARGEST`."""
    if size > LARGEST:
        raise InputError(f"{name} unpacks to {size:,} bytes; at most {LARGEST:,} are accepted")
    return size


def read_npz(path: Path) -> ImageData:
    """A user's data set: an `.npz` file with `x` and `y`, and `x_test` and `y_test` if it has them.

    x: images [n, h, w] or [n, h, w, c], or a table [n, features] in which NaN is missing, of any
    numbers; y: integers [n] in 0..k-1. A fixed permutation is cut into
    80 % for training, 10 % for validation and 10 % for test; with a test set of its own, 90 % and
    10 %. Raises InputError, naming the file, for anything else.
    """
    try:
        arrays = open_npz(path)
        whole = clean(arrays, "x", "y")
        tenth = len(whole.y) // 10
        if tenth == 0:
            raise InputError(f"needs at least 10 examples to split; got {len(whole.y)}")
        if "x_test" in arrays or "y_test" in arrays:
            test = clean(arrays, "x_test", "y_test")
            validation, train = split(whole, tenth)
        else:
            test, validation, train = split(whole, tenth, tenth)
        names = tuple(map(str, range(count_classes(whole, train, test))))
        return scaled(path.stem, train, validation, test, names)
    except MemoryError as error:
        raise InputError(f"{path}: too large for this machine's memory") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def scaled(
    name: str, train: Batch, validation: Batch, test: Batch, classes: tuple[str, ...]
) -> ImageData:
    """Raw parts as a data set, scaled by what the training part says.

    Raises InputError for what no scaling takes, such as infinity.
    """
    learn = scaling.columns if train.x.ndim == 2 else scaling.pixels
    parts = train, validation, test
    raw = [part.x for part in parts]
    learnt = learn(scaling.finite(train.x))
    for x in raw:
        learnt.check(x)
    if learnt is BYTES and all(np.array_equal(x, x.astype(np.uint8)) for x in raw):
        seen = [x.astype(np.uint8) for x in raw]  # a quarter of the memory
    else:
        seen = [learnt.apply(x) for x in raw]
    split = (Batch(x, part.y) for x, part in zip(seen, parts, strict=True))
    return ImageData(name, *split, classes=classes, scaling=learnt)


def open_npz(
    path: Path, keys: Sequence[str] = KEYS, known: Iterable[str] = NAMED
) -> dict[str, np.ndarray]:
    """Those of the arrays named by `keys` that the file holds; nothing is unpickled.

    `known` are the names that a user may have meant instead.
    """
    if not path.is_file():
        raise InputError(f"no such file; give the path of an .npz file, or {', '.join(known)}")
    if not zipfile.is_zipfile(path):
        raise InputError("not an .npz file, or a damaged one; write it with numpy.savez")
    key = "the list of arrays"
    try:
        with zipfile.ZipFile(path) as archive:  # which gives no more bytes than its list says
            named = (f for f in archive.infolist() if f.filename.removesuffix(".npy") in keys)
            check_size("it", sum(file.file_size for file in named))
        with np.load(path, allow_pickle=False) as archive:
            arrays = {}
            for key in keys:
                if key in archive.files:
                    arrays[key] = np.asarray(archive[key])
            return arrays
    except InputError:
        raise
    except Exception as error:  # a hostile zip raises nearly anything: zlib.error, KeyError, ...
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot read {key}: {why}") from error


def clean(arrays: dict[str, np.ndarray], x_key: str, y_key: str) -> Batch:
    """The arrays under two keys as checked inputs and labels of one length."""
    if missing := [key for key in (x_key, y_key) if key not in arrays]:
        raise InputError(f"has no array {' and no '.join(missing)}; name the arrays x and y")
    x, y = arrays[x_key], arrays[y_key]
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise InputError(f"{y_key} must be integers [n]; got {y.dtype} {list(y.shape)}")
    if x.ndim not in (2, 3, 4) or x.dtype.kind not in "iuf":
        wanted = "numbers [n, features], [n, h, w] or [n, h, w, c]"
        raise InputError(f"{x_key} must be {wanted}; got {x.dtype} {list(x.shape)}")
    if len(x) != len(y):
        raise InputError(f"{x_key} has {len(x)} examples but {y_key} has {len(y)}")
    if x.size == 0:
        raise InputError(f"{x_key} is empty: its shape is {list(x.shape)}")
    if y.min() < 0 or y.max() >= 2**31:
        raise InputError(f"{y_key} must hold labels 0..k-1; got {y.min()} to {y.max()}")
    return Batch(x if x.ndim == 2 else x.reshape(*x.shape[:3], -1), y.astype(np.int32))


def to_pixels(x: np.ndarray, key: str) -> np.ndarray:
    """Images [n, h, w, c]: integers in 0..255 as uint8, floats in [0, 1] as float32."""
    dtype, top = (np.float32, 1) if x.dtype.kind == "f" else (np.uint8, 255)
    if np.isnan(x).any():
        raise InputError(f"{key} holds NaN")
    low, high = x.min(), x.max()
    if low < 0 or high > top:
        accepted = "scale float images to 0..1, or give integers in 0..255"
        raise InputError(f"{key} holds pixels from {low:g} to {high:g}; {accepted}")
    return x.astype(dtype).reshape(*x.shape[:3], -1)


def count_classes(whole: Batch, train: Batch, test: Batch) -> int:
    """k >= 2, once sure that labels are 0..k-1, `train` has every class, and `test` is alike."""
    present = np.unique(whole.y)
    k = int(present[-1]) + 1
    if len(present) < k:
        gap = int(np.argmax(present != np.arange(len(present))))
        raise InputError(f"labels must be 0..k-1, all used; y goes up to {k - 1} without {gap}")
    if k == 1:
        raise InputError("y holds one class only; a classifier needs at least two")
    if len(unseen := np.setdiff1d(present, train.y)):
        raise InputError(f"class {unseen[0]} has no training example after the split; add some")
    if (top := test.y.max()) >= k:
        raise InputError(f"y_test holds the label {top}; those of y are 0..{k - 1}")
    if train.x.shape[1:] != test.x.shape[1:]:
        wanted, given = (f"{list(x.shape[1:])}" for x in (train.x, test.x))
        raise InputError(f"x_test must hold {wanted} examples like x; got {given}")
    return k
