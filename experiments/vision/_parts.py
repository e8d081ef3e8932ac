"""What is recorded and drawn of the X detectors, and of pooling under outliers (S27, S30)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from dljax.data import ImageData
from dljax.data.letters import LETTERS
from dljax.data.stream import unit_scale
from dljax.host.experiment import Study
from dljax.host.figures import COLORS, INK, panels, picture, save, spread
from experiments.vision._detectors import Set
from experiments.vision._pooling import salt

Rates = Mapping[str, Mapping[str, np.ndarray]]
"""Of detector and variation, the share of each letter that was taken for an X, [S, letters]."""
OURS = "three features"


def record(run: Study, found: Rates, aimed: str) -> None:
    """Both rates of every detector under every variation; the goal is of the `aimed` one."""
    for name, under in found.items():
        for variation, shares in under.items():
            goal, most = None, None
            if (name, variation) == (OURS, aimed):
                goal, most = (0.95, "S27, our goal"), (0.05, "S27, our goal")
            run.metric(f"X found, {variation}, {name}", shares[:, 0], goal=goal)
            wrong = shares[:, 1:].mean(1)
            run.metric(f"false alarms, {variation}, {name}", wrong, "lower", most)
    for other, shares in zip(LETTERS[1:], found[OURS][aimed][:, 1:].T, strict=True):
        run.metric(f"{other} taken for X, {aimed}, {OURS}", shares, "lower")
    for name in ("features anywhere", "whole template", "logistic regression"):
        shares = found[name][aimed]
        run.baseline(name, f"X found, {aimed}, {OURS}", shares[:, 0])
        run.baseline(f"{name} cries", f"false alarms, {aimed}, {OURS}", shares[:, 1:].mean(1))


def draw_letters(
    path: Path,
    tests: Mapping[str, Set],
    scores: Mapping[str, np.ndarray],
    cuts: Mapping[str, np.ndarray],
) -> Path:
    """Letters of the first seed under every variation, with their scores; what is called X in red.

    The first two of X and the first of every other letter.
    """
    columns = len(LETTERS) + 1
    figure, axes = panels(columns, len(tests), size=(1.15, 1.3))
    for row, (variation, shown) in enumerate(tests.items()):
        firsts = [np.flatnonzero(shown.letter == i)[0] for i in range(len(LETTERS))]
        second = np.flatnonzero(shown.is_x)[1]
        for column, i in enumerate([firsts[0], second, *firsts[1:]]):
            ax, value = axes[row * columns + column], scores[variation][0, i]
            picture(ax, shown.x[0, i])
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(True)
            called = value >= cuts[OURS][0]
            ax.set_title(f"{value:.2f}", fontsize=8, color=COLORS[1] if called else INK)
        axes[row * columns].set_ylabel(variation.replace(" and ", "\nand "), fontsize=7)
    cut = cuts[OURS][0]
    figure.suptitle(
        f"scores of the three features in place; red: called X, from {cut:.2f}", fontsize=9
    )
    return save(figure, path)


def draw_roc(
    path: Path,
    scores: Mapping[str, Mapping[str, np.ndarray]],
    is_x: np.ndarray,
    cuts: Mapping[str, np.ndarray],
    variation: str,
) -> Path:
    """Each detector's two rates at every threshold, of all seeds, and at the chosen one."""
    figure, (whole, corner) = panels(2, size=(4.6, 4.2))
    truth = np.tile(is_x, next(iter(cuts.values())).size)
    for (name, under), color in zip(scores.items(), COLORS, strict=True):
        # each seed's scores less its threshold, so that they share one axis
        own = (under[variation] - cuts[name][:, None]).ravel()
        false, hits, _ = roc_curve(truth, own)
        at = (own[~truth] >= 0).mean(), (own[truth] >= 0).mean()
        area = roc_auc_score(truth, own)
        for ax in (whole, corner):
            ax.plot(false, hits, color=color, lw=1.4, label=f"{name}, area {area:.3f}")
            ax.plot(*at, "o", color=color, ms=5)
    corner.plot([0, 0.05, 0.05], [0.95, 0.95, 1], ":", color=INK, lw=1)
    corner.set(xlim=(-0.005, 0.15), ylim=(0.8, 1.005), title="its corner; dotted: the goal")
    whole.set(title=f"letters {variation}, all seeds")
    whole.legend(frameon=False, fontsize=7, loc="lower right")
    for ax in (whole, corner):
        ax.set(xlabel="share of other letters taken for X", ylabel="share of X found")
        ax.title.set_fontsize(10)
    return save(figure, path)


def draw_rates(path: Path, found: Rates) -> Path:
    """Both rates of every detector under every variation: the mean over seeds."""
    figure, axes = panels(2, size=(5.4, 0.36 * len(found) + 1.6))
    names, kinds = list(found), list(found[OURS])
    both = {
        "share of X found": [[100 * found[n][v][:, 0].mean() for v in kinds] for n in names],
        "share of other letters taken for X": [
            [100 * found[n][v][:, 1:].mean() for v in kinds] for n in names
        ],
    }
    for ax, (title, values) in zip(axes, both.items(), strict=True):
        ax.imshow(values, cmap="Blues", vmin=0, vmax=150, aspect="auto")
        for row, column in np.ndindex(len(names), len(kinds)):
            said = f"{values[row][column]:.1f}"
            ax.text(column, row, said, ha="center", va="center", fontsize=7, color=INK)
        ax.set_xticks(range(len(kinds)), kinds, rotation=30, ha="right", fontsize=7)
        ax.set_yticks(range(len(names)), names if ax is axes[0] else [""] * len(names), fontsize=7)
        ax.set_title(f"{title}, %", fontsize=9)
    return save(figure, path)


def draw_strengths(path: Path, found: Mapping[str, Mapping[tuple[str, float], np.ndarray]]) -> Path:
    """Both rates, means over seeds, against the strength of each variation alone."""
    kinds = list(dict.fromkeys(kind for kind, _ in found[OURS]))
    units = "pixels", "share of size lost", "degrees", "pixels"
    figure, axes = panels(len(kinds), size=(3.2, 3.2))
    for ax, kind, unit in zip(axes, kinds, units, strict=True):
        for (name, under), color in zip(found.items(), COLORS, strict=True):
            strengths = [strength for own, strength in under if own == kind]
            shares = np.stack([under[kind, strength].mean(0) for strength in strengths])
            ax.plot(strengths, shares[:, 0], color=color, lw=1.4, label=name)
            ax.plot(strengths, shares[:, 1:].mean(1), ":", color=color, lw=1.4)
        ax.set(xlabel=f"{kind} by at most, {unit}", ylim=(-0.02, 1.02))
    axes[0].set_ylabel("X found; dotted: others taken for X")
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8
    )
    return save(figure, path)


def draw_pooling(
    path: Path, data: ImageData, shares: Sequence[float], right: Mapping[str, np.ndarray]
) -> Path:
    """Accuracy against the share of outliers, right [S, shares] of each pooling, and examples."""
    figure, axes = panels(1 + len(shares), size=(3.0, 3.0))
    for (name, values), color in zip(right.items(), COLORS, strict=False):
        spread(axes[0], [100 * share for share in shares], values.T, name, color)
    axes[0].set(xlabel="outliers, %", ylabel="test accuracy")
    axes[0].legend(frameon=False, fontsize=8)
    for ax, share in zip(axes[1:], shares, strict=True):
        image = salt(jax.random.key(0), unit_scale(jax.numpy.asarray(data.test.x[:1])), share)[0]
        picture(ax, np.asarray(image))
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"{100 * share:g} % outliers", fontsize=9)
    return save(figure, path)
