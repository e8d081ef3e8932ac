"""A generator and a critic that grow by whole resolutions (S44). Karras et al. 2018, section 2.

Level i is of images of side `base 2^i`. A new level fades in: at `fade` 0 the networks are those of
the level below, their images doubled or halved, and at 1 they are without it.
"""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.nets.adversarial import leaky_relu
from dljax.nets.coders import WINDOW, ConvTranspose
from dljax.ops.conv import conv
from dljax.typing import Array


def double(x: Array) -> Array:
    """Every pixel as four: [B, h, w, c] -> [B, 2 h, 2 w, c]."""
    return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)


def halve(x: Array) -> Array:
    """Means of squares of four pixels: [B, 2 h, 2 w, c] -> [B, h, w, c]; it undoes `double`."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))


def faded(share: float | Array, new: Array, old: Array) -> Array:
    """`share new + (1 - share) old`."""
    return share * new + (1 - share) * old


class Growing(nn.Module):
    """Latents z [B, d] to images [B, *shape], shape (h, w, c) the largest, at `level`'s size.

    Dense to `channels[0]` maps of the first level; a `ConvTranspose` for each level above, to its
    `channels`; and for each level a layer to pixels. The parameters of all levels are there from
    the start, so that a state keeps its shape; those above `level` rest.
    """

    shape: Sequence[int]
    channels: Sequence[int]
    level: int
    fade: float | Array = 1.0
    squash: Callable[[Array], Array] = lambda x: x

    @nn.compact
    def __call__(self, z: Array, *, train: bool = False) -> Array:
        *sides, c = self.shape
        rows, columns = (side >> len(self.channels) - 1 for side in sides)
        x = nn.Dense(math.prod((rows, columns, self.channels[0])), name="first")(z)
        maps = [jax.nn.relu(x.reshape(-1, rows, columns, self.channels[0]))]
        begins = self.is_initializing()
        top = len(self.channels) - 1 if begins else self.level
        for i in range(1, top + 1):
            x, size = maps[-1], (rows << i, columns << i)
            maps.append(jax.nn.relu(ConvTranspose(self.channels[i], size, name=f"up_{i}")(x)))

        def image(i: int) -> Array:
            return nn.Dense(c, name=f"image_{i}")(maps[i])

        images = {i: image(i) for i in range(top + 1) if begins or i >= self.level - 1}
        x = images[self.level]
        if self.level:
            x = faded(self.fade, x, double(images[self.level - 1]))
        return self.squash(x)


class Shrinking(nn.Module):
    """Images x [B, h, w, c] of `level`'s size to logits [B]: `Growing` backwards."""

    channels: Sequence[int]
    level: int
    fade: float | Array = 1.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        def see(i: int, x: Array) -> Array:
            return leaky_relu(nn.Dense(self.channels[i], name=f"image_{i}")(x))

        def down(i: int, x: Array) -> Array:
            layer = nn.Conv(
                self.channels[i - 1], WINDOW, 2, conv_general_dilated=conv, name=f"down_{i}"
            )
            return leaky_relu(layer(x))

        if self.is_initializing():  # of the levels that rest, too
            for i in range(len(self.channels)):
                if i != self.level and i != self.level - 1:
                    see(i, x)
            for i in range(self.level + 1, len(self.channels)):
                down(i, jnp.zeros((1, 2, 2, self.channels[i])))
        h = see(self.level, x)
        for i in range(self.level, 0, -1):
            h = down(i, h)
            if i == self.level:
                h = faded(self.fade, h, see(i - 1, halve(x)))
        return nn.Dense(1, name="last")(h.reshape(len(h), -1))[:, 0]
