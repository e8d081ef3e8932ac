"""Splits of tables, and rankings of their features by what they tell of the class (S41)."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dljax.data.images import take
from dljax.ops.scores import code_information
from dljax.typing import Batch

GAIN = "gain"


class Split(NamedTuple):
    """x [n, F] and labels y [n] to learn from, to choose by, and to test on."""

    train: Batch
    validation: Batch
    test: Batch


Rank = Callable[[Batch, int, int], np.ndarray]
"""`(training part, bins, seed) -> all features [F], the best first`."""


def split(data: Batch, seed: int) -> Split:
    """Three fifths, a fifth and a fifth, each class in the same shares."""
    from sklearn.model_selection import train_test_split

    cut = functools.partial(train_test_split, random_state=seed)
    rest, test = cut(np.arange(len(data.y)), test_size=0.2, stratify=data.y)
    train, validation = cut(rest, test_size=0.25, stratify=data.y[rest])
    return Split(*(take(data, rows) for rows in (train, validation, test)))


def binned(x: np.ndarray, bins: int) -> np.ndarray:
    """The bin 0..bins - 1 of each of x [n, F], equal values in one: about equally many in each."""
    edges = np.quantile(x, np.arange(1, bins) / bins, axis=0)
    return (x[:, None] > edges[None]).sum(1)


def gains(train: Batch, bins: int) -> np.ndarray:
    """What each feature tells of the class, in nats, [F]."""
    classes = int(train.y.max()) + 1
    codes = binned(train.x, bins)
    return np.asarray(code_information(codes, train.y[:, None], (classes,), bins))[:, 0]


def by_gain(train: Batch, bins: int, seed: int) -> np.ndarray:
    return np.argsort(-gains(train, bins), kind="stable")


def by_gain_less_redundancy(train: Batch, bins: int, seed: int) -> np.ndarray:
    """First the greatest gain, then each time the greatest `gain - mean I(X_j; X_taken)`."""
    gain, codes = gains(train, bins), binned(train.x, bins)
    shared = np.asarray(code_information(codes, codes, (bins,) * len(gain), bins))
    taken = [int(gain.argmax())]
    while len(taken) < len(gain):
        worth = gain - shared[:, taken].mean(1)
        worth[taken] = -np.inf
        taken.append(int(worth.argmax()))
    return np.array(taken)


def by_neighbours(train: Batch, bins: int, seed: int) -> np.ndarray:
    from sklearn.feature_selection import mutual_info_classif

    return np.argsort(-mutual_info_classif(*train, random_state=seed), kind="stable")


def by_variance(train: Batch, bins: int, seed: int) -> np.ndarray:
    from sklearn.feature_selection import f_classif

    varied = np.flatnonzero(np.ptp(train.x, axis=0))
    found = np.zeros(train.x.shape[1])
    with np.errstate(divide="ignore"):  # of what is the same within each class
        found[varied] = f_classif(train.x[:, varied], train.y)[0]
    return np.argsort(-found, kind="stable")


def by_chance(train: Batch, bins: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(train.x.shape[1])


RANKS: dict[str, Rank] = {
    GAIN: by_gain,
    "gain - redundancy": by_gain_less_redundancy,
    "by neighbours": by_neighbours,
    "by variance": by_variance,
    "chance": by_chance,
}
