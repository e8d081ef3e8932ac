"""How numbers become what a network sees: learnt once, then part of the model."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dljax.errors import InputError


class Scaling(NamedTuple):
    """`(x - mean) / sd`, learnt from training data alone: a pytree that faces one example."""

    mean: Any
    sd: Any

    def scale(self, values: Any) -> Any:
        return (values - self.mean) / self.sd

    def unscale(self, values: Any) -> Any:
        return values * self.sd + self.mean


def standard(values: np.ndarray) -> Scaling:
    """Mean and deviation of each column [n, C]; InputError for one that never changes."""
    # by rounding, the deviation of a constant may be above 0, and that of no constant 0
    constant = (values == values[0]).all(0) | (values.std(0) == 0)
    if constant.any():
        column = int(constant.argmax()) + 1
        raise InputError(f"column {column} of the training part never changes")
    return Scaling(values.mean(0), values.std(0))


class Pixels(NamedTuple):
    """`(x - low) / (high - low)`, images of whatever number type as float32, mostly in [0, 1]."""

    low: Any
    high: Any

    def apply(self, raw: Any) -> Any:
        """Raw images, as their file has them, as a network sees them."""
        return (raw.astype(np.float32) - self.low) / (self.high - self.low)

    def check(self, raw: np.ndarray) -> None:
        """Raises InputError for images that plainly have another range, or not finite."""
        low, high = float(finite(raw).min()), float(raw.max())
        ends = self.apply(np.array([low, high]))
        # to a model of 0..255, shares of 1 are all black
        shares = self.high > 2 and low >= 0 and high <= 1 and (raw != np.round(raw)).any()
        if ends[0] < -1 or ends[1] > 2 or shares:
            said = f"pixels from {low:g} to {high:g}"
            raise InputError(f"{said}; this model learnt pixels from {self.low:g} to {self.high:g}")


UNIT, BYTES = Pixels(np.float32(0), np.float32(1)), Pixels(np.float32(0), np.float32(255))
NUMBER, MISSING, CATEGORY = range(3)


class Columns(NamedTuple):
    """A table's raw numbers [..., F], NaN where one is missing, as what a network sees [..., D].

    Column d is of v = raw[..., source[d]], by its kind: a NUMBER `(v - mean) / sd`, where a missing
    v is `at`; whether v is MISSING; whether v is the CATEGORY `at`. All fields are [D].
    """

    source: Any
    kind: Any
    at: Any
    mean: Any
    sd: Any

    def apply(self, raw: Any) -> Any:
        """Raw rows, as their file has them, as a network sees them."""
        xp: Any = np if isinstance(raw, np.ndarray) else jnp
        value = raw.astype(np.float32)[..., self.source]
        kind, at, mean, sd = (xp.broadcast_to(leaf, value.shape) for leaf in self[1:])
        missing = xp.isnan(value)
        told = xp.where(kind == MISSING, missing, value == at).astype(np.float32)
        number = (xp.where(missing, at, value) - mean) / sd
        return xp.where(kind == NUMBER, number, told)

    def check(self, raw: np.ndarray) -> None:
        """Raises InputError for a number that float32 does not hold."""
        finite(raw)

    def tell_gaps(self, raw: np.ndarray, names: Sequence[str] = ()) -> None:
        """Say in which columns values are missing where none was in training."""
        known = set(self.source[self.kind == MISSING].tolist())
        gaps = sorted(set(self.source[np.isnan(raw[:, self.source]).any(0)].tolist()) - known)
        if gaps:
            found = [str(names[j] if names else j + 1) for j in gaps]
            said = "filled by the median, or as no category, since training had none"
            say(f"values are missing, {said}: {listed('column', found)}")


def finite(x: np.ndarray) -> np.ndarray:
    """x, once sure that float32 holds it, and that none is NaN but in a table [n, F]."""
    with np.errstate(over="ignore"):
        values = x.astype(np.float32)
    if np.isinf(values).any() or (x.ndim != 2 and np.isnan(values).any()):
        raise InputError("x holds NaN, infinity or a value too large for float32")
    return x


def pixels(x: np.ndarray) -> Pixels:
    """The range of training images [n, h, w, c] by their values alone, whatever their type.

    0 to 1, or to 255; where neither says what the brightest is, to the greatest value, and from the
    least where one is negative. Raises InputError where none has a range.
    """
    low, high = float(x.min()), float(x.max())
    if low >= 0 and high <= 1:
        if x.dtype.kind != "f":
            say(f"pixels are from {low:g} to {high:g}, and taken as they are")
        return UNIT
    if low >= 0 and 127 < high <= 255:
        return BYTES
    if low == high < 0:
        raise InputError(f"all pixels of the training part are {low:g}")
    say(f"pixels are from {low:g} to {high:g}: {min(low, 0):g} becomes 0, and {high:g} becomes 1")
    return Pixels(np.float32(min(low, 0)), np.float32(high))


def columns(x: np.ndarray, names: Sequence[str] = (), categories: Sequence[int] = ()) -> Columns:
    """Mean, deviation and median of training columns x [n, F], of which NaN is missing.

    categories: of each column how many codes 0, 1, ... it has, 0 where it holds numbers. A column
    that says nothing is dropped. Raises InputError if all are.
    """
    names = names or [str(j + 1) for j in range(x.shape[1])]
    categories = categories or [0] * len(names)
    rows, dropped, filled = [], [], []
    for j, (column, codes) in enumerate(zip(x.astype(np.float32).T, categories, strict=True)):
        known = column[~np.isnan(column)].astype(np.float64)
        found = []
        if codes > 1:
            found = [(j, CATEGORY, code, 0, 1) for code in range(codes)]
        elif not codes and len(known) and np.ptp(known):
            found = [(j, NUMBER, np.median(known), known.mean(), known.std())]
        if 0 < len(known) < len(column):
            found.append((j, MISSING, 0, 0, 1))
            filled.append(names[j])
        rows += found
        dropped += [] if found else [names[j]]
    if not rows:
        raise InputError("no column of the table changes in the training part")
    if dropped:
        say(f"dropped, since the training part has one value only: {listed('column', dropped)}")
    if filled:
        say(f"values are missing, which an indicator tells: {listed('column', filled)}")
    source, kind, at, mean, sd = zip(*rows, strict=True)
    ints, floats = np.array([source, kind], np.int32), np.array([at, mean, sd], np.float32)
    return Columns(*ints, *floats)


def kept(scaling: Pixels | Columns, *raw: np.ndarray) -> list[np.ndarray]:
    """Checked raw parts, scaled; where `stream.as_seen` scales whole numbers, as bytes instead."""
    for x in raw:
        scaling.check(x)
    if scaling is BYTES and all(np.array_equal(x, x.astype(np.uint8)) for x in raw):
        return [x.astype(np.uint8) for x in raw]  # a quarter of the memory
    return [scaling.apply(x) for x in raw]


def listed(kind: str, names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    plural = "es" if kind.endswith("s") else "s"
    return f"{kind}{plural * (len(names) > 1)} {', '.join(names[:most])}{more}"


def say(line: str) -> None:
    """One line to a person about what was done with the data; results go to stdout."""
    print(line, file=sys.stderr)


def as_json(scaling: Pixels | Columns) -> dict[str, Any]:
    """A scaling as JSON holds it, to the last bit."""
    fields = {name: np.asarray(leaf).tolist() for name, leaf in scaling._asdict().items()}
    return {"scaling": type(scaling).__name__.lower(), **fields}


def from_json(found: dict[str, Any]) -> Pixels | Columns:
    """What `as_json` wrote."""
    kind = {"pixels": Pixels, "columns": Columns}[found["scaling"]]
    ints = ("source", "kind")
    leaves = (np.array(found[f], np.int32 if f in ints else np.float32) for f in kind._fields)
    return kind(*leaves)
