"""Groups that are hidden within a class, one of them rare, for worst-group accuracy (S40)."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from dljax.errors import InputError
from dljax.typing import Batch, Key


class Grouped(NamedTuple):
    """Examples x [n, ...], their classes y [n], and their groups [n], which no learner is told."""

    x: np.ndarray
    y: np.ndarray
    group: np.ndarray


def grouped(data: Batch, classes: Sequence[int | None]) -> Grouped:
    """The labels of `data` become groups: those labelled g form group g of class `classes[g]`.

    Where `classes[g]` is None the label is left out, and later groups move up. Raises InputError
    if a label has no entry, or if a group has no member.
    """
    if len(data.y) and data.y.max() >= len(classes):
        raise InputError(f"label {data.y.max()} has no class; classes has {len(classes)} entries")
    used = [label for label, y in enumerate(classes) if y is not None]
    rows = np.flatnonzero(np.isin(data.y, used))
    group = np.searchsorted(used, data.y[rows]).astype(np.int32)
    y = np.array([classes[label] for label in used], np.int32)
    counts(group, len(used))
    return Grouped(data.x[rows], y[group], group)


def thinned(key: Key, group: np.ndarray, members: Sequence[int]) -> np.ndarray:
    """The rows of `members[g]` members of each group g, drawn by `key`, group by group.

    Their groups do not depend on the key, so that several draws differ in the examples alone.
    Raises InputError unless every group is given a number from 1 to the members that it has.
    """
    have = counts(group)
    if len(members) != len(have):
        raise InputError(f"there are {len(have)} groups; got the sizes of {len(members)}")
    for g, (n, there) in enumerate(zip(members, have.tolist(), strict=True)):
        if not 1 <= n <= there:
            raise InputError(f"group {g} has {there} members, of which 1 or more stay; got {n}")
    order = np.asarray(jax.random.permutation(key, len(group)))
    return np.concatenate([order[group[order] == g][:n] for g, n in enumerate(members)])


def counts(group: np.ndarray, groups: int = 0) -> np.ndarray:
    """Members of each of the groups 0..groups - 1, or to the greatest one.

    Raises InputError for a group with no member.
    """
    found = np.bincount(group, minlength=groups)
    if len(found) == 0 or found.min() == 0:
        raise InputError(f"group {int(np.argmin(found)) if len(found) else 0} has no member")
    return found
