"""How well each class is told, as scikit-learn's metrics have it, for every seed."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def scores(labels: np.ndarray, chances: np.ndarray) -> dict[str, np.ndarray]:
    """precision, recall, F1 and AUROC [N, K] of labels [n] by chances [N, n, K], a row a seed.

    nan: recall, F1 and AUROC of a class that labels do not hold, and AUROC where all rows have it.
    Precision without a guess is 0. AUROC of a class against all others: Hanley and McNeil 1982.
    """
    from scipy.stats import rankdata
    from sklearn.metrics import precision_recall_fscore_support

    options: dict[str, Any] = {"labels": np.arange(chances.shape[-1]), "zero_division": 0}
    classes = chances.shape[-1]
    of = labels[:, None] == np.arange(classes)
    count, others = of.sum(0), (~of).sum(0)
    found = []
    for each in chances:
        told = precision_recall_fscore_support(labels, each.argmax(-1), **options)
        ranks = (rankdata(each, axis=0) * of).sum(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            area = (ranks - count * (count + 1) / 2) / (count * others)
        lost = np.where(count > 0, 0, np.nan)
        found.append([told[0], told[1] + lost, told[2] + lost, area])
    return dict(zip(("precision", "recall", "F1", "AUROC"), np.stack(found, 1), strict=True))


def summary(scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Means over the classes that are there, [N]: what rare classes count in as much as others."""
    names = {"recall": "balanced accuracy", "F1": "macro F1", "AUROC": "AUROC"}
    there = ~np.isnan(scores["recall"]).all(0)
    return {said: np.nanmean(scores[name][:, there], 1) for name, said in names.items()}


def table(
    scores: dict[str, np.ndarray], classes: Sequence[str], labels: np.ndarray
) -> dict[str, dict[str, Any]]:
    """Of each class its rows, and the mean over seeds of each score; None where there is none."""
    rows = np.bincount(labels, minlength=len(classes)).tolist()
    means = {name: values.mean(0).tolist() for name, values in scores.items()}
    return {
        each: {"rows": rows[k]} | {n: None if v[k] != v[k] else v[k] for n, v in means.items()}
        for k, each in enumerate(classes)
    }


def lines(found: dict[str, dict[str, Any]], most: int = 20) -> list[str]:
    """The table of the `most` classes that are told worst, a line each, under a head."""
    names = ("precision", "recall", "F1", "AUROC")
    worst = sorted(found, key=lambda each: (found[each]["F1"] is None, found[each]["F1"] or 0))
    shown = worst[:most] if len(found) > most else list(found)
    more = f", the worst {most} of {len(found)}" if len(found) > most else ""
    rows = [f"{'class' + more:28} {'rows':>6}" + "".join(f" {name:>9}" for name in names)]
    for each in shown:
        told = (found[each][name] for name in names)
        numbers = "".join(f" {'-':>9}" if v is None else f" {v:9.4f}" for v in told)
        rows.append(f"{each[:28]:28} {found[each]['rows']:6}{numbers}")
    return rows
