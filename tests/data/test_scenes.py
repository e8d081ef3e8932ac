"""Scenes and films: what is said of them is what they show."""

import numpy as np
import pytest

from dljax.data import load
from dljax.data.scenes import (
    NUMBERS,
    RELATIONS,
    SIDE,
    SIZES,
    combinations,
    films,
    pieces,
    scenes,
)


@pytest.fixture(scope="module")
def digits():
    return load("digits").test


def test_combinations_are_in_one_part_alone_and_all_are_in_one():
    parts = combinations(np.random.default_rng(0), 12, 24)
    assert [len(part) for part in parts] == [12, 24, 84]
    assert len({each for part in parts for each in part}) == 120


def test_a_scene_shows_its_piece_and_a_digit_of_the_class_where_the_caption_says(digits):
    (every,) = combinations(np.random.default_rng(0))
    x, shown = scenes(np.random.default_rng(1), digits, 60, every)
    assert x.shape == (60, SIDE, SIDE, 1) and x.min() >= 0 and x.max() <= 1
    half = SIDE // 2
    halves = {
        "above": np.s_[:half], "below": np.s_[half:],
        "left of": np.s_[:, :half], "right of": np.s_[:, half:],
    }  # fmt: skip
    for image, scene in zip(x[..., 0], shown, strict=True):
        article, size, *_, number = scene.caption.split()
        assert article == "a" and size == SIZES[scene.size] and number == NUMBERS[scene.digit]
        ink = image[halves[RELATIONS[scene.relation]]].sum()  # of the shape, if all is right
        assert ink == pytest.approx(pieces()[scene.shape, scene.size].sum(), rel=1e-4)
        others = digits.x[digits.y == scene.digit].sum((1, 2, 3))
        assert np.isclose(image.sum() - ink, others, rtol=1e-4).any()


def test_a_film_keeps_its_label_until_another_digit_is_seen(digits):
    x, y = films(np.random.default_rng(0), digits, 200, 8, hidden=0.5, noise=0.0)
    seen = x.reshape(200, 8, -1).sum(-1) > 0
    assert seen[:, 0].all()
    assert 0.3 < 1 - seen[:, 1:].mean() < 0.6
    changed = y[:, 1:] != y[:, :-1]
    assert seen[:, 1:][changed].all()
    assert (changed.sum(1) <= 1).all() and 0.2 < changed.sum(1).mean() < 0.7
