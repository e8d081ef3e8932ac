"""What KL, reverse KL and Jensen-Shannon prefer when one Gaussian must fit two modes.

System S41 of the syllabus; Minka 2005, section 2; Goodfellow et al. 2016, figure 3.6. The target is
`w N(-d/2, s^2) + (1 - w) N(d/2, s^2)`, the divergences are sums over a grid, and Gaussians descend
on each from random starts, at many distances d, in one program. KL(p || q) has one answer, the
target's mean and variance. KL(q || p) and Jensen-Shannon too prefer a wide Gaussian while the modes
are near; far apart, they prefer one mode, and keep the other answers as local minima.

    python -m experiments.generative.divergences  # 8 s on 2 cores
    python -m experiments.generative.divergences --weight 0.5 --seeds 64
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, Lt, MinLen
from jax.scipy.stats import norm

from dljax import Fit, Learner, gradient_step, grid, sweep
from dljax.host import experiment
from dljax.host.config import Common, Count, NotNegative, Positive, require
from dljax.host.experiment import Study
from dljax.host.fit import Fitted
from dljax.host.result import Result
from dljax.ops.divergences import js
from dljax.typing import Array, Key, Metrics
from experiments.generative import _modes as modes
from experiments.generative._modes import POINTS, Found

NAME = "generative.divergences"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Fit one Gaussian to a mixture of two by three divergences, from many starts."""

    seeds: Count = 20
    """Random starts of each fit."""
    steps: Count = 2000
    """Steps of each descent."""
    weight: Annotated[float, Ge(1e-3), Lt(1)] = 0.6
    """Share of the left mode."""
    sd: Annotated[float, Ge(1e-3)] = 1.0
    """Deviation of each mode, the unit of the distances."""
    distances: Annotated[tuple[NotNegative, ...], MinLen(1)] = (0, 1, 2, 3, 3.5, 4, 5, 6, 7, 8)
    """Distances between the modes; the last is the one that is reported and drawn."""
    rate: Positive = 0.1
    """The learning rate of Adam at the start; it falls to 0 along a cosine."""


PRESETS = {"quick": Config()}


def main(config: Config) -> Result:
    with Study(NAME, ["S41"], config) as run:
        for distance in config.distances:  # further apart, the grid is too coarse for the modes
            require("--distances", distance, below=20.001 * config.sd)
        hparams = grid(
            kind=jnp.arange(len(DIVERGENCES)),
            distance=jnp.array(config.distances, float),
            seed=jnp.array(run.seeds),
        )
        learner = sweep(functools.partial(make, config), hparams, hparams["seed"])
        names = run.named(f"{kind} at {d:g}" for kind in DIVERGENCES for d in config.distances)
        found = solutions(config, run.fit(learner, config.steps, names=names))
        report(run, config, found)
        problem = {"weight": config.weight, "sd": config.sd, "distances": config.distances}
        run.figure("divergences.png", modes.draw, list(DIVERGENCES), found, **problem)
    return run.result


class Gaussian(NamedTuple):
    mean: Array
    log_sd: Array


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
    log_p = jax.nn.log_softmax(modes.target(config.weight, config.sd, hparams["distance"], x))
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


def solutions(config: Config, fitted: Fitted) -> Found:
    """Where each start came to; members run over divergence x distance x start."""
    hparams, params = fitted.run.state.hparams, fitted.run.state.run.state.params
    nats = jax.vmap(functools.partial(divergence, config))(hparams, params)
    shape = (len(DIVERGENCES), len(config.distances), config.seeds)
    arrays = params.mean, jnp.exp(params.log_sd), nats
    return Found(*(np.asarray(array).reshape(shape) for array in arrays))


def report(run: Study, config: Config, found: Found) -> None:
    """What each divergence prefers at the last distance, beside the answers known beforehand."""
    distance, limit = config.distances[-1], 0.05 * config.sd
    for kind, name in enumerate(DIVERGENCES):
        mean, sd, nats = found.least(kind)
        run.metric(f"{name} mean", [mean], "lower")
        run.metric(f"{name} deviation", [sd], "lower")
        run.metric(f"{name} nats", found.nats[kind, -1], "lower")
        run.metric(f"{name} starts at the least", np.abs(found.nats[kind, -1] - nats) < 1e-3)

    def known(name: str, error: float, source: str) -> None:
        run.metric(name, [error], "lower")
        run.target(name, limit, source, error <= limit)

    mean, sd = modes.moments(config.weight, config.sd, distance)
    moved = max(abs(found.mean[0, -1] - mean).max(), abs(found.sd[0, -1] - sd).max())
    known("KL(p || q) off the moments", moved, "every start matches mean and variance")
    if distance >= 6 * config.sd:  # nearer, one wide Gaussian may be the least
        mean, sd, _ = found.least(1)
        # the heavier mode; of equal ones, either is as good
        side = np.sign(0.5 - config.weight) or np.sign(mean)
        off = max(abs(mean - side * distance / 2), abs(sd - config.sd))
        known("KL(q || p) off the mode", off, "the least sits on the heavier mode")


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
