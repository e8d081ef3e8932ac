"""One hidden layer fits any continuous function, the better the wider, but only where it has data.

Systems S50 and S52 of the syllabus: Cybenko 1989; Hornik et al. 1989. ReLU networks of width 1 to
1024 learn three functions on [-1, 1], and linear networks of the same widths beside them. The
error is the greatest one over a dense grid. Beside it stands what a network of that width can do
by construction: the straight pieces through n + 1 even knots, which are n ReLU units, and whose
error for a twice differentiable f is at most max|f''| h^2 / 8 with knots h apart. Data are drawn
afresh and nothing is held out: the rate was chosen by the same error, on other seeds.

    python -m experiments.foundations.universal_approximation

Expected: the error falls with width while the linear networks stay where they are. Few units that
may move beat as many even pieces at the step, where they are needed; many do not: the construction
goes on falling as 1 / n^2, and Adam stays near 0.01, with more units even a little above. There
optimisation is the limit, not width. Outside the interval every seed goes on straight, and the
error grows with the distance.
"""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import MinLen

from dljax import Batch, Fit, Learner, Member, gradient_step, grid, sweep
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive, Widths
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.learn.optimizers import optimizer
from dljax.nets.shallow import Shallow
from dljax.typing import Array, Key, Metrics, PyTree
from experiments.foundations import _curves as curves

NAME = "foundations.universal_approximation"
TARGETS = {
    "sine": lambda x: jnp.sin(2 * jnp.pi * x),
    "corner": jnp.abs,
    "step": lambda x: jnp.tanh(10 * x),
}
KINDS = ("relu", "linear")
OUTSIDE = (1.0, 1.5, 2.0, 3.0)  # the ends of the stretches beyond the data
POINTS = 6001  # of the dense grid over all of them


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Fit three functions with one hidden layer of growing width."""

    steps: Count = 1500
    """Training steps."""
    widths: Annotated[Widths, MinLen(1)] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    """Hidden units, one compiled program for each width."""
    batch: Count = 64
    """Points in a step, one drawn in each of as many equal parts of [-1, 1]."""
    rate: Positive = 0.03
    """Adam's rate at its highest; of 0.01 and 0.03 the better at most widths, on other seeds."""


PRESETS = {"quick": Config(), "standard": Config(steps=10_000, batch=128)}


def main(config: Config) -> Result:
    with Study(NAME, ["S50", "S52"], config) as run:
        seeds = jnp.array(run.seeds)
        members = grid(leak=jnp.arange(2.0), target=jnp.arange(len(TARGETS)), seed=seeds)
        x = jnp.linspace(-OUTSIDE[-1], OUTSIDE[-1], POINTS)
        guesses = []
        for width in config.widths:
            if not config.quiet:
                print(f"width {width}", flush=True)
            fitted = run.fit(
                sweep(functools.partial(make, width, config), members, members["seed"]),
                config.steps,
                chunk=500,
                part=f"width-{width}",
                names=run.named(f"{target}, {kind}" for kind in KINDS for target in TARGETS),
            )
            guess = run.each(functools.partial(predict, width, x=x), fitted.run.state)
            guesses.append(guess.reshape(len(KINDS), len(TARGETS), config.seeds, POINTS))
        run.state = [fitted.run for fitted in run.fits.values()]  # in the order of widths
        report(run, config.widths, np.asarray(x), np.stack(guesses))
    return run.result


def target(x: Array, index: Array) -> Array:
    return jnp.stack([f(x) for f in TARGETS.values()])[index]


def make(width: int, config: Config, member: dict[str, Array]) -> Learner:
    """Mean squared error on fresh points of [-1, 1] at every step, one in each of equal parts."""
    net = Shallow(width, member["leak"])
    tx = optimizer("adam", config.rate, steps=config.steps, schedule="warmup-cosine")

    def objective(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        error = jnp.asarray(net.apply({"params": params}, batch.x)) - batch.y
        return jnp.mean(error**2), (extra, {})

    descend = gradient_step(objective, tx)

    def init(key: Key) -> Fit:
        params = net.init(key, jnp.zeros(1))["params"]
        return Fit(params, {}, tx.init(params))

    def step(key: Key, state: Fit) -> tuple[Fit, Metrics]:
        place = jnp.arange(config.batch) + jax.random.uniform(key, (config.batch,))
        x = 2 * place / config.batch - 1
        return descend(key, state, Batch(x, target(x, member["target"])))

    return Learner(init, step)


def predict(width: int, member: Member, x: Array) -> Array:
    params = member.run.state.params
    return jnp.asarray(Shallow(width, member.hparams["leak"]).apply({"params": params}, x))


def report(run: Study, widths: tuple[int, ...], x: np.ndarray, guesses: np.ndarray) -> None:
    """The greatest errors of guesses [width, kind, target, seed, x], as numbers and figures."""
    truth = {name: np.asarray(f(x)) for name, f in TARGETS.items()}
    errors = abs(guesses - np.stack(list(truth.values()))[:, None])
    sup = errors[..., abs(x) <= 1].max(-1)
    pieces = np.array([[interpolation_error(f, n) for f in TARGETS.values()] for n in widths])
    # baselines at four of the widths only: the table would be long
    few = sorted({round(i) for i in np.linspace(0, len(widths) - 1, 4)})
    for j, name in enumerate(TARGETS):
        for i, width in enumerate(widths):
            run.metric(f"{name}, {width} units", sup[i, 0, j], "lower")
        for i in few:
            known = f"{name}, {widths[i]} even pieces"
            run.baseline(known, f"{name}, {widths[i]} units", pieces[i, j])
        for i in (0, -1):
            run.metric(f"{name}, {widths[i]} linear units", sup[i, 1, j], "lower")
        for near, far in itertools.pairwise(OUTSIDE):
            worst = errors[-1, 0, j][:, (abs(x) > near) & (abs(x) <= far)].max(-1)
            run.metric(f"{name}, {near} < |x| <= {far}", worst, "lower")
    kinds = {f"{kind} network": sup[:, k] for k, kind in enumerate(KINDS)}
    run.figure("errors.png", curves.errors_by_width, widths, kinds, pieces, list(TARGETS))
    run.figure("outside.png", curves.beyond, x, truth, guesses[-1, 0])


def interpolation_error(f: Callable, units: int) -> float:
    """Of the straight pieces through `units + 1` even knots of [-1, 1], which are `units` ReLUs."""
    x, knots = np.linspace(-1, 1, POINTS), np.linspace(-1, 1, units + 1)
    return float(abs(np.interp(x, knots, np.asarray(f(knots))) - np.asarray(f(x))).max())


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
