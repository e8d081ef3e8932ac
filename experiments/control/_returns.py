"""Returns against environment steps: how the agents of an experiment learnt."""

from pathlib import Path

import numpy as np

from dljax.host import figures
from dljax.host.log import Record
from dljax.host.result import Result


def curve(records: list[Record], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Environment steps and values [T, N] of a metric at each evaluation."""
    rows = [record for record in records if "validation/steps" in record]
    return figures.curve(rows, "validation/steps")[1], figures.curve(rows, name)[1]


def draw(path: Path, result: Result, records: list[Record]) -> None:
    """The return while learning and on validation episodes, the baselines and the goal."""
    figure, (ax,) = figures.panels(1, size=(5.6, 3.8))
    # there is no return while learning before an episode of every seed has ended
    ended = (curve(records, "train/episodes")[1] > 0).all(1)
    for split, label, color, shown in (
        ("train", "while learning", figures.COLORS[1], ended),
        ("validation", "on validation episodes", figures.COLORS[0], slice(None)),
    ):
        played, values = (x[shown] for x in curve(records, f"{split}/return"))
        figures.spread(ax, played.mean(1), values, label, color)
    styles = ("--", ":", "-.")
    for (name, baseline), style in zip(result.baselines.items(), styles, strict=False):
        ax.axhline(baseline["mean"], color=figures.INK, lw=1, ls=style, label=name)
    if "test return" in result.targets:
        value = result.targets["test return"]["value"]
        ax.axhline(value, color=figures.COLORS[2], lw=1, label="goal")
    ax.set(xlabel="environment steps of a seed", ylabel="return")
    ax.legend(frameon=False, fontsize=8)
    algorithm, env = result.experiment.rpartition(".")[2], result.config["env"]
    seeds = len(result.seeds)
    title = f"{algorithm} on {env}: mean of {seeds} seeds, least to greatest"
    ax.set_title(title, fontsize=10)
    figures.save(figure, path)


def draw_games(path: Path, result: Result, records: dict[tuple[str, str], list[Record]]) -> Path:
    """A panel a game: validation returns of each algorithm, beside chance and the published.

    records by (game, algorithm).
    """
    games = list(dict.fromkeys(game for game, _ in records))
    columns = min(3, len(games))
    figure, axes = figures.panels(columns, -(-len(games) // columns))
    for ax in axes[len(games) :]:
        ax.axis("off")
    for ax, game in zip(axes, games, strict=False):
        ax.set(title=game, xlabel="thousand steps of a seed", ylabel="validation return")
        ax.axhline(
            result.baselines[f"random policy, {game}"]["mean"], color=figures.INK, lw=1, ls=":",
            label="random policy",
        )  # fmt: skip
    colors = dict(zip(dict.fromkeys(who for _, who in records), figures.COLORS, strict=False))
    for (game, who), rows in records.items():
        ax = axes[games.index(game)]
        played, values = curve(rows, "validation/return")
        figures.spread(ax, played.mean(1) / 1000, values, who, colors[who])
        if known := result.baselines.get(f"published, {game}, {who}"):
            ax.axhline(known["mean"], color=colors[who], lw=1, ls="--", label=f"{who}, published")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    return figures.save(figure, path)
