"""WHAT the data are, with their units (ROW of the syllabus). SOURCE."""

import csv
import os
from typing import NamedTuple

import numpy as np

from dljax.errors import InputError


class Readings(NamedTuple):
    """What was read at each time."""

    time: np.ndarray  # float64 [n], hours
    value: np.ndarray  # float32 [n], degrees


def readings(path: str | os.PathLike[str]) -> Readings:
    """The rows of a CSV file with the columns `time` and `value`.

    A known file is asked for by `dljax.data.fetch("TOPIC/readings.csv")` once it has its line in
    `dljax/data/registry.py`. Raises InputError that names the file, and the line of a number
    that is not finite.
    """
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if not rows or not {"time", "value"} <= set(rows[0]):
        raise InputError(f"{path} needs rows under the names time and value")
    try:
        found = np.array([[float(row["time"]), float(row["value"])] for row in rows])
    except (TypeError, ValueError):
        raise InputError(f"{path} holds what is no number") from None
    if not np.isfinite(found).all():
        bad = 2 + int(np.argmin(np.isfinite(found).all(1)))
        raise InputError(f"{path}, line {bad}: numbers must be finite")
    return Readings(found[:, 0], found[:, 1].astype(np.float32))
