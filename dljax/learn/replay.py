"""A ring of the newest transitions, written and read in place inside the compiled loop (S47).

Lin 1992. Each transition is one row of packed numbers, so that storing is one write and a batch one
gather. The time of neither grows with the ring: XLA writes in place. Batches are drawn uniformly,
or by priority (Schaul et al. 2016), which reads one number a place.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from dljax.errors import InputError
from dljax.typing import Array, PyTree


class Replay(NamedTuple):
    rows: dict[str, Array]  # by type, [capacity, W]: place i holds transition i mod capacity
    written: Array  # transitions so far, int32


class Ranks(NamedTuple):
    """What a ring's places are drawn by."""

    weight: Array  # p^alpha of each place, and 0 of what is not written; rows of whole `width`
    greatest: Array  # the greatest so far: what is new has it, and so is soon seen once


class Ring(NamedTuple):
    """`add(replay, items [n, ...])`, always of one n that divides the capacity; `take`."""

    init: Callable[[], Replay]
    add: Callable[[Replay, PyTree], Replay]
    take: Callable[[Replay, Array], PyTree]  # places [...] -> items [..., *item]


def ring(like: PyTree, capacity: int) -> Ring:
    """A ring of items like `like`, a pytree of arrays or of their shapes.

    Booleans and bytes are kept as they are, other numbers as float32: integers up to 2^24.
    """
    if capacity < 1:
        raise InputError(f"a replay needs at least 1 place; got {capacity}")
    leaves, treedef = jax.tree.flatten(like)
    kinds = [leaf.dtype if leaf.dtype.itemsize == 1 else jnp.dtype("float32") for leaf in leaves]
    widths = [math.prod(leaf.shape) for leaf in leaves]

    def init() -> Replay:
        total = dict.fromkeys(kinds, 0)
        for kind, width in zip(kinds, widths, strict=True):
            total[kind] += width
        rows = {kind.name: jnp.zeros((capacity, width), kind) for kind, width in total.items()}
        return Replay(rows, jnp.int32(0))

    def add(replay: Replay, items: PyTree) -> Replay:
        count = len(jax.tree.leaves(items)[0])
        if capacity % count:
            raise InputError(f"a replay of {capacity} is no multiple of {count} added at once")
        flat = [leaf.reshape(count, -1) for leaf in jax.tree.leaves(items)]
        start = replay.written % capacity
        rows = {}
        for name, old in replay.rows.items():
            parts = [x.astype(k) for x, k in zip(flat, kinds, strict=True) if k.name == name]
            # never clamped: blocks of one size that divides the ring never reach over its end
            new = jnp.concatenate(parts, 1)
            rows[name] = jax.lax.dynamic_update_slice_in_dim(old, new, start, 0)
        return Replay(rows, replay.written + count)

    def take(replay: Replay, places: Array) -> PyTree:
        found = {name: rows[places] for name, rows in replay.rows.items()}
        at = dict.fromkeys(found, 0)
        items = []
        for leaf, kind, width in zip(leaves, kinds, widths, strict=True):
            start = at[kind.name]
            at[kind.name] += width
            part = found[kind.name][..., start : start + width]
            items.append(part.reshape(*places.shape, *leaf.shape).astype(leaf.dtype))
        return treedef.unflatten(items)

    return Ring(init, add, take)


def places(noise: Array, written: Array, capacity: int, recent: int | Array) -> Array:
    """Places [..., B] of a batch among the newest `recent` of the transitions, or all there are.

    One from each of B equal stretches of their circle, turned by chance: each transition is as
    likely as any other, none comes twice, and the newest B are B transitions once each. They lie in
    order, which spares the cache. noise: uniform in [0, 1), [..., B + 1], drawn before the loop.
    """
    size = jnp.minimum(jnp.minimum(written, capacity), recent)
    batch = noise.shape[-1] - 1
    bounds = jnp.arange(batch + 1)
    bounds = bounds * (size // batch) + bounds * (size % batch) // batch
    starts = jnp.broadcast_to(bounds[:-1], (*noise.shape[:-1], batch))
    lengths = jnp.broadcast_to(jnp.diff(bounds), starts.shape)
    place = starts + floor(noise[..., 1:], lengths) + floor(noise[..., :1], size)
    place = jnp.where(place >= size, place - size, place)
    return (written - size + place) % capacity


def floor(share: Array, whole: Array) -> Array:
    return (share * whole.astype(jnp.float32)).astype(jnp.int32)


def ranked(written: Array, capacity: int) -> Ranks:
    """Equal ranks of the first `written` of `capacity` places, and none of a last row's rest."""
    places = -(-capacity // width(capacity)) * width(capacity)
    return Ranks((jnp.arange(places) < written).astype(jnp.float32), jnp.float32(1))


def width(places: int) -> int:
    """The least whole number whose square is at least `places`; whole rows of it change nothing."""
    return math.isqrt(places - 1) + 1


def rank_new(ranks: Ranks, start: Array, count: int) -> Ranks:
    """The greatest rank for the `count` places from `start` on, where new transitions are."""
    new = jnp.broadcast_to(ranks.greatest, count)
    return ranks._replace(weight=jax.lax.dynamic_update_slice(ranks.weight, new, (start,)))


def rank(ranks: Ranks, places: Array, error: Array, alpha: ArrayLike) -> Ranks:
    """`p_i^alpha` with `p_i = |error_i| + 1e-6` for places [B]. Schaul et al. 2016, section 3.3."""
    new = ((jnp.abs(error) + 1e-6) ** jnp.asarray(alpha)).astype(jnp.float32)
    return Ranks(ranks.weight.at[places].set(new), jnp.maximum(ranks.greatest, new.max()))


def by_rank(noise: Array, weight: Array) -> Array:
    """Places [B], each i with probability `P(i) = weight_i / sum_k weight_k`; weight of `Ranks`.

    One from each of B equal stretches of the total, as in the paper's appendix B.2.1, where the
    inverse of the cumulated weight is found in rows of about the root of the places: one sum over
    all, and then B rows. What weighs nothing never comes. noise: uniform in [0, 1), [B].
    """
    batch, columns = len(noise), width(len(weight))
    rows = weight.reshape(-1, columns)
    ends = jnp.cumsum(rows.sum(1))
    point = (jnp.arange(batch) + noise) / batch * ends[-1]
    row = reached(ends[None], point)
    before = jnp.where(row > 0, ends[row - 1], 0.0)
    return row * columns + reached(jnp.cumsum(rows[row], 1), point - before)


def reached(cumulated: Array, point: Array) -> Array:
    """The first place where cumulated weights [..., K] exceed point [B], and so weigh something.

    The last one is reached at the latest: sums of other orders round otherwise.
    """
    last = jnp.nextafter(cumulated[:, -1], jnp.zeros(1))
    return (cumulated <= jnp.minimum(point, last)[:, None]).sum(1)


def corrections(weight: Array, beta: ArrayLike) -> Array:
    """`w_i = (N P(i))^-beta / max_j w_j` of a batch's weights [B], in which N and the total cancel.

    They take the bias out of a gradient that meets i with probability P(i), wholly at beta 1.
    Schaul et al. 2016, section 3.4.
    """
    return (weight.min() / weight) ** jnp.asarray(beta)
