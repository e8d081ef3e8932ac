"""Series in time (S17, S23): CSV files, scaling, and windows that never look ahead."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dljax.data.sound import strings
from dljax.data.store import fetch, is_path
from dljax.errors import InputError, check_count, unknown
from dljax.typing import Batch


@dataclass(frozen=True, eq=False)
class Series:
    """Equally spaced observations in order of time: values float64 [N, C] of the named columns.

    times: datetime64 [N], or None where the file has no column of times.
    """

    name: str
    columns: tuple[str, ...]
    values: np.ndarray
    times: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)

    def part(self, begin: int, end: int | None = None) -> "Series":
        times = None if self.times is None else self.times[begin:end]
        return replace(self, values=self.values[begin:end], times=times)


@dataclass(frozen=True, eq=False)
class Scaling:
    """`(x - mean) / sd` of each column, learnt from training data alone."""

    mean: np.ndarray
    sd: np.ndarray

    def scale(self, values: np.ndarray) -> np.ndarray:
        return (values - self.mean) / self.sd

    def unscale(self, values: np.ndarray) -> np.ndarray:
        return values * self.sd + self.mean


def scaling(values: np.ndarray) -> Scaling:
    """Raises InputError for a column that never changes, and so has no scale."""
    sd = values.std(0)
    if not (sd > 0).all():
        raise InputError(f"column {int(np.argmin(sd)) + 1} of the training part never changes")
    return Scaling(values.mean(0), sd)


def windows(values: np.ndarray, past: int, horizon: int) -> Batch:
    """Every window: x [n, past, C] and what follows it, y [n, horizon, C], as views.

    Raises InputError if the series is too short for one.
    """
    check_count(past=past, horizon=horizon)
    if len(values) < past + horizon:
        raise InputError(f"a window needs {past} + {horizon} steps; got {len(values)}")
    whole = np.lib.stride_tricks.sliding_window_view(values, past + horizon, axis=0)
    whole = np.moveaxis(whole, -1, 1)
    return Batch(whole[:, :past], whole[:, past:])


def on_circles(series: Series, names: Sequence[str]) -> Series:
    """The named columns, directions in degrees, replaced by their cosine and sine, which come last.

    Raises InputError for a name that is no column's.
    """
    for name in names:
        if name not in series.columns:
            raise unknown("column", name, series.columns)
    rest = [i for i, name in enumerate(series.columns) if name not in names]
    points = [circular(series.values[:, series.columns.index(name)]) for name in names]
    columns = [f"{part} {name}" for name in names for part in ("cos", "sin")]
    return replace(
        series,
        columns=(*(series.columns[i] for i in rest), *columns),
        values=np.concatenate([series.values[:, rest], *points], 1),
    )


def circular(degrees: np.ndarray) -> np.ndarray:
    """A direction as a point on the circle, `(cos, sin)`, so that 359 is beside 1: [..., 2]."""
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], -1)


def degrees(points: np.ndarray) -> np.ndarray:
    """The direction in [0, 360) of points [..., 2] of any length: `circular` undone."""
    return np.rad2deg(np.arctan2(points[..., 1], points[..., 0])) % 360


def read_csv(path: str | os.PathLike[str]) -> Series:
    """A CSV file with a line of names; the first column may hold times, all others hold numbers.

    Raises InputError that names the file, the column and the line of an empty cell, of text among
    numbers, of a time that cannot be read or does not come after the one before; and for a file
    that cannot be read, is not UTF-8 or has fewer than two rows.
    """
    import pandas

    try:
        rows = list(csv.reader(io.StringIO(Path(path).expanduser().read_text("utf-8-sig"))))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: offset {error.start}") from None
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV table: {error}") from None
    while rows and not rows[-1]:  # empty lines at the end are none
        rows.pop()
    if not rows:
        raise InputError(f"{path} is not a CSV table: No columns to parse from file")
    for line, cells in enumerate(rows, start=1):
        if len(cells) != (need := len(rows[0])):
            raise InputError(f"{path}, line {line} has {len(cells)} cells; names there are {need}")
    table = pandas.DataFrame(rows[1:], columns=pandas.Index(rows[0]))
    if len(table) < 2:
        raise InputError(f"{path} must have at least two rows below its names; got {len(table)}")
    names = [str(name) for name in table.columns]
    times = None if number(table.iloc[0, 0]) is not None else read_times(path, table.iloc[:, 0])
    first = 0 if times is None else 1
    if len(names) <= first:
        raise InputError(f"{path} has no column of numbers")
    values = [read_numbers(path, table.iloc[:, i]) for i in range(first, len(names))]
    return Series(Path(path).stem, tuple(names[first:]), np.stack(values, 1), times)


def number(cell: Any) -> float | None:
    """A finite number, or None."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def read_numbers(path: Any, column: Any) -> np.ndarray:
    found = [number(cell) for cell in column]
    for line, (value, cell) in enumerate(zip(found, column, strict=True), start=2):
        if value is None:
            what = f"{cell!r} is not a number" if cell.strip() else "is empty"
            raise InputError(f"{path}: column {column.name!r}, line {line}: {what}")
    return np.array(found, np.float64)


def read_times(path: Any, column: Any) -> np.ndarray:
    import pandas

    found = pandas.to_datetime(column, errors="coerce", format="mixed").to_numpy("datetime64[s]")
    bad = np.isnat(found)
    late = np.append(False, found[1:] <= found[:-1])
    for mask, why in (
        (bad, "is neither a number nor a time"),
        (late, "is not after the one before"),
    ):
        if mask.any():
            row = int(mask.argmax())
            where = f"{path}: column {column.name!r}, line {row + 2}"
            raise InputError(f"{where}: {column.iloc[row]!r} {why}")
    return found


def gaps(series: Series) -> str | None:
    """Says where a step is longer than the commonest by half, or None; months are alike."""
    if series.times is None:
        return None
    lengths = np.diff(series.times).astype(np.int64)
    values, counts = np.unique(lengths, return_counts=True)
    wide = lengths > 1.5 * values[counts.argmax()]
    if not wide.any():
        return None
    first = series.times[int(wide.argmax())]
    return f"{int(wide.sum())} of {len(lengths)} steps are wider, the first after {first}"


NAMED = {
    "min-temperatures": "timeseries/daily-min-temperatures.csv",
    "max-temperatures": "timeseries/daily-max-temperatures.csv",
    "ETTh1": "timeseries/ETTh1.csv",
}


def load_series(name_or_path: str | os.PathLike[str]) -> Series:
    """One of `NAMED`, "strings", or the CSV file at a path: see `read_csv`.

    Temperatures: Melbourne's of each day from 1981 to 1990; ETTh1: hourly load and oil temperature
    of a transformer, Zhou et al. 2021; strings: `dljax.data.sound.strings`.
    """
    name = os.fspath(name_or_path)
    if name == "strings":
        return Series(name, ("sound",), strings()[:, None])
    if name in NAMED:
        return replace(read_csv(fetch(NAMED[name])), name=name)
    if is_path(name):
        return read_csv(name)
    raise unknown("series", name, [*NAMED, "strings", "path/to/file.csv"])
