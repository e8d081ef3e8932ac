"""Sequences that need memory: what is asked follows from what was shown, and from nothing else."""

import numpy as np

from dljax.data.recall import UNASKED, adding, recall


def test_the_first_symbol_alone_is_marked_and_asked():
    x, y = recall(np.random.default_rng(0), 500, 9, symbols=3)
    assert x.shape == (500, 10, 4) and y.shape == (500,)
    assert (x[..., :3].sum(-1) == 1).all()
    assert (x[..., 3] == (np.arange(10) == 0)).all()
    shown = x[..., :3].argmax(-1)
    assert (y == shown[:, 0]).all()
    # the noise tells nothing of it
    assert abs((shown[:, 1:] == y[:, None]).mean() - 1 / 3) < 0.03


def test_one_number_of_each_half_is_marked_and_their_sum_asked_at_the_end():
    lengths = np.random.default_rng(1).integers(2, 13, 500)
    x, y = adding(np.random.default_rng(0), lengths, 12)
    steps = np.arange(12)
    for (numbers, marks), asked, length in zip(np.moveaxis(x, 2, 1), y, lengths, strict=True):
        half = length // 2
        assert marks[:half].sum() == marks[half:length].sum() == 1
        assert not marks[length:].any()
        np.testing.assert_array_equal(asked != UNASKED, steps == length - 1)
        np.testing.assert_allclose(asked[length - 1], numbers @ marks, rtol=1e-6)
    # the sum of two uniform numbers has the variance 1/6
    np.testing.assert_allclose(y.max(1).var(), 1 / 6, atol=0.03)
