"""Regression inside and outside the support of the data: what is asked, and plain answers (S52)."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from dljax.data.uci import Table
from dljax.errors import InputError
from dljax.host.baselines import gaussian_process
from dljax.typing import Batch

PLACES = ("inside", "near", "middle", "far")
LEAST = 10  # rows of a part, below which a mean square says little
CURVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "wave": lambda x: np.sin(3 * x) + x / 2,
    "bump": lambda x: np.exp(-4 * x**2),
    "corner": np.abs,
}
"""What goes on as it was, what levels off, and what goes on straight."""
REACH = 3.0  # how far from [-1, 1] a curve is asked for


class Task(NamedTuple):
    """Examples to learn from and to choose by, and what is asked: all x [n, d] and y [n].

    place [t] is the number in `PLACES` of what is asked: inside the support, or a third of what is
    outside by its distance.
    """

    train: Batch
    validation: Batch
    test: Batch
    place: np.ndarray

    def scaled(self) -> "Task":
        """All by the mean and deviation of the training part; what is asked keeps its own y."""
        scale = [Scale.of(each) for each in self.train]
        train, validation = (
            Batch(*(s(each) for s, each in zip(scale, part, strict=True)))
            for part in (self.train, self.validation)
        )
        return self._replace(
            train=train, validation=validation, test=self.test._replace(x=scale[0](self.test.x))
        )


class Scale(NamedTuple):
    """`(a - mean) / sd`."""

    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def of(cls, a: np.ndarray) -> "Scale":
        sd = a.std(0)
        return cls(a.mean(0), np.where(sd > 0, sd, 1))

    def __call__(self, a: np.ndarray) -> np.ndarray:
        return (a - self.mean) / self.sd


def places(distance: np.ndarray) -> np.ndarray:
    """0 where the distance [t] is not positive; else 1, 2 or 3, equally many each, by distance."""
    found, outside = np.zeros(len(distance), int), np.flatnonzero(distance > 0)
    order = outside[np.argsort(distance[outside], kind="stable")]
    for i, rows in enumerate(np.array_split(order, len(PLACES) - 1), 1):
        found[rows] = i
    return found


def curve(name: str, seed: int, examples: int, noise: float) -> Task:
    """Noisy examples of a curve on [-1, 1], a quarter as many to choose by, and an even grid."""
    rng, f = np.random.default_rng(seed), CURVES[name]

    def drawn(n: int) -> Batch:
        x = rng.uniform(-1, 1, n)
        return Batch(x[:, None], f(x) + noise * rng.normal(size=n))

    asked = np.linspace(-1 - REACH, 1 + REACH, 401)
    train, validation = drawn(examples), drawn(max(LEAST, examples // 4))
    return Task(train, validation, Batch(asked[:, None], f(asked)), places(abs(asked) - 1))


def splittable(table: Table, quantile: float, most: int) -> tuple[list[int], int]:
    """The first features with enough rows above their quantile, and how many each can ask for.

    Raises InputError if there is none.
    """
    above = (table.x > np.quantile(table.x, quantile, 0, method="lower")).sum(0)
    features = np.flatnonzero(above >= max(6 * LEAST, 0.1 * len(table.y)))[:most]
    if not len(features):
        raise InputError(f"--quantile {quantile:g} leaves no feature of {table.name} to split by")
    return features.tolist(), int(above[features].min()) // 2


def split(table: Table, feature: int, asked: int, seed: int, quantile: float) -> tuple[Task, Task]:
    """The same rows asked after learning from those below a quantile alone, and from all kinds.

    Asked are a fifth of the rows below (inside) and so many of those beyond; distance is by the one
    feature. The first task learns from the rest below. The second learns from as many of all that
    is not asked: its error tells how hard these rows are for who has seen their like.
    """
    rng, value = np.random.default_rng(seed), table.x[:, feature]
    cut = np.quantile(value, quantile, method="lower")
    below, beyond = (rng.permutation(np.flatnonzero(rows)) for rows in (value <= cut, value > cut))
    # the number is the same for all features, whatever ties there are at the cut
    inside, known = np.split(below[: int(quantile * len(value))], [int(quantile * len(value)) // 5])
    test = np.concatenate([inside, beyond[:asked]])
    every = rng.permutation(np.setdiff1d(np.arange(len(value)), test))[: len(known)]
    place = places(value[test] - cut)

    def task(rows: np.ndarray) -> Task:
        parts = rows[len(rows) // 4 :], rows[: len(rows) // 4], test
        learnt, validation, wanted = (Batch(table.x[each], table.y[each]) for each in parts)
        return Task(learnt, validation, wanted, place)

    return task(known), task(every)


def errors(guesses: np.ndarray, tasks: Sequence[Task]) -> np.ndarray:
    """The root mean squared error of each guess [N, t] at its task's `PLACES`, [N, 4]."""
    squares = [(own - task.test.y) ** 2 for own, task in zip(guesses, tasks, strict=False)]
    return np.sqrt(
        [
            [square[task.place == i].mean() for i in range(len(PLACES))]
            for square, task in zip(squares, tasks, strict=False)
        ]
    )


def best(fitted: Iterable[Callable[[np.ndarray], np.ndarray]], task: Task) -> np.ndarray:
    """What the fitted function that is best on validation says of what is asked."""

    def error(f: Callable[[np.ndarray], np.ndarray]) -> float:
        return float(((f(task.validation.x) - task.validation.y) ** 2).mean())

    return min(fitted, key=error)(task.test.x)


def nearest(task: Task) -> np.ndarray:
    """The mean of the nearest examples, their number chosen on validation."""
    from sklearn.neighbors import KNeighborsRegressor

    counts = [k for k in (1, 3, 5, 10, 20) if k <= len(task.train.y)]
    return best((KNeighborsRegressor(k).fit(*task.train).predict for k in counts), task)


def line(task: Task) -> np.ndarray:
    """Of one feature the straight line through the nearest examples, else ridge regression."""
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import NearestNeighbors

    x, y = task.train
    if x.shape[1] > 1:
        return best((Ridge(a).fit(x, y).predict for a in (0.1, 1.0, 10.0, 100.0)), task)

    def local(k: int) -> Callable[[np.ndarray], np.ndarray]:
        near = NearestNeighbors(n_neighbors=k).fit(x)

        def predict(asked: np.ndarray) -> np.ndarray:
            rows = near.kneighbors(asked)[1]
            own, of = x[rows, 0], y[rows]
            middle = own.mean(1, keepdims=True)
            slope = ((own - middle) * of).sum(1) / ((own - middle) ** 2).sum(1)
            return of.mean(1) + slope * (asked - middle)[:, 0]

        return predict

    return best((local(k) for k in (5, 10, 20, len(y)) if k <= len(y)), task)


def process(task: Task) -> np.ndarray:
    return gaussian_process(task.train, task.test.x)[0]


def forest(task: Task) -> np.ndarray:
    """The mean of 100 randomised trees, the size of their leaves chosen on validation."""
    from sklearn.ensemble import ExtraTreesRegressor

    def grown(least: int) -> Callable[[np.ndarray], np.ndarray]:
        trees = ExtraTreesRegressor(100, min_samples_leaf=least, random_state=0)
        return trees.fit(*task.train).predict

    return best(map(grown, (1, 5)), task)


PLAIN = {
    "nearest neighbours": nearest,
    "straight line": line,
    "Gaussian process": process,
    "extra trees": forest,
}
