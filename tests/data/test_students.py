"""The students' rule: what it draws, and what is best answered."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.data.students import HOURS, LECTURES, MARK, NOISE, expected_score, students


@pytest.fixture(scope="module")
def many():
    return students(jax.random.key(0), 20_000)


def test_lectures_and_hours_are_in_their_ranges(many):
    lectures, hours = np.asarray(many.x).T
    assert set(lectures) == set(range(LECTURES + 1))
    assert hours.min() >= 0 and HOURS - 0.1 < hours.max() < HOURS


def test_the_noise_is_what_it_says_and_belongs_to_nothing_else(many):
    noise = np.asarray(many.score - many.expected)
    assert noise.mean() == pytest.approx(0, abs=4 * NOISE / np.sqrt(len(noise)))
    assert noise.std() == pytest.approx(NOISE, rel=0.02)
    assert abs(np.corrcoef(noise, np.asarray(many.expected))[0, 1]) < 0.03
    assert np.array_equal(many.passed, many.score >= MARK)


def test_the_rule_rises_with_both_and_first_hours_count_more_after_lectures():
    at = lambda lectures, hours: float(expected_score(jnp.array([lectures, hours])))  # noqa: E731
    assert at(0.0, 0.0) < at(0.0, 5.0) < at(4.0, 5.0) < at(12.0, 40.0) < 100
    assert at(4.0, 6.0) - at(4.0, 5.0) > at(0.0, 6.0) - at(0.0, 5.0)
    assert at(4.0, 5.0) == pytest.approx(100 * (1 - np.exp(-35 / 120)), abs=1e-3)
