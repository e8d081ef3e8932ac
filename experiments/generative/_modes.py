"""A target of two modes, and the figure of the Gaussians that divergences fit to it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

from dljax.host.figures import COLORS, INK, panels, save
from dljax.typing import Array

POINTS = 401


def target(weight: float, sd: float, distance: Any, x: Array) -> Array:
    """The log density of `w N(-d/2, s^2) + (1 - w) N(d/2, s^2)` at x [n]."""
    sides = jnp.stack([-distance / 2, distance / 2])
    modes = norm.logpdf(x[None], sides[:, None], sd)
    weights = jnp.log(jnp.array([weight, 1 - weight]))
    return jax.nn.logsumexp(modes + weights[:, None], 0)


def moments(weight: float, sd: float, distance: Any) -> tuple[Any, Any]:
    """`(1/2 - w) d` and `sqrt(s^2 + w (1 - w) d^2)`: the target's mean and deviation."""
    return (0.5 - weight) * distance, (sd**2 + weight * (1 - weight) * distance**2) ** 0.5


class Found(NamedTuple):
    """Where each start came to, [divergence, distance, start]."""

    mean: np.ndarray
    sd: np.ndarray
    nats: np.ndarray

    def least(self, kind: int, distance: int = -1) -> tuple[float, float, float]:
        """The answer: mean, deviation and divergence of the start that came lowest."""
        best = self.nats[kind, distance].argmin()
        mean, sd, nats = (float(values[kind, distance, best]) for values in self)
        return mean, sd, nats


def draw(
    path: Path,
    names: Sequence[str],
    found: Found,
    *,
    weight: float,
    sd: float,
    distances: Sequence[float],
) -> Path:
    """The target with what the starts came to, and every solution over the distances."""
    figure, axes = panels(3, 2, size=(3.8, 2.8))
    farthest, seeds = distances[-1], found.nats.shape[-1]
    x = np.linspace(-1, 1, POINTS) * (farthest / 2 + 4 * sd)
    density = np.exp(target(weight, sd, jnp.float32(farthest), jnp.asarray(x, jnp.float32)))
    top = 1.7 * max(density.max(), float(norm.pdf(0, 0, sd)))
    for kind, (ax, name, color) in enumerate(zip(axes[:3], names, COLORS, strict=False)):
        ax.fill_between(x, density, color=COLORS[5], alpha=0.3, lw=0, label="target p")
        for start in zip(found.mean[kind, -1], found.sd[kind, -1], strict=True):
            ax.plot(x, norm.pdf(x, *start), color=color, lw=1, ls=":")
        *least, nats = found.least(kind)
        ax.plot(x, norm.pdf(x, *least), color=color, lw=2, label=f"q, least: {nats:.2f} nats")
        rest = (found.nats[kind, -1] > nats + 1e-3).sum()
        if rest:
            ax.plot([], [], color=color, lw=1, ls=":", label=f"{rest} of {seeds} starts")
        ax.set_title(f"{name} at distance {farthest:g}", fontsize=10)
        ax.set(ylim=(0, top), xlabel="x")
        ax.legend(frameon=False, fontsize=7, loc="upper right")
        across = np.array(distances) + 0.08 * sd * (kind - 1)  # so that equal answers all show
        for below, values in zip(axes[3:], found, strict=True):
            places = np.repeat(across, seeds)
            below.scatter(places, values[kind].ravel(), s=8, color=color, lw=0, label=name)
    d = np.linspace(0, max(distances), 100)
    modes = (np.stack([-d, d], 1) / 2, np.full_like(d, sd))
    for ax, line, mode in zip(axes[3:], moments(weight, sd, d), modes, strict=False):
        ax.plot(d, line, color=INK, lw=0.8, ls="--", label="the target's")
        ax.plot(d, mode, color=INK, lw=0.8, ls=":")
    for ax, label in zip(axes[3:], ("mean of q", "deviation of q", "nats"), strict=True):
        ax.set(xlabel="distance of the modes", ylabel=label)
        ax.legend(frameon=False, fontsize=7, loc="upper left")
    said = f"weights {weight:g} and {1 - weight:g}, {seeds} starts each"
    figure.suptitle(f"one Gaussian q for a target p of two modes: {said}", fontsize=10)
    return save(figure, path)
