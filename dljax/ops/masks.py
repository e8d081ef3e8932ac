"""How well masks agree (S32): overlap of classes, and of the regions that boundaries part."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from dljax.errors import InputError
from dljax.typing import AnyArray, Array

Counts = Float[AnyArray, "K K"]


def confusion(
    truth: Int[AnyArray, "*shape"], guess: Int[AnyArray, "*shape"], classes: int
) -> Float[Array, "{classes} {classes}"]:
    """The number of pixels of each true class (rows) at each guess (columns), of any shape."""
    rows, columns = (jax.nn.one_hot(each.reshape(-1), classes) for each in (truth, guess))
    return rows.T @ columns


def pixel_accuracy(counts: Counts) -> Float[Array, ""]:
    """`sum_k n_kk / n` of a confusion's counts; the ISBI challenge's pixel error is 1 less it."""
    return jnp.trace(counts) / counts.sum()


def iou(counts: Counts) -> Float[Array, "K"]:
    """Intersection over union of each class, `n_kk / (n_k. + n_.k - n_kk)`; NaN of one in neither.

    Jaccard 1901.
    """
    both = jnp.diag(counts)
    return both / (counts.sum(0) + counts.sum(1) - both)


def part_iou(truth: Int[AnyArray, "n"], guess: Int[AnyArray, "n"], parts: int) -> Float[Array, ""]:
    """The mean IoU of the parts that one thing truly has, of its points' parts [n]; -1: no point.

    A guess of another thing's part only misses its own. As for ShapeNet's parts, but without being
    told what the thing is: a part that it has not is left out, where they count 1. Yi et al. 2016;
    Qi et al. 2017a, section 5.1.
    """
    counts = confusion(truth, jnp.where(truth < 0, -1, guess), parts)
    has = counts.sum(1) > 0
    return jnp.where(has, iou(counts), 0).sum() / jnp.maximum(has.sum(), 1)


def dice(counts: Counts) -> Float[Array, "K"]:
    """`2 n_kk / (n_k. + n_.k)` of each class, its F1; NaN of one in neither. Dice 1945."""
    return 2 * jnp.diag(counts) / (counts.sum(0) + counts.sum(1))


def regions(boundary: ArrayLike, *, fill: bool = False) -> np.ndarray:
    """The connected regions 1, 2, ... that `boundary` [h, w] parts, 0 on itself; on the host.

    Pixels are neighbours across an edge. With `fill` a boundary's pixel belongs to the region
    nearest to it, so that its width does not matter: what the ISBI challenge thins it for.
    """
    boundary = np.asarray(boundary, bool)
    found, count = scipy.ndimage.label(~boundary)  # pyright: ignore[reportGeneralTypeIssues]
    if not fill or count == 0:
        return found
    options = {"return_distances": False, "return_indices": True}
    nearest = scipy.ndimage.distance_transform_edt(boundary, **options)
    return found[tuple(np.asarray(nearest))]


def rand_score(truth: ArrayLike, guess: ArrayLike) -> float:
    """Foreground-restricted Rand F-score: `2 sum_ij p_ij^2 / (sum_i s_i^2 + sum_j t_j^2)`.

    p_ij is the share of pixels in the guess' region i and the truth's j, s and t its sums, over
    pixels where the truth, [h, w] of regions, is not 0. On the host. Raises InputError if it is 0
    everywhere. Arganda-Carreras et al. 2015, eqs. 3 to 5, with alpha 1/2.
    """
    truth, guess = np.asarray(truth), np.asarray(guess)
    inside = truth != 0
    if not inside.any():
        raise InputError("a Rand score needs a region in the truth")

    names = [np.unique(each[inside], return_inverse=True)[1] for each in (guess, truth)]
    pairs = names[0] * (names[1].max() + 1) + names[1]
    both, *own = (np.square(np.bincount(each) / len(each)).sum() for each in (pairs, *names))
    return float(2 * both / sum(own))
