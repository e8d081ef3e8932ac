"""Sequences that can only be answered by who remembers (S20): recall over noise, and adding."""

import numpy as np

from dljax.typing import Batch

UNASKED = -1
"""The target at a step where nothing is asked."""


def recall(rng: np.random.Generator, n: int, gap: int, symbols: int) -> Batch:
    """A marked symbol among others: x float32 [n, 1 + gap, symbols + 1], and y int32 [n].

    The first symbol is marked, by the last number of its step, and asked; the others are noise of
    the same kind: who sees the symbols cannot but see the noise.
    """
    drawn = rng.integers(0, symbols, (n, 1 + gap), dtype=np.int32)
    x = np.zeros((n, 1 + gap, symbols + 1), np.float32)
    np.put_along_axis(x, drawn[..., None], 1, -1)
    x[:, 0, -1] = 1
    return Batch(x, drawn[:, 0])


def adding(rng: np.random.Generator, lengths: np.ndarray, longest: int) -> Batch:
    """The sum of two marked numbers in [0, 1): x [n, T, 2], numbers and marks, and y [n, T].

    One number of each half of `lengths` [n] steps is marked; the sum is asked at the last of them
    alone. Who answers 1 always has a mean squared error of 1/6. Hochreiter and Schmidhuber 1997, as
    in Le et al. 2015.
    """
    rows, half = np.arange(len(lengths)), lengths // 2
    first, second = rng.integers(0, half), rng.integers(half, lengths)
    numbers = rng.random((len(lengths), longest), np.float32)
    marks = np.zeros_like(numbers)
    marks[rows, first] = marks[rows, second] = 1
    y = np.full_like(numbers, UNASKED)
    y[rows, lengths - 1] = numbers[rows, first] + numbers[rows, second]
    return Batch(np.stack([numbers, marks], -1), y)
