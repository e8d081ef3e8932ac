"""What `order` shows, and the counts of words that stand beside its networks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dljax.data.grammar import Rules
from dljax.host import figures
from dljax.host.baselines import chosen

Pairs = Sequence[tuple[list[str], list[str]]]


def shown(rules: Rules, pairs: Pairs) -> str:
    """A grammar, one name a line, and a few pairs of its sentences."""
    lines = []
    for name, alternatives in rules.items():
        lines.append(f"{name} = {' | '.join(each or '(nothing)' for each in alternatives)}")
    for good, bad in pairs:
        lines += [f"  + {' '.join(good)}", f"  - {' '.join(bad)}"]
    return "\n".join(lines) + "\n"


def counted(train: Pairs, validation: Pairs, tests: Mapping[str, Pairs]) -> dict[str, float]:
    """The accuracy of logistic regression on which 1, 2 and 3 words stand together, by test.

    Its penalty is chosen on validation.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    def labelled(pairs: Pairs) -> tuple[list[str], list[int]]:
        return [" ".join(each) for pair in pairs for each in pair], [1, 0] * len(pairs)

    fitted = [
        make_pipeline(
            CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 3)),
            LogisticRegression(C=c, max_iter=1000),
        ).fit(*labelled(train))
        for c in (0.1, 1.0, 10.0, 100.0)
    ]
    best = chosen(fitted, labelled(validation))
    return {what: float(best.score(*labelled(pairs))) for what, pairs in tests.items()}


def draw(path: Path, found: dict[str, dict[str, np.ndarray]]) -> None:
    """The criteria as a table, one column a model: the share of sentences understood."""
    rows = list(next(iter(found.values())))
    shares = np.array([[each[what].mean() for each in found.values()] for what in rows])
    figure, (ax,) = figures.panels(1, size=(1.3 * len(found) + 2, 0.55 * len(rows) + 1.2))
    ax.imshow(shares, cmap="RdYlGn", vmin=0.3, vmax=1.2, aspect="auto")
    for row, column in np.ndindex(shares.shape):
        ax.text(column, row, f"{100 * shares[row, column]:.1f}", ha="center", va="center")
    ax.set_xticks(range(len(found)), [name.replace(" of ", "\nof ") for name in found], fontsize=8)
    ax.set_yticks(range(len(rows)), rows, fontsize=9)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title("sentences understood, %; half of them by guessing", fontsize=10)
    figures.save(figure, path)
