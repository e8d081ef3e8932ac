"""Scores of masks against scikit-learn, scikit-image, and what they must be by definition."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics

from dljax.errors import InputError
from dljax.ops.masks import confusion, dice, iou, part_iou, pixel_accuracy, rand_score, regions

RNG = np.random.default_rng(0)
TRUTH, GUESS = jnp.asarray(RNG.integers(0, 3, (2, 4, 9, 7)))


def test_scores_of_classes_equal_scikit_learns():
    counts = jax.jit(confusion, static_argnums=2)(TRUTH, GUESS, 3)
    t, g = np.ravel(TRUTH), np.ravel(GUESS)
    np.testing.assert_array_equal(counts, metrics.confusion_matrix(t, g))
    np.testing.assert_allclose(iou(counts), metrics.jaccard_score(t, g, average=None), rtol=1e-6)
    np.testing.assert_allclose(dice(counts), metrics.f1_score(t, g, average=None), rtol=1e-6)
    assert float(pixel_accuracy(counts)) == pytest.approx(metrics.accuracy_score(t, g))


def test_parts_are_scored_where_they_are():
    """Part 0: 2 of the 4 points that are it or are called so; part 1: 1 of 2; part 2 is not there.

    The last point is none, whatever it is called.
    """
    truth, guess = jnp.array([0, 0, 0, 1, 1, -1]), jnp.array([0, 0, 2, 0, 1, 1])
    assert float(part_iou(truth, guess, 3)) == 0.5


def test_a_class_in_neither_mask_has_no_score():
    counts = confusion(TRUTH, GUESS, 4)
    assert np.isnan(iou(counts)).tolist() == [False] * 3 + [True]
    assert np.isnan(dice(counts)).tolist() == [False] * 3 + [True]


def walls(side: int = 24, sites: int = 9, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The boundary between the cells of a plane's sites, and the same with holes."""
    rng = np.random.default_rng(seed)
    places, at = rng.uniform(0, side, (sites, 2)), np.indices((side, side))[..., None]
    owner = np.square(at - places.T[:, None, None]).sum(0).argmin(-1)
    edge = np.zeros((side, side), bool)
    edge[:-1] |= owner[:-1] != owner[1:]
    edge[:, :-1] |= owner[:, :-1] != owner[:, 1:]
    return edge, edge & (rng.random((side, side)) < 0.95)


def slow_rand(truth, guess):
    """The definition by pairs of pixels drawn with replacement."""
    pixels = [(t, g) for t, g in zip(truth.ravel(), guess.ravel(), strict=True) if t != 0]
    both = same_t = same_g = 0
    for (t, g), (t2, g2) in itertools.product(pixels, repeat=2):
        both += t == t2 and g == g2
        same_t += t == t2
        same_g += g == g2
    return 2 * both / (same_t + same_g)


@pytest.mark.parametrize("seed", range(3))
def test_the_rand_score_is_that_of_pairs_and_scikit_images(seed):
    skimage = pytest.importorskip("skimage.metrics")
    edge, leaky = walls(seed=seed)
    truth, guess = regions(edge), regions(leaky)
    found = rand_score(truth, guess)
    # theirs are pairs of different pixels
    assert found == pytest.approx(1 - skimage.adapted_rand_error(truth, guess)[0], abs=0.005)
    if seed == 0:
        assert found == pytest.approx(slow_rand(truth, guess))
    assert 0 < found < rand_score(truth, truth) == pytest.approx(1)


def test_a_rand_score_does_not_hear_of_numbers_or_of_the_truths_boundary():
    edge, leaky = walls()
    truth, guess = regions(edge), regions(leaky)
    renamed = RNG.permutation(guess.max() + 1)[guess]
    assert rand_score(truth, renamed) == pytest.approx(rand_score(truth, guess))
    assert rand_score(truth, np.where(edge, 99, guess)) == rand_score(truth, guess)
    with pytest.raises(InputError, match="a region in the truth"):
        rand_score(np.zeros((3, 3), int), np.ones((3, 3), int))


def test_filled_regions_are_as_after_thinning_the_boundary():
    """The challenge thins what is proposed to a line, which keeps what is apart apart."""
    morphology = pytest.importorskip("skimage.morphology")
    edge, _ = walls(64, 12)
    thick = morphology.dilation(edge, np.ones((3, 3)))
    truth = regions(edge)
    # with a frame, since lines that end at the border would become shorter and leak
    lines = morphology.thin(np.pad(thick, 1, constant_values=True))[1:-1, 1:-1]
    filled, thinned = regions(thick, fill=True), regions(lines)
    assert filled.min() == 1
    assert filled.max() == regions(thick).max()
    assert rand_score(truth, filled) == pytest.approx(rand_score(truth, thinned), abs=0.03)
    assert rand_score(truth, filled) > rand_score(truth, regions(thick)) + 0.05
    np.testing.assert_array_equal(regions(np.ones((3, 3)), fill=True), 0)
