"""The ring holds the newest, its batches are fair, and it is written in place."""

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from dljax import InputError
from dljax.learn.replay import (
    by_rank,
    corrections,
    places,
    rank,
    rank_new,
    ranked,
    ring,
    width,
)


class Item(NamedTuple):
    image: jax.Array
    number: jax.Array
    count: jax.Array


def items(numbers) -> Item:
    """Items that all differ, one a number."""
    numbers = jnp.asarray(numbers)
    bits = (numbers[:, None, None] >> jnp.arange(6).reshape(1, 2, 3)) & 1
    return Item(bits.astype(bool), numbers / 7, numbers)


def test_it_holds_the_newest_items_as_they_were():
    memory = ring(jax.tree.map(lambda leaf: leaf[0], items([0])), 12)
    add = jax.jit(memory.add)
    replay = memory.init()
    for start in range(0, 44, 4):
        replay = add(replay, items(start + jnp.arange(4)))
    assert replay.written == 44
    assert replay.rows["bool"].shape == (12, 6)
    assert replay.rows["float32"].shape == (12, 2)
    newest = np.arange(32, 44)
    found = memory.take(replay, jnp.asarray(newest % 12).reshape(3, 4))
    for got, leaf in zip(found, items(newest), strict=True):
        assert got.dtype == leaf.dtype
        np.testing.assert_array_equal(got, leaf.reshape(3, 4, *leaf.shape[1:]))


def test_blocks_must_divide_the_ring():
    memory = ring(jnp.zeros(2), 10)
    with pytest.raises(InputError, match="10 is no multiple of 4"):
        memory.add(memory.init(), jnp.zeros((4, 2)))
    with pytest.raises(InputError, match="at least 1 place"):
        ring(jnp.zeros(2), 0)


@pytest.mark.parametrize(
    "written, capacity, recent, batch", [(7, 20, 20, 5), (53, 20, 20, 6), (53, 20, 9, 4)]
)
def test_batches_are_fair_and_hold_nothing_twice(written, capacity, recent, batch):
    """Every one of the newest is drawn equally often, also where the batch does not divide them."""
    runs = 40_000
    noise = jax.random.uniform(jax.random.key(0), (runs, batch + 1))
    found = np.asarray(places(noise, jnp.int32(written), capacity, recent))
    assert found.shape == (runs, batch)
    assert all(len(set(row)) == batch for row in found[:500].tolist())
    size = min(written, capacity, recent)
    newest = np.arange(written - size, written) % capacity
    counts = np.bincount(found.ravel(), minlength=capacity)
    assert counts.sum() == counts[newest].sum()
    # a batch has no two alike, which makes the counts more even than independent draws
    assert stats.chisquare(counts[newest]).pvalue > 1e-4


def test_neighbours_fall_into_one_batch_less_often_than_by_chance():
    """Stretches keep a batch spread over the whole time: its mean age varies less."""
    runs, size, batch = 20_000, 60, 6
    noise = jax.random.uniform(jax.random.key(1), (runs, batch + 1))
    found = places(noise, jnp.int32(size), size, size)
    sums = np.exp(2j * np.pi * np.asarray(found) / size).mean(1)
    assert np.mean(np.abs(sums) ** 2) < 0.2 / batch  # 1 / batch for independent draws


def test_the_newest_batch_is_taken_whole():
    noise = jax.random.uniform(jax.random.key(2), (50, 5))
    found = places(noise, jnp.int32(23), 10, 4)
    assert (np.sort(found, 1) == np.sort(np.arange(19, 23) % 10)).all()


def test_the_largest_noise_stays_in_its_stretch():
    """float32 rounds a product up, but never as far as the next stretch or beyond the end."""
    capacity = 1_000_000
    most = jnp.full(33, 1 - 2.0**-23)
    found = places(most, jnp.int32(capacity), capacity, capacity)
    assert len(set(found.tolist())) == 32
    assert found.min() >= 0 and found.max() < capacity
    unturned = places(most.at[0].set(0.0), jnp.int32(capacity), capacity, capacity)
    np.testing.assert_array_equal(unturned, (np.arange(32) + 1) * (capacity // 32) - 1)


def weights(size: int) -> np.ndarray:
    """Whole numbers, some of them 0, whose sums are exact in float32."""
    return np.random.default_rng(size).integers(0, 9, size).astype(np.float32)


@pytest.mark.parametrize("size, batch", [(1, 2), (42, 8), (992, 64)])
def test_draws_by_priority_are_those_of_a_slow_loop(size, batch):
    """Each draw is where a walk along the weights first exceeds its point of the total.

    Of rows of 1, of 6 rows of 7 and of 31 of 32.
    """
    weight = np.maximum(weights(size), size == 1)
    noise = np.random.default_rng(0).integers(0, 256, (20, batch)).astype(np.float32) / 256
    found = jax.jit(jax.vmap(by_rank, (0, None)))(jnp.asarray(noise), jnp.asarray(weight))
    for row, got in zip(noise, np.asarray(found), strict=True):
        for b, share in enumerate(row):
            left, place = (b + np.float64(share)) / batch * weight.sum(), 0
            while left >= weight[place]:
                left, place = left - weight[place], place + 1
            assert got[b] == place


def test_draws_are_in_proportion_to_the_priorities():
    """P(i) = p_i^alpha / sum_k p_k^alpha of the written, alike for alpha 0; nothing of the rest."""
    runs, batch, written, capacity = 20_000, 6, 20, 24
    error = np.random.default_rng(1).exponential(size=written).astype(np.float32)
    noise = jax.random.uniform(jax.random.key(3), (runs, batch))
    at = jnp.arange(written)
    for alpha in (0.0, 0.6, 1.0):
        ranks = rank(ranked(jnp.int32(written), capacity), at, jnp.asarray(error), alpha)
        found = np.asarray(jax.vmap(by_rank, (0, None))(noise, ranks.weight))
        counts = np.bincount(found.ravel(), minlength=capacity)
        assert len(ranks.weight) == 25 and not counts[written:].any()
        expected = (error + 1e-6).astype(np.float64) ** alpha
        expected *= runs * batch / expected.sum()
        assert stats.chisquare(counts[:written], expected).pvalue > 1e-4
        assert np.abs(counts[:written] - expected).max() < 4 * np.sqrt(expected.max())


def test_what_is_new_has_the_greatest_priority_so_far():
    ranks = ranked(jnp.int32(6), 8)
    np.testing.assert_array_equal(ranks.weight, [1, 1, 1, 1, 1, 1, 0, 0, 0])
    # the greatest stays that of the first error, though its place is ranked again
    ranks = rank(ranks, jnp.array([2, 4, 2]), jnp.array([-3.0, 0.5, -3.0]), 2.0)
    ranks = rank(ranks, jnp.array([2]), jnp.array([0.1]), 2.0)
    ranks = rank_new(rank_new(ranks, jnp.int32(6), 2), jnp.int32(0), 2)
    np.testing.assert_allclose(ranks.weight, [9, 9, 0.01, 1, 0.25, 1, 9, 9, 0], rtol=1e-4)


def test_corrections_are_the_formula_and_undo_the_bias():
    weight, beta = jnp.array([0.5, 2.0, 8.0, 1.0]), 0.7
    probability = np.asarray(weight) / 23.5  # of N = 10, the rest of which is not in the batch
    formula = (10 * probability) ** -beta
    np.testing.assert_allclose(corrections(weight, beta), formula / formula.max(), rtol=1e-6)
    np.testing.assert_array_equal(corrections(weight, 0.0), 1)
    values = np.array([3.0, -1.0, 4.0, 2.0])
    share = np.asarray(weight / weight.sum() * corrections(weight, 1.0))
    np.testing.assert_allclose((share * values).sum() / share.sum(), values.mean(), rtol=1e-6)


def test_whole_rows_keep_their_width():
    for capacity in range(1, 2000):
        places = len(jax.eval_shape(lambda c=capacity: ranked(jnp.int32(0), c)).weight)
        assert capacity <= places < capacity + width(capacity)
        assert width(places) == width(capacity) and places % width(capacity) == 0


def test_rounding_never_draws_what_weighs_nothing():
    """The largest noise, and weights whose sums round: always a place that weighs something."""
    weight = jnp.zeros(10_100).at[jnp.arange(1234, 5678, 7)].set(0.1)
    for share in (0.0, 1 - 2.0**-24):
        found = jax.jit(by_rank)(jnp.full(512, share, jnp.float32), weight)
        assert (weight[found] > 0).all()


def test_time_does_not_grow_with_the_capacity():
    """XLA writes in place, under vmap too: to copy the larger ring would take 1000 times longer."""

    def seconds(capacity: int) -> float:
        memory = ring(jnp.zeros(8), capacity)

        def one(replay, noise):
            replay = memory.add(replay, noise[:8, None] * jnp.ones((1, 8)))
            taken = memory.take(replay, places(noise, replay.written, capacity, capacity))
            return replay, taken.sum()

        def run(replay, key):
            return jax.lax.scan(one, replay, jax.random.uniform(key, (200, 9)))

        run = jax.jit(jax.vmap(run), donate_argnums=0)
        keys = jax.random.split(jax.random.key(0), 4)
        replay = jax.vmap(lambda _: memory.init())(keys)
        times = []
        for _ in range(6):
            begun = time.perf_counter()
            replay, _ = jax.block_until_ready(run(replay, keys))
            times.append(time.perf_counter() - begun)
        return min(times)

    assert seconds(400_000) < 10 * seconds(400)
