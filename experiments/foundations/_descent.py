"""Descent timed, and its figures: a gradient's noise, loss by step and second, greatest rates."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Member, grid, start, sweep
from dljax.data import ImageData
from dljax.host import devices
from dljax.host.experiment import Study
from dljax.host.figures import COLORS, INK, panels, save, spread
from dljax.host.fit import SWEEP, advance_spread
from dljax.learn import classify
from dljax.nets import MLP
from dljax.typing import Array, Batch, Metrics

RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
POINTS = 30  # of a curve, after its start


class Curve(NamedTuple):
    """Plain descent at the best of RATES on validation."""

    batch: int
    rate: float
    steps: np.ndarray  # [T]
    seconds: np.ndarray  # [T], those of all rates and seeds at once
    loss: np.ndarray  # [T, seeds], on all training examples
    accuracy: np.ndarray  # [seeds], in the end, on the test examples


def plain(run: Study, net: MLP, data: ImageData, batch: int, steps: int) -> Curve:
    """Plain descent at all rates and seeds at once, timed between evaluations."""
    axes = grid(rate=jnp.array(RATES), seed=jnp.array(run.seeds))
    learner = sweep(
        lambda member: classify.make(net, optax.sgd(member["rate"]), data.train, batch=batch),
        axes,
        axes["seed"],
    )

    def score(member: Member, split: Batch) -> Metrics:
        return classify.evaluate(net, (member.run.state.fit.params, {}), split, "now")

    def losses(member: Member) -> Array:
        return jnp.stack(
            [score(member, each)["now/loss"] for each in (data.train, data.validation)]
        )

    at = devices.layout(len(axes["seed"]), run.config.devices)
    members = devices.place(start(learner, jax.random.key(0)), at, SWEEP)
    chunk = max(1, steps // POINTS)
    step = advance_spread.lower(learner, members, chunk, at).compile()
    judge = jax.jit(devices.spread(jax.vmap(losses), at))
    seconds, found = [0.0], [np.asarray(judge(members.state))]
    for _ in range(POINTS):
        begun = time.perf_counter()
        members, _ = jax.block_until_ready(step(members))
        seconds.append(seconds[-1] + time.perf_counter() - begun)
        # fetched at once: what is still being computed would be timed with the next chunk
        found.append(np.asarray(judge(members.state)))
    shape = (POINTS + 1, len(RATES), len(run.seeds))
    own = np.array(found)[:, : len(axes["seed"])]  # without copies that fill a device up
    train, validation = (own[..., split].reshape(shape) for split in range(2))
    best = int(np.nanargmin(validation[-1].mean(-1)))
    mine = slice(best * len(run.seeds), (best + 1) * len(run.seeds))  # seeds vary fastest
    kept = jax.tree.map(lambda leaf: leaf[mine], devices.gather(members.state, at))
    accuracy = run.each(lambda member: score(member, data.test)["now/accuracy"], kept)
    taken = chunk * np.arange(POINTS + 1)
    return Curve(batch, RATES[best], taken, np.array(seconds), train[:, best], np.array(accuracy))


def batches(
    path: Path,
    sizes: Sequence[int],
    measured: np.ndarray,
    exact: np.ndarray,
    curves: Sequence[Curve],
) -> Path:
    """The gradient's noise against the batch, and the loss of descent by step and by second.

    The noise measured and exact, [seeds, sizes].
    """
    figure, axes = panels(3)
    axes[0].plot(sizes, exact.mean(0), color=INK, lw=1, label="exact, without replacement")
    axes[0].plot(sizes, measured.mean(0), "o", color=COLORS[1], label="measured")
    for curve, color in zip(curves, COLORS, strict=False):
        label = f"{curve.batch} a step, rate {curve.rate:g}"
        spread(axes[1], (1 + curve.steps).tolist(), curve.loss, label, color)
        spread(axes[2], curve.seconds[1:].tolist(), curve.loss[1:], label, color)
    words = {
        "batch": "squared error of the gradient",
        "step": "training loss",
        "seconds, all rates and seeds at once": "training loss",
    }
    for ax, (across, up) in zip(axes, words.items(), strict=True):
        ax.set(xscale="log", yscale="log", xlabel=across, ylabel=up)
    for ax in axes[:2]:
        ax.legend(frameon=False, fontsize=8)
    return save(figure, path)


def quadratic(path: Path, factors: np.ndarray, shrunk: Mapping[float, np.ndarray]) -> Path:
    """By momentum, how the loss shrinks at factors of the greatest rate that converges."""
    figure, (ax,) = panels(1, size=(5.2, 3.2))
    for (momentum, row), color in zip(shrunk.items(), COLORS, strict=False):
        shown = np.nan_to_num(row, nan=np.inf).clip(1e-20, 1e20)
        ax.plot(factors, shown, marker="o", ms=3, color=color, label=f"momentum {momentum:g}")
    ax.axvline(1, color=INK, lw=0.6, ls=":")
    ax.set(yscale="log", xlabel="rate / (2 (1 + momentum) / largest curvature)")
    ax.set_ylabel("loss after 1000 steps / first loss")
    ax.legend(frameon=False, fontsize=8)
    return save(figure, path)
