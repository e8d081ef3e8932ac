"""The figures of `stochastic`: returns while learning, and the chances that were learnt."""

from pathlib import Path

import numpy as np

from dljax.envs.aliased import CORRIDOR, SIGNS, walls
from dljax.envs.tabular import MOVES
from dljax.host import figures
from dljax.host.figures import COLORS, INK

STYLES = ("-", "--", ":")
SHOWN = {
    "aliased-gridworld": (walls(CORRIDOR)[1], tuple(MOVES), "beside the middle"),
    "rock-paper-scissors": (0, SIGNS, "the one state"),
}


def draw_returns(path: Path, curves: dict[str, tuple[dict, dict]], steps: int) -> Path:
    """Exact returns [T, N] of every learner in each world, and what is known of the best."""
    figure, axes = figures.panels(len(curves), size=(4.8, 3.6))
    for ax, (world, (known, learnt)) in zip(axes, curves.items(), strict=True):
        for (name, value), style in zip(known.items(), STYLES, strict=True):
            ax.axhline(value, color=INK, lw=0.9, ls=style, label=name)
        for (name, values), color in zip(learnt.items(), COLORS, strict=False):
            figures.spread(ax, steps * np.arange(1, len(values) + 1) / len(values), values, name,
                           color)  # fmt: skip
        ax.set(xlabel="environment steps of a seed", ylabel="exact return of an episode")
        ax.set_title(world, fontsize=10)
        ax.legend(frameon=False, fontsize=7)
    return figures.save(figure, path)


def draw_chances(path: Path, chances: dict[str, dict[str, np.ndarray]]) -> Path:
    """The first seed's chances of actions: where two cells feel the same, and of the signs."""
    figure, axes = figures.panels(len(chances), size=(4.4, 3.2))
    for ax, (world, learnt) in zip(axes, chances.items(), strict=True):
        kind, actions, where = SHOWN[world]
        for i, ((name, policy), color) in enumerate(zip(learnt.items(), COLORS, strict=False)):
            places = np.arange(len(actions)) + 0.26 * (i - 1)
            ax.bar(places, policy[kind], 0.24, color=color, label=name)
        ax.set_xticks(range(len(actions)), actions)
        ax.set(ylim=(0, 1.05), ylabel="chance of the action")
        ax.set_title(f"{world}: {where}", fontsize=9)
        ax.legend(frameon=False, fontsize=8)
    return figures.save(figure, path)
