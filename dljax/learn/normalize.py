"""Running moments as state: observations and rewards on a scale of one (S48)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dljax.typing import Array


class Moments(NamedTuple):
    """Of everything seen so far: count [], mean [...] and variance [...]."""

    count: Array
    mean: Array
    variance: Array


def moments(shape: tuple[int, ...]) -> Moments:
    """Nothing seen yet; variance 1, so that `standard` leaves things as they are."""
    return Moments(jnp.zeros(()), jnp.zeros(shape), jnp.ones(shape))


def update(old: Moments, x: Array) -> Moments:
    """The moments of what `old` saw and of x [..., *shape] together.

    `mean = mean_a + d n_b / n`, `M2 = M2_a + M2_b + d^2 n_a n_b / n` with `d = mean_b - mean_a`.
    Chan, Golub and LeVeque 1979.
    """
    axes = tuple(range(x.ndim - old.mean.ndim))
    mean, variance = jnp.mean(x, axes), jnp.var(x, axes)
    batch = x.size // old.mean.size
    count = old.count + batch
    share, apart = batch / count, mean - old.mean
    spread = old.variance * (1 - share) + variance * share + apart**2 * share * (1 - share)
    return Moments(count, old.mean + apart * share, spread)


def standard(seen: Moments, x: Array, *, limit: float = 10.0, eps: float = 1e-8) -> Array:
    """`(x - mean) / sqrt(variance + eps)`, cut off at +-`limit`; x [..., *shape]."""
    lead = (1,) * (x.ndim - seen.mean.ndim)
    mean, variance = (leaf.reshape(lead + leaf.shape) for leaf in (seen.mean, seen.variance))
    return jnp.clip((x - mean) * jax.lax.rsqrt(variance + eps), -limit, limit)


class Scale(NamedTuple):
    """The spread of the discounted return, by which rewards are divided."""

    seen: Moments
    total: Array  # [E], each actor's discounted return so far


def scale(actors: int) -> Scale:
    return Scale(moments(()), jnp.zeros(actors))


def follow(old: Scale, reward: Array, done: Array, gamma: float | Array) -> Scale:
    """`R_t = gamma R_{t-1} + r_t`, from 0 in each episode; reward and done are [T, E]."""

    def one(total: Array, step: tuple[Array, Array]):
        reward, done = step
        total = gamma * total + reward
        return jnp.where(done, 0, total), total

    total, totals = jax.lax.scan(one, old.total, (reward, done))
    return Scale(update(old.seen, totals), total)


def scaled(by: Scale, reward: Array, *, limit: float = 10.0, eps: float = 1e-8) -> Array:
    """`r / sqrt(variance of R + eps)`, cut off at +-`limit`, with the sign of the reward kept."""
    return jnp.clip(reward * jax.lax.rsqrt(by.seen.variance + eps), -limit, limit)
