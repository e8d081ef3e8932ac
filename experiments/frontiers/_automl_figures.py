"""The figures of `automl`."""

from pathlib import Path

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator

from dljax.host import figures
from dljax.learn.architecture import History
from dljax.nets.architecture import ACTIVATIONS, Space
from experiments.frontiers._automl import AFTER, Table


def draw_space(path: Path, title: str, space: Space, table: Table) -> Path:
    """Every child's validation and test accuracy, then the spread of test by each decision."""
    figure, axes = figures.panels(4, 2, size=(3.3, 2.9))
    validation, test = table.validation.mean(1), table.test.mean(1)
    best = int(test.argmax())
    axes[0].errorbar(
        validation, test, table.test.std(1, ddof=1) / table.test.shape[1] ** 0.5,
        table.validation.std(1, ddof=1) / table.test.shape[1] ** 0.5,
        fmt="o", ms=2, lw=0.4, color=figures.COLORS[0], alpha=0.5,
    )  # fmt: skip
    axes[0].plot(validation[best], test[best], "o", ms=6, mfc="none", color=figures.COLORS[1])
    axes[0].set(xlabel="validation accuracy, mean of seeds", ylabel="test accuracy")
    order = np.argsort(test)
    axes[1].plot(test[order], color=figures.INK, lw=1.4)
    axes[1].plot(table.test[order], ".", ms=1.5, color=figures.COLORS[0], alpha=0.5)
    axes[1].set(xlabel="children, from worst to best", ylabel="test accuracy, each seed")
    for ax, tokens, each in zip(axes[2:], space.all().T, space.decisions, strict=True):
        named = [ACTIVATIONS[o] if each.field == "activation" else str(o) for o in each.options]
        figures.dots(ax, {name: test[tokens == i] for i, name in enumerate(named)})
        ends = dict.fromkeys(str(each.layers[i] + 1) for i in (0, -1) if each.layers)
        layers = f" of layer {' to '.join(ends)}" if ends else ""
        ax.set_xlabel(each.field + ("" if each.field in ("depth", "skip") else layers))
    figure.suptitle(title, fontsize=10)
    return figures.save(figure, path)


def draw_regret(path: Path, title: str, regret: dict[str, np.ndarray], exact: np.ndarray) -> Path:
    """Mean regret against evaluations with two standard errors, and random search's exactly."""
    figure, (left, right) = figures.panels(2, size=(4.8, 3.6))
    for (name, each), color in zip(regret.items(), figures.COLORS, strict=False):
        n, mean = 1 + np.arange(each.shape[1]), 100 * each.mean(0)
        error = 200 * each.std(0, ddof=1) / len(each) ** 0.5 if len(each) > 1 else 0 * mean
        left.plot(n, mean, color=color, lw=1.6, label=f"{name} ({len(each)})")
        left.fill_between(n, mean - error, mean + error, color=color, alpha=0.2, lw=0)
        values = 100 * np.sort(each[:, AFTER - 1])
        right.step(values, np.linspace(0, 1, len(values)), color=color, lw=1.4, label=name)
    left.plot(1 + np.arange(len(exact)), 100 * exact, "--", color=figures.INK, lw=1,
              label="random, exactly")  # fmt: skip
    left.axvline(AFTER, color=figures.INK, lw=0.5)
    left.set(xlabel="evaluations", ylabel="mean regret, % test accuracy", yscale="log")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_locator(NullLocator())
    left.legend(frameon=False, fontsize=7)
    right.set(xlabel=f"regret after {AFTER}, %", ylabel="share of searches")
    figure.suptitle(title, fontsize=10)
    return figures.save(figure, path)


def draw_live(path: Path, title: str, found: dict[str, History], children: int) -> Path:
    """Validation accuracy of the children spelled round by round, and the best so far."""
    figure, (left, right) = figures.panels(2, size=(4.4, 3.3))
    for (name, each), color in zip(found.items(), figures.COLORS, strict=False):
        values = np.asarray(each.value)
        rounds = values.reshape(len(values), -1, children).mean(-1).T
        figures.spread(left, 1 + np.arange(len(rounds)), rounds, name, color)
        best = np.maximum.accumulate(values, -1).T
        n = 1 + np.arange(len(best))
        # after the first round, before which there is little to see but one poor child
        figures.spread(right, n[children - 1 :], best[children - 1 :], name, color)
    left.set(xlabel="step of the controller", ylabel="mean validation accuracy")
    right.set(xlabel="children trained", ylabel="best so far")
    left.legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figures.save(figure, path)
