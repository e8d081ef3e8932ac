"""A library that is searched for hits: tasks, plain models and scores of `molecules`."""

from pathlib import Path
from typing import Any

import numpy as np
import optax

from dljax.data import molecules
from dljax.data.molecules import Molecules
from dljax.errors import InputError
from dljax.host import figures
from dljax.host.experiment import Study
from experiments.frontiers._molecules import Task

SHARES = (0.4, 0.5)  # learnt from, and chosen by; half is ranked
FIRST = 0.01
PARTS = ("learn from", "choose by", "rank")


def labels(library: Molecules) -> np.ndarray:
    """Hits, float32 [n, K] of 0 and 1, nan where not measured.

    Of a target that is not 0 or 1 already, the greatest tenth hits.
    """
    y = library.y
    known = np.isfinite(y)
    binary = (~known | np.isin(y, (0, 1))).all(0)
    hits = np.where(known, y >= np.nanquantile(y, 0.9, 0), np.nan)
    return np.where(binary, y, hits).astype(np.float32)


def task(library: Molecules) -> Task:
    """By scaffolds: what is ranked has others than what is learnt from.

    Raises InputError for a target all of whose labels in a part are one class.
    """
    y = labels(library)
    parts = molecules.scaffold_split(library, SHARES)
    for rows, said in zip(parts, PARTS, strict=True):
        for name, own in zip(library.targets, y[rows].T, strict=True):
            if len(set(own[np.isfinite(own)])) < 2:
                raise InputError(
                    f"{library.name}, {name}: all molecules to {said} are of one class"
                )
    train, validation, test = (rows[None] for rows in parts)
    none = np.zeros((1, len(y), 0), np.float32)
    loss = optax.sigmoid_binary_cross_entropy
    return Task(none, y[None], np.zeros(1), np.ones(1), train, validation, test, loss)


def enrichment(scores: np.ndarray, hits: np.ndarray, first: float = FIRST) -> float:
    """How many times the share of hits is among the first so much as among all: both [n].

    `(hits among the best ceil(first n) / ceil(first n)) / (hits / n)`; ties in order of the list.
    What was not measured (nan) is not in the list.
    """
    known = np.isfinite(hits)
    scores, hits = scores[known], hits[known]
    best = np.argsort(-scores, kind="stable")[: int(np.ceil(first * len(hits)))]
    return float(hits[best].mean() / hits.mean())


def scored(scores: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Enrichment and area under the ROC curve of scores [t, K], the means over targets."""
    from sklearn.metrics import roc_auc_score

    pairs = [*zip(scores.T, y.T, strict=True)]
    areas = [roc_auc_score(hit[np.isfinite(hit)], own[np.isfinite(hit)]) for own, hit in pairs]
    return float(np.mean([enrichment(*pair) for pair in pairs])), float(np.mean(areas))


def plain(own: Task, prints: np.ndarray) -> dict[str, np.ndarray]:
    """What models of fingerprints, one a target, say of what is ranked: by name, [t, K]."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    train, validation, test = own.of(0)[1]
    x = np.log1p(prints.astype(np.float32))

    def fits(kind: str) -> list[Any]:
        if kind == "forest on fingerprints":
            return [RandomForestClassifier(200, min_samples_leaf=2, random_state=0)]
        return [LogisticRegression(C=c, solver="liblinear") for c in (0.01, 0.1, 1.0)]

    found: dict[str, Any] = {"logistic on fingerprints": [], "forest on fingerprints": []}
    for hits in own.y[0].T:
        rows, held = (part[np.isfinite(hits[part])] for part in (train, validation))
        for name, each in found.items():
            models = [model.fit(x[rows], hits[rows]) for model in fits(name)]
            losses = [log_loss(hits[held], model.predict_proba(x[held])) for model in models]
            each.append(models[int(np.argmin(losses))].predict_proba(x[test])[:, 1])
    return {name: np.stack(each, 1) for name, each in found.items()}


def found_by(scores: np.ndarray, y: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The share of hits among the first of a ranking, at each share of it: the targets' mean."""
    curves = []
    for own, hits in zip(scores.T, y.T, strict=True):
        known = np.isfinite(hits)
        ranked = hits[known][np.argsort(-own[known], kind="stable")]
        cut = np.ceil(shares * len(ranked)).astype(int)
        curves.append(np.append(0, np.cumsum(ranked))[cut] / ranked.sum())
    return np.mean(curves, 0)


def judge(run: Study, library: Molecules, own: Task, told: np.ndarray) -> None:
    """How well each seed ranks what was not learnt from, told [S, n, K], beside fingerprints."""
    (_, (_, _, ranked)), title = own.of(0), library.name
    y, rankings = own.y[0][ranked], {"messages": [each[ranked] for each in told]}
    scores = np.array([scored(each, y) for each in rankings["messages"]])
    names = [f"enrichment in the first 1 %, {title}", f"ROC area, {title}"]
    for name, values in zip(names, scores.T, strict=True):
        run.metric(name, values)
    for model, each in plain(own, molecules.fingerprints(library)).items():
        rankings[model] = [each]
        for name, value in zip(names, scored(each, y), strict=True):
            run.baseline(f"{model}, {name}", name, value)
    run.figure("search.png", draw, f"{title}: {len(y)} molecules ranked", rankings, y)


def draw(path: Path, title: str, rankings: dict[str, list[np.ndarray]], y: np.ndarray) -> Path:
    """Which share of the hits each ranking [t, K] has found, by how much of it is tested."""
    figure, (ax,) = figures.panels(1, size=(5.0, 3.8))
    shares = np.geomspace(0.005, 1, 60)
    for (name, each), color in zip(rankings.items(), figures.COLORS, strict=False):
        curves = np.stack([found_by(scores, y, shares) for scores in each], 1)
        figures.spread(ax, 100 * shares, 100 * curves, name, color)
    ax.plot(100 * shares, 100 * shares, color=figures.INK, lw=0.8, ls=":", label="by chance")
    ax.axvline(100 * FIRST, color=figures.INK, lw=0.5)
    ax.set(xscale="log", xlabel="% of the ranking tested", ylabel="% of the hits found")
    ax.set_title(title, fontsize=10)
    ax.legend(fontsize=8, frameon=False)
    return figures.save(figure, path)
