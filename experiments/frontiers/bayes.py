"""A network whose weights are Gaussians tells classes, and says which of its weights it needs.

System S53 of the syllabus: Bayes by backprop (Blundell et al. 2015) with the local
reparameterisation, on images, beside plain networks of the same size with and without dropout.
On MNIST validation prefers a cold posterior, whose prior counts a tenth (Wenzel et al. 2020): it
errs by 1.48 % (sd .10), as plain networks do, and without 95 % of its weights by 1.77 %.
Chances are means over networks that are drawn. Then the weights with the least signal to noise
|m| / s are removed, and of a plain network those of the least size.

    python -m experiments.frontiers.bayes
    python -m experiments.frontiers.bayes --data mnist --preset standard  # 13 min on 2 cores
"""

from dataclasses import dataclass
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge
from flax.traverse_util import flatten_dict, unflatten_dict

from dljax import Learner, Member, sweep
from dljax.data import ImageData, load
from dljax.host import experiment
from dljax.host.baselines import flat, nearest
from dljax.host.config import Common, Count, NotNegative, Positive, ShareBelow1, Widths, require
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.result import Result
from dljax.learn import classify, risk, uncertainty
from dljax.learn.optimizers import optimizer
from dljax.nets import MLP
from dljax.nets.bayesian import SPREAD, BayesianMLP
from dljax.typing import Array, Metrics, PyTree
from experiments.frontiers import _bayes

NAME = "frontiers.bayes"
BAYES, DROPOUT, PLAIN = "Bayes by backprop", "dropout", "plain"
GOAL = (0.014, "the issue's; published 0.0134, Blundell et al. 2015")
REMOVED = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98)


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Tell classes with weights that are not certain."""

    seeds: Count = 3
    """Independent runs of each network, in one compiled program a kind."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with images x and y."""
    hidden: Widths = (100, 100)
    """Widths of the hidden layers."""
    epochs: Count = 60
    """Passes over the training data, where --steps is not given."""
    batch: Count = 64
    """Examples in a step."""
    rate: Positive = 2e-3
    """The learning rate of Adam at its highest."""
    prior: Positive = 1.0
    """The standard deviation of the weights before anything is seen."""
    temperature: NotNegative = 1.0
    """What the divergence from the prior is multiplied by: 1 is Bayes' rule, less is colder."""
    dropout: ShareBelow1 = 0.5
    """Share of hidden features dropped by the network of that name."""
    draws: Annotated[int, Ge(2)] = 50
    """Of networks, whose chances are averaged."""


PRESETS = {
    "quick": Config(),
    "standard": Config(hidden=(400, 400), epochs=32, batch=128, prior=0.1, temperature=0.1),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S53"], config) as run:
        data = load(config.data)
        require("--batch", config.batch, below=len(data.train.y) + 1)
        sizes = (*config.hidden, len(data.classes))
        nets = {BAYES: BayesianMLP(sizes), DROPOUT: MLP(sizes, dropout=config.dropout)}
        nets[PLAIN] = MLP(sizes)
        curves = {}
        for name, net in nets.items():
            kept = learn(run, config, data, net, name)
            _bayes.leave(run, data, net, name, kept, config.draws if name != PLAIN else 0)
            curves[name] = measure(run, config, data, net, name, kept)
        wrong = nearest(data.train, flat(data.test).x)[0] != data.test.y
        run.baseline("nearest neighbour", f"test error, {BAYES}", float(wrong.mean()))
        title = f"{data.name}, {config.seeds} seeds"
        run.figure("removed.png", _bayes.draw, REMOVED, title, curves)
    return run.result


def learn(run: Study, config: Config, data: ImageData, net: nn.Module, name: str) -> PyTree:
    """Weights [seeds, ...] of the best validation accuracy."""
    per_epoch = max(1, len(data.train.y) // config.batch)
    steps = config.steps or config.epochs * per_epoch
    tx = optimizer("adam", config.rate, steps=steps, schedule="warmup-cosine")
    loss = optax.softmax_cross_entropy_with_integer_labels

    def learner() -> Learner:
        if name != BAYES:
            return classify.make(net, tx, data.train, batch=config.batch)
        return uncertainty.variational(
            net,
            tx,
            data.train,
            loss,
            batch=config.batch,
            prior=config.prior,
            temperature=config.temperature,
        )

    def evaluate(member: Member) -> Metrics:
        return classify.evaluate(net, risk.weights_of(member), data.validation)

    made = learner()
    watch = Watch(evaluate, per_epoch, Selection("validation/accuracy", risk.params_of))
    part = name.replace(" ", "-")
    many = sweep(lambda _: made, None, run.seeds)
    return run.fit(many, steps, watch, part=part, chunk=50).kept


def measure(
    run: Study, config: Config, data: ImageData, net: nn.Module, name: str, kept: PyTree
) -> np.ndarray:
    """Errors and likelihood on the test; gives the error [seeds, removed] with fewer weights."""
    x, y = jnp.asarray(flat(data.test).x), jnp.asarray(data.test.y)

    def of(logits: Array) -> tuple[Array, Array]:
        """Error and NLL in nats."""
        found = classify.scores(logits, y)
        return 1 - found["accuracy"], found["loss"]

    def score(params: PyTree) -> dict[str, tuple[Array, Array]]:
        found = {"": of(risk.predict(net, (params, {}), x))}
        if name != PLAIN:
            found[" of the mean weights"] = found[""]
            found[""] = of(jnp.log(_bayes.drawn(net, params, x, config.draws)))
        return found

    for end, scores in run.each(score, kept).items():
        for what, values in zip(("error", "NLL"), scores, strict=True):
            metric = f"test {what}{end}, {name}"
            asked = data.name == "mnist" and config.seeds > 2 and metric == f"test error, {BAYES}"
            run.metric(metric, values, "lower", GOAL if asked else None)

    def fewer(params: PyTree) -> Array:
        def error(share: Array) -> Array:
            return of(risk.predict(net, (removed(params, share), {}), x))[0]

        return jax.lax.map(error, jnp.array(REMOVED))

    curve = np.asarray(run.each(fewer, kept))
    for share in (0.75, 0.95):
        values = curve[:, REMOVED.index(share)]
        run.metric(f"test error without {100 * share:g} % of weights, {name}", values, "lower")
    return curve


def removed(params: PyTree, share: Array) -> PyTree:
    """Zero in place of the kernels' weights of the least |m| / s, or |m| where none has an s."""
    weights: dict[Any, Any] = flatten_dict(params)
    signal: dict[tuple, Array] = {}
    for path, m in weights.items():
        if path[-1] == "kernel":
            spread = weights.get((*path[:-1], path[-1] + SPREAD))
            signal[path] = jnp.abs(m) / (1 if spread is None else jax.nn.softplus(spread))
    ordered = jnp.sort(jnp.concatenate([each.ravel() for each in signal.values()]))
    least = ordered[(share * (len(ordered) - 1)).astype(int)]
    kept = {path: jnp.where(signal[path] >= least, weights[path], 0) for path in signal}
    return unflatten_dict(weights | kept)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
