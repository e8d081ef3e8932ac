"""Rows in three parts: by class, by group, by time, or as their owner says."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dljax.data.scaling import listed, say
from dljax.errors import InputError, unknown

PARTS = {
    "train": 0, "training": 0, "validation": 1, "valid": 1, "val": 1, "dev": 1, "test": 2,
    "testing": 2, "0": 0, "1": 1, "2": 2,
}  # fmt: skip
FEWEST = 3  # rows of a class that has one in each part


class Said(NamedTuple):
    """What is known of rows [n] beside x and y: whom they belong to, when they were, their part."""

    group: np.ndarray | None = None
    time: np.ndarray | None = None
    split: np.ndarray | None = None


def parts(y: np.ndarray, classes: Sequence[str], said: Said) -> list[np.ndarray]:
    """Rows of training, validation and test, for labels y [n], the same in every call.

    `said.split` as it stands, with a tenth of its training rows for validation where it names none,
    by time, by group or by class; else all parts so. Raises InputError for a class without a
    training row, an empty part, a group in two parts, and for time and group at once.
    """
    if said.time is not None and said.group is not None:
        raise InputError("rows are split by group or by time; got both")
    hint = "give more examples"
    if said.split is not None:
        found, hint = as_said(y, said), "split must name rows of train and of test"
    elif said.time is not None:
        found, hint = by_time(said.time), "too many rows have equal times"
    elif said.group is not None:
        found, hint = by_group(y, said.group), "groups are too few or too large"
    else:
        found = by_class(y)
        few = [name for k, name in enumerate(classes) if 0 < (y == k).sum() < FEWEST]
        if few:
            say(f"fewer than {FEWEST} rows, so in the training part only: {listed('class', few)}")
    for name, rows in zip(("training", "validation", "test"), found, strict=True):
        if not len(rows):
            raise InputError(f"the {name} part is empty; {hint}")
    if lost := sorted(set(range(len(classes))) - set(y[found[0]].tolist())):
        name = classes[lost[0]]
        raise InputError(f"class {name} has no training example after the split; add some")
    return found


def by_class(y: np.ndarray, tenths: int = 2) -> list[np.ndarray]:
    """A tenth of each class, rounded, but one row at least, for test and for validation.

    Classes of fewer than `FEWEST` rows are all for training. With `tenths` of 1 there is no test.
    """
    order = np.random.RandomState(0).permutation(len(y))  # NumPy keeps its numbers for ever
    place = np.empty(len(y), int)  # of a row within its class
    for k in np.unique(y):
        mine = order[y[order] == k]
        place[mine] = np.arange(len(mine))
    count = np.bincount(y)[y]
    tenth = np.where(count < FEWEST, 0, np.maximum(1, np.round(count / 10)))
    part = np.where(place < tenth, 1, np.where(place < tenths * tenth, 2, 0))
    return [order[part[order] == k] for k in range(3)]


def by_group(y: np.ndarray, group: np.ndarray) -> list[np.ndarray]:
    """No group in two parts; classes as even as groups allow, a tenth of the rows for each test."""
    from sklearn.model_selection import StratifiedGroupKFold

    names, group = np.unique(group.astype(str), return_inverse=True)
    if len(names) < FEWEST:
        raise InputError(f"to split by group, {FEWEST} groups are needed; got {len(names)}")
    folds = min(10, len(names), int(np.bincount(y).max()))
    cut = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a class with fewer rows than folds
        (_, test), (_, validation), *_ = cut.split(y, y, group)
    rest = np.setdiff1d(np.arange(len(y)), np.concatenate([test, validation]))
    return [rest, validation, test]


def by_time(time: np.ndarray) -> list[np.ndarray]:
    """The first 80 %, then 10 % to choose on and 10 % to test; equal times stay together."""
    if time.dtype.kind not in "iufM":
        time = dates(time)
    if (time != time).any():
        raise InputError("a row has no time")
    order = np.argsort(time, kind="stable")
    starts = [time[order[len(time) * share // 10]] for share in (8, 9)]
    first, second = np.searchsorted(time[order], starts)
    return np.split(order, [first, second])


def dates(text: np.ndarray) -> np.ndarray:
    """Times written as text, as datetime64."""
    import pandas as pd

    try:
        return pd.to_datetime(pd.Series(text.astype(str)), format="mixed").to_numpy()
    except (ValueError, TypeError) as error:
        raise InputError(f"times must be numbers or dates: {str(error).split(',')[0]}") from error


def as_said(y: np.ndarray, said: Said) -> list[np.ndarray]:
    """The rows of each part by its name; validation from training rows where none is named."""
    names = [str(each).strip().lower() for each in np.asarray(said.split)]
    if odd := sorted(set(names) - set(PARTS)):
        raise unknown("part in split", odd[0], ("train", "validation", "test"))
    part = np.array([PARTS[name] for name in names])
    train, validation, test = (np.flatnonzero(part == k) for k in range(3))
    if not len(validation) and len(train):
        say("split names no row for validation: a tenth of the training rows is taken")
        if said.time is not None:
            *rest, last = by_time(said.time[train])
        elif said.group is not None:
            *rest, last = by_group(y[train], said.group[train])
        else:
            *rest, last = by_class(y[train], tenths=1)[:2]
        train, validation = train[np.concatenate(rest)], train[last]
    found = [train, validation, test]
    if said.group is not None:
        seen = [set(said.group[rows].astype(str)) for rows in found]
        if twice := sorted((seen[0] & seen[1]) | (seen[0] & seen[2]) | (seen[1] & seen[2])):
            raise InputError(f"group {twice[0]} is in two parts by its split")
    return found
