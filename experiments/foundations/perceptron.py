"""What one neuron can decide, what no linear network can, and what a hidden layer adds.

S1: the notes' worked neuron and its decision line. S2, S3: a deep network without non-linearity is
one matrix and fails XOR; one hidden layer of tanh solves it from every seed. Minsky and Papert
1969; Rumelhart, Hinton and Williams 1986.

    python -m experiments.foundations.perceptron  # 17 s on 2 cores
"""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.linear_model import LogisticRegression

from dljax import Batch, sweep
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive
from dljax.host.experiment import Study
from dljax.host.function import Function, Input
from dljax.host.result import Result
from dljax.learn import risk
from dljax.learn.optimizers import optimizer
from dljax.nets import MLP
from dljax.typing import Array, PyTree
from experiments.foundations._plane import decisions

NAME = "foundations.perceptron"
BIAS, WEIGHTS, POINT = 1.0, np.array([3.0, -2.0]), np.array([-1.0, 2.0])  # the notes' w0, w and x
XOR = Batch(np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0.0, 1, 1, 0]))


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a linear and a one-hidden-layer network on the four points of XOR."""

    steps: Count = 500
    """Training steps."""
    hidden: Count = 8
    """Units of each hidden layer: one of tanh, or two without a non-linearity."""
    rate: Positive = 0.05
    """Adam's learning rate."""


PRESETS = {
    "quick": Config(seeds=20),
    "standard": Config(seeds=200),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S1", "S2", "S3"], config) as run:
        nets = networks(config.hidden)
        params = run.state = {name: train(run, name, net, config) for name, net in nets.items()}
        right = {
            n: jax.vmap(functools.partial(accuracy, nets[n]))(params[n]).tolist() for n in nets
        }
        asked = Function(
            functools.partial(risk.apply, nets["hidden"]), (Input((2,)),), names=("logit",)
        )
        run.model(params["hidden"], {"predict": asked})
        run.metric("XOR accuracy, linear", right["linear"])
        run.metric("XOR accuracy, hidden", right["hidden"], goal=(1.0, "S3, in every seed"))
        bound = "S3: no line parts more than 3 of the 4 points, so at most this in any seed"
        run.target("XOR accuracy, linear", 0.75, bound, max(right["linear"]) <= 0.75)
        errors = jax.vmap(functools.partial(collapse_error, nets["linear"]))(params["linear"])
        run.metric("linear network - matrix", errors, "lower")
        z = float(neuron(POINT))
        run.metric("z of the worked neuron", [z], "lower")
        run.metric("its sigmoid", [float(jax.nn.sigmoid(z))], "lower")
        straight = LogisticRegression().fit(XOR.x, XOR.y).score(XOR.x, XOR.y)
        run.baseline("logistic regression", "XOR accuracy", straight)
        first = jax.tree.map(lambda leaf: leaf[0], params)
        logits = [functools.partial(risk.apply, nets[name], first[name]) for name in nets]
        run.figure("decisions.png", decisions, neuron, POINT, logits, XOR)
    return run.result


def networks(hidden: int) -> dict[str, MLP]:
    linear = MLP((hidden, hidden, 1), lambda z: z)
    return {"linear": linear, "hidden": MLP((hidden, 1), jnp.tanh)}


def train(run: Study, name: str, net: MLP, config: Config) -> PyTree:
    """Every seed's parameters of one kind of network, after all of XOR at each step."""
    loss, tx = optax.sigmoid_binary_cross_entropy, optimizer("adam", config.rate)
    learner = risk.make(net, tx, XOR, loss, batch=len(XOR.y))
    seeds = sweep(lambda _: learner, None, run.seeds)
    fitted = run.fit(seeds, config.steps, part=name, shown=("train/loss",))
    return fitted.run.state.run.state.fit.params


def accuracy(net: MLP, params: PyTree) -> Array:
    return jnp.mean((risk.apply(net, params, XOR.x) > 0) == (XOR.y > 0))


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


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
