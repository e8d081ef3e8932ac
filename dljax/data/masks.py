"""Images with a mask each (S32), by name or from a user's folder or `.npz` file."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from dljax.data import images, pictures, scaling
from dljax.data.compose import compose
from dljax.data.files import check_size, open_npz
from dljax.data.scaling import BYTES, Pixels
from dljax.data.store import fetch, is_path
from dljax.errors import InputError, unknown
from dljax.typing import Batch

MOST = 128  # classes, of an int8


@dataclass(frozen=True, eq=False)
class MaskData:
    """Images of one size with the class of every pixel, in fixed splits, as numpy arrays.

    x: [n, h, w, c], uint8 in 0..255, or float32 as `scaling.apply` gives them of raw ones; y: int8
    [n, h, w] in 0..len(classes) - 1. scaling: learnt on the training part.
    """

    name: str
    train: Batch
    validation: Batch
    test: Batch
    classes: tuple[str, ...]
    scaling: Pixels = BYTES


def load(name_or_path: str | os.PathLike[str], values: Sequence[int] = (0, 255)) -> MaskData:
    """The data set `scenes` or `isbi`, or the user's at a path.

    scenes: digits in noise, 240 images [64, 64, 1]. isbi: see `isbi`. A path: a folder with
    `images/NAME` and `masks/NAME`, PNG or JPEG, numbered as they are named, or an `.npz` file with
    x [n, h, w] or [n, h, w, c] and y [n, h, w]; what a mask holds where class k is, is `values[k]`:
    a grey level, or the number of a palette's colour.
    Two thirds are to learn from; of the rest, which follows in order since neighbours may look
    alike, two fifths are to choose on and three to test. Raises InputError, naming the file, for
    anything else.
    """
    name = os.fspath(name_or_path)
    if name in NAMED:
        if tuple(values) != (0, 255):
            raise InputError(f"{name} has classes of its own; got {[*values]}")
        return NAMED[name]()
    path = Path(name).expanduser()
    if not (is_path(name) or path.is_dir()):
        raise unknown("data set", name, [*NAMED, "path/to/folder", "path/to/file.npz"])
    some = 2 <= len({*values}) == len(values) <= MOST
    if not (some and all(0 <= v < 256 for v in values)):
        raise InputError(f"the classes' values must be 2 to {MOST} of 0..255; got {[*values]}")
    classes = tuple(map(str, values))
    if path.is_dir():
        return divided(path.stem, *read_folder(path, values), classes)
    x, y = read_npz(path, values)
    try:
        return divided(path.stem, x, y, classes, scaling.pixels)
    except InputError as error:
        said = str(error)
        raise InputError(said if said.startswith(path.stem) else f"{path}: {said}") from error


def scenes(n: int = 240, noise: float = 0.35) -> MaskData:
    """Composed scenes of digits of its own split each: where a digit is, and where none."""
    digits = images.load("digits")

    def part(seed: int, own: Batch, count: int) -> Batch:
        keys = jax.random.split(jax.random.key(seed), count)
        made = jax.jit(jax.vmap(lambda key: compose(key, own, noise=noise)))(keys)
        x = np.round(255 * np.asarray(made.image)).astype(np.uint8)
        return Batch(x, (np.asarray(made.mask) > 0).astype(np.int8))

    parts = digits.train, digits.validation, digits.test
    counts = counted(n)
    made = [part(i, *each) for i, each in enumerate(zip(parts, counts, strict=True))]
    return MaskData("scenes", *made, classes=("background", "digit"))


def isbi() -> MaskData:
    """Slices 0 to 19, 20 to 23 and 24 to 29 of the ISBI challenge's volume, uint8 [512, 512, 1].

    A fly larva's nerve cord under the electron microscope, 4 x 4 x 50 nm a pixel and slice
    (Cardona et al. 2010; Arganda-Carreras et al. 2015): cells and the membranes around them.
    """
    path = fetch("isbi_membrane/membrane_train.tar.gz")
    files = pictures.read_archive(path, lambda name: name.endswith(".png"))

    def read(folder: str) -> dict[str, np.ndarray]:
        names = [f"train/{folder}/{i}.png" for i in range(30)]
        return {name: pictures.decode(files[name], name) for name in names}

    x, y = paired(read("image"), read("label"), (255, 0))
    return divided("isbi", x, y, ("cell", "membrane"))


NAMED: dict[str, Callable[[], MaskData]] = {"scenes": scenes, "isbi": isbi}


def counted(n: int) -> tuple[int, int, int]:
    """How many of n images are to learn from, to choose on and to test: 20, 4 and 6 of 30."""
    if n < 3:
        raise InputError(f"at least 3 images with masks are needed; got {n}")
    test, validation = max(1, n // 5), max(1, 2 * n // 15)
    return n - validation - test, validation, test


def divided(
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    classes: tuple[str, ...],
    learn: Callable[[np.ndarray], Pixels] = lambda x: BYTES,
) -> MaskData:
    try:
        ends = np.cumsum(counted(len(x)))[:2]
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    for k, label in enumerate(classes):
        if not (y[: ends[0]] == k).any():
            raise InputError(f"{name}: no mask to learn from shows class {label}")
    raw = np.split(x, ends)
    learnt = learn(raw[0])
    parts = zip(scaling.kept(learnt, *raw), np.split(y, ends), strict=True)
    train, validation, test = (Batch(*part) for part in parts)
    return MaskData(name, train, validation, test, classes, learnt)


def read_folder(path: Path, values: Sequence[int]) -> Batch:
    """The pictures of `images/` and those of the same names in `masks/`, in the names' order."""

    def files(folder: str) -> dict[str, Path]:
        each = (path / folder).iterdir() if (path / folder).is_dir() else ()
        found: dict[str, Path] = {}
        for file in sorted(each):
            if file.suffix.lower() in pictures.SUFFIXES:
                if twin := found.get(file.stem):
                    raise InputError(f"{file}: beside {twin}, of the same name")
                found[file.stem] = file
        return found

    shown, masks = files("images"), files("masks")
    if not shown:
        raise InputError(f"{path}: no PNG or JPEG file in its folder images, beside masks")
    if odd := sorted(shown.keys() ^ masks.keys()):
        there = shown.get(odd[0]) or masks[odd[0]]
        other = path / ("masks" if odd[0] in shown else "images")
        raise InputError(f"{there}: without its fellow {other}/{odd[0]}, a PNG or JPEG file")
    order = sorted(shown, key=numbered)

    def read(files: dict[str, Path], indexed: bool) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for stem in order:
            picture = found[str(files[stem])] = pictures.read(files[stem], indexed)
            check_size(path, len(order) * picture.size)
        return found

    return paired(read(shown, indexed=False), read(masks, indexed=True), values)


def numbered(name: str) -> list[tuple[int, str]]:
    """A key by which `slice9` stands before `slice10`."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def read_npz(path: Path, values: Sequence[int]) -> Batch:
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder; known are {', '.join(NAMED)}")
    try:
        arrays = open_npz(path)
        if missing := {"x", "y"} - arrays.keys():
            raise InputError(f"has no array {min(missing)}; name images x and masks y")
        x, y = arrays["x"], arrays["y"]
        if x.ndim not in (3, 4) or x.dtype.kind not in "iuf" or x.size == 0:
            raise InputError(f"x must be images [n, h, w] or [n, h, w, c]; got {list(x.shape)}")
        if y.dtype.kind not in "iu" or y.shape != x.shape[:3]:
            wanted = f"integers {list(x.shape[:3])}, as x"
            raise InputError(f"y must be {wanted}; got {y.dtype} {list(y.shape)}")
        x = scaling.finite(x.reshape(*x.shape[:3], -1))
        return Batch(x, classified(y, values))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def paired(
    shown: dict[str, np.ndarray], masks: dict[str, np.ndarray], values: Sequence[int]
) -> Batch:
    """Images and masks [h, w, c] by file, in one order, as arrays.

    Raises InputError that names the first file of another size, or that holds another value.
    """
    (first, like), *_ = shown.items()
    for (name, image), (file, mask) in zip(shown.items(), masks.items(), strict=True):
        if image.shape != like.shape:
            raise InputError(f"{name}: {sized(image)}, but {first} is {sized(like)}")
        if mask.shape != (*like.shape[:2], 1):
            raise InputError(f"{file}: {sized(mask)}; a mask of {name} is {sized(image[..., :1])}")
    y = []
    for file, mask in masks.items():
        try:
            y.append(classified(mask[..., 0], values))
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
    return Batch(np.stack([*shown.values()]), np.stack(y))


def sized(image: np.ndarray) -> str:
    h, w, c = image.shape
    return f"{w} x {h} pixels of {c} channel{'s' * (c > 1)}"


def classified(mask: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """The class of each pixel, int8, of what masks hold for each."""
    y = np.full(mask.shape, -1, np.int8)
    for k, value in enumerate(values):
        y[mask == value] = k
    if (y < 0).any():
        accepted = ", ".join(map(str, values))
        raise InputError(f"holds {mask[y < 0][0]}, none of the declared classes {accepted}")
    return y
