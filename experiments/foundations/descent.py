"""Plain descent looked at closely: the noise of small batches, and the greatest rate.

Systems S7 and S11 of the syllabus. The squared error of a mini-batch's gradient falls as one over
the batch; one example, a mini-batch and the full batch differ by step and by second (Bottou and
Bousquet 2008); and on a quadratic descent converges if and only if the rate is below
2 / lambda_max, with momentum below 2 (1 + momentum) / lambda_max (Polyak 1964).

    python -m experiments.foundations.descent
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import advance, grid, start, sweep
from dljax.data import ImageData, load
from dljax.errors import InputError
from dljax.host import experiment, figures
from dljax.host.baselines import logistic_regression
from dljax.host.experiment import Common, Result, require
from dljax.learn import classify, descent
from dljax.nets import MLP
from dljax.typing import Array, PyTree

NAME = "foundations.descent"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a small network on digits by plain descent with batches of three sizes."""

    hidden: int = 32
    """Units of the hidden layer."""
    batch: int = 32
    """Examples in a step of mini-batch descent; the others take one, and all."""
    draws: int = 400
    """Batches of each size from which the noise of the gradient is measured."""


PRESETS = {"quick": Config(steps=2400), "standard": Config(steps=12000, draws=4000)}
SIZES = (1, 4, 16, 64, 256, 1024)
RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
CURVATURES = (8.0, 4.0, 2.0, 1.0, 0.5)
MOMENTA = (0.0, 0.9)
FACTORS = np.linspace(0.9, 1.1, 41)  # of the greatest rate at which the quadratic converges
POINTS = 30


class Curve(NamedTuple):
    """Plain descent at the best of RATES on validation, evaluated every `chunk` steps."""

    batch: int
    rate: float
    chunk: int
    seconds: np.ndarray  # [T], those of all rates and seeds at once
    loss: np.ndarray  # [T, seeds], on all training examples
    accuracy: np.ndarray  # [seeds], in the end, on the test examples


def main(config: Config) -> Result:
    begun = time.monotonic()
    for flag in ("hidden", "batch", "draws"):
        require(f"--{flag}", getattr(config, flag), at_least=1)
    data, seeds = load("digits"), experiment.seeds(config)
    n, steps = len(data.train.y), config.steps or 2400
    require("--batch", config.batch, at_least=2, below=n)
    if config.resume:
        raise InputError("--resume: this experiment times itself and runs in one sitting; run anew")
    out = experiment.open_folder(NAME, config)
    result = Result(NAME, ["S7", "S11"], dataclasses.asdict(config), seeds)
    net = MLP((config.hidden, len(data.classes)))
    noise = noises(net, data, seeds, config.draws)
    lengths = {1: 4 * steps, config.batch: steps, n: steps // 8}
    curves = [
        plain(net, data, batch, max(1, length // POINTS), seeds)
        for batch, length in lengths.items()
    ]
    edges = thresholds()
    report(result, noise, curves, edges)
    result.baselines["logistic regression"] = logistic_regression(data)
    draw_descent(out / "figures" / "batches.png", noise, curves)
    draw_quadratic(out / "figures" / "quadratic.png", edges)
    return experiment.finish(result, out, [curve.loss for curve in curves], begun)


def noises(net: MLP, data: ImageData, seeds: list[int], draws: int) -> tuple[np.ndarray, ...]:
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

    return jax.device_get(jax.jit(jax.vmap(one))(jnp.array(seeds)))


def plain(net: MLP, data: ImageData, batch: int, chunk: int, seeds: list[int]) -> Curve:
    """Plain descent at several rates and seeds at once, timed between evaluations."""
    axes = grid(rate=jnp.array(RATES), seed=jnp.array(seeds))
    learner = sweep(
        lambda member: classify.make(net, optax.sgd(member["rate"]), data.train, batch=batch),
        axes,
        axes["seed"],
    )

    @jax.jit
    @jax.vmap
    def judge(params: PyTree) -> list[Array]:
        splits = (data.train, data.validation)
        found = [classify.evaluate(net, (params, {}), split, "now") for split in splits]
        return [each["now/loss"] for each in found]

    run = start(learner, jax.random.key(0))
    step = advance.lower(learner, run, chunk).compile()
    seconds, losses = [0.0], [judge(run.state.run.state.fit.params)]
    for _ in range(POINTS):
        begun = time.perf_counter()
        run, _ = jax.block_until_ready(step(run))
        seconds.append(seconds[-1] + time.perf_counter() - begun)
        losses.append(judge(run.state.run.state.fit.params))
    train, validation = np.moveaxis(np.asarray(losses), 1, 0).reshape(
        2, POINTS + 1, len(RATES), len(seeds)
    )
    best = int(np.nanargmin(validation[-1].mean(-1)))
    kept = jax.tree.map(
        lambda leaf: leaf[best * len(seeds) : (best + 1) * len(seeds)],
        run.state.run.state.fit.params,
    )
    test = jax.vmap(lambda params: classify.evaluate(net, (params, {}), data.test, "test"))(kept)
    accuracy = np.asarray(test["test/accuracy"])
    return Curve(batch, RATES[best], chunk, np.array(seconds), train[:, best], accuracy)


def thresholds() -> dict[float, tuple[np.ndarray, float]]:
    """For each momentum, the final over the first loss at FACTORS of the closed form's threshold,
    and the factor halfway between the last that converges and the first that does not.
    """
    curvatures = jnp.array(CURVATURES)
    axes = grid(momentum=jnp.array(MOMENTA), factor=jnp.array(FACTORS))
    axes["rate"] = axes["factor"] * 2 * (1 + axes["momentum"]) / curvatures.max()
    learner = sweep(
        lambda m: descent.quadratic(curvatures, optax.sgd(m["rate"], m["momentum"])),
        axes,
        jnp.zeros(len(axes["rate"]), int),
    )
    _, metrics = advance(learner, start(learner, jax.random.key(0)), 1000)
    shrunk = np.asarray(metrics["loss"][-1] / metrics["loss"][0]).reshape(len(MOMENTA), -1)
    found = {}
    for momentum, row in zip(MOMENTA, shrunk, strict=True):
        last = int(np.flatnonzero(row < 1e-3)[-1])
        found[momentum] = row, float(FACTORS[last : last + 2].mean())
    return found


def report(result: Result, noise: tuple, curves: list[Curve], edges: dict) -> None:
    """The noise's slope, the three batch sizes' losses and the quadratic's thresholds."""
    slopes = [np.polyfit(np.log(SIZES[:4]), np.log(row[:4]), 1)[0] for row in noise[0]]
    result.metrics["slope of the noise"] = experiment.summary(slopes, "lower")
    result.metrics["noise / exact"] = experiment.summary((noise[0] / noise[1]).mean(1), "lower")
    for curve in curves:
        row = experiment.summary(curve.loss[-1], "lower")
        row |= {"rate": curve.rate, "steps": curve.chunk * POINTS, "seconds": curve.seconds[-1]}
        result.metrics[f"train loss, batch {curve.batch}"] = row
        accuracy = experiment.summary(curve.accuracy, "higher")
        result.metrics[f"test accuracy, batch {curve.batch}"] = accuracy
    for momentum, (_, edge) in edges.items():
        name = f"quadratic, momentum {momentum:g}"
        result.metrics[name] = experiment.summary([edge], "higher")
        met = abs(edge - 1) <= FACTORS[1] - FACTORS[0]
        source = "threshold as a share of 2 (1 + momentum) / lambda_max"
        result.targets[name] = {"value": 1.0, "source": source, "met": bool(met)}


def draw_descent(path: Path, noise: tuple, curves: list[Curve]) -> None:
    """The gradient's noise against the batch, and the loss of descent by step and by second."""
    figure, axes = figures.panels(3)
    axes[0].plot(
        SIZES, noise[1].mean(0), color=figures.INK, lw=1, label="exact, without replacement"
    )
    axes[0].plot(SIZES, noise[0].mean(0), "o", color=figures.COLORS[1], label="measured")
    axes[0].set(xscale="log", yscale="log", xlabel="batch", ylabel="squared error of the gradient")
    for curve, color in zip(curves, figures.COLORS, strict=False):
        label = f"{curve.batch} a step, rate {curve.rate:g}"
        steps = (1 + curve.chunk * np.arange(len(curve.loss))).tolist()
        figures.spread(axes[1], steps, curve.loss, label, color)
        figures.spread(axes[2], curve.seconds[1:].tolist(), curve.loss[1:], label, color)
    axes[1].set(xscale="log", yscale="log", xlabel="step", ylabel="training loss")
    axes[2].set(
        xscale="log",
        yscale="log",
        xlabel="seconds, all rates and seeds at once",
        ylabel="training loss",
    )
    for ax in axes[:2]:
        ax.legend(frameon=False, fontsize=8)
    figures.save(figure, path)


def draw_quadratic(path: Path, found: dict[float, tuple[np.ndarray, float]]) -> None:
    figure, (ax,) = figures.panels(1, size=(5.2, 3.2))
    for (momentum, (row, _)), color in zip(found.items(), figures.COLORS, strict=False):
        shown = np.nan_to_num(row, nan=np.inf).clip(1e-20, 1e20)
        ax.plot(FACTORS, shown, marker="o", ms=3, color=color, label=f"momentum {momentum:g}")
    ax.axvline(1, color=figures.INK, lw=0.6, ls=":")
    ax.set(yscale="log", xlabel="rate / (2 (1 + momentum) / largest curvature)")
    ax.set_ylabel("loss after 1000 steps / first loss")
    ax.legend(frameon=False, fontsize=8)
    figures.save(figure, path)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
