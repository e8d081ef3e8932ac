"""The random shift against a slow loop, and the properties that define it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.data import shift
from dljax.errors import InputError

KEY = jax.random.key(0)


def offsets(key, batch, by, size=9):
    """The offsets [B, 2] that `shift` draws, read off images with one bright pixel."""
    x = jnp.zeros((batch, size, size, 1)).at[:, size // 2, size // 2].set(1.0)
    where = np.argwhere(np.asarray(shift(key, x, by)))
    assert len(where) == batch
    return where[:, 1:3] - size // 2


def slow_shift(x, moves):
    out = np.zeros_like(x)
    for b, (down, right) in enumerate(moves):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                if 0 <= i - down < x.shape[1] and 0 <= j - right < x.shape[2]:
                    out[b, i, j] = x[b, i - down, j - right]
    return out


@pytest.mark.parametrize(("by", "dtype"), [(1, np.float32), (3, np.float32), (3, np.uint8)])
def test_it_equals_a_slow_loop(by, dtype):
    x = np.random.default_rng(0).integers(0, 255, (20, 6, 9, 3)).astype(dtype)
    moved = shift(KEY, jnp.asarray(x), by)
    assert moved.dtype == dtype
    np.testing.assert_array_equal(moved, slow_shift(x, offsets(KEY, 20, by)))


def test_mass_away_from_the_border_is_conserved():
    inner = np.random.default_rng(0).integers(0, 9, (50, 4, 4, 2)).astype(np.float32)
    x = np.pad(inner, ((0, 0), (3, 3), (3, 3), (0, 0)))
    np.testing.assert_array_equal(shift(KEY, jnp.asarray(x), 3).sum((1, 2)), x.sum((1, 2)))


def test_offsets_are_uniform_and_the_axes_independent():
    moves = offsets(KEY, 10_000, by=2)
    counts = np.histogram2d(*moves.T, bins=np.arange(-2.5, 3))[0]
    assert counts.sum() == 10_000
    chi_square = ((counts - 400) ** 2 / 400).sum()
    assert chi_square < 60  # 24 degrees of freedom: once in 15 000 keys by chance


def test_no_shift_is_the_identity_and_another_key_another_shift():
    x = jax.random.uniform(KEY, (20, 5, 5, 1))
    assert shift(KEY, x, 0) is x
    other = offsets(jax.random.key(1), 20, 2)
    assert not np.array_equal(offsets(KEY, 20, 2), other)


def test_vmap_over_seeds_equals_a_loop():
    keys = jax.random.split(KEY, 3)
    x = jax.random.uniform(KEY, (8, 6, 6, 1))
    together = jax.jit(jax.vmap(lambda key: shift(key, x, 2)))(keys)
    np.testing.assert_array_equal(together, [shift(key, x, 2) for key in keys])


@pytest.mark.parametrize(("shape", "by"), [((8, 64), 1), ((8, 4, 4, 1), -1), ((8, 4, 9, 1), 4)])
def test_tables_and_impossible_shifts_are_refused(shape, by):
    with pytest.raises(InputError, match="shift needs images"):
        shift(KEY, jnp.zeros(shape), by)
