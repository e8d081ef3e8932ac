"""Will I pass, and with what score? One network answers both, from two facts about a student.

S4, S5, S6: a network of two outputs, a logit under binary cross-entropy ("will I pass?") and a
score under mean squared error, from lectures attended and hours on the project. Width and rate
were chosen by validation loss. Beside it stand logistic and linear regression, and the rule that
made the data, which no model can beat.

    python -m experiments.foundations.course  # 16 s on 2 cores
"""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.stats import norm
from sklearn.linear_model import LinearRegression, LogisticRegression

from dljax import Batch, sweep
from dljax.data.frames import Column
from dljax.data.scaling import NUMBER, Columns
from dljax.data.students import HOURS, LECTURES, MARK, NOISE, Students, students
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive, Widths, require
from dljax.host.experiment import Study
from dljax.host.fit import Watch
from dljax.host.function import Function, Input
from dljax.host.result import Result
from dljax.learn import risk
from dljax.learn.optimizers import optimizer
from dljax.nets import MLP
from dljax.typing import Array, Metrics, PyTree
from experiments.foundations._plane import passing

NAME = "foundations.course"
TOLD = "chance of passing", "score"
RANGE = np.array([LECTURES, HOURS], np.float32)
SCALE = Columns(*np.array([[0, 1], [NUMBER] * 2]), *np.array([RANGE / 2, RANGE / 2, RANGE / 4]))
READ = (Input((2,), scaling=SCALE, columns=(Column("lectures"), Column("hours"))),)  # as `facing`


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train one network of two outputs on students' lectures and hours."""

    steps: Count = 3000
    """Training steps."""
    hidden: Widths = (8,)
    """Widths of the hidden layers, of tanh."""
    rate: Positive = 0.01
    """Adam's learning rate at its highest; it falls to 0 as a cosine."""
    students: Count = 400
    """Students to learn from; as many again for validation, and 4000 to test."""
    batch: Count = 100
    """Students in a step."""


PRESETS = {
    "quick": Config(),
    "standard": Config(seeds=20, steps=4000, students=4000),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S4", "S5", "S6"], config) as run:
        require("--batch", config.batch, below=config.students + 1)
        k_train, k_validation, k_test = jax.random.split(jax.random.key(2), 3)
        train, validation = (students(k, config.students) for k in (k_train, k_validation))
        net, steps = MLP((*config.hidden, 2), jnp.tanh), config.steps
        data = Batch(facing(train.x), jnp.stack([train.passed, train.score / 20], 1))
        tx = optimizer("adam", config.rate, steps=steps, schedule="cosine")
        learner = risk.make(net, tx, data, both_losses, batch=config.batch)
        fitted = run.fit(
            sweep(lambda _: learner, None, run.seeds),
            steps,
            Watch(
                lambda member: scores(net, member.run.state.fit.params, validation, "validation/"),
                max(1, steps // 10),
            ),
            shown=("train/loss", "validation/score RMSE"),
        )
        params, test = fitted.run.state.run.state.fit.params, students(k_test, 4000)
        run.model(params, {"predict": Function(functools.partial(told, net), READ, names=TOLD)})
        for name, found in baselines(train, test).items():
            for what, mean in found.items():
                run.baseline(f"{what}, {name}", f"test {what}", mean)
        for name, values in jax.vmap(lambda one: scores(net, one, test, "test "))(params).items():
            run.metric(name, values, "higher" if name.endswith("accuracy") else "lower")
        first = jax.tree.map(lambda leaf: leaf[0], params)
        run.figure("students.png", passing, functools.partial(answers, net, first), train)
    return run.result


def facing(x: Array) -> Array:
    """Lectures and hours scaled to [-2, 2]."""
    return 4 * x / jnp.array([[LECTURES, HOURS]]) - 2


def both_losses(outputs: Array, targets: Array) -> Array:
    """`BCE(z, passed) + (g - score / 20)^2`, outputs (z, g) and targets [B, 2] -> [B].

    A twentieth of the score varies about as much as a logit does.
    """
    unsure = optax.sigmoid_binary_cross_entropy(outputs[:, 0], targets[:, 0])
    return unsure + optax.squared_error(outputs[:, 1], targets[:, 1])


def told(net: MLP, params: PyTree, x: Array) -> Array:
    """The chance of passing and the score [n, 2] of students whose facts are scaled."""
    outputs = risk.apply(net, params, x)
    return jnp.stack([jax.nn.sigmoid(outputs[:, 0]), 20 * outputs[:, 1]], 1)


def answers(net: MLP, params: PyTree, x: Array) -> tuple[Array, Array]:
    """The chance of passing and the score of each student, both [n]."""
    chance, score = told(net, params, facing(x)).T
    return chance, score


def scores(net: MLP, params: PyTree, seen: Students, prefix: str) -> Metrics:
    found = judge(*answers(net, params, seen.x), seen)
    return {prefix + name: value for name, value in found.items()}


def judge(chance: Array, score: Array, seen: Students) -> Metrics:
    """Accuracy and cross-entropy of the chance of passing, and RMSE of the score in points."""
    passed = seen.passed
    given = jnp.clip(jnp.where(passed, chance, 1 - chance), 1e-7)  # a sure mistake costs 16 nats
    return {
        "pass accuracy": jnp.mean((chance > 0.5) == passed),
        "pass loss": -jnp.log(given).mean(),
        "score RMSE": jnp.sqrt(jnp.mean((score - seen.score) ** 2)),
    }


def baselines(train: Students, test: Students) -> dict[str, Metrics]:
    """Straight lines fitted by scikit-learn, and the rule itself."""
    logistic = LogisticRegression().fit(train.x, train.passed)
    chance = jnp.asarray(logistic.predict_proba(test.x)[:, 1])
    line = LinearRegression().fit(train.x, train.score).predict(np.asarray(test.x))
    rule = norm.cdf((test.expected - MARK) / NOISE)
    return {
        "straight lines": judge(chance, jnp.asarray(line), test),
        "the rule": judge(rule, test.expected, test),
    }


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
