"""Students whose score follows a known rule with noise, and so a task whose best answer is known.

S5: "will I pass?" and "final score", from lectures attended and hours on the project.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dljax.typing import Array, Key

LECTURES, HOURS, MARK, NOISE = 12, 40.0, 50.0, 10.0


class Students(NamedTuple):
    """Lectures and hours, x [n, 2], the score that the rule expects, and the one that was got."""

    x: Array
    expected: Array
    score: Array

    @property
    def passed(self) -> Array:
        return self.score >= MARK


def expected_score(x: Array) -> Array:
    """`100 (1 - exp(-(lectures + 1)(hours + 2) / 120))`, x [..., 2] -> [...]: our own rule.

    First hours are worth more to those who attended, so no straight line parts pass from fail.
    """
    return 100 * (1 - jnp.exp(-(x[..., 0] + 1) * (x[..., 1] + 2) / 120))


def students(key: Key, n: int) -> Students:
    """Lectures uniform in 0..12, hours in [0, 40); the score is the rule's plus N(0, 10^2)."""
    k_lectures, k_hours, k_noise = jax.random.split(key, 3)
    lectures = jax.random.randint(k_lectures, (n,), 0, LECTURES + 1).astype(jnp.float32)
    x = jnp.stack([lectures, jax.random.uniform(k_hours, (n,), maxval=HOURS)], 1)
    expected = expected_score(x)
    return Students(x, expected, expected + NOISE * jax.random.normal(k_noise, (n,)))
