"""Images seen through a map of places: the one bilinear warp, and the maps that vision needs."""

import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Float, Real

from dljax.typing import AnyArray, Array

Places = Float[AnyArray, "2 H W"]
"""For each pixel of the result, the row and the column that it shows, in pixels of the image."""


def warp(image: Real[AnyArray, "h w c"], places: Places) -> Float[Array, "H W c"]:
    """`y_p = sum_q x_q max(0, 1 - |p_1 - q_1|) max(0, 1 - |p_2 - q_2|)`, q over pixels: bilinear.

    Beyond the image is 0; `mirror` the places first to see it folded. Places without a fraction are
    exact, so that a mask of labels goes through `warp(mask, jnp.round(places))` unmixed.
    """
    h, w, c = image.shape
    low = jnp.floor(places)
    part = places - low
    # rows of a flat table: a gather of pixels from [h, w, c] takes up to ten times as long on a CPU
    flat = jnp.asarray(image).reshape(h * w, c)
    total = jnp.zeros((), part.dtype)
    for step in itertools.product((0, 1), (0, 1)):
        row, column = low[0] + step[0], low[1] + step[1]
        share = [part[i] if step[i] else 1 - part[i] for i in range(2)]
        inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
        row, column = jnp.clip(row, 0, h - 1).astype(int), jnp.clip(column, 0, w - 1).astype(int)
        seen = flat.at[(row * w + column).reshape(-1)].get(mode="promise_in_bounds")
        weight = jnp.where(inside, share[0] * share[1], 0)[..., None]
        total = total + weight * seen.reshape(*row.shape, c)
    return total


def grid(h: int, w: int) -> Float[Array, "2 {h} {w}"]:
    """Each pixel's own place: `warp(image, grid(h, w))` is the image."""
    rows, columns = jnp.meshgrid(*(jnp.arange(n, dtype=jnp.float32) for n in (h, w)), indexing="ij")
    return jnp.stack([rows, columns])


def mirror(places: Places, h: int, w: int) -> Places:
    """Places beyond an image of h x w, folded back at the centres of its outermost pixels."""
    last = jnp.array([h - 1, w - 1], jnp.float32)[:, None, None]
    return jnp.where(last > 0, last - jnp.abs(places % jnp.maximum(2 * last, 1) - last), 0)


def bent(noise: Float[AnyArray, "2 m n"], h: int, w: int) -> Float[Array, "2 {h} {w}"]:
    """Each pixel's place, moved by `noise` (pixels, at m x n points) made smooth by cubic splines.

    An elastic deformation: Simard, Steinkraus and Platt 2003; coarse noise and cubic interpolation
    as in Ronneberger et al. 2015, section 3.1.
    """
    return grid(h, w) + jax.image.resize(noise, (2, h, w), "cubic")
