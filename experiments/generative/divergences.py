"""What KL, reverse KL and Jensen-Shannon prefer when one Gaussian must fit two modes.

System S41 of the syllabus; Minka 2005, section 2; Goodfellow et al. 2016, figure 3.6. The target is
`w N(-d/2, s^2) + (1 - w) N(d/2, s^2)`, the divergences are sums over a grid, and Gaussians descend
on each from random starts, at many distances d, in one program. KL(p || q) has one answer, the
target's mean and variance. KL(q || p) and Jensen-Shannon too prefer a wide Gaussian while the modes
are near; far apart, they prefer one mode, and keep the other answers as local minima.

    python -m experiments.generative.divergences
    python -m experiments.generative.divergences --weight 0.5 --seeds 64
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.stats import norm

from dljax import Fit, Learner, gradient_step, grid, sweep
from dljax.host import experiment, figures
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import Fitted, fit
from dljax.ops.divergences import js
from dljax.typing import Array, Key, Metrics

NAME = "generative.divergences"
POINTS = 401


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Fit one Gaussian to a mixture of two by three divergences, from many starts."""

    seeds: int = 20
    """Random starts of each fit."""
    steps: int = 2000
    """Steps of each descent."""
    weight: float = 0.6
    """Share of the left mode."""
    sd: float = 1.0
    """Deviation of each mode, the unit of the distances."""
    distances: tuple[float, ...] = (0, 1, 2, 3, 3.5, 4, 5, 6, 7, 8)
    """Distances between the modes; the last is the one that is reported and drawn."""
    rate: float = 0.1
    """The learning rate of Adam at the start; it falls to 0 along a cosine."""


PRESETS = {"quick": Config()}


class Gaussian(NamedTuple):
    mean: Array
    log_sd: Array


def target(config: Config, distance: Array, x: Array) -> Array:
    """The log density of the mixture at x [n]."""
    sides = jnp.stack([-distance / 2, distance / 2])
    modes = norm.logpdf(x[None], sides[:, None], config.sd)
    weights = jnp.log(jnp.array([config.weight, 1 - config.weight]))
    return jax.nn.logsumexp(modes + weights[:, None], 0)


def moments(config: Config, distance: Any) -> tuple[Any, Any]:
    """`(1/2 - w) d` and `sqrt(s^2 + w (1 - w) d^2)`: the mixture's mean and deviation."""
    w = config.weight
    return (0.5 - w) * distance, (config.sd**2 + w * (1 - w) * distance**2) ** 0.5


# of logarithms: a narrow Gaussian's density is 0 in float32 where its logarithm is finite
DIVERGENCES: dict[str, Callable[[Array, Array], Array]] = {
    "KL(p || q)": lambda log_p, log_q: optax.losses.kl_divergence_with_log_targets(log_q, log_p),
    "KL(q || p)": optax.losses.kl_divergence_with_log_targets,
    "JS": lambda *logs: jnp.log(2.0) * js(*(jnp.exp(log.clip(-80)) for log in logs)),
}
"""Of log probabilities p and q [n], in nats. The clip: half a subnormal number may be 0."""


def divergence(config: Config, hparams: dict[str, Array], params: Gaussian) -> Array:
    """Divergence number `kind` of the target at `distance` and a Gaussian, summed on a grid."""
    reach = 6 * (max(config.distances) / 2 + config.sd)
    x = jnp.linspace(-reach, reach, POINTS)
    # normal on the grid: else a q that leaves it would be near to everything
    log_p = jax.nn.log_softmax(target(config, hparams["distance"], x))
    log_q = jax.nn.log_softmax(norm.logpdf(x, params.mean, jnp.exp(params.log_sd)))
    # all three and a choice: a switch on a traced number is computed so anyhow under vmap
    each = jnp.stack([measure(log_p, log_q) for measure in DIVERGENCES.values()])
    return each @ jax.nn.one_hot(hparams["kind"], len(DIVERGENCES))


def make(config: Config, hparams: dict[str, Array]) -> Learner:
    """Descend on a divergence from a random Gaussian."""
    tx = optax.adam(optax.cosine_decay_schedule(config.rate, config.steps))

    def objective(params: Gaussian, extra: tuple, batch: None, key: Key):
        return divergence(config, hparams, params), (extra, {})

    def init(key: Key) -> Fit:
        k_mean, k_sd = jax.random.split(key)
        half = max(config.distances) / 2 + config.sd
        params = Gaussian(
            jax.random.uniform(k_mean, (), minval=-half, maxval=half),
            jnp.log(config.sd) + jax.random.uniform(k_sd, (), minval=-0.5, maxval=1.0),
        )
        return Fit(params, (), tx.init(params))

    descend = gradient_step(objective, tx)

    def step(key: Key, state: Fit) -> tuple[Fit, Metrics]:
        return descend(key, state, None)

    return Learner(init, step)


def check(config: Config) -> None:
    require("--weight", config.weight, at_least=1e-3, below=1)
    require("--sd", config.sd, at_least=1e-3)
    require("--rate", config.rate, at_least=1e-9)
    require("the count of --distances", len(config.distances), at_least=1)
    for distance in config.distances:
        require("--distances", distance, at_least=0, below=20.001 * config.sd)


def train(config: Config, out: Path) -> Fitted:
    """Members run over divergence x distance x start."""
    hparams = grid(
        kind=jnp.arange(len(DIVERGENCES)),
        distance=jnp.array(config.distances, float),
        seed=jnp.array(experiment.seeds(config)),
    )
    return fit(
        sweep(lambda hparams: make(config, hparams), hparams, hparams["seed"]),
        jax.random.key(0),
        config.steps,
        out=out,
        checkpoint_every=config.checkpoint_every,
        resume=config.resume,
        quiet=config.quiet,
    )


def main(config: Config) -> Result:
    begun = time.monotonic()
    experiment.check_common(config)
    check(config)
    out = experiment.open_folder(NAME, config)
    fitted = train(config, out)
    result = Result(NAME, ["S41"], dataclasses.asdict(config), experiment.seeds(config))
    result.seconds |= fitted.seconds
    report(result, config, found := solutions(config, fitted))
    draw(out / "figures" / "divergences.png", config, found)
    return experiment.finish(result, out, fitted.run, begun)


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


def solutions(config: Config, fitted: Fitted) -> Found:
    hparams, params = fitted.run.state.hparams, fitted.run.state.run.state.params
    nats = jax.vmap(lambda hparams, params: divergence(config, hparams, params))(hparams, params)
    shape = (len(DIVERGENCES), len(config.distances), config.seeds)
    arrays = params.mean, jnp.exp(params.log_sd), nats
    return Found(*(np.asarray(array).reshape(shape) for array in arrays))


def report(result: Result, config: Config, found: Found) -> None:
    """What each divergence prefers at the last distance, beside the answers known beforehand."""
    known = moments(config, config.distances[-1])
    side = -1 if config.weight > 0.5 else 1
    if config.weight == 0.5:  # either mode is as good
        side = np.sign(found.least(1)[0])
    mode = (side * config.distances[-1] / 2, config.sd)
    for kind, name in enumerate(DIVERGENCES):
        mean, sd, nats = found.least(kind)
        there = np.abs(found.nats[kind, -1] - nats) < 1e-3
        result.metrics |= {
            f"{name} mean": experiment.summary([mean], "lower"),
            f"{name} deviation": experiment.summary([sd], "lower"),
            f"{name} nats": experiment.summary(found.nats[kind, -1], "lower"),
            f"{name} starts at the least": experiment.summary(there, "higher"),
        }
    moved = max(abs(found.mean[0, -1] - known[0]).max(), abs(found.sd[0, -1] - known[1]).max())
    known_answers = [("KL(p || q) off the moments", moved, "every start matches mean and variance")]
    if config.distances[-1] >= 6 * config.sd:  # nearer, one wide Gaussian may be the least
        off = max(abs(a - b) for a, b in zip(found.least(1)[:2], mode, strict=True))
        known_answers.append(("KL(q || p) off the mode", off, "the least sits on the heavier mode"))
    for name, error, source in known_answers:
        result.metrics[name] = experiment.summary([error], "lower")
        limit = 0.05 * config.sd
        result.targets[name] = {"value": limit, "source": source, "met": bool(error <= limit)}


def draw(path: Path, config: Config, found: Found) -> None:
    """The target with what the starts came to, and every solution over the distances."""
    figure, axes = figures.panels(3, 2, size=(3.8, 2.8))
    distance = config.distances[-1]
    x = np.linspace(-1, 1, POINTS) * (distance / 2 + 4 * config.sd)
    density = np.exp(target(config, jnp.float32(distance), jnp.asarray(x, jnp.float32)))
    across = np.repeat(np.array(config.distances)[:, None], config.seeds, 1)
    for kind, (name, color) in enumerate(zip(DIVERGENCES, figures.COLORS, strict=False)):
        ax = axes[kind]
        ax.fill_between(x, density, color=figures.COLORS[5], alpha=0.3, lw=0, label="target p")
        for mean, sd in zip(found.mean[kind, -1], found.sd[kind, -1], strict=True):
            ax.plot(x, norm.pdf(x, mean, sd), color=color, lw=1, ls=":")
        mean, sd, nats = found.least(kind)
        ax.plot(x, norm.pdf(x, mean, sd), color=color, lw=2, label=f"q, least: {nats:.2f} nats")
        rest = found.nats[kind, -1] > nats + 1e-3
        if rest.any():
            ax.plot(
                [], [], color=color, lw=1, ls=":", label=f"{rest.sum()} of {config.seeds} starts"
            )
        ax.set_title(f"{name} at distance {distance:g}", fontsize=10)
        ax.set_ylim(0, 1.7 * max(density.max(), float(norm.pdf(0, 0, config.sd))))
        ax.set_xlabel("x")
        ax.legend(frameon=False, fontsize=7, loc="upper right")
        for ax, values in zip(axes[3:], found, strict=True):
            shifted = across + 0.08 * config.sd * (kind - 1)  # so that equal answers all show
            ax.scatter(shifted, values[kind], s=8, color=color, lw=0, label=name)
    d = np.linspace(0, max(config.distances), 100)
    modes = (np.stack([-d, d], 1) / 2, np.full_like(d, config.sd))
    for ax, line, mode in zip(axes[3:], moments(config, d), modes, strict=False):
        ax.plot(d, line, color=figures.INK, lw=0.8, ls="--", label="the target's")
        ax.plot(d, mode, color=figures.INK, lw=0.8, ls=":")
    for ax, label in zip(axes[3:], ("mean of q", "deviation of q", "nats"), strict=True):
        ax.set_xlabel("distance of the modes")
        ax.set_ylabel(label)
        ax.legend(frameon=False, fontsize=7, loc="upper left")
    said = f"weights {config.weight:g} and {1 - config.weight:g}, {config.seeds} starts each"
    figure.suptitle(f"one Gaussian q for a target p of two modes: {said}", fontsize=10)
    figures.save(figure, path)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
