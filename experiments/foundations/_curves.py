"""The figures of universal_approximation: errors by width, and guesses beyond the data."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dljax.host.figures import COLORS, INK, panels, save, spread


def errors_by_size(
    path: Path,
    sizes: Sequence[int],
    errors: dict[str, np.ndarray],
    reference: np.ndarray,
    names: Sequence[str],
    labels: tuple[str, str, str],
) -> Path:
    """A panel a function: errors {kind: [S, F, N]} with their range over seeds, a reference [S, F].

    labels: of the sizes, of the errors and of the reference. Values below 1e-6 are not drawn.
    """
    figure, axes = panels(len(names), size=(3.8, 3.2))
    for j, (ax, name) in enumerate(zip(axes, names, strict=True)):
        for (kind, values), color in zip(errors.items(), COLORS, strict=False):
            spread(ax, sizes, values[:, j], kind, color)
        drawn = np.where(reference[:, j] > 1e-6, reference[:, j], np.nan)
        ax.plot(sizes, drawn, color=INK, ls="--", lw=1, label=labels[2])
        ax.set(yscale="log", xlabel=labels[0], title=name, ylim=(1e-4, 4))
        ax.set_xscale("log", base=2)
    axes[0].set_ylabel(labels[1])
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
