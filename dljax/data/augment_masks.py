"""Augmentations of images together with their masks: pure functions of a key and a batch (S32).

Batches are of x [B, h, w, c] and integers y [B, h, w]; what happens to an image's pixel happens to
its class.
"""

import math

import jax
import jax.numpy as jnp

from dljax.errors import InputError
from dljax.ops.warp import bent, grid, mirror, warp
from dljax.typing import Array, Batch, Key


def crop(key: Key, batch: Batch, side: int) -> Batch:
    """A square of each image, its place drawn uniformly: [B, side, side, c].

    Raises InputError unless `1 <= side <= min(h, w)`.
    """
    b, h, w, c = batch.x.shape
    if not 1 <= side <= min(h, w):
        raise InputError(f"a crop's side must be from 1 to {min(h, w)} pixels; got {side}")
    most = jnp.array([[h, w]]) - side + 1
    corner = jax.random.randint(key, (b, 2), 0, most)

    def one(x: Array, y: Array, at: Array) -> tuple[Array, Array]:
        cut = jax.lax.dynamic_slice
        return cut(x, (*at, 0), (side, side, c)), cut(y, tuple(at), (side, side))

    return Batch(*jax.vmap(one)(batch.x, batch.y, corner))


def turn(key: Key, batch: Batch) -> Batch:
    """Each square image as one of the eight that flips and quarter turns make of it, by chance.

    Raises InputError unless h is w.
    """
    if batch.x.shape[1] != batch.x.shape[2]:
        raise InputError(f"only squares turn; got {batch.x.shape[1]} x {batch.x.shape[2]}")
    coins = jax.random.bernoulli(key, shape=(3, len(batch.x)))

    def turned(x: Array) -> Array:
        down, right, over = (coin.reshape(-1, *(1,) * (x.ndim - 1)) for coin in coins)
        x = jnp.where(down, x[:, ::-1], x)
        x = jnp.where(right, x[:, :, ::-1], x)
        return jnp.where(over, x.swapaxes(1, 2), x)

    return Batch(turned(batch.x), turned(batch.y))


def bend(key: Key, batch: Batch, angle: float, sd: float, points: int = 4) -> Batch:
    """Each image turned by up to `angle` degrees and moved by smooth noise, its border mirrored.

    The noise has `sd` pixels at points x points places (`ops.warp.bent`); classes are those of the
    nearest pixel. Ronneberger et al. 2015, section 3.1, with sd 10 at 3 x 3. Raises InputError for
    numbers below 0, or fewer than 2 points.
    """
    if angle < 0 or sd < 0 or points < 2:
        given = f"{angle}, {sd}, {points}"
        raise InputError(f"bend needs angle >= 0, sd >= 0 and points >= 2; got {given}")
    b, h, w, _ = batch.x.shape
    k_angle, k_noise = jax.random.split(key)
    angles = math.radians(angle) * jax.random.uniform(k_angle, (b,), minval=-1)
    noise = sd * jax.random.normal(k_noise, (b, 2, points, points))
    centre = jnp.array([h - 1, w - 1], jnp.float32)[:, None, None] / 2

    def one(x: Array, y: Array, angle: Array, noise: Array) -> tuple[Array, Array]:
        row, column = grid(h, w) - centre
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        turned = centre + jnp.stack([cos * row - sin * column, sin * row + cos * column])
        places = mirror(turned + bent(noise, h, w) - grid(h, w), h, w)
        return warp(x, places), warp(y[..., None], jnp.round(places))[..., 0].astype(y.dtype)

    return Batch(*jax.vmap(one)(batch.x, batch.y, angles, noise))
