"""Cases by region and day, and who moved between regions (S57): England 2020, and a simulation."""

import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from dljax.data.store import fetch, is_path
from dljax.data.text import read_text
from dljax.errors import InputError, check_count, unknown
from dljax.typing import Graph

FILE = "covid/england_covid.json"
NAMES = ("outbreak", "england")


@dataclass(frozen=True, eq=False)
class Epidemic:
    """New cases float64 [T, n] of each day and region, and each day's travels.

    travels: edges [T, e] of which day t's weight float32 [T, e] people went from sender to
    receiver; those who stayed are edges to oneself. Days have unequally many: the rest is padding,
    whose ends are n and whose weight is 0.
    """

    name: str
    cases: np.ndarray
    travels: Graph


def load(name: str) -> Epidemic:
    """One of `NAMES`, or the path of a file such as England's.

    england: 129 regions over the 61 days from 3 March 2020, cases by the NHS and movements by
    Facebook. Panagopoulos et al. 2021. Raises InputError for another name and a file that is not
    as it should be.
    """
    if name == "outbreak":
        return outbreak()
    if name == "england":
        return read(fetch(FILE), name)
    if is_path(name):
        return read(name, name)
    raise unknown("epidemic", name, [*NAMES, "path/to/cases.json"])


def read(path: str | os.PathLike[str], name: str) -> Epidemic:
    """A JSON of `y`, `[T][n]`, and, by the day's number, an `edge_mapping`.

    Of a day it has `edge_index` and `edge_weight`.

    Edges given twice add up wherever they are read. Raises InputError that names the file, and the
    day and region of a count that is missing, NaN or below 0, or the edge to a region that is none.
    """
    text = read_text(path)
    try:
        found = json.loads(text)
        told = found["y"]
        ends, weights = (found["edge_mapping"][key] for key in ("edge_index", "edge_weight"))
        days = [(ends[str(day)], weights[str(day)]) for day in range(len(told))]
        cases = [np.array(row, np.float64) for row in told]
        edges = [
            np.array(pairs).reshape(-1, 2) if not pairs else np.array(pairs) for pairs, _ in days
        ]
        moved = [np.array(each, np.float64).reshape(-1) for _, each in days]
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0][:80]
        raise InputError(f"{path} is not as it should be ({said})") from None
    check_days(path, cases, edges, moved)
    return Epidemic(name, np.stack(cases), padded(edges, moved, len(cases[0])))


def check_days(path: Any, cases: list, edges: list, moved: list) -> None:
    """Raises InputError that names the first day on which something is wrong."""
    if not cases or cases[0].ndim != 1 or not len(cases[0]):
        raise InputError(f"{path} has no days of cases, a number a region")
    n = len(cases[0])
    for day, (row, ends, weights) in enumerate(zip(cases, edges, moved, strict=True)):
        if row.shape != (n,):
            raise InputError(f"{path}: day {day} has {row.size} regions, the first has {n}")
        wrong = ~((row >= 0) & np.isfinite(row))
        if wrong.any():
            region = int(wrong.argmax())
            raise InputError(f"{path}: day {day}, region {region}: {row[region]} cases")
        if ends.shape[1:] != (2,) or (len(ends) and ends.dtype.kind not in "iu"):
            raise InputError(
                f"{path}: day {day} needs edges [e, 2] of regions' numbers; got {[*ends.shape]} of "
                f"{ends.dtype}"
            )
        if len(ends) != len(weights):
            raise InputError(f"{path}: day {day} has {len(ends)} edges and {len(weights)} weights")
        outside = ~((ends >= 0) & (ends < n)).all(1)
        if outside.any():
            edge = ends[outside.argmax()].tolist()
            raise InputError(f"{path}: day {day} has an edge {edge}; regions are 0 to {n - 1}")
        wrong = ~((weights >= 0) & np.isfinite(weights))
        if wrong.any():
            bad = weights[wrong.argmax()]
            raise InputError(f"{path}: day {day} has an edge of weight {bad}")


def padded(edges: list[np.ndarray], weights: list[np.ndarray], n: int) -> Graph:
    """Days' edges [e_t, 2] and weights [e_t] as one graph of arrays [T, max e_t]."""
    most = max(1, *map(len, weights))
    ends, told = np.full((len(edges), most, 2), n, np.int32), np.zeros((len(edges), most))
    for day, (pairs, each) in enumerate(zip(edges, weights, strict=True)):
        ends[day, : len(pairs)], told[day, : len(each)] = pairs, each
    return Graph(None, ends[..., 0], ends[..., 1], told.astype(np.float32))


def outbreak(regions: int = 24, days: int = 60, seed: int = 0) -> Epidemic:
    """A simulated outbreak of one region that spreads along a random graph, and is brought down.

    `S -> I -> R` in each region (Kermack and McKendrick 1927): a day's infections are Poisson of
    `b S / N sum_j m_ij I_j`, a fifth of I recovers; b falls from .55 to .18 on day 25, and of new
    cases fewer are told at weekends. m, the share of region i's contacts with j, is .85 with its
    own people. Raises InputError for fewer than 3 regions.
    """
    check_count(days=days)
    if regions < 3:
        raise InputError(f"an outbreak needs at least 3 regions; got {regions}")
    rng = np.random.RandomState(seed)  # NumPy keeps its numbers for ever
    place = rng.rand(regions, 2)
    near = np.exp(-np.linalg.norm(place[:, None] - place, axis=-1) / 0.1) * (1 - np.eye(regions))
    near = np.where(near >= np.sort(near, 1)[:, [-3]], near, 0)
    mixing = 0.15 * near / near.sum(1, keepdims=True) + 0.85 * np.eye(regions)
    people = np.full(regions, 20_000.0)
    healthy, sick, cases = people.copy(), np.zeros(regions), np.zeros((days, regions))
    sick[0] = 40
    for day in range(days):
        rate = (0.55 if day < 25 else 0.18) * healthy / people
        new = np.minimum(rng.poisson(rate * (mixing @ sick)), healthy)
        healthy, sick = healthy - new, 0.8 * sick + new
        cases[day] = rng.binomial(new.astype(int), 0.5 if day % 7 in (5, 6) else 0.8)
    receivers, senders = np.nonzero(mixing)
    moved = (1000 * mixing[receivers, senders]).astype(np.float32)
    ends = np.stack([senders, receivers], 1)
    return Epidemic("outbreak", cases, padded([ends] * days, [moved] * days, regions))
