"""The task of debias, and what it finds: the worst groups, their report and their figures."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from dljax.data.groups import Grouped
from dljax.host.experiment import Result, gain_target, summary
from dljax.host.figures import COLORS, INK, dots, panels, picture, save, spread
from dljax.learn import debias


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


def report(result: Result, outcomes: dict[str, Outcome]) -> None:
    """Each way's worst group, as the mean over designs, and what debiasing gains, seed by seed."""

    def mean(values: Iterable[np.ndarray]) -> dict[str, Any]:
        return summary(np.mean(list(values), 0), "higher")

    for way in next(iter(outcomes.values())).tested:
        found = mean(outcome.worst()[way] for outcome in outcomes.values())
        if way == "debiased":
            result.metrics["worst-group accuracy"] = found
        else:
            result.baselines[way] = {"metric": "worst-group accuracy"} | found
    for way in ("uniform", "plain classifier"):
        gain = mean(outcome.gain(way) for outcome in outcomes.values())
        result.metrics[f"gain over {way}"] = gain
        said = "two standard errors of the paired gain"
        result.targets[f"gain over {way}"] = gain_target(gain, said)
    changes = [each.tested["debiased"] - each.tested["uniform"] for each in outcomes.values()]
    result.metrics["gain of the mean group"] = mean(change.mean(1) for change in changes)
    for label, outcome in outcomes.items():
        result.metrics[f"gain, {label} rare"] = mean([outcome.gain()])


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
        tested[way.replace(" ", "\n", 1)] = np.mean(
            [each.worst()[way] for each in every], 0
        ).tolist()
    axes[0].set(xlabel="step", ylabel="validation accuracy of the worst group")
    axes[0].set_title("mean over designs; range over seeds", fontsize=10)
    axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    dots(axes[1], tested)
    axes[1].set_ylabel("test accuracy of the worst group")
    axes[1].set_title("each seed, the mean and two standard errors", fontsize=10)
    dots(axes[2], {name: outcome.gain().tolist() for name, outcome in outcomes.items()}, COLORS * 2)
    axes[2].axhline(0, color=INK, lw=1, ls="--")
    axes[2].set_xticks(range(len(every)), list(outcomes), rotation=45, ha="right", fontsize=8)
    axes[2].set_ylabel("gain over uniform draws")
    axes[2].set_title("by the label that is rare", fontsize=10)
    return save(figure, path)


def resampling(path: Path, x: np.ndarray, times: np.ndarray, rare: np.ndarray, label: str) -> Path:
    """Of one class, the examples that are drawn least and most, and how often each is drawn.

    x [n, h, w, c]; times [n] as often as uniformly; rare [n] tells the members of the rare group.
    """
    figure = Figure(figsize=(10.8, 6.4), layout="constrained")
    above, below = np.asarray(figure.subfigures(2, 1, height_ratios=(5, 2)))
    order = np.argsort(times)
    above.suptitle(f"drawn least, in two rows, and most, in two rows; {label} in red", fontsize=10)
    for ax, row in zip(above.subplots(4, 12).flat, (*order[:24], *order[:-25:-1]), strict=False):
        ax.axis("off")
        picture(ax, x[row])
        ax.set_title(f"{times[row]:.2g}", fontsize=8, color=COLORS[1] if rare[row] else INK)
    ax = below.subplots()
    edges = np.geomspace(times.min(), 1.001 * times.max(), 40)
    for mine, said, color in ((~rare, "others", COLORS[0]), (rare, label, COLORS[1])):
        weights = np.full(mine.sum(), 1 / max(1, mine.sum()))
        ax.hist(times[mine], edges, weights=weights, alpha=0.6, color=color, label=said)
    ax.set(xscale="log", xlabel="times as often as uniformly", ylabel="share of the group")
    ax.legend(frameon=False, fontsize=8)
    return save(figure, path)
