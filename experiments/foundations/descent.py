"""Plain descent looked at closely: the noise of small batches, and the greatest rate.

Systems S7 and S11 of the syllabus. The squared error of a mini-batch's gradient falls as one over
the batch; one example, a mini-batch and the full batch differ by step and by second (Bottou and
Bousquet 2008); and on a quadratic descent converges if and only if the rate is below
2 / lambda_max, with momentum below 2 (1 + momentum) / lambda_max (Polyak 1964). So a small rate
stays in a local minimum, and one above 2 / its curvature leaves it. On a badly scaled loss the
adaptive optimisers arrive where plain descent has hardly begun, while the axes are those of the
loss; turned by 45 degrees, each coordinate's gradients hold both scales.

    python -m experiments.foundations.descent  # 7 min on 2 cores
"""

from dataclasses import dataclass
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge

from dljax import advance, grid, start, sweep
from dljax.data import ImageData, load
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.baselines import logistic_regression
from dljax.host.config import Common, Count, require
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.learn import descent
from dljax.nets import MLP
from dljax.typing import Array
from experiments.foundations import _scales
from experiments.foundations._descent import batches, plain, quadratic

NAME = "foundations.descent"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a small network on digits by plain descent with batches of three sizes."""

    steps: Count = 2400
    """Training steps."""
    hidden: Count = 32
    """Units of the hidden layer."""
    batch: Annotated[int, Ge(2)] = 32
    """Examples in a step of mini-batch descent; the others take one, and all."""
    draws: Count = 400
    """Batches of each size from which the noise of the gradient is measured."""


PRESETS = {"quick": Config(), "standard": Config(steps=12000, draws=4000)}
SIZES = (1, 4, 16, 64, 256, 1024)
CURVATURES = (8.0, 4.0, 2.0, 1.0, 0.5)
MOMENTA = (0.0, 0.9)
FACTORS = np.linspace(0.9, 1.1, 41)  # of the greatest rate at which the quadratic converges


def main(config: Config) -> Result:
    if config.resume:
        raise InputError("--resume: this experiment times itself and runs in one sitting; run anew")
    with Study(NAME, ["S7", "S11"], config) as run:
        data = load("digits")
        n, steps = len(data.train.y), config.steps
        require("--batch", config.batch, below=n)
        net = MLP((config.hidden, len(data.classes)))
        measured, exact = map(np.asarray, noises(run, net, data, config.draws))
        few = np.log(SIZES[:4])  # of large batches the noise falls faster, to none at n
        slopes = [np.polyfit(few, np.log(row[:4]), 1)[0] for row in measured]
        run.metric("slope of the noise", slopes, "lower")
        run.metric("noise / exact", (measured / exact).mean(1), "lower")
        lengths = {1: 4 * steps, config.batch: steps, n: steps // 8}
        curves = [plain(run, net, data, batch, length) for batch, length in lengths.items()]
        for curve in curves:
            run.metric(
                f"train loss, batch {curve.batch}",
                curve.loss[-1],
                "lower",
                rate=curve.rate,
                steps=int(curve.steps[-1]),
                seconds=curve.seconds[-1],
            )
            run.metric(f"test accuracy, batch {curve.batch}", curve.accuracy)
        run.state = [curve.loss for curve in curves]
        shrunk = thresholds()
        for momentum, row in shrunk.items():
            source = "threshold as a share of 2 (1 + momentum) / lambda_max"
            edge(run, f"quadratic, momentum {momentum:g}", row < 1e-3, source)
        source = "S11: the rate that leaves it, as a share of 2 / its curvature"
        edge(run, "local minimum", ~_scales.leaves(FACTORS), source)
        far = _scales.distances()
        for name, (straight, turned) in far.items():
            run.metric(f"badly scaled, {name}", [straight], "lower", turned=float(turned))
        least = _scales.plain_left()
        near = abs(far["sgd"][0] / least - 1) < 0.01
        run.target("badly scaled, sgd", least, "its closed form, within 1 %", near)
        for name in _scales.ADAPTIVE:
            said = "S11: a tenth of what plain descent leaves"
            run.target(f"badly scaled, {name}", least / 10, said, far[name][0] <= least / 10)
        run.baseline("logistic regression", **logistic_regression(data))
        run.figure("batches.png", batches, SIZES, measured, exact, curves)
        run.figure("quadratic.png", quadratic, FACTORS, shrunk)
        run.figure("scales.png", _scales.draw, far)
    return run.result


def edge(run: Study, name: str, holds: np.ndarray, source: str) -> None:
    """Record the middle of the two FACTORS between which something ceases to hold: 1 by theory."""
    last = int(np.flatnonzero(holds)[-1])
    found = float(FACTORS[last : last + 2].mean())
    run.metric(name, [found])
    run.target(name, 1.0, source, abs(found - 1) <= FACTORS[1] - FACTORS[0])


def noises(run: Study, net: MLP, data: ImageData, draws: int) -> tuple[Array, Array]:
    """The measured and the exact noise of the gradient at initialisation, [seeds, sizes]."""

    def one(seed: Array) -> tuple[Array, Array]:
        key = jax.random.fold_in(jax.random.key(1), seed)
        k_net, *k_sizes = jax.random.split(key, 1 + len(SIZES))
        params = net.init(k_net, jnp.asarray(data.train.x[:1]))["params"]
        each = descent.example_gradients(net, params, data.train)
        seen = [
            descent.measured_noise(k_size, net, params, data.train, batch=size, draws=draws)
            for k_size, size in zip(k_sizes, SIZES, strict=True)
        ]
        return jnp.stack(seen), jnp.stack([descent.exact_noise(each, size) for size in SIZES])

    return run.each(one, jnp.array(run.seeds))


def thresholds() -> dict[float, np.ndarray]:
    """By momentum, the last over the first loss at FACTORS of the closed form's threshold."""
    curvatures = jnp.array(CURVATURES)
    axes = grid(momentum=jnp.array(MOMENTA), factor=jnp.array(FACTORS))
    axes["rate"] = axes["factor"] * 2 * (1 + axes["momentum"]) / curvatures.max()
    learner = sweep(
        lambda m: descent.quadratic(curvatures, optax.sgd(m["rate"], m["momentum"])),
        axes,
        [0] * len(axes["rate"]),
    )
    _, metrics = advance(learner, start(learner, jax.random.key(0)), 1000)
    shrunk = np.asarray(metrics["loss"][-1] / metrics["loss"][0]).reshape(len(MOMENTA), -1)
    return dict(zip(MOMENTA, shrunk, strict=True))


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
