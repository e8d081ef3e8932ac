"""Two looks of the same things (S44): images of either, unpaired to learn from, paired to judge."""

import functools
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from dljax.data.images import load, take
from dljax.data.store import fetch
from dljax.errors import InputError, unknown
from dljax.typing import Batch

MOST = 5000  # images of a side to learn from: as many as are looked at in a run of hours
INK, PAPER = (0.9, 0.6, 0.1), (0.1, 0.3, 0.7)


class Domains(NamedTuple):
    """Images x and y, uint8 [n, h, w, c]; in a Batch they are pairs, each x and its own y.

    No thing is on both sides of the unpaired ones, nor in another part. `labels` are those of `y`
    and of the test, or None.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    answers: np.ndarray  # the true partners of `x`: for an upper line, never for what is unpaired
    validation: Batch
    test: Batch
    labels: tuple[np.ndarray, np.ndarray] | None


def inverted(x: np.ndarray) -> np.ndarray:
    """Black for white."""
    return 255 - x


def coloured(x: np.ndarray) -> np.ndarray:
    """Grey levels [..., 1] between the colours of paper and ink, [..., 3]."""
    ink, paper = (np.array(each, np.float32) for each in (INK, PAPER))
    return np.round(255 * paper + (ink - paper) * x).astype(np.uint8)


def rotated(x: np.ndarray) -> np.ndarray:
    """A quarter turn against the clock."""
    return np.rot90(x, 1, (1, 2)).copy()


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "coloured": coloured,
    "inverted": inverted,
    "rotated": rotated,
}


def load_domains(source: str | os.PathLike[str], change: str = "coloured") -> Domains:
    """`emoji`: those of two designs, [64, 64, 3]; else images of `load`, plain and changed.

    Raises InputError as `load` does, for an unknown change, and for tables.
    """
    return emoji() if os.fspath(source) == "emoji" else changed(source, change)


def changed(source: str | os.PathLike[str], change: str) -> Domains:
    """Half of the training images as they are, the other half changed; grey is as grey RGB."""
    if change not in CHANGES:
        raise unknown("change", change, CHANGES)
    data = load(source)
    if data.train.x.ndim != 4:
        raise InputError(f"--data must hold images; {data.name} is a table")
    if data.train.x.shape[-1] != 1 and change == "coloured":
        raise InputError(f"only grey images can be coloured; {data.name} has colours")

    def pair(part: Batch) -> Batch:
        x = part.x if part.x.dtype == np.uint8 else np.round(255 * part.x).astype(np.uint8)
        y = CHANGES[change](x)
        return Batch(np.repeat(x, y.shape[-1] // x.shape[-1], -1), y)

    order = np.random.RandomState(0).permutation(len(data.train.y))
    first, second = np.array_split(order, 2)
    first, second = first[:MOST], second[:MOST]
    some, other = pair(take(data.train, first)), pair(take(data.train, second))
    validation, test = (pair(take(part, slice(1000))) for part in (data.validation, data.test))
    labels = data.train.y[second], data.test.y[:1000]
    return Domains(f"{data.name}, {change}", some.x, other.y, some.y, validation, test, labels)


@functools.cache
def emoji_designs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Google's emoji as blobs and as redrawn in 2017, both [1205, 64, 64, 3], and their things.

    A thing is the first character of a code: man, as are all men of a profession; some characters
    have one picture in common, and are one thing.
    """
    with np.load(fetch("noto_emoji_pairs/noto_blob_vs_2017_64.npz")) as file:
        blob, new, names = file["blob"], file["new"], file["names"]
    first = [name.removesuffix(".png").removeprefix("emoji_u").split("_")[0] for name in names]
    signs = first, [each.tobytes() for each in blob], [each.tobytes() for each in new]
    links, n = [np.unique(each, return_inverse=True)[1] for each in signs], len(names)
    rows = np.tile(np.arange(n), 3)
    columns = np.concatenate([n * (i + 1) + each for i, each in enumerate(links)])
    shared = coo_matrix((np.ones(3 * n), (rows, columns)), (4 * n, 4 * n))
    return blob, new, connected_components(shared, directed=False)[1][:n]


def emoji() -> Domains:
    """Blobs to the redrawn; a tenth of the things validates, a sixth tests, the rest is halved."""
    blob, new, things = emoji_designs()
    order = np.random.RandomState(0).permutation(np.unique(things))
    n = len(order)
    cuts = np.cumsum([n // 10, n // 6, (n - n // 10 - n // 6) // 2])
    held, tested, first, second = (np.isin(things, part) for part in np.split(order, cuts))
    validation, test = (Batch(blob[rows], new[rows]) for rows in (held, tested))
    return Domains("emoji", blob[first], new[second], new[first], validation, test, None)
