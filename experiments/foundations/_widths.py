"""What networks of growing width reach, measured for universal_approximation (S50)."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from dljax.host.experiment import Study
from dljax.typing import Array, PyTree

OUTSIDE = (1.0, 1.5, 2.0, 3.0)  # the ends of the stretches beyond the data
SIDE = {1: 6001, 2: 61}  # points along a side of the dense grids: over all stretches, over the data


class Found(NamedTuple):
    """Of F functions of D variables on P points: guesses of W widths, K kinds and N seeds."""

    names: tuple[str, ...]
    x: np.ndarray  # [P, D]
    truth: np.ndarray  # [F, P]
    guesses: np.ndarray  # [W, K, F, N, P]
    solved: np.ndarray  # [W, F, N], of the first kind

    @property
    def errors(self) -> np.ndarray:
        """[W, K, F, N, P]"""
        return abs(self.guesses - self.truth[:, None])

    @property
    def sup(self) -> np.ndarray:
        """The greatest errors where there were data, [W, K, F, N]."""
        return self.errors[..., inside(self.x)].max(-1)


def dense(inputs: int) -> np.ndarray:
    """An even grid [P, D]: of the line over all of OUTSIDE, of a plane over the data's square."""
    far = OUTSIDE[-1] if inputs == 1 else 1.0
    axes = [np.linspace(-far, far, SIDE[inputs], dtype=np.float32)] * inputs
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, inputs)


def inside(x: np.ndarray) -> np.ndarray:
    return abs(x).max(-1) <= 1


def solved(params: PyTree, x: np.ndarray, truth: np.ndarray) -> float:
    """The greatest error where there were data, once the last layer is that of least squares.

    It tells what the hidden units can do from what descent made of them; params: one network's,
    truth [P].
    """
    where = inside(x)
    x, truth = x[where].astype(np.float64), truth[where]
    slope, kink = (np.asarray(params[name], np.float64) for name in ("slope", "kink"))
    units = np.maximum(x @ slope - (slope * kink).sum(0), 0)
    units = np.concatenate([units, np.ones((len(x), 1))], 1)
    gram = units.T @ units
    gram.flat[:: len(gram) + 1] += 1e-12 * gram.trace()  # many units are nearly alike
    weights = np.linalg.solve(gram, units.T @ truth)
    return float(abs(units @ weights - truth).max())


def interpolation_error(f: Callable[[Array], Array], units: int) -> float:
    """Of the straight pieces through `units + 1` even knots of [-1, 1], which are `units` ReLUs."""
    x, knots = np.linspace(-1, 1, SIDE[1]), np.linspace(-1, 1, units + 1)
    known, truth = (np.asarray(f(jnp.asarray(each)[:, None])) for each in (knots, x))
    return float(abs(np.interp(x, knots, known) - truth).max())


def report(
    run: Study, widths: Sequence[int], found: Found, targets: Mapping[str, Callable]
) -> np.ndarray:
    """The greatest errors, and what stands beside them; gives the errors of even pieces, [W, F]."""
    sup, last = found.sup, widths[-1]
    pieces = np.full((len(widths), len(found.names)), np.nan)
    # baselines at four of the widths only: the table would be long
    few = sorted({round(i) for i in np.linspace(0, len(widths) - 1, 4)})
    for j, name in enumerate(found.names):
        for i, width in enumerate(widths):
            run.metric(f"{name}, {width} units", sup[i, 0, j], "lower")
        if found.x.shape[1] == 1:
            pieces[:, j] = [interpolation_error(targets[name], n) for n in widths]
            for near, far in itertools.pairwise(OUTSIDE):
                beyond = (abs(found.x[:, 0]) > near) & (abs(found.x[:, 0]) <= far)
                worst = found.errors[-1, 0, j][:, beyond].max(-1)
                run.metric(f"{name}, {near} < |x| <= {far}", worst, "lower")
        for i in few:
            of = f"{name}, {widths[i]} units"
            run.baseline(f"{of}, last layer solved", of, found.solved[i, j])
            if not np.isnan(pieces[i, j]):
                run.baseline(f"{name}, {widths[i]} even pieces", of, pieces[i, j])
        fewer = max(0, len(widths) - 4)
        value = float(sup[fewer, 0, j].mean())
        said = f"S50: no more than with {widths[fewer]} units"
        run.target(f"{name}, {last} units", value, said, sup[-1, 0, j].mean() <= value)
        for i in (0, -1):
            run.metric(f"{name}, {widths[i]} linear units", sup[i, 1, j], "lower")
        value = 0.9 * float(sup[0, 1, j].mean())
        said = "S50: a linear network does not improve"
        run.target(f"{name}, {last} linear units", value, said, sup[-1, 1, j].mean() >= value)
    return pieces
