"""Gaussians on a ring: a known density whose modes a generator may miss (S43)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dljax.data.stream import Position, Stream
from dljax.errors import InputError
from dljax.typing import Array, Batch, Key


class Ring(NamedTuple):
    """`modes` equal Gaussians of deviation `sd`, their centres evenly on a circle about 0.

    The default is that of Metz et al. 2017: centres 1.53 apart, which is 77 deviations.
    """

    modes: int = 8
    radius: float = 2.0
    sd: float = 0.02


def centres(ring: Ring) -> Array:
    """`radius (cos, sin)(2 pi k / modes)`, [modes, 2]."""
    angles = 2 * jnp.pi * jnp.arange(ring.modes) / ring.modes
    return ring.radius * jnp.stack([jnp.cos(angles), jnp.sin(angles)], 1)


def sample(key: Key, ring: Ring, n: int) -> Batch:
    """Points x [n, 2] and the modes y [n] that they were drawn from."""
    k_mode, k_noise = jax.random.split(key)
    y = jax.random.randint(k_mode, (n,), 0, ring.modes)
    return Batch(centres(ring)[y] + ring.sd * jax.random.normal(k_noise, (n, 2)), y)


def fresh(ring: Ring, batch: int) -> Stream:
    """A stream whose every batch is drawn anew, so that nothing can be learnt by heart.

    Raises InputError if a size is below 1, or a length is not above 0.
    """
    if min(ring.modes, batch) < 1:
        raise InputError(f"modes and batch must be at least 1; got {ring.modes} and {batch}")
    if not (0 < ring.radius < float("inf") and 0 < ring.sd < float("inf")):
        raise InputError(f"radius and sd must be above 0; got {ring.radius} and {ring.sd}")

    def draw(position: Position) -> tuple[Position, Batch]:
        drawn = sample(jax.random.fold_in(position.key, position.drawn), ring, batch)
        return Position(position.key, position.drawn + 1), drawn

    return Stream(lambda key: Position(key, jnp.int32(0)), draw)


def counts(x: Array, ring: Ring) -> Array:
    """How many of x [n, 2] lie within three deviations of each centre, [modes].

    Of the ring's own samples a share `1 - exp(-9 / 2) = 0.989` lies within those of its centre.
    """
    apart = jnp.sum((x[:, None] - centres(ring)[None]) ** 2, -1)
    near = apart.min(1) < (3 * ring.sd) ** 2
    return jnp.zeros(ring.modes).at[apart.argmin(1)].add(near)
