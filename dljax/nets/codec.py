"""A network that codes images by whole numbers, at several rates (S35)."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from dljax.nets.restore import Restorer
from dljax.nets.trunk import depth_to_space, space_to_depth
from dljax.ops.conv import conv
from dljax.typing import Array

LEAST, MOST = -4.0, 8.0  # logarithms of scales


class Basis(NamedTuple):
    """Where a codec begins: L orthonormal directions of blocks [block^2 c, L], and the standard
    deviation of images along each, [L]."""

    directions: np.ndarray
    spread: np.ndarray


class Codec(nn.Module):
    """Images x [B, h, w, c] to codes y [B, h / block, w / block, L] and back, at a level [B] each.

    `y = (r(x) A) exp(g_level)`, block by block, and `x = r'(y exp(-g_level) A')`: r and r' are
    `Restorer`s, which look over the blocks' borders. Codes are rounded, and coded with Laplace
    distributions whose means and scales hang on what came before (Minnen et al. 2018): all codes of
    the four blocks left and above, and the block's own earlier ones. Levels share all but g and the
    distributions' own scales (Cui et al. 2021). It begins as the transform of `basis()`, and at
    level k of gain `exp(gains[k])`.
    """

    basis: Callable[[], Basis]
    gains: tuple[float, ...]
    channels: int = 32
    blocks: int = 2
    block: int = 8
    fold: int = 4

    def setup(self) -> None:
        (directions, spread), gains = self.basis(), np.array(self.gains, np.float32)
        size, latent = directions.shape
        filters = (self.channels,), self.blocks, self.fold
        self.before, self.after = Restorer(*filters), Restorer(*filters)
        begins = jnp.asarray(directions, jnp.float32), jnp.asarray(directions.T, jnp.float32)
        self.analysis = nn.Dense(latent, use_bias=False, kernel_init=lambda *_: begins[0])
        self.synthesis = nn.Dense(size, use_bias=False, kernel_init=lambda *_: begins[1])
        start = np.broadcast_to(gains[:, None], (len(gains), latent))
        scale = start + np.log(np.maximum(spread, 1e-6) / np.sqrt(2))[None]
        self.gain = self.param("gain", lambda _: jnp.asarray(start, jnp.float32))
        self.scale = self.param("scale", lambda _: jnp.asarray(scale, jnp.float32))
        zero, window = nn.initializers.zeros_init(), (3, 3, latent, latent)
        self.to_mean = self.param("to_mean", zero, window, jnp.float32)
        self.to_scale = self.param("to_scale", zero, window, jnp.float32)

    def encode(self, x: Array, level: Array) -> Array:
        z = self.analysis(space_to_depth(self.before(x) - 0.5, self.block))
        return z * jnp.exp(self.gain[level])[:, None, None]

    def decode(self, y: Array, level: Array) -> Array:
        z = y * jnp.exp(-self.gain[level])[:, None, None]
        return self.after(depth_to_space(self.synthesis(z), self.block) + 0.5)

    def chances(self, y: Array, level: Array) -> tuple[Array, Array]:
        """Means and logarithms of the scales of codes y, each by those before it: [B, ..., L]."""
        seen = causal(y.shape[-1])
        mean = conv(y, self.to_mean * seen, (1, 1), "SAME")
        log_scale = conv(jnp.log1p(jnp.abs(y)), self.to_scale * seen, (1, 1), "SAME")
        return mean, jnp.clip(log_scale + self.scale[level][:, None, None], LEAST, MOST)

    def __call__(
        self, x: Array, level: Array | None = None, *, train: bool = False
    ) -> tuple[Array, tuple[Array, Array]]:
        """What is decoded without rounding, by default at level 0, and the codes' distributions."""
        level = jnp.zeros(len(x), jnp.int32) if level is None else level
        y = self.encode(x, level)
        return self.decode(y, level), self.chances(y, level)


def causal(latent: int) -> np.ndarray:
    """Which taps of a window [3, 3, L, L] see what came before: rows, columns, then channels."""
    seen = np.zeros((9, latent, latent), np.float32)
    seen[:4] = 1
    seen[4] = np.triu(np.ones((latent, latent)), 1)
    return seen.reshape(3, 3, latent, latent)


def bits(y: Array, mean: Array, log_scale: Array) -> Array:
    """`-log2` of a Laplace distribution's mass from y - 1/2 to y + 1/2, that of a whole number.

    With d = |y - mean| it is `e^(-d / s) sinh(1 / 2s)`, or `1 - e^(-1 / 2s) cosh(d / s)` where d is
    below 1/2; the same of numbers between, as noise makes them.
    """
    away, scale = jnp.abs(y - mean), jnp.exp(log_scale)
    half = 0.5 / scale
    far = away / scale - jnp.log(jnp.sinh(half))
    near = -jnp.log1p(-jnp.exp(-half) * jnp.cosh(jnp.minimum(away / scale, half)))
    return jnp.where(away < 0.5, near, far) / jnp.log(2.0)
