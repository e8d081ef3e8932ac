"""Plain baselines from scikit-learn, to stand beside what is learnt."""

import warnings
from typing import Any

import numpy as np

from dljax.data import ImageData
from dljax.typing import Batch


def logistic_regression(data: ImageData, strengths: tuple[float, ...] = (0.01, 0.1, 1.0)) -> dict:
    """Test accuracy of logistic regression on pixels, its penalty `1 / C` chosen on validation."""
    from sklearn.linear_model import LogisticRegression

    (x, y), validation, test = (flat(split) for split in (data.train, data.validation, data.test))
    fits: list[tuple[float, Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it stops at max_iter, short of its own tolerance
        for strength in strengths:
            model = LogisticRegression(C=strength, max_iter=100).fit(x, y)
            fits.append((float(model.score(*validation)), model))
    best = max(fits, key=lambda scored: scored[0])[1]
    return {"metric": "test accuracy", "mean": float(best.score(*test)), "C": best.C}


def flat(split: Batch) -> Batch:
    """The examples as rows of floats, uint8 images scaled to [0, 1]."""
    x = split.x.reshape(len(split.x), -1).astype(np.float32)
    return Batch(x / 255 if split.x.dtype == np.uint8 else x, split.y)
