"""Ad placement: a contextual bandit whose truth is known, as a pure function (S45).

A user is a mixture x of interests, an ad has a click rate for each interest, and the chance of a
click is their mixture: `P(click) = rates_a . x`, linear, as LinUCB assumes. An episode is a user.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dljax.envs.interface import Environment, Step
from dljax.errors import InputError, check_count
from dljax.typing import Array, Key

ADS, INTERESTS, MOST = 4, 3, 0.6


class User(NamedTuple):
    interests: Array  # [d], not below 0, with sum 1
    mood: Array  # uniform on [0, 1]: a click, if it is below the chance of one


def truth(key: Key, ads: int = ADS, interests: int = INTERESTS) -> Array:
    """Click rates [ads, interests], uniform on [0, 0.6]. Raises InputError for a number below 1."""
    check_count(ads=ads, interests=interests)
    return MOST * jax.random.uniform(key, (ads, interests))


def clicks(rates: Array, interests: Array) -> Array:
    """The chance of a click for every ad: rates [K, d], interests [..., d] -> [..., K]."""
    return interests @ rates.T


def make(rates: Array | None = None) -> Environment:
    """One ad for one user: seen are the interests, the reward is 1 for a click; then it ends.

    rates: [K, d], by default those of key 0. Raises InputError for rates that are no chances.
    """
    given = truth(jax.random.key(0)) if rates is None else rates
    if given.ndim != 2:
        raise InputError(f"click rates are [ads, interests]; got {given.shape}")
    if not isinstance(given, Tracer):
        known = np.asarray(given)
        least, most = known.min(), known.max()
        if not (least >= 0 and most <= 1):
            raise InputError(f"click rates must be from 0 to 1; got {least:g} to {most:g}")
    count, width = given.shape

    def reset(key: Key) -> tuple[User, Array]:
        drawn = jax.random.uniform(key, (width + 1,))
        weight = -jnp.log1p(-drawn[:width])  # exponential: even over all mixtures
        interests = weight / weight.sum()
        return User(interests, drawn[width]), interests

    def step(key: Key, user: User, action: Array) -> tuple[User, Step]:
        del key
        chance = (given[action] * user.interests).sum()
        reward = (user.mood < chance).astype(jnp.float32)
        done = jnp.ones((), bool)
        return user, Step(user.interests, reward, done, ~done)

    return Environment("ads", reset, step, (width,), count, 1)
