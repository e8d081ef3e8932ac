"""Classification data sets with fixed splits, by name or a person's own."""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dljax.data import frames, scaling
from dljax.data.files import read_idx
from dljax.data.scaling import BYTES, UNIT, Columns, Pixels
from dljax.data.sources import Example, Options, Raw, from_object, read
from dljax.data.splits import parts
from dljax.data.store import fetch, is_path
from dljax.errors import InputError, naming, unknown
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
    example: Example | None = None  # what a file must hold to be told by a model of these


def load(
    source: Any,
    *,
    target: str | None = None,
    group: str | None = None,
    time: str | None = None,
    size: int | None = None,
) -> ImageData:
    """The data set of one of the names in `NAMED`, or a person's own, by a path or an object.

    digits: 1257 training, 180 validation and 360 test images [8, 8, 1], float32 in [0, 1].
    mnist, fashion_mnist: 55 000, 5 000 (the training file's last) and 10 000, uint8 [28, 28, 1].
    cifar10: 18 000, 2 000 and 1 000, uint8 [32, 32, 3].
    A path: an `.npz` file with x and y, a `.csv`, `.tsv` or `.parquet` table whose `target` column
    holds the labels, a folder of pictures a class, or one of two IDX files. An object: see
    `sources.from_object`. Its rows are split by class, by the columns `group` or `time`, or as its
    `split` says; pictures are resized to `size` x `size`. Raises InputError for anything else.
    """
    options = Options(target, group, time, size)
    if not isinstance(source, str | os.PathLike):
        return ready(type(source).__name__.lower(), from_object(source, options))
    name = os.fspath(source)
    if name in NAMED:
        options.only(f"the data set {name}")
        return NAMED[name]()
    path = Path(name).expanduser()
    if not (is_path(name) or (name and path.is_dir())):
        raise unknown("data set", name, [*NAMED, "path/to/file.npz, .csv or folder"])
    try:
        with naming(path):
            return ready(path.stem, read(path, options))
    except MemoryError as error:
        raise InputError(f"{path}: too large for this machine's memory") from error


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


def ready(name: str, raw: Raw) -> ImageData:
    """Raw data in parts, its labels as numbers, scaled by what the training part says.

    Raises InputError for labels that are no classes, and as `splits.parts` and the scaling do.
    """
    y, classes = labelled(raw.y, raw.classes)
    if len(y) < 10:
        raise InputError(f"needs at least 10 examples to split; got {len(y)}")
    rows = parts(y, classes, raw.said)
    x, columns = raw.x, ()
    if hasattr(x, "iloc"):
        columns = frames.learn(x.iloc[rows[0]])
        x = frames.numbers(x, columns)
    train = scaling.finite(x[rows[0]])
    if x.ndim == 2:
        names, codes = [each.name for each in columns], [len(each.categories) for each in columns]
        learnt = scaling.columns(train, names, codes)
    else:
        learnt = scaling.pixels(train)
    seen = scaling.kept(learnt, *(x[each] for each in rows))
    train, validation, test = map(Batch, seen, (y[each] for each in rows))
    example = Example(x.shape[1:], columns, raw.pictures)
    return ImageData(name, train, validation, test, classes, learnt, example)


def labelled(y: np.ndarray, names: tuple[str, ...] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels [n] as int32 0..k-1, and the k classes that there are, by name or in their order.

    Integers number the `names`, if given. Raises InputError for one class, and for numbers that are
    no classes.
    """
    if y.dtype.kind == "f":
        if (odd := y[y != np.round(y)]).size:
            raise InputError(f"labels must be classes; got the number {odd[0]:g}")
        y = y.astype(np.int64)
    elif y.dtype.kind == "U":
        y = np.char.strip(y)
    values, codes = np.unique(y, return_inverse=True)
    if len(values) < 2:
        raise InputError("y holds one class only; a classifier needs at least two")
    if 2 * len(values) > len(y):
        raise InputError(f"labels must be classes; got {len(values)} of them in {len(y)} rows")
    found = tuple(str(value) for value in values.tolist())
    if names is not None and (twice := [each for each in names if names.count(each) > 1]):
        raise InputError(f"two classes are called {twice[0]}")
    if names is not None and y.dtype.kind in "iu":
        low, high, most = values[0], values[-1], len(names) - 1
        if low < 0 or high > most:
            raise InputError(f"labels of classes are 0..{most}, as many; got {low} to {high}")
        found = tuple(names[value] for value in values)
    elif names is not None and (odd := set(found) - set(names)):
        raise InputError(f"the label {min(odd)!r} is none of the classes {', '.join(names)}")
    return codes.astype(np.int32), found
