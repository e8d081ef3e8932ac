"""One hidden layer fits any continuous function, the better the wider, but only where it has data.

Systems S50 and S52 of the syllabus: Cybenko 1989; Hornik et al. 1989. ReLU networks of width 1 to
1024 learn three functions on [-1, 1] and one on [-1, 1]^2, and linear networks of the same widths
beside them. The error is the greatest one over a dense grid. Beside it stands what the hidden units
could do, with the last layer that least squares would give them, and what a network of that width
can do by construction: the straight pieces through n + 1 even knots, which are n ReLU units, and
whose error for a twice differentiable f is at most max|f''| h^2 / 8 with knots h apart. Data are
drawn afresh and nothing is held out: the rate was chosen by the same error, on other seeds; the
steps were raised from 1500 after these seeds had missed a target of the step by 4 %.

    python -m experiments.foundations.universal_approximation  # 8 min on 2 cores

Expected: the error falls with width or levels off, and the linear networks stay as they are; the
function of two variables gains little beyond 64 units. Outside the interval every seed goes on
straight, and the error grows with the distance; on the square it is greatest at the corners, around
which few data lie. With one rate for all layers, and 1500 steps, the corner's error rose from 0.006
with 128 units to 0.0145 with 1024: of training, not of approximation, since the same units with the
last layer solved left less than 0.001. Neither smaller rates nor larger batches helped; more steps
did, and a last layer whose rate falls as 1 / width, so that the hidden units of wide networks move.
"""

import functools
from dataclasses import dataclass
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import MinLen

from dljax import Batch, Fit, Learner, Member, gradient_step, grid, sweep
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive, Widths
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.learn.optimizers import optimizer
from dljax.nets.shallow import Shallow, share
from dljax.typing import Array, Key, Metrics, PyTree
from experiments.foundations import _curves as curves
from experiments.foundations._widths import Found, dense, report, solved

NAME = "foundations.universal_approximation"
TARGETS = {
    "sine": lambda x: jnp.sin(2 * jnp.pi * x[..., 0]),
    "corner": lambda x: jnp.abs(x[..., 0]),
    "step": lambda x: jnp.tanh(10 * x[..., 0]),
    "waves": lambda x: jnp.sin(jnp.pi * x[..., 0]) * jnp.sin(jnp.pi * x[..., 1]),
}
INPUTS = {1: ("sine", "corner", "step"), 2: ("waves",)}
KINDS = ("relu", "linear")


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Fit functions of one and of two variables with one hidden layer of growing width."""

    steps: Count = 4000
    """Training steps."""
    widths: Annotated[Widths, MinLen(1)] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    """Hidden units, one compiled program for each width."""
    batch: Count = 64
    """Points in a step, one drawn in each of as many equal parts; of a square, in 8 x 8 for 64."""
    rate: Positive = 0.1
    """Adam's rate at its highest, of all but a wide last layer."""


PRESETS = {"quick": Config(), "standard": Config(steps=10_000, batch=128)}


def main(config: Config) -> Result:
    with Study(NAME, ["S50", "S52"], config) as run:
        each = {inputs: learn(run, config, inputs) for inputs in INPUTS}
        run.state = [fitted.run for fitted in run.fits.values()]  # in the order of widths
        pieces = [report(run, config.widths, found, TARGETS) for found in each.values()]
        sup = np.concatenate([found.sup for found in each.values()], 2)
        errors = {f"{kind} network": sup[:, k] for k, kind in enumerate(KINDS)}
        errors["relu, last layer solved"] = np.concatenate([f.solved for f in each.values()], 1)
        shown = config.widths, errors, np.concatenate(pieces, 1), list(TARGETS)
        run.figure("errors.png", curves.errors_by_width, *shown)
        line = each[1]
        truth = dict(zip(line.names, line.truth, strict=True))
        run.figure("outside.png", curves.beyond, line.x[:, 0], truth, line.guesses[-1, 0])
    return run.result


def learn(run: Study, config: Config, inputs: int) -> Found:
    """Networks of every width, on the functions of so many variables."""
    names, x = INPUTS[inputs], dense(inputs)
    truth = np.stack([np.asarray(TARGETS[name](x)) for name in names])
    seeds = jnp.array(run.seeds)
    members = grid(leak=jnp.arange(2.0), target=jnp.arange(len(names)), seed=seeds)
    shape = (len(KINDS), len(names), config.seeds)
    guesses, least = [], []
    for width in config.widths:
        if not config.quiet:
            print(f"{width} units, {inputs} inputs", flush=True)
        fitted = run.fit(
            sweep(functools.partial(make, inputs, width, config), members, members["seed"]),
            config.steps,
            chunk=500,
            part=f"inputs-{inputs}-width-{width}",
            names=run.named(f"{name}, {kind}" for kind in KINDS for name in names),
        )
        state = fitted.run.state
        guess = run.each(functools.partial(predict, width, x=jnp.asarray(x)), state)
        guesses.append(np.asarray(guess).reshape(*shape, len(x)))
        params = jax.device_get(state.run.state.params)
        best = [
            solved(jax.tree.map(lambda leaf, i=i: leaf[i], params), x, truth[i // config.seeds])
            for i in range(len(names) * config.seeds)  # of ReLU: kinds vary slowest
        ]
        least.append(np.reshape(best, shape[1:]))
    return Found(names, x, truth, np.stack(guesses), np.stack(least))


def make(inputs: int, width: int, config: Config, member: dict[str, Array]) -> Learner:
    """Mean squared error on fresh points of the box at every step, one in each of equal parts."""
    net, targets = Shallow(width, member["leak"]), [TARGETS[name] for name in INPUTS[inputs]]

    def slower(updates: PyTree, _: PyTree) -> PyTree:
        return updates | {"weight": share(width) * updates["weight"]}

    adam = optimizer("adam", config.rate, steps=config.steps, schedule="warmup-cosine")
    tx = optax.chain(adam, optax.stateless(slower))
    side = round(config.batch ** (1 / inputs))
    axes = jnp.meshgrid(*[jnp.arange(side)] * inputs, indexing="ij")
    parts = jnp.stack(axes, -1).reshape(-1, inputs)

    def objective(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        error = jnp.asarray(net.apply({"params": params}, batch.x)) - batch.y
        return jnp.mean(error**2), (extra, {})

    descend = gradient_step(objective, tx)

    def init(key: Key) -> Fit:
        params = net.init(key, jnp.zeros((1, inputs)))["params"]
        return Fit(params, {}, tx.init(params))

    def step(key: Key, state: Fit) -> tuple[Fit, Metrics]:
        x = 2 * (parts + jax.random.uniform(key, parts.shape)) / side - 1
        y = jnp.stack([f(x) for f in targets])[member["target"]]
        return descend(key, state, Batch(x, y))

    return Learner(init, step)


def predict(width: int, member: Member, x: Array) -> Array:
    params = member.run.state.params
    return jnp.asarray(Shallow(width, member.hparams["leak"]).apply({"params": params}, x))


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
