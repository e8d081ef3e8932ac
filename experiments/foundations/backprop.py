"""Backpropagation by hand: every number of the notes' worked network, and descent without autodiff.

S8: networks trained on XOR by the chain rule written out, held against jax.grad at every step.
S9: the delta rule's table for y = 2x, and its way from W = 4. S10: the 2-2-2 network, every
intermediate number by hand beside jax.grad's and the notes', and 10,000 steps of its descent. The
example is M. Mazur's, "A Step by Step Backpropagation Example", 2015; Rumelhart, Hinton and
Williams 1986.

    python -m experiments.foundations.backprop
"""

import dataclasses
import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dljax import sweep
from dljax.host import experiment, figures
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import fit
from dljax.learn import by_hand
from dljax.ops.backprop import (
    ACTIVATIONS,
    Layer,
    backward,
    delta_rule,
    descend,
    forward,
    gradient,
    half_squared_error,
)
from dljax.typing import Array, Batch

NAME = "foundations.backprop"
INPUT, TARGET, RATE = (0.05, 0.10), (0.01, 0.99), 0.5
CORNERS = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
XOR = Batch(CORNERS, np.array([[0.1], [0.9], [0.9], [0.1]]))
PAPER = {"facecolor": "w", "edgecolor": "none", "pad": 0.6}
NOTES = {  # S10, to the digits that the notes print; S9's table
    "net o1": 1.105905967,
    "out o1": 0.75136507,
    "out o2": 0.772928465,
    "E o1": 0.274811083,
    "E o2": 0.023560026,
    "E": 0.298371109,
    "dE/dw5": 0.082167041,
    "w5 after": 0.35891648,
    "SSE at W=2": 0.0,
    "SSE at W=3": 5.0,
    "SSE at W=4": 20.0,
}


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train networks on XOR by the chain rule written out."""

    hidden: tuple[int, ...] = (8, 8)
    """Widths of the hidden layers; tanh follows every layer, and the targets are 0.1 and 0.9."""
    rate: float = 0.5
    """The learning rate of plain descent."""


PRESETS = {"quick": Config(steps=2000), "standard": Config(seeds=50, steps=20_000)}


def worked() -> list[Layer]:
    """The notes' network: hidden neuron 1 has w1 and w2, output 1 has w5 and w6."""
    hidden = Layer(jnp.array([[0.15, 0.25], [0.20, 0.30]]), jnp.full(2, 0.35))
    return [hidden, Layer(jnp.array([[0.40, 0.50], [0.45, 0.55]]), jnp.full(2, 0.60))]


def weights_only(grads: list[Layer]) -> list[Layer]:
    """The notes leave the biases as they are."""
    return [Layer(w, jnp.zeros_like(b)) for w, b in grads]


def numbers(by_autodiff: bool = False) -> dict[str, float]:
    """Every number of S9 and S10 by its name, its slopes by hand or by jax.grad."""
    act, x, target = ACTIVATIONS["sigmoid"], jnp.array(INPUT), jnp.array(TARGET)
    layers = worked()
    done = forward(layers, x, act)
    if by_autodiff:
        grads = jax.grad(by_hand.mean_error)(layers, Batch(x[None], target[None]), act)
        deltas = [layer.b for layer in grads]  # net = W'a + b, so dE/dnet = dE/db
    else:
        grads, deltas = backward(layers, done, done.outs[-1] - target, act)
    after = descend(layers, weights_only(grads), RATE)
    found = {}
    for name, net, out, delta in zip("ho", done.nets, done.outs[1:], deltas, strict=True):
        for i in range(2):
            found |= {f"net {name}{i + 1}": net[i], f"out {name}{i + 1}": out[i]}
            found[f"dE/dnet {name}{i + 1}"] = delta[i]
    found |= {f"E o{i + 1}": (target[i] - done.outs[-1][i]) ** 2 / 2 for i in range(2)}
    found["E"] = half_squared_error(done.outs[-1], target)
    for k, (layer, j, i) in enumerate(itertools.product(range(2), repeat=3), 1):
        found |= {f"dE/dw{k}": grads[layer].w[i, j], f"w{k} after": after[layer].w[i, j]}
    found["E after"] = half_squared_error(forward(after, x, act).outs[-1], target)
    found |= line(by_autodiff)
    return {name: float(value) for name, value in found.items()}


def line(by_autodiff: bool) -> dict[str, Array]:
    """S9: the summed squared error of y = W x on y = 2x, and W from 4 by the delta rule.

    One example at a time, x = 0, 1, 2 in each pass, at a rate of 0.1.
    """
    points = jnp.arange(3.0)
    found = {f"SSE at W={w}": jnp.sum((2 * points - w * points) ** 2) for w in (2, 3, 4)}

    def one(w: Array, x: Array) -> Array:
        if by_autodiff:
            return w - 0.1 * jax.grad(lambda w: half_squared_error(w @ x, 2 * x[0]))(w)
        return delta_rule(w, x, 2 * x[0], 0.1)

    w = jnp.array([4.0])
    for done in range(1, 4):
        for x in points:
            w = one(w, x[None])
        found[f"W, pass {done}"] = w[0]
    return found


def worked_descent(steps: int) -> tuple[np.ndarray, float]:
    """E before each step of the worked network, [steps], and the largest error of its gradients."""
    act, x, target = ACTIVATIONS["sigmoid"], jnp.array(INPUT), jnp.array(TARGET)

    def one(layers: list[Layer], _):
        found, grads = gradient(layers, x, target, act)
        one_example = Batch(x[None], target[None])
        gap = by_hand.difference(grads, jax.grad(by_hand.mean_error)(layers, one_example, act))
        return descend(layers, weights_only(grads), RATE), (found, gap)

    errors, gaps = jax.lax.scan(one, worked(), None, length=steps)[1]
    return np.asarray(errors), float(gaps.max())


def main(config: Config) -> Result:
    with jax.enable_x64(True):  # the notes print nine digits, and float32 has seven
        return study(config)


def study(config: Config) -> Result:
    begun = time.monotonic()
    for width in config.hidden:
        require("--hidden", width, at_least=1)
    require("--rate", config.rate, at_least=1e-9, below=float("inf"))
    seeds, out = experiment.seeds(config), experiment.open_folder(NAME, config)
    steps, act = config.steps or 2000, ACTIVATIONS["tanh"]
    learner = by_hand.make((2, *config.hidden, 1), act, XOR, config.rate)
    fitted = fit(
        sweep(lambda _: learner, None, jnp.array(seeds)),
        jax.random.key(0),
        steps,
        every=max(1, steps // 20),
        out=out,
        checkpoint_every=config.checkpoint_every,
        resume=config.resume,
        quiet=config.quiet,
        names=[f"seed {seed}" for seed in seeds],
    )
    result = Result(NAME, ["S2", "S8", "S9", "S10"], dataclasses.asdict(config), seeds)
    result.seconds |= fitted.seconds
    gaps = np.max([record["train/gap"] for record in fitted.records], 0)
    result.metrics["hand - jax.grad, XOR"] = experiment.summary(gaps, "lower")
    out_of = jax.vmap(lambda w, x: forward(w, x, act).outs[-1], (None, 0))
    outs = jax.vmap(lambda w: out_of(w, jnp.array(XOR.x)))(fitted.run.state.run.state)
    right = np.mean((np.asarray(outs) > 0.5) == (XOR.y > 0.5), (1, 2))
    result.metrics["XOR accuracy"] = experiment.summary(right, "higher")
    hand, auto, (errors, gap) = numbers(), numbers(by_autodiff=True), worked_descent(10_001)
    report(result, hand, auto, errors, gap)
    draw(out / "figures", hand, errors)
    return experiment.finish(result, out, fitted.run, begun)


def report(
    result: Result, hand: dict[str, float], auto: dict[str, float], errors: np.ndarray, gap: float
) -> None:
    """Print each number by hand, by jax.grad and in the notes; what they come to is the result."""
    print(f"{'':12} {'by hand':>14} {'by jax.grad':>14} {'notes':>14}")
    for name, value in hand.items():
        print(f"{name:12} {value:14.9f} {auto[name]:14.9f} {NOTES.get(name, ''):>14}")
    holds = [agrees(found[name], NOTES[name]) for found in (hand, auto) for name in NOTES]
    values = {
        "notes' numbers that hold": np.mean(holds),
        "hand - jax.grad, S9 and S10": max(abs(hand[name] - auto[name]) for name in hand),
        "hand - jax.grad, 2-2-2": gap,
        "E": errors[0],
        "E after 1 step": errors[1],
        "E after 10,000 steps": errors[-1],
    }
    for name, value in values.items():
        better = "higher" if "hold" in name else "lower"
        result.metrics[name] = experiment.summary([float(value)], better)


def agrees(value: float, printed: float) -> bool:
    """Whether a value rounds to the printed digits."""
    digits = len(repr(printed).partition(".")[2])
    return abs(value - printed) <= 0.5 * 10.0**-digits * (1 + 1e-6)


def draw(folder: Path, found: dict[str, float], errors: np.ndarray) -> None:
    """The network with its weights and their slopes on the edges, and its error as it learns."""
    figure, (left, right) = figures.panels(2, size=(5.6, 3.9))
    left.axis("off")
    columns = {"i": 0.0, "h": 1.0, "o": 2.0}
    for k, (layer, j, i) in enumerate(itertools.product(range(2), repeat=3), 1):
        start, end = np.array([layer, 1 - i]), np.array([layer + 1, 1 - j])
        left.plot(*np.stack([start, end], 1), color=figures.COLORS[5], lw=1, zorder=1)
        place = start + (0.3 if i == j else 0.36) * (end - start)
        said = f"w{k} {float(worked()[layer].w[i, j]):.2f}\n{found[f'dE/dw{k}']:+.5f}"
        left.text(place[0], place[1], said, fontsize=7, ha="center", va="center", bbox=PAPER)
    for (name, column), i in itertools.product(columns.items(), range(2)):
        value = INPUT[i] if name == "i" else found[f"out {name}{i + 1}"]
        left.scatter(column, 1 - i, s=1500, c="w", edgecolors=figures.COLORS[0], lw=1.4, zorder=3)
        said = f"{name}{i + 1}\n{value:.4f}"
        left.text(column, 1 - i, said, fontsize=7.5, ha="center", va="center", zorder=4)
    left.set(xlim=(-0.25, 2.25), ylim=(-0.25, 1.25))
    left.set_title(f"weights and dE/dw; E = {found['E']:.6f}", fontsize=10)
    right.loglog(np.arange(1, len(errors) + 1), errors, color=figures.COLORS[0])
    right.set(xlabel="step", ylabel="E")
    right.set_title("its error over 10,000 steps by hand", fontsize=10)
    figures.save(figure, folder / "worked.png")


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
