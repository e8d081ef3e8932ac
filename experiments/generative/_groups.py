"""The task of debias, and what it finds: the worst groups, their report and their figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dljax import Member
from dljax.data import ImageData
from dljax.data.groups import Grouped, grouped, thinned
from dljax.errors import InputError
from dljax.host.experiment import Study
from dljax.host.figures import COLORS, INK, dots, panels, picture, save, spread
from dljax.host.fit import Fitted
from dljax.learn import debias
from dljax.ops.scores import group_accuracy
from dljax.typing import Array, PyTree


class Task(NamedTuple):
    """The splits by group, the rows of each training set [designs, seeds, n], and the networks."""

    train: Grouped
    validation: Grouped
    test: Grouped
    rows: np.ndarray
    nets: debias.Nets


class Outcome(NamedTuple):
    """By way, the members of the chosen setting [seeds], and test accuracies [seeds, groups]."""

    members: dict[str, np.ndarray]
    tested: dict[str, np.ndarray]

    def worst(self) -> dict[str, np.ndarray]:
        return {way: accuracies.min(1) for way, accuracies in self.tested.items()}

    def gain(self, over: str = "uniform") -> np.ndarray:
        """What the worst group gains over another way, seed by seed."""
        return self.worst()["debiased"] - self.worst()[over]


def check_labels(flag: str, chosen: Sequence[int], labels: int) -> None:
    """Raises InputError unless the chosen are labels 0..labels - 1, each once."""
    if not set(range(labels)) >= set(chosen) or len(set(chosen)) < len(chosen):
        raise InputError(f"{flag} must be labels from 0 to {labels - 1}, each once; got {chosen}")


def task(
    data: ImageData,
    second: Sequence[int],
    designs: Sequence[Sequence[int]],
    seeds: Sequence[int],
    nets: debias.Nets,
) -> Task:
    """Labels in `second` against the others; each design has so many examples of each label.

    Raises InputError for labels that are not there, and if a label has too few examples.
    """
    check_labels("--second", second, len(data.classes))
    if len(second) == len(data.classes):
        raise InputError("--second holds every label, and leaves none for the first class")
    classes = [int(label in second) for label in range(len(data.classes))]
    splits = (grouped(part, classes) for part in (data.train, data.validation, data.test))
    train, validation, test = splits
    # by the seed alone, so that its training sets differ only in the labels that are rare
    keys = [jax.random.key(seed) for seed in seeds]
    rows = np.array([[thinned(key, train.group, sizes) for key in keys] for sizes in designs])
    return Task(train, validation, test, rows, nets)


def take(tree: PyTree, rows: np.ndarray | int) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[rows], tree)


def compare(run: Study, task: Task, ways: Sequence[str], fitted: Fitted) -> list[Outcome]:
    """Test each way of each design at the setting of the best worst group in validation.

    Members run over design x way x seed; a way has as many entries in `ways` as settings.
    """
    group, labels = jnp.asarray(task.test.group), int(task.test.group.max()) + 1

    def test(params: PyTree) -> Array:
        logits, _ = debias.predict(task.nets, params, jnp.asarray(task.test.x))
        return group_accuracy(logits.argmax(-1) == task.test.y, group, labels)

    designs, seeds, _ = task.rows.shape
    members = np.arange(designs * len(ways) * seeds).reshape(designs, len(ways), seeds)
    scores = np.reshape(fitted.records[-1]["validation/worst_group"], members.shape).mean(-1)
    names = list(dict.fromkeys(ways))
    best = [np.where(np.array(ways) == name, scores, -1).argmax(1) for name in names]
    chosen = np.stack([members[range(designs), own] for own in best], 1)  # [designs, names, seeds]
    tested = run.each(test, take(fitted.run.state.run.state.fit.params, chosen.ravel()))
    tested = np.asarray(tested).reshape(*chosen.shape, labels)
    return [
        Outcome(*(dict(zip(names, rows, strict=True)) for rows in both))
        for both in zip(chosen, tested, strict=True)
    ]


def report(run: Study, outcomes: dict[str, Outcome]) -> None:
    """Each way's worst group, as the mean over designs, and what debiasing gains, seed by seed."""
    every = list(outcomes.values())
    for way in every[0].tested:
        worst = np.mean([each.worst()[way] for each in every], 0)
        if way == "debiased":
            run.metric("worst-group accuracy", worst)
        else:
            run.baseline(way, "worst-group accuracy", worst)
    for way in ("uniform", "plain classifier"):
        gain = np.mean([each.gain(way) for each in every], 0)
        run.gain(f"gain over {way}", gain, "two standard errors of the paired gain")
    changes = [each.tested["debiased"] - each.tested["uniform"] for each in every]
    run.metric("gain of the mean group", np.mean([change.mean(1) for change in changes], 0))
    for label, outcome in outcomes.items():
        run.metric(f"gain, {label} rare", outcome.gain())


def worst_group(
    path: Path, steps: Sequence[int], validation: np.ndarray, outcomes: dict[str, Outcome]
) -> Path:
    """The worst group in training and in the test, and the gain of each design.

    validation [T, members] is the worst group's accuracy; outcomes are by the label that is rare,
    and the first two panels of their means.
    """
    figure, axes = panels(3, size=(4.6, 3.4))
    every = list(outcomes.values())
    tested = {}
    for way, color in zip(every[0].members, COLORS, strict=False):
        curves = np.mean([validation[:, outcome.members[way]] for outcome in every], 0)
        spread(axes[0], steps, curves, way, color)
        worst = np.mean([each.worst()[way] for each in every], 0)
        tested[way.replace(" ", "\n", 1)] = worst.tolist()
    axes[0].set(xlabel="step", ylabel="validation accuracy of the worst group")
    axes[0].set_title("mean over designs; range over seeds", fontsize=10)
    axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    dots(axes[1], tested)
    axes[1].set_ylabel("test accuracy of the worst group")
    axes[1].set_title("each seed, the mean and two standard errors", fontsize=10)
    dots(axes[2], {name: outcome.gain().tolist() for name, outcome in outcomes.items()})
    axes[2].axhline(0, color=INK, lw=1, ls="--")
    axes[2].set_xticks(range(len(every)), list(outcomes), rotation=45, ha="right", fontsize=8)
    axes[2].set_ylabel("gain over uniform draws")
    axes[2].set_title("by the label that is rare", fontsize=10)
    return save(figure, path)


def resampling(path: Path, task: Task, member: Member, label: int, name: str) -> Path:
    """Of a rare label's class, the examples that are drawn least and most, and how often each."""
    (alpha, *_), rows = member.hparams
    x, y, group = (leaf[rows] for leaf in task.train)
    chances = debias.chances(member.run.state.latents, jnp.asarray(y), task.nets.classes, alpha)
    mine = y == y[group == label][0]
    x, rare, times = x[mine], group[mine] == label, np.asarray(chances)[mine] * len(rows)
    figure = Figure(figsize=(10.8, 6.4), layout="constrained")
    above, below = np.asarray(figure.subfigures(2, 1, height_ratios=(5, 2)))
    order = np.argsort(times)
    above.suptitle(f"drawn least, in two rows, and most, in two rows; {name} in red", fontsize=10)
    for ax, row in zip(above.subplots(4, 12).flat, (*order[:24], *order[:-25:-1]), strict=False):
        ax.axis("off")
        picture(ax, x[row])
        ax.set_title(f"{times[row]:.2g}", fontsize=8, color=COLORS[1] if rare[row] else INK)
    ax = below.subplots()
    edges = np.geomspace(times.min(), 1.001 * times.max(), 40)
    histograms(ax, edges, {"others": times[~rare], name: times[rare]})
    ax.set(xscale="log", xlabel="times as often as uniformly", ylabel="share of the group")
    return save(figure, path)


def histograms(ax: Axes, edges: np.ndarray, groups: dict[str, np.ndarray]) -> None:
    """Each group's values as shares of that group, so that a small one can be seen."""
    for (name, values), color in zip(groups.items(), COLORS, strict=False):
        weights = np.full(len(values), 1 / max(1, len(values)))
        ax.hist(values, edges.tolist(), weights=weights, alpha=0.6, color=color, label=name)
    ax.legend(frameon=False, fontsize=8)
