"""Networks and plain methods asked outside the support of their data, and what that looks like."""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Learner, Member, sweep
from dljax.host import figures
from dljax.host.config import require
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.learn import risk
from dljax.learn.optimizers import optimizer
from dljax.nets import MLP
from dljax.typing import Array, Batch, Metrics
from experiments.frontiers._support import PLACES, PLAIN, Scale, Task

NETS = ("ReLU", "tanh")


def learn(
    run: Study,
    part: str,
    tasks: list[Task],
    *,
    hidden: Sequence[int],
    steps: int,
    batch: int,
    rate: float,
    plain: int,
) -> dict[str, np.ndarray]:
    """What each method says of what each task asks: [G, N, t], for G x N tasks, seeds fastest.

    Of the plain methods N is `plain`. Raises InputError if a batch is more than there is.
    """
    require("--batch", batch, below=len(tasks[0].train.y) + 1)
    scaled = [task.scaled() for task in tasks]
    parts = [(each.train, each.validation, each.test.x) for each in scaled * len(NETS)]
    *learnt, asked = jax.tree.map(lambda *rows: jnp.asarray(np.stack(rows), jnp.float32), *parts)
    seeds = len(run.seeds)
    tanh = jnp.repeat(jnp.arange(len(NETS)), len(tasks))

    def net(tanh: Array) -> MLP:
        return MLP((*hidden, 1), lambda h: jnp.where(tanh, jnp.tanh(h), jax.nn.relu(h)))

    def make(own: tuple[Array, Batch, Batch]) -> Learner:
        tx = optimizer("adam", rate, steps=steps, schedule="cosine")
        return risk.make(net(own[0]), tx, own[1], optax.squared_error, batch=batch)

    def evaluate(member: Member) -> Metrics:
        tanh, _, validation = member.hparams
        return risk.evaluate(net(tanh), risk.weights_of(member), validation)

    fitted = run.fit(
        sweep(make, (tanh, *learnt), run.seeds * (len(tanh) // seeds)),
        steps,
        Watch(
            evaluate,
            steps // 15 or 1,
            Selection("validation/RMSE", risk.weights_of, lowest=True),
        ),
        part=part,
        names=[f"{name}, task {i}" for name in NETS for i in range(len(tasks))],
        shown=("train/loss", "validation/RMSE"),
        saves=steps,
    )
    said = run.each(
        lambda tanh, weights, x: risk.predict(net(tanh), weights, x)[:, 0],
        tanh,
        fitted.kept,
        asked,
    )
    found = dict(zip(NETS, np.split(np.asarray(said), len(NETS)), strict=True))
    first = [i for i in range(len(tasks)) if i % seeds < plain]
    found |= {name: np.stack([tell(scaled[i]) for i in first]) for name, tell in PLAIN.items()}
    scales = [Scale.of(task.train.y) for task in tasks]
    mean, sd = (np.array(each) for each in zip(*scales, strict=True))
    shape = len(tasks) // seeds, -1, len(tasks[0].place)
    for name, each in found.items():
        own = first if name in PLAIN else slice(None)
        found[name] = (each * sd[own, None] + mean[own, None]).reshape(shape)
    return found


def report(run: Study, what: str, errors: dict[str, np.ndarray], more: str = "") -> None:
    """RMSE [N, 4] of each method at each of PLACES."""
    for method, values in errors.items():
        for place, each in zip(PLACES, values.T, strict=True):
            if method in NETS:
                run.metric(f"RMSE, {what}, {method}, {place}{more}", each, "lower")
            else:
                metric = f"RMSE, {what}, ReLU, {place}{more}"
                run.baseline(f"{method}, {what}, {place}{more}", metric, each)


def draw_curves(
    path: Path, tasks: dict[str, Task], guesses: dict[str, dict[str, np.ndarray]]
) -> Path:
    """Every curve with its examples, and what each method says of one seed, or networks of all.

    tasks: of the first seed; guesses {curve: {method: [N, t]}}.
    """
    figure, axes = figures.panels(len(tasks), 2, size=(4.2, 2.8))
    for j, (name, task) in enumerate(tasks.items()):
        top, bottom, x = axes[j], axes[j + len(tasks)], task.test.x[:, 0]
        for (method, values), color in zip(guesses[name].items(), figures.COLORS, strict=False):
            top.plot(x, values.T, color=color, lw=0.7, alpha=0.6)
            figures.spread(bottom, x.tolist(), abs(values - task.test.y).T, method, color)
        top.plot(x, task.test.y, color=figures.INK, lw=1.2, ls="--")
        top.plot(task.train.x[:, 0], task.train.y, ".", ms=2, color=figures.INK)
        top.set(title=name, ylim=(-4, 4))
        bottom.set(yscale="log", ylim=(1e-3, 10), xlabel="x")
        for ax in (top, bottom):
            ax.axvspan(-1, 1, color="#e6eef5", zorder=0)
    axes[0].set_ylabel("what is said, every seed")
    axes[len(tasks)].set_ylabel("error")
    axes[len(tasks)].legend(frameon=False, fontsize=7, loc="lower right")
    return figures.save(figure, path)


def draw_tables(path: Path, found: dict[str, dict[str, np.ndarray]]) -> Path:
    """Error by place of each method that knows the inside alone, and of those that know all.

    found {table: {method: [2, N, 4]}}, a share of the target's deviation.
    """
    figure, axes = figures.panels(len(found), size=(4.2, 3.4))
    for ax, (name, methods) in zip(axes, found.items(), strict=True):
        for (method, values), color in zip(methods.items(), figures.COLORS, strict=False):
            figures.spread(ax, range(len(PLACES)), values[0].T, method, color)
            ax.plot(range(len(PLACES)), values[1].mean(0), color=color, ls=":", lw=1.2)
        ax.set_xticks(range(len(PLACES)), PLACES)
        ax.set(title=name, ylim=(0, None))
    axes[0].set_ylabel("RMSE / sd of the target")
    axes[0].legend(frameon=False, fontsize=7, title="dotted: seen their like", title_fontsize=7)
    return figures.save(figure, path)
