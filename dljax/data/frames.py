"""Tables with named columns (pandas): files, labels, and text as categories."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dljax.data.files import check_size
from dljax.data.scaling import listed, say
from dljax.errors import InputError, brief, unknown

SUFFIXES = (".csv", ".tsv", ".parquet")
MOST = 100  # categories of a column; rarer ones are as good as unknown


class Column(NamedTuple):
    """A named column: of numbers, or of text in these categories, whose codes are their places."""

    name: str
    categories: tuple[str, ...] = ()


def read(path: Path) -> Any:
    """The frame of a `.csv`, `.tsv` or `.parquet` file with names in its first line.

    Raises InputError for a file that is none.
    """
    import pandas as pd  # here: its import takes a second

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    check_size(path, path.stat().st_size)
    try:
        if path.suffix.lower() == ".parquet":
            frame = pd.read_parquet(path)
        else:
            with path.open(encoding="utf-8-sig") as file:
                first = file.readline()
            by = max(",;\t", key=first.count)
            marks = {"na_values": ["?"], "skipinitialspace": True, "encoding": "utf-8-sig"}
            frame = pd.read_csv(path, sep=by, low_memory=False, **marks)
    except ImportError as error:
        raise InputError(f"{path}: parquet files need pyarrow: pip install pyarrow") from error
    except Exception as error:  # whatever a damaged file makes pandas raise
        why = brief(error)
        raise InputError(f"{path} cannot be read as a table: {why}") from error
    if not len(frame) or frame.shape[1] < 1:
        raise InputError(f"{path} has no row under its names")
    return named(frame)


def named(frame: Any) -> Any:
    """The frame with names that are text; InputError for two columns of one name."""
    names = [str(name).strip() for name in frame.columns]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise InputError(f"two columns are called {twice[0]}")
    return frame.set_axis(names, axis=1)


def take(frame: Any, flag: str, name: str) -> np.ndarray:
    """The values of a column that a flag names."""
    if name not in frame.columns:
        raise unknown(f"column for --{flag}", name, list(frame.columns))
    return frame[name].to_numpy()


def is_text(column: Any) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return not (is_numeric_dtype(column) or is_bool_dtype(column))


def is_number(value: Any) -> bool:
    """Whether it is a number, or a text that reads as one, as all of a column with one text do."""
    try:
        return float(value) == float(value)
    except (TypeError, ValueError):
        return False


def told(frame: Any) -> Any:
    """The frame without columns that only tell rows apart: texts that differ, counts of rows."""
    dropped = []
    for name in frame.columns:
        column = frame[name].dropna()
        if is_text(column):
            lost = len(column) > 20 and column.nunique() > len(column) / 2
        else:
            values = column.to_numpy()
            whole = np.issubdtype(values.dtype, np.integer) and len(values) == len(frame)
            lost = whole and counts(values, least=21)
        dropped += [name] if lost else []
    if dropped:
        say(f"dropped, since its values only number or name the rows: {listed('column', dropped)}")
    return frame.drop(columns=dropped)


def counts(values: np.ndarray, least: int) -> bool:
    """Whether `least` values or more are an index: 0, 1, 2, ... or from another whole number on."""
    return bool(len(values) >= least and values[0] % 1 == 0 and (np.diff(values) == 1).all())


def learn(frame: Any) -> tuple[Column, ...]:
    """The columns of training rows, text with its `MOST` commonest categories."""
    found = []
    for name in frame.columns:
        categories = ()
        if is_text(frame[name]):
            counts = frame[name].dropna().astype(str).str.strip().value_counts()
            categories = tuple(sorted(counts.index[:MOST])) or ("",)
        found.append(Column(name, categories))
    return tuple(found)


def tell_unknown(frame: Any, raw: np.ndarray, columns: Sequence[Column]) -> None:
    """Say which categories in `numbers` of a frame were not learnt."""
    for j, (name, categories) in enumerate(columns):
        if categories and (strange := raw[:, j] == -1).any():
            values = sorted(set(frame[name][strange].astype(str).str.strip()))
            said = listed("value", [repr(value) for value in values])
            count = int(strange.sum())
            rows = f"{count} row{'s' * (count > 1)}"
            say(f"not learnt, so as no category: column {name}, {said}, in {rows}")


def numbers(frame: Any, columns: Sequence[Column], used: Sequence[int] | None = None) -> np.ndarray:
    """The columns by name as raw numbers [n, F]: codes of categories, -1 for an unknown one, NaN.

    Of columns that are not `used` there may be none. Raises InputError for one that lacks, and for
    text among numbers.
    """
    used = range(len(columns)) if used is None else used
    raw = np.zeros((len(frame), len(columns)), np.float64)
    for j in used:
        name, categories = columns[j]
        if name not in frame.columns:
            raise InputError(f"the table has no column {name!r}, which the model needs")
        column = frame[name]
        if categories:
            codes = {category: code for code, category in enumerate(categories)}
            text = column.astype(str).str.strip().map(codes).fillna(-1).to_numpy(float)
            raw[:, j] = np.where(column.isna(), np.nan, text)
        elif is_text(column) and not column.isna().all():
            some = next((v for v in column.dropna() if not is_number(v)), column.dropna().iloc[0])
            raise InputError(f"column {name!r} holds {some!r} where the model learnt numbers")
        else:
            raw[:, j] = column.to_numpy(float, na_value=np.nan)
    return raw
