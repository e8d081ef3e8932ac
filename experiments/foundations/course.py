"""Will I pass, and with what score? One network answers both, from two facts about a student.

S4, S5, S6: a network of two outputs, a logit under binary cross-entropy ("will I pass?") and a
score under mean squared error, from lectures attended and hours on the project. Width and rate
were chosen by validation loss. Beside it stand logistic and linear regression, and the rule that
made the data, which no model can beat.

    python -m experiments.foundations.course
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.stats import norm
from sklearn.linear_model import LinearRegression, LogisticRegression

from dljax import Batch, sweep
from dljax.data.students import HOURS, LECTURES, MARK, NOISE, Students, students
from dljax.host import experiment, figures
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import fit
from dljax.learn import risk
from dljax.learn.optimizers import optimizer
from dljax.nets import MLP
from dljax.typing import Array, Metrics, PyTree

NAME = "foundations.course"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train one network of two outputs on students' lectures and hours."""

    hidden: tuple[int, ...] = (8,)
    """Widths of the hidden layers, of tanh."""
    rate: float = 0.01
    """Adam's learning rate at its highest; it falls to 0 as a cosine."""
    students: int = 400
    """Students to learn from; as many again for validation, and 4000 to test."""
    batch: int = 100
    """Students in a step."""


PRESETS = {
    "quick": Config(steps=3000),
    "standard": Config(seeds=20, steps=4000, students=4000),
}


def facing(x: Array) -> Array:
    """Lectures and hours scaled to [-2, 2]."""
    return 4 * x / jnp.array([[LECTURES, HOURS]]) - 2


def both_losses(outputs: Array, targets: Array) -> Array:
    """`BCE(z, passed) + (g - score / 20)^2`, outputs (z, g) and targets [B, 2] -> [B].

    A twentieth of the score varies about as much as a logit does.
    """
    unsure = optax.sigmoid_binary_cross_entropy(outputs[:, 0], targets[:, 0])
    return unsure + optax.squared_error(outputs[:, 1], targets[:, 1])


def answers(net: MLP, params: PyTree, x: Array) -> tuple[Array, Array]:
    """The logit of passing and the score of each student, both [n]."""
    outputs = risk.apply(net, params, facing(jnp.asarray(x)))
    return outputs[:, 0], 20 * outputs[:, 1]


def scores(net: MLP, params: PyTree, seen: Students, split: str) -> Metrics:
    logit, score = answers(net, params, seen.x)
    found = judge(jax.nn.sigmoid(logit), score, seen)
    return {f"{split}/{name}": value for name, value in found.items()}


def judge(chance: Array, score: Array, seen: Students) -> Metrics:
    """Accuracy and cross-entropy of the chance of passing, and RMSE of the score in points."""
    passed = seen.passed
    given = jnp.clip(jnp.where(passed, chance, 1 - chance), 1e-7)
    return {
        "pass accuracy": jnp.mean((chance > 0.5) == passed),
        "pass loss": -jnp.log(given).mean(),
        "score RMSE": jnp.sqrt(jnp.mean((score - seen.score) ** 2)),
    }


def baselines(train: Students, test: Students) -> dict[str, dict]:
    """Straight lines fitted by scikit-learn, and the rule itself."""
    logistic = LogisticRegression().fit(train.x, train.passed)
    chance = jnp.asarray(logistic.predict_proba(test.x)[:, 1])
    line = LinearRegression().fit(train.x, train.score).predict(np.asarray(test.x))
    rule = norm.cdf((test.expected - MARK) / NOISE)
    lines = judge(chance, jnp.asarray(line), test)
    floor = judge(rule, test.expected, test)
    return {
        f"{name}, {who}": {"metric": f"test {name}", "mean": float(value)}
        for who, found in (("straight lines", lines), ("the rule", floor))
        for name, value in found.items()
    }


def main(config: Config) -> Result:
    begun = time.monotonic()
    experiment.check_common(config)
    for width in config.hidden:
        require("--hidden", width, at_least=1)
    require("--students", config.students, at_least=1)
    require("--batch", config.batch, at_least=1, below=config.students + 1)
    require("--rate", config.rate, at_least=1e-9, below=float("inf"))
    k_train, k_validation, k_test = jax.random.split(jax.random.key(2), 3)
    train, validation = (students(k, config.students) for k in (k_train, k_validation))
    net, steps = MLP((*config.hidden, 2), jnp.tanh), config.steps or 3000
    targets = jnp.stack([train.passed, train.score / 20], 1)
    tx = optimizer("adam", config.rate, steps=steps, schedule="cosine")
    data = Batch(facing(train.x), targets)
    learner = risk.make(net, tx, data, both_losses, batch=config.batch)
    seeds, out = experiment.seeds(config), experiment.open_folder(NAME, config)
    fitted = fit(
        sweep(lambda _: learner, None, jnp.array(seeds)),
        jax.random.key(0),
        steps,
        evaluate=jax.vmap(
            lambda member: scores(net, member.run.state.fit.params, validation, "validation")
        ),
        every=max(1, steps // 10),
        out=out,
        checkpoint_every=config.checkpoint_every,
        resume=config.resume,
        quiet=config.quiet,
        names=[f"seed {seed}" for seed in seeds],
        shown=("train/loss", "validation/score RMSE"),
    )
    params = fitted.run.state.run.state.fit.params
    result = Result(NAME, ["S4", "S5", "S6"], dataclasses.asdict(config), seeds)
    result.seconds |= fitted.seconds
    test = students(k_test, 4000)
    result.baselines = baselines(train, test)
    tested = jax.vmap(lambda params: scores(net, params, test, "test"))(params)
    for name, values in tested.items():
        better = "higher" if name.endswith("accuracy") else "lower"
        result.metrics[name.replace("/", " ")] = experiment.summary(values, better)
    draw(out / "figures" / "students.png", net, jax.tree.map(lambda leaf: leaf[0], params), train)
    return experiment.finish(result, out, fitted.run, begun)


def draw(path: Path, net: MLP, params: PyTree, train: Students) -> None:
    """The first seed's chance of passing and score over the plane, with the students in it."""
    figure, axes = figures.panels(2, size=(4.6, 3.6))
    box, x = (0, LECTURES, 0, HOURS), np.asarray(train.x)
    passed = np.asarray(train.passed)
    chance = figures.regions(
        axes[0], lambda x: jax.nn.sigmoid(answers(net, params, x)[0]), box, (0, 1), 0.5
    )
    score = figures.regions(axes[1], lambda x: answers(net, params, x)[1], box, (0, 100), MARK)
    for kind, marker, word in ((~passed, "o", "failed"), (passed, "s", "passed")):
        axes[0].scatter(
            *x[kind].T, marker=marker, s=11, c="w", edgecolors=figures.INK, lw=0.6, label=word
        )
    axes[0].legend(fontsize=8, loc="upper right")
    axes[0].set_title("will I pass? the chance, and the line of 1/2", fontsize=10)
    axes[1].set_title("final score, its line of 50, and the rule's, dashed", fontsize=10)
    hours = np.linspace(0, HOURS, 200)
    lectures = -120 * np.log(1 - MARK / 100) / (hours + 2) - 1
    axes[1].plot(lectures, hours, "--", color=figures.INK, lw=1.2)
    for ax, mesh in zip(axes, (chance, score), strict=True):
        ax.set(xlabel="lectures attended", ylabel="hours on the project")
        ax.set(xlim=box[:2], ylim=box[2:])
        figure.colorbar(mesh, ax=ax)
    figures.save(figure, path)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
