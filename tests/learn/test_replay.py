"""The ring holds the newest, its batches are fair, and it is written in place."""

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from dljax import InputError
from dljax.learn.replay import places, ring


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
