"""Figures of what networks reach: of random labels, of ways to regularise, of growing widths."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dljax.host.figures import COLORS, INK, curve, dots, panels, save, spread
from dljax.host.fit import Fitted
from dljax.host.result import Result, two_errors


def variants(
    path: Path, title: str, fitted: Fitted, result: Result, names: Sequence[str], fits: float
) -> Path:
    """Training accuracy against steps; training and test accuracy of each variant beside chance.

    Members run over seed x variant; `fits` is the accuracy that counts as fitting.
    """
    figure, (left, right) = panels(2)
    steps, own = curve(fitted.records, "fit/accuracy")
    for i, name in enumerate(names):
        spread(left, steps, own[:, i :: len(names)], name, COLORS[i])
    left.axhline(fits, color=INK, lw=0.8, ls=":")
    left.set(xlabel="step", ylabel="training accuracy")
    left.legend(frameon=False, fontsize=8, loc="lower right")
    places, style = np.arange(len(names)), {"color": COLORS[: len(names)], "capsize": 3}
    for split, aside, alpha in (("train", -0.2, 0.45), ("test", 0.2, 1.0)):
        found = [result.metrics[f"{split} accuracy {name}"] for name in names]
        means = [each["mean"] for each in found]
        errors = [two_errors(each) for each in found]
        bars = right.bar(places + aside, means, 0.38, yerr=errors, alpha=alpha, **style)
        right.bar_label(bars, [f"{100 * mean:.1f}" for mean in means], padding=2, fontsize=7)
    chance = result.targets["test accuracy random labels"]["value"]
    right.axhline(chance, color=INK, lw=1, ls="--")
    right.text(-1.1, chance + 0.015, "chance", fontsize=8)
    right.set_xticks(places, [name.replace(" ", "\n") for name in names])
    right.set(xlim=(-1.15, len(names) - 0.5), ylim=(0, 1.12))
    right.set_ylabel("accuracy")
    right.set_title("training pale, test full", fontsize=9)
    figure.suptitle(title, fontsize=10)
    return save(figure, path)


def ways(
    path: Path, title: str, fitted: Fitted, members: dict[str, np.ndarray], result: Result
) -> Path:
    """Losses of the first three ways to train, and each way's test accuracy; members by way."""
    figure, axes = panels(2, 2)
    steps, own = curve(fitted.records, "own/loss")
    _, validation = curve(fitted.records, "validation/loss")
    strengths = fitted.run.state.hparams
    for ax, (way, rows) in zip(axes[:3], members.items(), strict=False):
        spread(ax, steps, own[:, rows], "training", COLORS[0])
        spread(ax, steps, validation[:, rows], "validation", COLORS[1])
        strength = "" if way == "plain" else f" {strengths[way.replace(' ', '_')][rows[0]]:g}"
        ax.set_title(way + strength, fontsize=10)
        lowest = max(1e-3, own[:, members["plain"]].min())  # on one scale, to be compared
        ax.set(yscale="log", ylim=(lowest, 1.1 * validation.max()))
        ax.set(xlabel="step", ylabel="cross-entropy")
    mean = result.metrics["step of early stopping"]["mean"]
    axes[0].axvline(mean, color=INK, lw=1, ls=":")
    axes[0].annotate("early stopping\n(mean)", (1.1 * mean, own.max()), va="top", fontsize=8)
    axes[2].legend(frameon=False, fontsize=8, loc="lower left")
    tested = {way: result.metrics[f"test accuracy {way}"]["values"] for way in members}
    dots(axes[3], {way.replace(" ", "\n"): values for way, values in tested.items()})
    logistic = result.baselines["logistic regression"]["mean"]
    axes[3].axhline(logistic, color=INK, lw=1, ls="--", label="logistic regression, mean")
    axes[3].legend(frameon=False, fontsize=8, loc="lower right")
    axes[3].set_ylabel("test accuracy")
    figure.suptitle(title, fontsize=10)
    return save(figure, path)


def errors_by_width(
    path: Path,
    widths: Sequence[int],
    errors: dict[str, np.ndarray],
    pieces: np.ndarray,
    names: Sequence[str],
) -> Path:
    """A panel a function: errors {kind: [W, F, N]} with their range over seeds, pieces' [W, F]."""
    figure, axes = panels(len(names), size=(3.8, 3.2))
    for j, (ax, name) in enumerate(zip(axes, names, strict=True)):
        for (kind, values), color in zip(errors.items(), COLORS, strict=False):
            spread(ax, widths, values[:, j], kind, color)
        # two pieces are the corner itself, whose rounding has no place on the scale; of a plane nan
        drawn = np.where(pieces[:, j] > 1e-6, pieces[:, j], np.nan)
        ax.plot(widths, drawn, color=INK, ls="--", lw=1, label="even pieces, not learnt")
        ax.set(yscale="log", xlabel="hidden units", title=name, ylim=(1e-4, 4))
        ax.set_xscale("log", base=2)
    axes[0].set_ylabel("greatest error on [-1, 1]")
    axes[0].legend(frameon=False, fontsize=8)
    return save(figure, path)


def beyond(path: Path, x: np.ndarray, truth: dict[str, np.ndarray], guesses: np.ndarray) -> Path:
    """Every seed's guesses [F, N, P] over the truth, and below the errors; data on [-1, 1]."""
    figure, axes = panels(len(truth), 2, size=(3.8, 2.5))
    for j, (name, values) in enumerate(truth.items()):
        top, bottom = axes[j], axes[j + len(truth)]
        for seed, guess in enumerate(guesses[j]):
            label = "" if seed else "networks, one a seed"
            top.plot(x, guess, color=COLORS[0], lw=0.9, alpha=0.7, label=label)
        top.plot(x, values, color=INK, lw=1, ls="--", label="target")
        top.set(title=name, ylim=(-4, 4))
        spread(bottom, x.tolist(), abs(guesses[j] - values).T.clip(1e-4), "error", COLORS[1])
        bottom.set(yscale="log", xlabel="x", ylim=(1e-4, 30))
        for ax in (top, bottom):
            ax.axvspan(-1, 1, color="#e6eef5", zorder=0, label="data")
    axes[0].legend(frameon=False, fontsize=7)
    axes[len(truth)].set_ylabel("error")
    return save(figure, path)
