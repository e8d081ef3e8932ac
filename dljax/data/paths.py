"""People's paths over open places (S23): ETH (Pellegrini et al. 2009) and UCY (Lerner et al. 2007).

Positions in metres, one every 0.4 seconds. Eight are seen and twelve are to be told, leaving one
recording out, as everyone does since Gupta et al. 2018: what is tested is in no training or
validation file, but zara1, zara2 and OTHERS' zara03 are one street, and univ and uni_examples one
campus, so that only eth and hotel are places never seen.
"""

import functools
import os
from pathlib import Path

import numpy as np

from dljax.data.store import fetch
from dljax.data.text import read_text
from dljax.errors import InputError, unknown
from dljax.typing import Batch

PAST, FUTURE = 8, 12
PLACES = {
    "eth": ("biwi_eth",),
    "hotel": ("biwi_hotel",),
    "univ": ("students001", "students003"),
    "zara1": ("crowds_zara01",),
    "zara2": ("crowds_zara02",),
}
OTHERS = ("crowds_zara03", "uni_examples")  # never tested, always trained on


def leave_out(*places: str) -> tuple[Batch, Batch, Batch]:
    """Training and validation paths of all other places, and the test paths of these.

    Each is x [n, 8, 2] and y [n, 12, 2], float32. Raises InputError for an unknown place.
    """
    for place in places:
        if place not in PLACES:
            raise unknown("place", place, PLACES)
    others = [scene for name in PLACES if name not in places for scene in PLACES[name]]
    tested = [scene for name in places for scene in PLACES[name]]

    def together(folder: str, scenes: list[str], end: str) -> Batch:
        found = [recording(f"eth_ucy/{folder}/{scene}{end}.txt") for scene in scenes]
        return Batch(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    train, validation = (
        together(part, [*others, *OTHERS], f"_{part}") for part in ("train", "val")
    )
    return train, validation, together("all_data", tested, "")


@functools.cache
def recording(name: str) -> Batch:
    """The paths of a known file, read once: leaving others out asks for it again and again."""
    return read_paths(fetch(name))


def read_paths(path: str | os.PathLike[str]) -> Batch:
    """Every 20 steps in a row of one person, from lines of `frame person x y`.

    A step is the commonest number of frames between two. Raises InputError that names the line of
    what is not four numbers, and for a file with no such path.
    """
    rows = read_rows(Path(path))
    frames = np.unique(rows[:, 0])
    differences, counts = np.unique(np.diff(frames), return_counts=True)
    step = differences[counts.argmax()] if len(counts) else 1
    found = []
    for person in np.unique(rows[:, 1]):
        own = rows[rows[:, 1] == person]
        own = own[np.argsort(own[:, 0], kind="stable")]
        for piece in np.split(own[:, 2:], np.flatnonzero(np.diff(own[:, 0]) != step) + 1):
            if len(piece) >= PAST + FUTURE:
                views = np.lib.stride_tricks.sliding_window_view(piece, PAST + FUTURE, axis=0)
                found.append(np.moveaxis(views, -1, 1))
    if not found:
        raise InputError(f"{path} holds no person for {PAST + FUTURE} steps in a row")
    whole = np.concatenate(found).astype(np.float32)
    return Batch(whole[:, :PAST], whole[:, PAST:])


def read_rows(path: Path) -> np.ndarray:
    """Finite numbers [n, 4]."""
    rows = []
    for number, line in enumerate(read_text(path).rstrip("\n").split("\n"), start=1):
        try:
            values = [float(word) for word in line.split()]
        except ValueError:
            values = []
        if len(values) != 4 or not np.isfinite(values).all():
            raise InputError(f"{path}, line {number}: {line!r} is not `frame person x y`")
        rows.append(values)
    return np.array(rows)
