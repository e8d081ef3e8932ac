"""Which codes lie near each other: the labels of neighbours, and a map of codes of two numbers."""

from pathlib import Path

import numpy as np
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from dljax.host import figures

FOUND = (1, 10, 50)


def precision(
    known: np.ndarray, labels: np.ndarray, asked: np.ndarray, answers: np.ndarray
) -> np.ndarray:
    """The share of the k known codes nearest to each asked for that have its label, `FOUND` ks."""
    near = NearestNeighbors(n_neighbors=max(FOUND)).fit(known).kneighbors(asked)[1]
    right = labels[near] == answers[:, None]
    return np.array([right[:, :k].mean() for k in FOUND])


def neighbours(
    known: np.ndarray, labels: np.ndarray, asked: np.ndarray, answers: np.ndarray
) -> float:
    """The accuracy of the label of the nearest five."""
    return float(KNeighborsClassifier(5).fit(known, labels).score(asked, answers))


def maps(path: Path, codes: np.ndarray, linear: np.ndarray, labels: np.ndarray) -> Path:
    figure, axes = figures.panels(2, size=(4.2, 3.8))
    for ax, points, name in zip(axes, (codes, linear), ("autoencoder", "PCA"), strict=True):
        shown = ax.scatter(*points.T, c=labels, cmap="tab10", s=10, vmin=-0.5, vmax=9.5)
        ax.set_title(f"test digits by two numbers: {name}", fontsize=10)
    figure.colorbar(shown, ax=list(axes), ticks=range(10), label="digit")
    return figures.save(figure, path)
