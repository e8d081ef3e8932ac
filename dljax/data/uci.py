"""Regression tables with the 20 splits on which methods of uncertainty are compared (S53)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dljax.data import pictures
from dljax.data.store import fetch
from dljax.errors import InputError, unknown
from dljax.typing import Batch

FILE = "uci/uci_datasets_20splits.tar.gz"
FOLDERS = {
    "boston": "bostonHousing",
    "concrete": "concrete",
    "energy": "energy",
    "kin8nm": "kin8nm",
    "naval": "naval-propulsion-plant",
    "power": "power-plant",
    "protein": "protein-tertiary-structure",
    "wine": "wine-quality-red",
    "yacht": "yacht",
}
NAMES = ("diabetes", *FOLDERS)


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers x [n, features] that tell a number y [n], float64, and which rows a split holds.

    train [splits, m] and test [splits, n - m]: rows, m the same in every split.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    train: np.ndarray
    test: np.ndarray

    def split(self, i: int) -> tuple[Batch, Batch]:
        """Training and test part of split i."""
        parts = self.train[i], self.test[i]
        train, test = (Batch(self.x[rows], self.y[rows]) for rows in parts)
        return train, test


def load(name: str) -> Table:
    """One of `NAMES`: scikit-learn's diabetes, or one of Hernandez-Lobato and Adams' (2015).

    Theirs come with 20 splits (protein 5), 90 % to learn from, which Gal and Ghahramani (2016) and
    all who compare since then use; diabetes (Efron et al. 2004) gets 20 of its own alike.
    Raises InputError for another name, and a table that is not as it should be.
    """
    if name == "diabetes":
        return diabetes()
    if name not in FOLDERS:
        raise unknown("table", name, NAMES)
    path, folder = fetch(FILE), f"{FOLDERS[name]}/data/"
    files = pictures.read_archive(path, lambda file: file.startswith(folder))

    def numbers(file: str, kind: Callable = float) -> np.ndarray:
        try:
            lines = files[f"{folder}{file}.txt"].decode("ascii").splitlines()
            return np.array([[*map(kind, line.split())] for line in lines if line.strip()])
        except (KeyError, ValueError) as error:
            raise InputError(f"{path}: {folder}{file}.txt is not as it should be") from error

    def rows(file: str) -> np.ndarray:
        return numbers(file, lambda word: int(float(word))).reshape(-1)

    table = numbers("data")
    count = rows("n_splits")[0]
    train, test = (
        np.stack([rows(f"index_{part}_{i}") for i in range(count)]) for part in ("train", "test")
    )
    return Table(
        name, table[:, rows("index_features")], table[:, rows("index_target")[0]], train, test
    )


def diabetes() -> Table:
    """442 patients: ten measurements, and how far their disease went on in a year."""
    from sklearn.datasets import load_diabetes

    found: Any = load_diabetes(return_X_y=True)
    x, y = found
    # The legacy generator: NumPy promises that its numbers never change.
    orders = np.stack([np.random.RandomState(i).permutation(len(y)) for i in range(20)])
    cut = round(0.9 * len(y))
    return Table("diabetes", x, y, orders[:, :cut], orders[:, cut:])
