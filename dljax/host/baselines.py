"""Plain baselines from scikit-learn, to stand beside what is learnt."""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from dljax.data import ImageData
from dljax.typing import Batch


def logistic_regression(data: ImageData, strengths: tuple[float, ...] = (0.01, 0.1, 1.0)) -> dict:
    """Test accuracy of logistic regression on pixels, its penalty `1 / C` chosen on validation."""
    fits = [linear_classifier(data.train, strength) for strength in strengths]
    best = chosen(fits, flat(data.validation))
    return {"metric": "test accuracy", "mean": float(best.score(*flat(data.test))), "C": best.C}


def kernel_machine(data: ImageData, strengths: tuple[float, ...] = (1.0, 10.0, 100.0)) -> dict:
    """Test accuracy of an SVM, `k(a, b) = exp(-|a - b|^2 / (n var x))`, n features in each a.

    `C` is chosen on validation by fits to the first 5,000 examples, then all are fitted. Cortes and
    Vapnik 1995.
    """
    from sklearn.svm import SVC

    train, few = flat(data.train), slice(5000)
    fits = (SVC(C=each).fit(train.x[few], train.y[few]) for each in strengths)
    best = chosen(fits, flat(data.validation))
    if len(train.y) > few.stop:
        best = SVC(C=best.C, cache_size=1000).fit(*train)
    return {"metric": "test accuracy", "mean": float(best.score(*flat(data.test))), "C": best.C}


def nearest(train: Batch, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The label of the training image nearest to each of x [n, ...], and its distance, [n] each."""
    from sklearn.neighbors import NearestNeighbors

    rows, labels = flat(train)
    model = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(rows)
    distance, index = model.kneighbors(flat(Batch(x, None)).x)
    return labels[index[:, 0]], distance[:, 0]


def gaussian_process(train: Batch, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean and standard deviation of y at x [n, d], and the variance of the noise in it.

    `k(a, b) = c exp(-|a - b|^2 / 2 l^2)` and white noise, all of the greatest marginal likelihood.
    Rasmussen and Williams 2006, chapter 5.
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
    from threadpoolctl import threadpool_limits

    kernel = ConstantKernel() * RBF() + WhiteKernel(0.1)
    # threads that wait for each other cost small problems up to 40 times the work itself
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # of scales at their bounds
        model: Any = GaussianProcessRegressor(kernel).fit(*train)
        mean, sd = model.predict(x, return_std=True)
    return mean, sd, float(np.exp(model.kernel_.theta[-1]))  # logarithms, the white kernel's last


def chosen(fitted: Iterable[Any], validation: tuple[Any, Any]) -> Any:
    """The fitted model of scikit-learn that scores best on `validation`, x and y."""
    return max(fitted, key=lambda model: model.score(*validation))


def linear_classifier(train: Batch, strength: float) -> Any:
    """scikit-learn's logistic regression with `C = strength`, fitted for at most 100 iterations."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    x, y = flat(train)
    # threads that wait for each other cost small problems up to 40 times the work itself
    with warnings.catch_warnings(), threadpool_limits(1 if x.size < 10**7 else None):
        warnings.simplefilter("ignore")  # it stops at max_iter, short of its own tolerance
        return LogisticRegression(C=strength, max_iter=100).fit(x, y)


def flat(split: Batch) -> Batch:
    """The examples as rows of floats, uint8 images scaled to [0, 1]."""
    x = split.x.reshape(len(split.x), -1).astype(np.float32)
    return Batch(x / 255 if split.x.dtype == np.uint8 else x, split.y)
