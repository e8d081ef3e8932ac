"""Composed scenes: boxes are their masks' bounds, digits stand apart, and the scene is pure."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.data import load
from dljax.data.compose import Scene, bounds, compose, drawn
from dljax.errors import InputError

DIGITS = load("digits").train
MANY = jax.jit(jax.vmap(lambda key: compose(key, DIGITS)))


@pytest.fixture(scope="module")
def scenes() -> Scene:
    return jax.tree.map(np.asarray, MANY(jax.random.split(jax.random.key(0), 200)))


def test_every_digit_there_has_its_pixels_in_its_box(scenes):
    assert scenes.image.shape == (200, 64, 64, 1)
    assert scenes.image.min() >= 0
    assert scenes.image.max() <= 1
    for mask, boxes, labels, present in zip(*scenes[1:], strict=True):
        inside = np.zeros_like(mask)
        for (top, left, bottom, right), label in zip(
            boxes[present].astype(int), labels[present], strict=True
        ):
            own = mask[top:bottom, left:right]
            assert 6 <= bottom - top <= 32  # an edge blurs by half a pixel of the digit
            assert (own == label + 1).sum() > 0.1 * own.size
            inside[top:bottom, left:right] = 1
        assert not mask[inside == 0].any()


def test_a_lone_digits_box_is_tight(scenes):
    alone = np.flatnonzero(scenes.present.sum(1) == 1)
    assert len(alone) > 20
    for i in alone:
        rows, columns = np.nonzero(scenes.mask[i])
        found = scenes.boxes[i][scenes.present[i]][0]
        ends = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        np.testing.assert_array_equal(found, ends)


def test_numbers_and_classes_are_spread(scenes):
    counts = np.bincount(scenes.present.sum(1), minlength=5)
    assert counts.min() > 20  # of 40 each
    assert len(np.unique(scenes.labels[scenes.present])) == 10


def test_a_scene_is_alike_alone_and_among_others(scenes):
    alone = jax.jit(lambda key: compose(key, DIGITS))(jax.random.split(jax.random.key(0), 200)[7])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[7], atol=1e-5), alone, scenes)


def test_a_picture_at_its_own_size_is_itself():
    canvas = drawn(jnp.arange(6.0).reshape(2, 3)[:, :2], jnp.array([1.0, 3.0]), jnp.float32(2), 6)
    expected = np.zeros((6, 6))
    expected[1:3, 3:5] = [[0, 1], [3, 4]]
    np.testing.assert_allclose(canvas, expected)


def test_of_nothing_there_are_no_bounds():
    np.testing.assert_array_equal(bounds(jnp.zeros((4, 5), bool)), np.zeros(4))


@pytest.mark.parametrize("sizes", [(0.5, 3.0), (9.0, 8.0), (9.0, 65.0)])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(InputError, match="sizes must rise"):
        compose(jax.random.key(0), DIGITS, sizes=sizes)
