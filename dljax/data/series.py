"""Series in time (S17, S23): CSV files, scaling, and windows that never look ahead."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dljax.data.sound import strings
from dljax.data.store import fetch, is_path
from dljax.data.text import read_rows
from dljax.errors import InputError, check_count, unknown
from dljax.typing import Batch

TIMES = ("date", "time", "datetime", "timestamp", "year", "month", "day")
"""Names of a first column that holds times even where they look like numbers."""
YEAR = 365.25 * 24 * 3600  # seconds


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


def degrees(points: np.ndarray) -> np.ndarray | np.floating:
    """The direction in [0, 360) of points [..., 2] of any length: `circular` undone."""
    return np.rad2deg(np.arctan2(points[..., 1], points[..., 0])) % 360


def read_csv(path: str | os.PathLike[str]) -> Series:
    """A CSV file with a line of names; the first column may hold times, all others hold numbers.

    It holds times where its name is one of `TIMES` or its first cell is no number; those with an
    offset from UTC are turned to UTC. Raises InputError that names the file, the column and the
    line of an empty cell, of text among numbers, of a time that cannot be read, may be read in two
    ways or does not come after the one before; and for a file that `read_text` refuses, that has no
    line of names, or fewer than two rows below it.
    """
    rows = read_rows(path)
    names, cells = rows[0], rows[1:]
    if len(names) == 1 and ";" in names[0]:
        raise InputError(f"{path}: cells must be separated by commas; got {names[0][:40]!r}")
    for line, row in enumerate(cells, start=2):
        if len(row) != len(names):
            raise InputError(
                f"{path}, line {line} has {len(row)} cells; names there are {len(names)}"
            )
    if all(number(name) is not None for name in names[1:]) and is_value(names[0]):
        first = ",".join(names)[:40]
        raise InputError(f"{path}, line 1 must hold the columns' names; got {first!r}")
    if len(cells) < 2:
        raise InputError(f"{path} must have at least two rows below its names; got {len(cells)}")
    columns = list(zip(names, zip(*cells, strict=True), strict=True))
    times = None
    if names[0].strip().lower() in TIMES or number(cells[0][0]) is None:
        times = read_times(path, *columns.pop(0))
    if not columns:
        raise InputError(f"{path} has no column of numbers")
    values = [read_numbers(path, *column) for column in columns]
    return Series(Path(path).stem, tuple(name for name, _ in columns), np.stack(values, 1), times)


def number(cell: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def is_value(cell: str) -> bool:
    """Whether a cell is a number or a time, and so no name."""
    return number(cell) is not None or not all(np.isnat(times)[0] for times in readings([cell]))


def read_numbers(path: Any, name: str, cells: Sequence[str]) -> np.ndarray:
    """Numbers [N]. Raises InputError that names the line of the first cell that is none."""
    found = [number(cell) for cell in cells]
    for line, (value, cell) in enumerate(zip(found, cells, strict=True), start=2):
        if value is None:
            what = f"{cell!r} is not a number" if cell.strip() else "is empty"
            raise InputError(f"{path}: column {name!r}, line {line}: {what}")
    return np.array(found, np.float64)


def read_times(path: Any, name: str, cells: Sequence[str]) -> np.ndarray:
    """Times in one format for all: datetime64 [N] of seconds, or of microseconds where need be.

    Raises InputError that names the line of the first that is none, is unsure, or comes too early.
    """
    found = readings(cells)
    times = max(found, key=lambda each: int((~np.isnat(each)).sum()))
    other = times if np.isnat(found[-1]).any() else found[-1]
    for mask, why in (
        (np.isnat(times), "is not a time such as 2020-01-31 or 2020-01-31 12:00"),
        (times != other, "may have its day or its month first; write it as yyyy-mm-dd"),
        (np.append(False, times[1:] <= times[:-1]), "is not after the one before"),
    ):
        if mask.any():
            row = int(mask.argmax())
            raise InputError(f"{path}: column {name!r}, line {row + 2}: {cells[row]!r} {why}")
    seconds = times.astype("datetime64[s]")
    return seconds if (seconds == times).all() else times


def readings(cells: Sequence[str]) -> list[np.ndarray]:
    """Cells as ISO 8601; where that does not read all, also as the first looks: month, day first.

    Each reading is datetime64 [N], NaT what it does not read.
    """
    import pandas
    from pandas.tseries.api import guess_datetime_format

    column = pandas.Series([cell.strip() for cell in cells], dtype=object)
    column = column.where(column.str.match(r"\w.*\d"))  # pandas reads `now`, and -5 as a year

    def read(form: str) -> np.ndarray:
        found = pandas.to_datetime(column, format=form, errors="coerce", utc=True)
        return found.to_numpy("datetime64[us]")

    found = [read("ISO8601")]
    if np.isnat(found[0]).any():
        with warnings.catch_warnings():  # it warns where only one order is possible
            warnings.simplefilter("ignore")
            forms = [guess_datetime_format(cells[0].strip(), dayfirst=day) for day in (False, True)]
        found += [read(form) for form in forms if form]
    return found


def commonest_step(times: np.ndarray) -> np.timedelta64:
    """How far apart most neighbours of times [N] are; of equally many the shortest."""
    lengths, counts = np.unique(np.diff(times), return_counts=True)
    return lengths[counts.argmax()]


def years(times: np.ndarray) -> np.ndarray:
    """Years of 365.25 days since the begin of 1970, of datetime64 [N]."""
    return times.astype("datetime64[s]").astype(np.int64) / YEAR


def minutes(times: np.ndarray) -> np.ndarray:
    """Minutes since midnight of datetime64 [N], int32."""
    found = times - times.astype("datetime64[D]")
    return (found // np.timedelta64(1, "m")).astype(np.int32)


CLOCKS = {"years": years, "minute": minutes}  # what models ask of a time, by name


def gaps(series: Series) -> str | None:
    """Says where a step is longer than the commonest by half, as none from month to month is."""
    if series.times is None:
        return None
    lengths = np.diff(series.times)
    wide = lengths.astype(np.int64) > 1.5 * commonest_step(series.times).astype(np.int64)
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
    """One of `NAMED`, "strings", or the CSV file at a path.

    Temperatures: Melbourne's of each day from 1981 to 1990; ETTh1: hourly load and oil temperature
    of a transformer, Zhou et al. 2021; strings: `dljax.data.sound.strings`. Raises InputError for
    an unknown name, and for a file that `read_csv` refuses.
    """
    name = os.fspath(name_or_path)
    if name == "strings":
        return Series(name, ("sound",), strings()[:, None])
    if name in NAMED:
        return replace(read_csv(fetch(NAMED[name])), name=name)
    if is_path(name):
        return read_csv(name)
    raise unknown("series", name, [*NAMED, "strings", "path/to/file.csv"])
