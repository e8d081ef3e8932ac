"""The notes' worked examples of backprop (S9, S10): every number, by hand and by jax.grad."""

import itertools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dljax.host.figures import COLORS, panels, save
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
from experiments.foundations._plane import PAPER

INPUT, TARGET, RATE = (0.05, 0.10), (0.01, 0.99), 0.5
NOTES = {  # S10, to the digits that the notes print; S9's table
    "net o1": 1.105905967,
    "out o1": 0.75136507,
    "out o2": 0.772928465,
    "E o1": 0.274811083,
    "E o2": 0.023560026,
    "E": 0.298371109,
    "out h1": 0.593269992,
    "out h2": 0.596884378,
    "dE/dout o1": 0.74136507,
    "dout/dnet o1": 0.186815602,
    "dE/dw5": 0.082167041,
    "w5 after": 0.35891648,
    "SSE at W=2": 0.0,
    "SSE at W=3": 5.0,
    "SSE at W=4": 20.0,
}
PLACES = list(itertools.product(range(2), repeat=3))  # of w1 to w8: layer, to j, from i


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
        slope_out = jax.grad(half_squared_error)(done.outs[-1], target)
        slope_act = jax.vmap(jax.grad(act.value))(done.nets[-1])
        grads = jax.grad(by_hand.mean_error)(layers, Batch(x[None], target[None]), act)
        deltas = [layer.b for layer in grads]  # net = W'a + b, so dE/dnet = dE/db
    else:
        slope_out, slope_act = done.outs[-1] - target, act.slope(done.nets[-1])
        grads, deltas = backward(layers, done, slope_out, act)
    after = descend(layers, weights_only(grads), RATE)
    found = {}
    for name, net, out, delta in zip("ho", done.nets, done.outs[1:], deltas, strict=True):
        for i in range(2):
            found |= {f"net {name}{i + 1}": net[i], f"out {name}{i + 1}": out[i]}
            found[f"dE/dnet {name}{i + 1}"] = delta[i]
    for i in range(2):
        found |= {f"dE/dout o{i + 1}": slope_out[i], f"dout/dnet o{i + 1}": slope_act[i]}
    found |= {f"E o{i + 1}": (target[i] - done.outs[-1][i]) ** 2 / 2 for i in range(2)}
    found["E"] = half_squared_error(done.outs[-1], target)
    for k, (layer, j, i) in enumerate(PLACES, 1):
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


def agrees(value: float, printed: float) -> bool:
    """Whether a value rounds to the printed digits."""
    digits = len(repr(printed).partition(".")[2])
    # a hair of room: half a unit of the last digit has no exact double
    return abs(value - printed) <= 0.5 * 10.0**-digits * (1 + 1e-6)


def draw(path: Path, found: dict[str, float], errors: np.ndarray) -> Path:
    """The network with its weights and their slopes on the edges, and its error as it learns."""
    figure, (left, right) = panels(2, size=(5.6, 3.9))
    left.axis("off")
    centre: dict[str, Any] = {"ha": "center", "va": "center"}
    for k, (layer, j, i) in enumerate(PLACES, 1):
        start, end = np.array([layer, 1 - i]), np.array([layer + 1, 1 - j])
        left.plot(*np.stack([start, end], 1), color=COLORS[5], lw=1, zorder=1)
        # short of the middle, where edges cross, and at different heights
        place = start + (0.3 if i == j else 0.36) * (end - start)
        said = f"w{k} {float(worked()[layer].w[i, j]):.2f}\n{found[f'dE/dw{k}']:+.5f}"
        left.text(place[0], place[1], said, fontsize=7, bbox=PAPER, **centre)
    for (column, name), i in itertools.product(enumerate("iho"), range(2)):
        value = INPUT[i] if name == "i" else found[f"out {name}{i + 1}"]
        left.scatter(column, 1 - i, s=1500, c="w", edgecolors=COLORS[0], lw=1.4, zorder=3)
        left.text(column, 1 - i, f"{name}{i + 1}\n{value:.4f}", fontsize=7.5, zorder=4, **centre)
    left.set(xlim=(-0.25, 2.25), ylim=(-0.25, 1.25))
    left.set_title(f"weights and dE/dw; E = {found['E']:.6f}", fontsize=10)
    right.loglog(np.arange(1, len(errors) + 1), errors, color=COLORS[0])
    right.set(xlabel="step", ylabel="E")
    right.set_title("its error over 10,000 steps by hand", fontsize=10)
    return save(figure, path)
