"""Pictures whose objects are marked by boxes: composed digits, blood cells, a user's own (S32)."""

import os
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import jax
import numpy as np

from dljax.data import images, pictures
from dljax.data.compose import compose
from dljax.data.files import check_size
from dljax.data.store import fetch, is_path
from dljax.errors import InputError, check_count, unknown
from dljax.typing import Batch, Boxes

CELLS = ("RBC", "WBC", "Platelets")
PARTS = {"train": "learn", "val": "choose", "test": "test"}
LONGEST = 2**20  # bytes of an annotation


@dataclass(frozen=True, eq=False)
class ObjectData:
    """Pictures x uint8 [n, h, w, c] with y `Boxes` [n, M], in fixed splits, as numpy arrays."""

    name: str
    train: Batch
    validation: Batch
    test: Batch
    classes: tuple[str, ...]
    dropped: int = 0  # boxes of zero area that were left out


def load_objects(name_or_path: str | os.PathLike[str], shrink: int = 1) -> ObjectData:
    """The set `digits` or `bccd`, or a folder's; `shrink` x `shrink` pixels become their mean.

    digits: 2000, 300 and 500 scenes [64, 64, 1] of digits, of which no two splits share one; see
    `compose`. bccd: 205, 87 and 72 pictures [480, 640, 3] of blood, in its own splits (Shenggan et
    al. 2018); of its 4888 boxes two have no area, and are left out. A folder: see `read_folder`.
    Raises InputError for anything else, and where `shrink` does not divide both sides.
    """
    check_count(shrink=shrink)
    name = os.fspath(name_or_path)
    if name == "digits":
        return digits(shrink)
    if name == "bccd":
        return bccd(shrink)
    if (path := Path(name).expanduser()).is_dir():
        return read_folder(path, shrink)
    if is_path(name):
        raise InputError(f"{name}: no such folder, with JPEGImages and Annotations as Pascal VOC's")
    raise unknown("set of marked pictures", name, ["digits", "bccd", "path/to/folder"])


def digits(shrink: int = 1, sizes: tuple[int, int, int] = (2000, 300, 500)) -> ObjectData:
    """Composed scenes of scikit-learn's digits, the same everywhere."""
    source = images.load("digits")

    def part(number: int, n: int, own: Batch) -> Batch:
        keys = jax.random.split(jax.random.fold_in(jax.random.key(0), number), n)
        scene = jax.device_get(jax.jit(jax.vmap(lambda key: compose(key, own)))(keys))
        x = np.round(255 * scene.image).astype(np.uint8)
        label = np.where(scene.present, scene.labels, -1).astype(np.int32)
        x = np.stack([shrunk(image, shrink, "digits") for image in x])
        return Batch(x, Boxes(scene.boxes / np.float32(shrink), label))

    given = zip(range(3), sizes, (source.train, source.validation, source.test), strict=True)
    train, validation, test = (part(*each) for each in given)
    return ObjectData("digits", train, validation, test, source.classes)


def bccd(shrink: int = 1) -> ObjectData:
    """The Blood Cell Count and Detection set."""
    files = pictures.read_archive(fetch("bccd/bccd.tar.gz"), lambda name: True)
    files = {name.removeprefix("BCCD/"): content for name, content in files.items()}
    return voc("bccd", files, files.__getitem__, shrink, CELLS, drop=True)


def read_folder(path: Path, shrink: int = 1) -> ObjectData:
    """A user's pictures `JPEGImages/NAME.jpg` (or .png) with `Annotations/NAME.xml`, as Pascal VOC.

    The splits are the lists of names `ImageSets/Main/{train,val,test}.txt` or, where there are
    none, a fixed permutation of all that is annotated, cut into 80, 10 and 10 %. An annotation
    without an object is right. Raises InputError that names the file for pictures of two sizes, or
    such as `pictures.decode` refuses; for a missing, damaged or hostile annotation; for a box
    outside its picture or of zero area; for a class that no picture to learn from shows; and where
    no picture of a split shows anything.
    """
    folders = ("Annotations", "JPEGImages", "ImageSets/Main")
    names = {
        file.relative_to(path).as_posix() for each in folders for file in (path / each).glob("*")
    }
    try:
        return voc(path.name, names, lambda name: (path / name).read_bytes(), shrink)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def voc(
    name: str,
    names: Collection[str],
    read: Callable[[str], bytes],
    shrink: int,
    classes: tuple[str, ...] | None = None,
    *,
    drop: bool = False,
) -> ObjectData:
    """The set whose files are called `names`, each of which `read` gives.

    Its classes are those that the training pictures show, unless they are given; with `drop`, boxes
    of zero area are counted and left out, which else are refused.
    """
    listed = splits(names, read)
    stems = [stem for each in listed.values() for stem in each]
    spelt = {
        path.stem + path.suffix.lower(): str(path)
        for path in map(PurePosixPath, sorted(names))
        if path.parts[:-1] == ("JPEGImages",)
    }
    found: list[np.ndarray] = []
    marks: list[list[Mark]] = []
    for stem in stems:
        picture = next((f for s in pictures.SUFFIXES if (f := spelt.get(f"{stem}{s}"))), None)
        note = f"Annotations/{stem}.xml"
        if picture is None or note not in names:
            raise InputError(f"{note if picture else f'JPEGImages/{stem}.jpg'} is missing")
        image = pictures.decode(read(picture), picture)
        marks.append(annotation(read(note), note, image.shape[:2]))
        found.append(shrunk(image, shrink, picture))
        check_size(name, len(stems) * found[0].size)
        if found[-1].shape != found[0].shape:
            h, w, c = found[0].shape
            wanted = f"{w * shrink} x {h * shrink} pixels {'in colour' if c > 1 else 'of grey'}"
            raise InputError(f"{picture} is not of {wanted}, as the first picture is")
    empty = [mark for each in marks for mark in each if mark.empty]
    if empty and not drop:
        raise InputError(f"{empty[0].said} has no area; mend it or take it out")
    marks = [[mark for mark in each if not mark.empty] for each in marks]
    ends = np.cumsum([len(each) for each in listed.values()]).tolist()
    for task, start, end in zip(PARTS.values(), [0, *ends], ends, strict=False):
        if not any(marks[start:end]):
            raise InputError(f"no picture to {task} on shows an object")
    if classes is None:
        classes = tuple(sorted({mark.name for each in marks[: ends[0]] for mark in each}))
    truth = padded(marks, classes, shrink)
    parts = zip(*(np.split(leaf, ends[:-1]) for leaf in (np.stack(found), *truth)), strict=True)
    train, validation, test = (Batch(x, Boxes(box, label)) for x, box, label in parts)
    return ObjectData(name, train, validation, test, classes, len(empty))


def splits(names: Collection[str], read: Callable[[str], bytes]) -> dict[str, list[str]]:
    """The pictures' names by part: by its lists or, where there are none, drawn."""
    lists = {part: f"ImageSets/Main/{part}.txt" for part in PARTS}
    there = [each for each in lists.values() if each in names]
    if there and (missing := sorted({*lists.values()} - {*there})):
        raise InputError(f"{missing[0]} is missing, beside {there[0]}")
    if there:
        found = {
            part: [
                words[0]
                for line in read(each).decode("utf-8", "replace").splitlines()
                if (words := line.split())
            ]
            for part, each in lists.items()
        }
    else:
        notes = sorted(Path(name).stem for name in names if name.startswith("Annotations/"))
        # the legacy generator, which keeps its numbers for ever
        mixed = [notes[i] for i in np.random.RandomState(0).permutation(len(notes))]
        tenth = len(notes) // 10
        held = {"val": mixed[:tenth], "test": mixed[tenth : 2 * tenth]}
        found = {"train": mixed[2 * tenth :], **held}
    twice = Counter(stem for stems in found.values() for stem in stems).most_common(1)
    if twice and twice[0][1] > 1:
        raise InputError(f"picture {twice[0][0]} is listed twice in {', '.join(lists.values())}")
    for part, stems in found.items():
        if not stems:
            wanted = "10 pictures JPEGImages/NAME.jpg with Annotations/NAME.xml are the least"
            raise InputError(f"no picture to {PARTS[part]} on; {wanted}")
    return found


class Mark(NamedTuple):
    """An object: its class, its box (top, left, bottom, right) in the file's pixels."""

    name: str
    box: tuple[float, float, float, float]
    empty: bool
    said: str  # which it is, for a message


def annotation(content: bytes, file: str, sides: tuple[int, int]) -> list[Mark]:
    """The objects of a picture of sides h and w, by an annotation of Pascal VOC.

    Its corners are pixels counted from 1, both of them inside, so that (1, 1, w, h) is a whole
    picture; 0 is taken for 1.
    """
    try:
        text = content.decode("utf-8-sig")
        if len(text) > LONGEST or "<!DOCTYPE" in text:  # entities may unpack to any size
            raise InputError(f"at most {LONGEST:,} characters and no DOCTYPE are accepted")
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, UnicodeDecodeError, InputError) as error:
        raise InputError(f"{file}: {error}") from error
    found = []
    for number, each in enumerate(root.iter("object"), 1):
        name = (each.findtext("name") or "").strip()
        corners = [each.findtext(f"bndbox/{side}") for side in ("ymin", "xmin", "ymax", "xmax")]
        try:
            top, left, bottom, right = (float(corner or "") for corner in corners)
        except ValueError as error:
            wanted = "no numbers xmin, ymin, xmax and ymax in a bndbox"
            raise InputError(f"{file}: object {number}, {name!r}, has {wanted}") from error
        said = f"{file}: box {left:g}, {top:g}, {right:g}, {bottom:g} of object {number}, {name!r},"
        if not (top >= 0 and left >= 0 and bottom <= sides[0] and right <= sides[1]):
            raise InputError(f"{said} lies outside the picture of {sides[1]} x {sides[0]} pixels")
        box = (max(top - 1, 0.0), max(left - 1, 0.0), bottom, right)
        found.append(Mark(name, box, not (top < bottom and left < right), said))
    return found


def padded(marks: list[list[Mark]], classes: tuple[str, ...], shrink: int) -> Boxes:
    """The objects of each picture as `Boxes` [n, M], M the most that one has."""
    most = max(map(len, marks))
    box = np.zeros((len(marks), most, 4), np.float32)
    label = np.full((len(marks), most), -1, np.int32)
    for row, each in enumerate(marks):
        for column, mark in enumerate(each):
            if mark.name not in classes:
                raise InputError(f"{mark.said}: {unknown('class', mark.name, classes)}")
            box[row, column] = np.divide(mark.box, shrink)
            label[row, column] = classes.index(mark.name)
    return Boxes(box, label)


def shrunk(image: np.ndarray, by: int, name: str) -> np.ndarray:
    """Means of `by` x `by` pixels of an image uint8 [h, w, c]."""
    h, w, c = image.shape
    if h % by or w % by:
        raise InputError(f"{name}: {w} x {h} pixels cannot be shrunk by {by}")
    means = image.reshape(h // by, by, w // by, by, c).mean((1, 3))
    return np.round(means).astype(np.uint8)
