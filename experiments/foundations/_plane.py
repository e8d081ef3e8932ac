"""The figures of perceptron and course: what is decided where in a plane."""

from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from dljax.data.students import HOURS, LECTURES, MARK, Students, expected_score
from dljax.host.figures import INK, panels, regions, save
from dljax.typing import Array, Batch

PAPER = {"facecolor": "w", "edgecolor": "none", "pad": 0.8}  # under words, over lines
Field = Callable[[Array], Array]
"""x [n, 2] -> [n]."""


def decisions(
    path: Path, neuron: Field, point: np.ndarray, logits: Sequence[Field], corners: Batch
) -> Path:
    """The worked neuron's plane with its point, then a linear and a hidden network on XOR."""
    kinds = ("linear, three layers", "one hidden layer of tanh")
    figure, axes = panels(1 + len(logits), size=(3.4, 3.5))
    regions(axes[0], neuron, (-4, 4, -4, 4))
    axes[0].set_title("one neuron: 1 + 3 x1 - 2 x2 = 0", fontsize=10)
    z = neuron(jnp.asarray(point))
    mark(axes[0], point, f"z = {z:.0f}, chance {jax.nn.sigmoid(z):.5f}", above=0.5)
    for ax, kind, logit in zip(axes[1:], kinds, logits, strict=True):
        regions(ax, logit, (-0.5, 1.5, -0.5, 1.5))
        ax.set_title(f"XOR: {kind}", fontsize=10)
        for x, y, chance in zip(*corners, jax.nn.sigmoid(logit(corners.x)), strict=True):
            mark(ax, x, f"{chance:.2f}", above=0.13, marker="s" if y else "o")
    for ax in axes:
        ax.set(xlabel="x1", ylabel="x2", aspect="equal")
    return save(figure, path)


def mark(ax: Axes, x: np.ndarray, said: str, above: float, marker: str = "o") -> None:
    ax.scatter(*x, marker=marker, c="w", edgecolors=INK, s=60, zorder=3)
    ax.text(x[0], x[1] + above, said, ha="center", fontsize=8, bbox=PAPER)


def passing(path: Path, answers: Callable[[Array], tuple[Array, Array]], train: Students) -> Path:
    """The chance of passing and the score over lectures and hours, and the students there."""
    figure, axes = panels(2, size=(4.6, 3.6))
    box, x, passed = (0, LECTURES, 0, HOURS), np.asarray(train.x), np.asarray(train.passed)
    meshes = [
        regions(axes[0], lambda x: answers(x)[0], box, (0, 1), boundary=0.5),
        regions(axes[1], lambda x: answers(x)[1], box, (0, 100), boundary=MARK),
    ]
    for kind, marker, word in ((~passed, "o", "failed"), (passed, "s", "passed")):
        look = {"marker": marker, "s": 11, "c": "w", "edgecolors": INK, "lw": 0.6}
        axes[0].scatter(*x[kind].T, label=word, **look)
    axes[0].legend(fontsize=8, loc="upper right")
    axes[0].set_title("will I pass? the chance, and the line of 1/2", fontsize=10)
    axes[1].set_title("final score, its line of 50, and the rule's, dashed", fontsize=10)
    grid = np.meshgrid(np.linspace(*box[:2], 121), np.linspace(*box[2:], 121))
    rule = expected_score(jnp.stack(grid, -1))
    axes[1].contour(*grid, rule, [MARK], colors=INK, linestyles="--", linewidths=1.2)
    for ax, mesh in zip(axes, meshes, strict=True):
        ax.set(xlabel="lectures attended", ylabel="hours on the project")
        ax.set(xlim=box[:2], ylim=box[2:])
        figure.colorbar(mesh, ax=ax)
    return save(figure, path)
