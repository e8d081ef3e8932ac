"""Epochs without replacement, drawn inside the compiled loop from a data set on the device.

A sort of the whole index would cost more than the training step, and under `vmap` a `cond` that
sorts once an epoch becomes a sort in every step. So an epoch's order is a keyed bijection of
`0..n-1` evaluated only at the positions that the batch needs: the swap-or-not shuffle.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dljax.errors import InputError
from dljax.typing import Array, Batch, Key, PyTree

ROUNDS = 24


class Position(NamedTuple):
    """Where a stream stands: its key and the number of batches drawn."""

    key: Key
    drawn: Array


class Stream(NamedTuple):
    """`init(key) -> position` and `next(position) -> (position, batch)`, both pure.

    A batch is a tree of arrays, of a supervised learner a `Batch`.
    """

    init: Callable[[Key], PyTree]
    next: Callable[[PyTree], tuple[PyTree, PyTree]]


def mix(bits: Array) -> Array:
    """The 32-bit avalanche `lowbias32`: every input bit flips every output bit half of the time.

    C. Wellons, "Prospecting for Hash Functions", 2018.
    """
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x846CA68B)
    return bits ^ (bits >> 16)


def permute(key: Key, position: Array, n: int) -> Array:
    """The image of `position` (integers in `0..n-1`, any shape) under a permutation drawn by `key`.

    Round r pairs `x` with `(K_r - x) mod n` and swaps the pair on one hashed bit of its larger
    member, so every round is a bijection of any `n`. Hoang, Morris and Rogaway 2012.
    """
    if n == 1:  # the rounds of a single place, beside those of others, do not compile on XLA:CPU
        return jnp.zeros_like(position, jnp.int32)
    size = jnp.uint32(n)

    def swap(x: Array, subkey: Array) -> tuple[Array, None]:
        offset = subkey[0] % size
        partner = jnp.where(offset >= x, offset - x, offset + size - x)
        return jnp.where(mix(jnp.maximum(x, partner) ^ subkey[1]) >> 31 == 1, partner, x), None

    def rounds(x: Array, subkeys: Array, unroll: int) -> Array:
        return jax.lax.scan(swap, x, subkeys, unroll=unroll)[0]

    # unrolled whole, XLA:CPU computes rounds again for each of their uses: a quarter of the speed
    x = jax.lax.platform_dependent(
        position.astype(jnp.uint32),
        jax.random.bits(key, (ROUNDS, 2), jnp.uint32),
        cpu=functools.partial(rounds, unroll=4),
        default=functools.partial(rounds, unroll=ROUNDS),
    )
    return x.astype(jnp.int32)


def epochs(data: PyTree, batch: int) -> Stream:
    """Batches of `batch` examples, each example at most once an epoch, in a new order every epoch.

    data: a pytree of arrays with one leading axis n; `n mod batch` examples, others each epoch,
    are left out so that shapes stay fixed. uint8 arrays are images, drawn as float32 in [0, 1], but
    for a Batch's y, which stays as it is.
    Raises InputError if `batch` is not in 1..n, or if the arrays differ in n.
    """
    n = length(data)
    data = jax.tree.map(jnp.asarray, data)
    if not 1 <= batch <= n:
        raise InputError(f"batch must be from 1 to the {n} training examples; got {batch}")
    per_epoch = n // batch

    def init(key: Key) -> Position:
        return Position(key, jnp.int32(0))

    def draw(position: Position) -> tuple[Position, PyTree]:
        epoch, index = position.drawn // per_epoch, position.drawn % per_epoch
        wanted = index * batch + jnp.arange(batch)
        # the barrier keeps XLA from copying the rounds into every use of the rows: on JAX 0.11
        # that doubles the compile time with each round
        rows = jax.lax.optimization_barrier(
            permute(jax.random.fold_in(position.key, epoch), wanted, n)
        )
        taken = jax.tree.map(lambda leaf: take_rows(leaf, rows), data)
        return Position(position.key, position.drawn + 1), as_seen(taken)

    return Stream(init, draw)


def length(data: PyTree) -> int:
    """The leading axis that all arrays of `data` share. Raises InputError if they differ in it."""
    lengths = [len(leaf) for leaf in jax.tree.leaves(data)]
    if len(set(lengths)) != 1:
        raise InputError(f"all arrays must have equally many examples; got {lengths}")
    return lengths[0]


def take_rows(x: Array, rows: Array) -> Array:
    """`x[rows]` for rows [b] known to lie in 0..n-1: [n, ...] -> [b, ...]."""
    # XLA:CPU copies a flat row at once, but an image element by element: 62 us instead of 698 for
    # 128 of MNIST's; within a compiled loop the reshape itself costs nothing
    flat = x.reshape(len(x), math.prod(x.shape[1:]))
    return flat.at[rows].get(mode="promise_in_bounds").reshape(*rows.shape, *x.shape[1:])


def as_seen(data: PyTree) -> PyTree:
    """Data as networks see them: images `unit_scale`d; a Batch's y may be labels, and is not."""
    scaled = jax.tree.map(unit_scale, data)
    return scaled._replace(y=data.y) if isinstance(data, Batch) else scaled


def unit_scale(x: Array) -> Array:
    """uint8 in 0..255 to float32 in [0, 1]; anything else as it is."""
    return x.astype(jnp.float32) / 255 if x.dtype == jnp.uint8 else x
