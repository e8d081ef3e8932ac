"""A person's own data: files, folders and objects of other libraries, as raw inputs and labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dljax.data import files, frames, pictures
from dljax.data.scaling import Columns, Pixels, say
from dljax.data.splits import PARTS, Said
from dljax.errors import InputError


class Options(NamedTuple):
    """Columns that hold the labels, whom rows belong to, and when they were; pictures' side."""

    target: str | None = None
    group: str | None = None
    time: str | None = None
    size: int | None = None

    def only(self, what: str, *taken: str) -> None:
        """Raises InputError for an option that `what` does not take."""
        for name, value in self._asdict().items():
            if value is not None and name not in taken:
                raise InputError(f"--{name} says nothing about {what}")


class Example(NamedTuple):
    """What a model is asked: the shape of one raw example, a table's columns if named, and whether
    pixels were learnt from picture files, whose levels then are the model's."""

    shape: tuple[int, ...]
    columns: tuple[frames.Column, ...] = ()
    pictures: bool = False


class Raw(NamedTuple):
    """Raw inputs, an array [n, ...] or a frame; labels [n] and their names; what else is known."""

    x: Any
    y: np.ndarray
    classes: tuple[str, ...] | None = None
    said: Said = Said()
    pictures: bool = False


def read(path: Path, options: Options) -> Raw:
    """What a path holds: a folder a class, a table, IDX files or, whatever its name, an `.npz`."""
    if path.is_dir():
        options.only(f"the folder {path}", "size")
        return from_folder(path, options.size)
    options.only(f"the file {path}", "target", "group", "time")
    if path.suffix.lower() in frames.SUFFIXES:
        return from_frame(frames.read(path), options)
    if "idx" in path.name and path.is_file():
        options.only(f"the file {path}")
        return from_idx(path)
    target, group, time = options.target or "y", options.group or "group", options.time or "time"
    keys = ("x", target, "x_test", "y_test", "classes", "split", group, time)
    arrays = files.open_npz(path, keys, KINDS)
    for wanted in filter(None, (options.group, options.time)):
        if wanted not in arrays:
            raise InputError(f"has no array {wanted}")
    renamed = ("x", "y", "x_test", "y_test", "classes", "split", "group", "time")
    return from_arrays({n: arrays[k] for n, k in zip(renamed, keys, strict=True) if k in arrays})


KINDS = ("a folder of pictures a class", "a .csv, .tsv or .parquet table", "an IDX file")


def from_object(given: Any, options: Options) -> Raw:
    """What other libraries give, by the names that they have.

    A frame of pandas; `(x, y)`; a mapping with x and y as an `.npz`; a Bunch of scikit-learn; a
    data set of Hugging Face, or several by their part. Raises InputError for anything else.
    """
    if hasattr(given, "iloc"):
        return from_frame(given, options)
    if hasattr(given, "column_names"):
        return from_columns([("", given)], options)
    if isinstance(given, Mapping):
        if given and all(hasattr(each, "column_names") for each in given.values()):
            return from_columns(list(given.items()), options)
        options.only("arrays")
        if "data" in given and "target" in given:
            return from_bunch(given)
        return from_arrays({name: array(value) for name, value in given.items()})
    if isinstance(given, tuple) and len(given) == 2:
        options.only("arrays")
        return from_arrays({"x": array(given[0]), "y": array(given[1])})
    raise InputError(
        f"no data set: {type(given).__name__}; give a path, (x, y), a frame or a Bunch"
    )


def array(values: Any) -> np.ndarray:
    """An array, of text where all values are text; a lone object where there can be none."""
    try:
        found = np.asarray(values)
    except ValueError:  # lists of several lengths
        return np.empty((), object)
    if found.dtype.kind == "O" and found.ndim == 1 and all(isinstance(v, str) for v in found):
        return found.astype(str)
    return np.char.decode(found, "utf-8", "replace") if found.dtype.kind == "S" else found


def from_arrays(arrays: Mapping[str, np.ndarray]) -> Raw:
    """x and y [n]; x_test and y_test, classes, split, group and time where there are such."""
    x, y = checked(arrays, "x", "y")
    said = {name: arrays[name] for name in Said._fields if name in arrays}
    for name, value in said.items():
        if value.shape != (len(y),):
            raise InputError(f"{name} must be [{len(y)}], as y; got {list(value.shape)}")
    if "x_test" in arrays or "y_test" in arrays:
        if said:
            raise InputError(f"has x_test, and so needs no {min(said)}")
        more, labels = checked(arrays, "x_test", "y_test")
        if x.shape[1:] != more.shape[1:]:
            wanted, got = list(x.shape[1:]), list(more.shape[1:])
            raise InputError(f"x_test must hold {wanted} examples like x; got {got}")
        if new := sorted(set(labels.tolist()) - set(y.tolist())):
            raise InputError(f"y_test holds the label {new[0]}, which y does not")
        said = {"split": np.repeat(["train", "test"], [len(y), len(labels)])}
        x, y = np.concatenate([x, more]), np.concatenate([y, labels])
    classes = tuple(map(str, arrays["classes"].tolist())) if "classes" in arrays else None
    return Raw(x, y, classes, Said(**said))


def checked(arrays: Mapping[str, np.ndarray], x_key: str, y_key: str) -> tuple[Any, np.ndarray]:
    """The arrays under two keys, of one length and of shapes that are taken."""
    if missing := [key for key in (x_key, y_key) if key not in arrays]:
        raise InputError(f"has no array {' and no '.join(missing)}; name the arrays x and y")
    x, y = arrays[x_key], arrays[y_key]
    if y.ndim != 1 or y.dtype.kind not in "iubfUST":
        raise InputError(f"{y_key} must be labels [n]; got {y.dtype} {list(y.shape)}")
    if len(x.shape) and len(x) != len(y):
        raise InputError(f"{x_key} has {len(x)} examples but {y_key} has {len(y)}")
    return inputs(x, x_key), y


def inputs(x: np.ndarray, key: str = "x") -> np.ndarray:
    """Numbers as a table [n, F] or as images [n, h, w, c]."""
    if x.ndim not in (2, 3, 4) or x.dtype.kind not in "biuf":
        wanted = "numbers [n, features], [n, h, w] or [n, h, w, c]"
        raise InputError(f"{key} must be {wanted}; got {x.dtype} {list(x.shape)}")
    if x.size == 0:
        raise InputError(f"{key} is empty: its shape is {list(x.shape)}")
    if (
        x.ndim == 4
        and x.shape[1] <= 4 < x.shape[2]
        and (x.shape[3] > 16 or x.shape[2] == x.shape[3])
    ):
        shape = ", ".join(map(str, x.shape[1:]))
        raise InputError(f"{key} [n, {shape}] has its channels first; np.moveaxis({key}, 1, -1)")
    return x if x.ndim == 2 else x.reshape(*x.shape[:3], -1)


def from_frame(frame: Any, options: Options) -> Raw:
    """Rows of a table whose `target` column holds the labels; a column `split` says their parts."""
    frame = frames.named(frame)
    if options.target is None:
        names = ", ".join(map(str, frame.columns[:20]))
        raise InputError(f"which column holds the labels? --target COLUMN, one of {names}")
    y = frames.take(frame, "target", options.target)
    named = {"group": options.group, "time": options.time}
    said = {name: frames.take(frame, name, column) for name, column in named.items() if column}
    apart = [options.target, *filter(None, named.values())]
    if "split" in frame.columns and set(frame["split"].astype(str).str.lower()) <= set(PARTS):
        said["split"], apart = frame["split"].to_numpy(), [*apart, "split"]
    x = frames.told(frame.drop(columns=list(dict.fromkeys(apart))))  # which counts all rows
    if lost := int((none := frame[options.target].isna().to_numpy()).sum()):
        say(f"{lost} rows without a label are left out")
        x, y, said = x[~none], y[~none], {name: each[~none] for name, each in said.items()}
    return Raw(x, np.array(y.tolist()), None, Said(**said))


def from_folder(root: Path, size: int | None) -> Raw:
    """Pictures in a folder a class, or in such of the parts train, validation and test."""
    folders = sorted(each for each in root.iterdir() if each.is_dir())
    named = [each for each in folders if not each.name.startswith(".")]
    if not named or any(each.name.lower() not in PARTS for each in named):
        return Raw(*pictures.by_folder(root, size), pictures=True)
    found = [pictures.by_folder(each, size) for each in named]
    shapes = {x.shape[1:] for x, _ in found}
    if len(shapes) > 1:
        raise InputError(f"{root}: pictures of several sizes or of colour and grey; use one kind")
    split = np.repeat([each.name for each in named], [len(y) for _, y in found])
    x, y = (np.concatenate(each) for each in zip(*found, strict=True))
    return Raw(x, y, None, Said(split=split), pictures=True)


def from_idx(path: Path) -> Raw:
    """A pair of IDX files, `images` in the name of one where the other has `labels`."""
    names = [path.name.replace(a, b) for a, b in (("labels", "images"), ("images", "labels"))]
    names = [names[0].replace("idx1", "idx3"), names[1].replace("idx3", "idx1")]
    x, y = (files.read_idx(path.with_name(n), rank) for n, rank in zip(names, (3, 1), strict=True))
    return from_arrays({"x": x, "y": y})


def from_bunch(bunch: Mapping[str, Any]) -> Raw:
    """A Bunch of scikit-learn: its images if it has such, else its table by features' names."""
    import pandas as pd

    y, names = array(bunch["target"]), bunch.get("target_names")
    classes = None
    if names is not None and y.dtype.kind in "iu" and len(names) > y.max():
        classes = tuple(map(str, names))
    if "images" in bunch:
        return Raw(*checked({"x": np.asarray(bunch["images"]), "y": y}, "x", "y"), classes)
    x = bunch["data"]
    if not hasattr(x, "iloc"):
        x, y = checked({"x": np.asarray(x), "y": y}, "x", "y")
        if bunch.get("feature_names") is not None:
            x = pd.DataFrame(x, columns=list(map(str, bunch["feature_names"])))
    return Raw(x, y, classes)


def from_columns(parts: list[tuple[str, Any]], options: Options) -> Raw:
    """Data sets of Hugging Face, each under its part's name: pictures, or a table of all columns.

    Labels are the `target` column, or the only one whose feature has names.
    """
    import pandas as pd

    first = parts[0][1]
    features = getattr(first, "features", None) or {}
    named = {c: each.names for c, each in features.items() if getattr(each, "names", None)}
    target = options.target or (next(iter(named)) if len(named) == 1 else None)
    columns = {c: [v for _, part in parts for v in part[c]] for c in first.column_names}
    if len(parts) > 1:
        columns["split"] = [name for name, part in parts for _ in part[first.column_names[0]]]
    classes = tuple(named.get(target or "", ())) or None
    shown = [c for c, values in columns.items() if values and hasattr(values[0], "getpixel")]
    if not shown or target not in columns:
        raw = from_frame(pd.DataFrame(columns), options._replace(target=target))
        return raw._replace(classes=classes)
    options.only("pictures", "target")
    images = [np.asarray(image) for image in columns[shown[0]]]
    if len({image.shape for image in images}) > 1:
        raise InputError(f"{shown[0]} holds pictures of several sizes or kinds; make them alike")
    x, y = checked({"x": np.stack(images), "y": np.array(columns[target])}, "x", "y")
    said = Said(split=np.array(columns["split"])) if "split" in columns else Said()
    return Raw(x, y, classes, said, pictures=True)


def rows(path: Path, example: Example, scaling: Pixels | Columns) -> tuple[list[str], np.ndarray]:
    """Raw inputs [n, ...] of a file or a folder of pictures for a model, and what each is called.

    Raises InputError for what does not fit the model's `example` or its `scaling`.
    """
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in pictures.SUFFIXES:
        if len(example.shape) != 3:
            raise InputError(f"{path}: the model learnt a table, not pictures")
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        shown = [each for each in found if each.suffix.lower() in pictures.SUFFIXES]
        if not shown:
            raise InputError(f"{path} holds no .png or .jpg file")
        raw = np.stack([pictures.alike(each, example.shape) for each in shown])
        names = [str(each) for each in shown]
        if isinstance(scaling, Pixels) and not example.pictures:  # of levels of its own
            raw = raw / 255 * (scaling.high - scaling.low) + scaling.low
    elif suffix in frames.SUFFIXES:
        if isinstance(scaling, Pixels):
            shape = ", ".join(map(str, example.shape))
            raise InputError(f"{path}: the model learnt pictures [{shape}], not a table")
        frame, used = frames.read(path), sorted(set(scaling.source.tolist()))
        columns = example.columns or tuple(frames.Column(str(name)) for name in frame.columns)
        raw = frames.numbers(frame, columns, used if example.columns else None)
        frames.tell_unknown(frame, raw, columns)
        names = [str(i + 1) for i in range(len(raw))]
    else:
        arrays = files.open_npz(path, ("x",), KINDS)
        if "x" not in arrays:
            raise InputError(f"{path} has no array x")
        raw = inputs(arrays["x"])
        names = [str(i) for i in range(len(raw))]
    if raw.shape[1:] != example.shape:
        wanted, got = list(example.shape), list(raw.shape[1:])
        raise InputError(f"{path} holds examples {got}; the model learnt {wanted}")
    scaling.check(raw)
    if isinstance(scaling, Columns):
        scaling.tell_gaps(raw, [column.name for column in example.columns])
    return names, raw
