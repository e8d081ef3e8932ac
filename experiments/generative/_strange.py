"""What is normal and what is strange, plain scores of it, and what all scores are worth."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from dljax.data import ImageData
from dljax.data.stream import unit_scale
from dljax.errors import InputError
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.host.figures import INK
from experiments.generative import _three
from experiments.generative._groups import histograms
from experiments.generative._images import mosaic

PLAIN = ("components' error", "Gaussian density", "nearest neighbour")
TOLD = ("nearest of either sort", "support vectors")  # which see outliers in training
SEEN = ", seen kinds"  # after the name of a score, of new images of such kinds


class Design(NamedTuple):
    """Rows of all images: normal to train on, and normal and strange ones of the test sets."""

    name: str
    train: np.ndarray
    inside: np.ndarray
    outside: np.ndarray
    exposed: np.ndarray  # strange ones of other kinds, to train on as such, or none
    seen: np.ndarray  # and to test with


class Sorts(NamedTuple):
    """Scores [seeds, n] of normal and of strange images."""

    inside: np.ndarray
    outside: np.ndarray

    def auroc(self) -> np.ndarray:
        """The chance that a strange image scores above a normal one, [seeds]."""
        from sklearn.metrics import roc_auc_score

        strange = np.repeat([0, 1], [self.inside.shape[1], self.outside.shape[1]])
        rows = np.concatenate([self.inside, self.outside], 1)
        return np.array([roc_auc_score(strange, row) for row in rows])


class Plain(NamedTuple):
    """The deviation of a pixel about the components, and the plain scores."""

    scale: float
    scores: dict[str, Sorts]


def designs(
    data: ImageData,
    other: ImageData | None,
    held_out: Sequence[int],
    examples: int,
    tested: int,
    exposed: int = 0,
) -> tuple[np.ndarray, list[Design]]:
    """The images [N, h, w, c] in use; a design for each label held out, and two for `other`.

    The `exposed` labels after the one held out are strange too, and seen so in training, in no more
    images than the normal. Raises InputError if a design has too few to train on, or if there is
    none.
    """
    sets = [data] if other is None else [data, other]
    splits = [part for each in sets for part in (each.train, each.test)]
    starts = np.cumsum([0, *(len(part.y) for part in splits)])
    # NumPy keeps these numbers for ever; designs share most of their images
    orders = [np.random.RandomState(0).permutation(len(part.y)) for part in splits]

    def rows(part: int, n: int, keep: np.ndarray | None = None) -> np.ndarray:
        order = orders[part] if keep is None else orders[part][keep[orders[part]]]
        return np.sort(starts[part] + order[:n])

    found = []
    if other is not None:
        for first, second, name in (
            (0, 2, f"{other.name} among {data.name}"),
            (2, 0, f"{data.name} among {other.name}"),
        ):
            inside, outside = rows(first + 1, tested), rows(second + 1, tested)
            none = np.zeros(0, int)
            found.append(Design(name, rows(first, examples), inside, outside, none, none))
    classes = len(data.classes)
    fewest = int(np.bincount(data.train.y).min())
    for label in held_out:
        strange = (label + np.arange(exposed + 1)) % classes
        normal = rows(0, examples, ~np.isin(data.train.y, strange))
        inside = rows(1, tested, ~np.isin(data.test.y, strange))
        outside = rows(1, tested, data.test.y == label)
        # equally many in each design, which train in one program
        shown = rows(0, min(exposed * fewest, examples), np.isin(data.train.y, strange[1:]))
        seen = rows(1, tested, np.isin(data.test.y, strange[1:]))
        found.append(Design(data.classes[label], normal, inside, outside, shown, seen))
    for design in found:
        if len(design.train) < examples:
            raise InputError(
                f"--examples must be at most {len(design.train)}, the normal images of "
                f"{design.name}; got {examples}"
            )
    if not found:
        raise InputError("--held-out names no label, and --other no data set: nothing is strange")
    used = np.unique(np.concatenate([rows for design in found for rows in design[1:]]))
    x = np.concatenate([part.x for part in splits])[used]  # few, since all go to the device
    return x, [
        Design(design.name, *(np.searchsorted(used, rows) for rows in design[1:]))
        for design in found
    ]


def plain(x: np.ndarray, design: Design, components: int) -> Plain:
    """Scores by scikit-learn: principal components, and the nearest image of the training set.

    With exposed outliers also how much nearer they are, and a machine that tells the sorts apart.

    The deviation is probabilistic PCA's: the mean variance of what the components leave.
    """
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors
    from sklearn.svm import SVC

    def flat(rows: np.ndarray) -> np.ndarray:
        return np.asarray(unit_scale(jnp.asarray(x[rows])), np.float64).reshape(-1, x[0].size)

    train = flat(design.train)
    told = flat(design.exposed)
    pca = PCA(components, random_state=0).fit(train)
    neighbours = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(train)

    if len(told):
        others = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(told)
        sort = np.repeat([0, 1], [len(train), len(told)])
        machine = SVC(C=10, class_weight="balanced").fit(np.concatenate([train, told]), sort)

    def score(rows: np.ndarray) -> dict[str, np.ndarray]:
        own = flat(rows)
        error = ((own - pca.inverse_transform(pca.transform(own))) ** 2).sum(1)
        near = neighbours.kneighbors(own)[0][:, 0]
        found: dict[str, np.ndarray] = dict(
            zip(PLAIN, (error, -pca.score_samples(own), near), strict=True)
        )
        if len(told):
            away = others.kneighbors(own)[0][:, 0]
            found |= dict(zip(TOLD, (near / away, machine.decision_function(own)), strict=True))
        return found

    inside, outside = score(design.inside), score(design.outside)
    both = {name: Sorts(inside[name][None], outside[name][None]) for name in inside}
    if len(told):
        seen = score(design.seen)
        both |= {name + SEEN: Sorts(inside[name][None], seen[name][None]) for name in TOLD}
    return Plain(float(np.sqrt(pca.noise_variance_)), both)


def report(
    run: Study,
    designs: Sequence[Design],
    learnt: Sequence[dict[str, Sorts]],
    plain: Sequence[Plain],
) -> dict[str, np.ndarray]:
    """AUROC of every score in every design, and of the mean design; gives [designs, seeds]."""
    by_design = [scores | own.scores for scores, own in zip(learnt, plain, strict=True)]
    found = {k: np.array([scores[k].auroc() for scores in by_design]) for k in by_design[0]}
    titles = [*(design.name for design in designs), "mean"]
    for name, values in found.items():
        for title, row in zip(titles, (*values, values.mean(0)), strict=True):
            if name in plain[0].scores:
                run.baseline(f"{name}, {title}", "AUROC", row[0])
            else:
                run.metric(f"AUROC of {name}, {title}", row)
    best = np.max([found[name].mean(1) for name in plain[0].scores if SEEN not in name], 0)
    for name, untold in _three.TOLD.items():
        if name not in found:
            continue
        gain = (found[name] - found[untold]).mean(0)
        run.gain(f"gain of the {name}", gain, "two standard errors of the paired gain", seeds=5)
    for name in (name for name in learnt[0] if SEEN not in name):
        means = found[name].mean(1)
        below = [design.name for design, mean in zip(designs, means, strict=True) if mean < 0.5]
        if below:
            print(f"failure: the {name} is below chance on {', '.join(below)}")
        run.metric(f"below chance, {name}", (found[name] < 0.5).mean(0), "lower")
        gain = (found[name] - best[:, None]).mean(0)
        run.metric(f"gain of {name} over the best plain", gain)
    return found


def draw(
    run: Study,
    x: np.ndarray,
    designs: Sequence[Design],
    learnt: Sequence[dict[str, Sorts]],
    plain: Sequence[Plain],
    found: dict[str, np.ndarray],
) -> None:
    """All scores; and where the bound is best and worst, how it spreads and what it mistakes."""
    run.figure("auroc.png", table, designs, found)
    order = found["bound"].mean(1).argsort()
    picked = {"best": int(order[-1]), "worst": int(order[0])}
    panels = {}
    for said, i in picked.items():
        title = f"{said}: {designs[i].name} is strange, AUROC {found['bound'][i, 0]:.2f}"
        panels[title] = learnt[i]["bound"]
        run.figure(f"{said}.png", mistakes, x, designs[i], learnt[i] | plain[i].scores)
    run.figure("bound.png", bounds, panels)


def bounds(path: Path, panels: dict[str, Sorts]) -> Path:
    """How the bound of the first seed spreads, each panel under its title."""
    figure, axes = figures.panels(len(panels), size=(4.6, 3.2))
    for ax, (title, sorts) in zip(axes, panels.items(), strict=True):
        inside, outside = sorts.inside[0], sorts.outside[0]
        both = np.concatenate([inside, outside])
        # a few outliers are so far out that they would leave one bar of all others
        edges = np.linspace(both.min(), np.percentile(both, 99), 25)
        histograms(ax, edges, {"normal": inside, "strange": outside})
        ax.set(xlabel="negative bound, nats", ylabel="share")
        ax.set_title(title, fontsize=10)
    figure.suptitle("the bound of the first seed", fontsize=10)
    return figures.save(figure, path)


def table(path: Path, designs: Sequence[Design], found: dict[str, np.ndarray]) -> Path:
    """AUROC, the mean over seeds, by score (rows) and design (columns); the last is their mean."""
    values = np.array([rows.mean(1) for rows in found.values()])
    values = np.concatenate([values, values.mean(1, keepdims=True)], 1)
    names = [*(design.name.replace(" among ", "\namong ") for design in designs), "mean"]
    figure, (ax,) = figures.panels(1, size=(0.75 * len(names) + 2.6, 0.4 * len(found) + 1))
    ax.imshow(values, cmap="RdBu", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*values.shape):
        pale = abs(values[row, column] - 0.5) < 0.3
        text = f"{values[row, column]:.2f}"
        ax.text(column, row, text, ha="center", va="center", fontsize=8, color=INK if pale else "w")
    turned = {"rotation": 30, "ha": "right"} if max(map(len, names)) > 12 else {}
    ax.set_xticks(range(len(names)), names, **turned)
    ax.set_yticks(range(len(found)), list(found))
    learnt = [name for name in found if name.removesuffix(SEEN) not in PLAIN + TOLD]
    ax.axhline(len(learnt) - 0.5, color=INK, lw=1.4)
    ax.axvline(len(names) - 1.5, color=INK, lw=1.4)
    ax.tick_params(length=0)
    ax.set_xlabel("what is strange")
    ax.set_title("AUROC; 0.5 is chance; plain scores below the line", fontsize=10)
    return figures.save(figure, path)


def mistakes(
    path: Path, x: np.ndarray, design: Design, scores: dict[str, Sorts], count: int = 10
) -> Path:
    """By each score of the first seed, the least strange outliers, and the strangest normal."""
    rows = {}
    for name, sorts in scores.items():
        if SEEN in name:
            continue
        least = design.outside[sorts.outside[0].argsort()[:count]]
        most = design.inside[sorts.inside[0].argsort()[::-1][:count]]
        left, right = (np.asarray(unit_scale(jnp.asarray(x[each]))) for each in (least, most))
        rows[name] = np.concatenate([left, np.zeros_like(right[:1]), right])
    said = "left, outliers of the least score; right, normal of the greatest"
    return mosaic(path, rows, f"{design.name} is strange: {said}")
