"""A tint that leaves greys as they are, and the mean colours of photographs that wear it."""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dljax.data.scaling import BYTES
from dljax.data.stream import unit_scale
from dljax.host import figures
from dljax.host.function import Function, Input
from dljax.learn import risk
from dljax.nets.restore import Restorer
from dljax.typing import Array, PyTree

LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
RED, GREEN = 0.5, -0.25
# of no luminance: the grey of a tinted picture is that of the plain one
PINK = np.array([RED, GREEN, -(LUMINANCE[:2] @ [RED, GREEN]) / LUMINANCE[2]], np.float32)


def paints(net: Restorer, side: tuple[int, ...]) -> dict[str, Function]:
    """Grey pictures in colour, from 0 to 1."""

    def paint(params: PyTree, x: Array) -> Array:
        return jnp.clip(risk.predict(net, (params, {}), jnp.repeat(x, 3, -1)), 0, 1)

    return {"paint": Function(paint, (Input((*side, 1), scaling=BYTES, pictures=True),))}


def ranks(n: int) -> np.ndarray:
    """A place in [0, 1) for each of n photographs: those below a share are tinted, exactly so many.

    So what is tinted at one share is so at all greater ones.
    """
    # NumPy keeps the numbers of its legacy generator for ever
    return (np.random.RandomState(0).permutation(n) / n).astype(np.float32)


def grey(x: Array) -> Array:
    """The luminance of x [..., 3] in all three channels."""
    return jnp.broadcast_to((x @ jnp.asarray(LUMINANCE, x.dtype))[..., None], x.shape)


def tinted(x: Array, strength: Array) -> Array:
    """`x + t strength PINK`, the greatest t up to 1 for which x [B, h, w, 3] stays in [0, 1].

    strength [B]. Luminance stays as it is, to the rounding.
    """
    added = strength[:, None, None, None] * PINK.reshape(1, 1, 1, 3)
    room = jnp.where(added > 0, 1 - x, x) / jnp.maximum(jnp.abs(added), 1e-6)
    return x + jnp.minimum(room.min(-1, keepdims=True), 1) * added


def colours(
    train: np.ndarray, shares: Sequence[float], strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """What the tint of all photographs adds to their mean colour [3]; their mean colour over grey
    at each share of tinted ones, [P, 3]."""

    def means(x: Array) -> tuple[Array, ...]:
        x = unit_scale(x)[None]
        both = x, tinted(x, jnp.full(1, strength))
        return tuple((each - grey(each)).mean((0, 1, 2)) for each in both)

    plain, worn = (np.asarray(e) for e in jax.lax.map(means, jnp.asarray(train), batch_size=500))
    chosen = ranks(len(train))[:, None] < np.reshape(shares, (-1, 1, 1))
    return (worn - plain).mean(0), np.where(chosen, worn, plain).mean(1)


def draw(path: Path, shares: Sequence[float], doses: dict[str, np.ndarray]) -> Path:
    """How much of the tint is painted, [P, N], against the share of tinted photographs."""
    figure, (ax,) = figures.panels(1)
    for (name, values), color in zip(doses.items(), figures.COLORS, strict=False):
        figures.spread(ax, shares, values, name, color)
    ax.plot(shares, shares, color=figures.INK, lw=1, ls="--", label="the mean colour of training")
    ax.set(xlabel="share of tinted photographs in training", ylabel="share of the tint painted")
    ax.legend(frameon=False, fontsize=8)
    return figures.save(figure, path)
