"""What one neuron can decide, what no linear network can, and what a hidden layer adds.

S1: the notes' worked neuron and its decision line. S2, S3: a deep network without non-linearity is
one matrix and fails XOR; one hidden layer of tanh solves it from every seed. Minsky and Papert
1969; Rumelhart, Hinton and Williams 1986.

    python -m experiments.foundations.perceptron
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.linear_model import LogisticRegression

from dljax import Batch, sweep
from dljax.host import experiment, figures
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import Fitted, fit
from dljax.learn import risk
from dljax.learn.optimizers import optimizer
from dljax.nets import MLP
from dljax.typing import Array, PyTree

NAME = "foundations.perceptron"
BIAS, WEIGHTS, POINT = 1.0, np.array([3.0, -2.0]), np.array([-1.0, 2.0])  # the notes' w0, w and x
PAPER = {"facecolor": "w", "edgecolor": "none", "pad": 1.0}
XOR = Batch(np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0.0, 1, 1, 0]))


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a linear and a one-hidden-layer network on the four points of XOR."""

    hidden: int = 8
    """Units of each hidden layer: one of tanh, or two without a non-linearity."""
    rate: float = 0.05
    """Adam's learning rate."""


PRESETS = {
    "quick": Config(seeds=20, steps=500),
    "standard": Config(seeds=200, steps=500),
}


def networks(hidden: int) -> dict[str, MLP]:
    linear = MLP((hidden, hidden, 1), lambda z: z)
    return {"linear": linear, "hidden": MLP((hidden, 1), jnp.tanh)}


def neuron(x: Array | np.ndarray) -> Array:
    """`z = w0 + w'x` of the notes' neuron: x [..., 2] -> [...]; it decides on the line z = 0."""
    return jnp.asarray(x) @ jnp.asarray(WEIGHTS) + BIAS


def collapse(params: PyTree) -> tuple[Array, Array]:
    """The one matrix and bias that a linear network is: `W = W_1 W_2 ...`, `b = b_1 W_2 ... + ...`.

    `W' = W W_l` and `b' = b W_l + b_l`, layer by layer.
    """
    first, *rest = (params[f"Dense_{i}"] for i in range(len(params)))
    w, b = first["kernel"], first["bias"]
    for layer in rest:
        w, b = w @ layer["kernel"], b @ layer["kernel"] + layer["bias"]
    return w, b


def collapse_error(net: MLP, params: PyTree) -> Array:
    """The largest difference between a linear network and its matrix over points of the plane."""
    x = jax.random.uniform(jax.random.key(1), (100, 2), minval=-2.0, maxval=2.0)
    w, b = collapse(params)
    return jnp.abs(risk.apply(net, params, x) - (x @ w + b[None])[:, 0]).max()


def train(config: Config, name: str, out: Path) -> Fitted:
    """Every seed's network of one kind, trained on all of XOR at each step."""
    learner = risk.make(
        networks(config.hidden)[name],
        optimizer("adam", config.rate),
        XOR,
        optax.sigmoid_binary_cross_entropy,
        batch=4,
    )
    return fit(
        sweep(lambda _: learner, None, jnp.array(experiment.seeds(config))),
        jax.random.key(0),
        config.steps or 500,
        out=out / name,
        checkpoint_every=config.checkpoint_every,
        resume=config.resume and (out / name).exists(),
        quiet=config.quiet,
        shown=("train/loss",),
    )


def main(config: Config) -> Result:
    begun = time.monotonic()
    require("--hidden", config.hidden, at_least=1)
    require("--rate", config.rate, at_least=1e-9, below=float("inf"))
    out = experiment.open_folder(NAME, config)
    nets = networks(config.hidden)
    fitted = {name: train(config, name, out) for name in nets}
    params = {name: each.run.state.run.state.fit.params for name, each in fitted.items()}
    z = neuron(POINT)
    result = Result(NAME, ["S1", "S2", "S3"], dataclasses.asdict(config), experiment.seeds(config))
    result.seconds = {k: sum(f.seconds[k] for f in fitted.values()) for k in ("compile", "train")}
    for name, net in nets.items():
        logits = jax.vmap(lambda params, net=net: risk.apply(net, params, XOR.x))(params[name])
        right = np.mean((np.asarray(logits) > 0) == (XOR.y > 0), 1)
        result.metrics[f"XOR accuracy, {name}"] = experiment.summary(right, "higher")
    errors = jax.vmap(lambda params: collapse_error(nets["linear"], params))(params["linear"])
    result.metrics["linear network - matrix"] = experiment.summary(errors, "lower")
    result.metrics["z of the worked neuron"] = experiment.summary([float(z)], "lower")
    result.metrics["its sigmoid"] = experiment.summary([float(jax.nn.sigmoid(z))], "lower")
    straight = LogisticRegression().fit(XOR.x, XOR.y).score(XOR.x, XOR.y)
    result.baselines["logistic regression"] = {"metric": "XOR accuracy", "mean": float(straight)}
    judge(result)
    draw(out / "figures" / "decisions.png", nets, params)
    return experiment.finish(result, out, params, begun)


def judge(result: Result) -> None:
    linear, hidden = (result.metrics[f"XOR accuracy, {name}"] for name in ("linear", "hidden"))
    result.targets["XOR accuracy, hidden"] = experiment.target(hidden, 1.0, "S3, in every seed")
    result.targets["XOR accuracy, linear"] = {
        "value": 0.75,
        "source": "S3: no line parts more than 3 of the 4 points, so at most this in any seed",
        "met": max(linear["values"]) <= 0.75,
    }


def draw(path: Path, nets: dict[str, MLP], params: dict[str, PyTree]) -> None:
    """The worked neuron's plane, then the first seed's linear and hidden networks on XOR."""
    figure, axes = figures.panels(3, size=(3.4, 3.5))
    for ax, (name, net) in zip(axes[1:], nets.items(), strict=True):
        first = jax.tree.map(lambda leaf: leaf[0], params[name])
        figures.regions(ax, lambda x, n=net, p=first: risk.apply(n, p, x), (-0.5, 1.5, -0.5, 1.5))
        chances = jax.nn.sigmoid(risk.apply(net, first, jnp.asarray(XOR.x)))
        for x, y, chance in zip(XOR.x, XOR.y, chances, strict=True):
            ax.scatter(*x, marker="s" if y else "o", c="w", edgecolors=figures.INK, s=60, zorder=3)
            ax.text(x[0], x[1] + 0.13, f"{chance:.2f}", ha="center", fontsize=8, bbox=PAPER)
        kind = "linear, three layers" if name == "linear" else "one hidden layer of tanh"
        ax.set_title(f"XOR: {kind}", fontsize=10)
    figures.regions(axes[0], neuron, (-4, 4, -4, 4))
    axes[0].set_title("one neuron: 1 + 3 x1 - 2 x2 = 0", fontsize=10)
    axes[0].scatter(*POINT, c="w", edgecolors=figures.INK, s=60, zorder=3)
    z = float(neuron(POINT))
    said = f"z = {z:.0f}, chance {jax.nn.sigmoid(z):.5f}"
    axes[0].text(POINT[0], POINT[1] + 0.5, said, ha="center", fontsize=8, bbox=PAPER)
    for ax in axes:
        ax.set(xlabel="x1", ylabel="x2", aspect="equal")
    figures.save(figure, path)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
