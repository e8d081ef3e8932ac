"""Who is near whom in a set of points (S58), of fixed shapes, and the greatest of what they say.

Clouds lead: x [B, N, d]. `real` [B, N] denies points that are absent: none of them is anyone's
neighbour, and none is kept. Only equal distances are told apart by the order of the points.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from dljax.errors import InputError
from dljax.typing import AnyArray, Array

Cloud = Float[AnyArray, "B N d"]
Real = Bool[AnyArray, "B N"]
Indices = Int[AnyArray, "B M k"]
DIRECT = 3  # dimensions up to which differences are taken before they are squared


def distances(x: Cloud, y: Float[AnyArray, "B M d"]) -> Float[Array, "B M N"]:
    """`|y_i - x_j|^2` up to what is equal for all j: x [B, N, d], y [B, M, d] -> [B, M, N]."""
    if x.shape[-1] <= DIRECT:
        apart = [y[:, :, None, c] - x[:, None, :, c] for c in range(x.shape[-1])]
        return sum(jnp.square(each) for each in apart)  # pyright: ignore[reportReturnType]
    # in full precision: rounded to TF32 a point may not be its own nearest
    products = jnp.einsum("bmd,bnd->bmn", y, x, precision="highest")
    return jnp.square(x).sum(-1)[:, None] - 2 * products


def nearest(
    x: Cloud, k: int, y: Float[AnyArray, "B M d"] | None = None, real: Real | None = None
) -> Int[Array, "B M {k}"]:
    """The k points of x nearest to each of y, by default of x itself, the nearest first.

    A point is its own nearest. Where fewer than k are real, the nearest stands in for the rest,
    which no maximum minds. Raises InputError if there are fewer points than k.
    """
    if not 1 <= k <= x.shape[1]:
        raise InputError(f"neighbours must be from 1 to the {x.shape[1]} points; got {k}")
    y = x if y is None else y
    if y.shape[-1] != x.shape[-1]:
        raise InputError(f"points have {x.shape[-1]} coordinates, those asked for {y.shape[-1]}")
    apart = distances(x, y)
    if real is not None:
        apart = jnp.where(real[:, None], apart, jnp.inf)
    # the barriers: XLA sees a slice of a top_k and sorts all instead, ten times as slow on a CPU;
    # one around both dies as XLA compiles it for two devices
    value, found = map(jax.lax.optimization_barrier, jax.lax.top_k(-apart, k))
    return jnp.where(value == -jnp.inf, found[..., :1], found)


def farthest(x: Cloud, m: int, real: Real | None = None) -> Int[Array, "B {m}"]:
    """m points of each cloud, each as far as can be from those before it: [B, m].

    The first is the one farthest from the middle of the cloud's box, so that which are kept does
    not depend on the order. Where fewer than m are real, some come again. Raises InputError if
    there are fewer points than m. Eldar et al. 1997; Qi et al. 2017b.
    """
    if not 1 <= m <= x.shape[1]:
        raise InputError(f"points to keep must be from 1 to the {x.shape[1]} points; got {m}")
    here = jnp.ones(x.shape[:2], bool) if real is None else real
    low, high = (jnp.where(here[..., None], x, sign * jnp.inf) for sign in (1, -1))
    middle = (low.min(1) + high.max(1)) / 2

    def apart(point: Array) -> Array:
        """Squared distances to one point [B, d]; absent ones are nearer than any."""
        parts = [jnp.square(x[:, :, c] - point[:, None, c]) for c in range(x.shape[-1])]
        return jnp.where(here, sum(parts), -1.0)

    def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
        least, at = carry
        point = jnp.take_along_axis(x, at[:, None, None], 1)[:, 0]
        least = jnp.minimum(least, apart(point))
        return (least, least.argmax(1)), at

    first = jnp.full(x.shape[:2], jnp.inf), apart(middle).argmax(1)
    return jax.lax.scan(step, first, None, length=m)[1].T


def largest(told: Float[AnyArray, "B N f"], neighbours: Indices) -> Float[Array, "B M f"]:
    """`max_{j in N(i)} t_j`: told [B, N, f], neighbours [B, M, k] -> [B, M, f].

    The gradient goes to the nearest of equals: to one number a point and feature, where the
    derivative of a gather would add rows for each edge (13 times as slow on a CPU: 256 points of 8
    neighbours and 64 features, 1.1 ms against .08).
    """
    return _largest(jnp.asarray(told), jnp.asarray(neighbours))


def _merged(function: Callable) -> Any:
    """`function` of clouds, which under `vmap` are only more clouds: a CPU gathers flat rows."""
    own = jax.custom_batching.custom_vmap(function)

    @own.def_vmap
    def rule(size: int, batched: Sequence[bool], *given: Array):
        each = [
            leaf if is_own else jnp.broadcast_to(leaf[None], (size, *leaf.shape))
            for leaf, is_own in zip(given, batched, strict=True)
        ]
        found = own(*(leaf.reshape(-1, *leaf.shape[2:]) for leaf in each))
        split = jax.tree.map(lambda leaf: leaf.reshape(size, -1, *leaf.shape[1:]), found)
        return split, jax.tree.map(lambda _: True, found)

    return own


def _flat(told: Array, neighbours: Array) -> tuple[Array, Array]:
    """Rows of all clouds [B N, f], and each one's neighbours among them [B M, k]."""
    b, n, f = told.shape
    offset = n * jnp.arange(b, dtype=jnp.int32)[:, None, None]
    return told.reshape(b * n, f), (neighbours + offset).reshape(-1, neighbours.shape[-1])


def _told(told: Array, neighbours: Array) -> list[Array]:
    """What each neighbour says, the nearest first: k arrays [B M, f]."""
    rows, at = _flat(told, neighbours)
    return [rows.at[slot].get(mode="promise_in_bounds") for slot in at.T]


@_merged
def _greatest(told: Array, neighbours: Array) -> Array:
    best = functools.reduce(jnp.maximum, _told(told, neighbours))
    return best.reshape(*neighbours.shape[:2], -1)


@_merged
def _whose(told: Array, neighbours: Array, best: Array) -> Array:
    """Which point of its cloud said the maximum, the nearest of equals: [B, M, f]."""
    # found with the maximum in one loop, XLA:CPU computes each slot's maximum anew for each use
    whose, flat = jnp.zeros((), jnp.int32), best.reshape(-1, best.shape[-1])
    each = _told(told, neighbours), neighbours.reshape(-1, neighbours.shape[-1]).T
    for said, who in reversed([*zip(*each, strict=True)]):
        whose = jnp.where(said == flat, who[:, None], whose)
    return whose.reshape(best.shape)


@_merged
def _given_back(whose: Array, g: Array, told: Array) -> Array:
    b, n, f = told.shape
    offset = n * jnp.arange(b, dtype=jnp.int32)[:, None, None]
    place = (whose + offset) * f + jnp.arange(f, dtype=jnp.int32)[None, None]
    flat = jnp.zeros(b * n * f, g.dtype)
    return flat.at[place.reshape(-1)].add(g.reshape(-1), mode="promise_in_bounds").reshape(b, n, f)


@jax.custom_vjp
def _largest(told: Array, neighbours: Array) -> Array:
    return _greatest(told, neighbours)


def _forward(told: Array, neighbours: Array) -> tuple[Array, tuple[Array, Array]]:
    best = _greatest(told, neighbours)
    return best, (_whose(told, neighbours, best), told)


def _backward(saved: tuple[Array, Array], g: Array) -> tuple[Array, None]:
    whose, told = saved
    return _given_back(whose, g, told), None


_largest.defvjp(_forward, _backward)
