"""Topics of documents by plain methods, what topics are measured by, and what is drawn of them."""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.optimize import linear_sum_assignment

from dljax.data.bags import Bags, Part
from dljax.data.documents import tokens
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.host.figures import COLORS, INK
from dljax.ops.coherence import coherence, diversity, npmi
from dljax.typing import Array

NEAR = 10  # training documents that are looked at about a test document
LISTED = 10  # topics in the figure


class Found(NamedTuple):
    """What one seed of a method finds."""

    topics: Any  # [K, V], the greater the more a word is of a topic
    near: Any  # shares of the topics in training documents, [n, K]
    asked: Any  # and in the test's
    perplexity: Any = None  # of the test documents


class Judge(NamedTuple):
    """How topics are measured: NPMI of words in held-out documents, of each topic's `top`."""

    validation: Array  # [V, V]
    test: Array
    top: int

    def quality(self, topics: Any) -> Array:
        """NPMI in validation documents times diversity, by which all choices are made.

        Dieng et al. 2020: NPMI alone is highest where all topics are one.
        """
        pairs = coherence(self.validation, topics, self.top)
        return pairs.mean() * diversity(topics, self.top)


def judge(bags: Bags, top: int) -> Judge:
    return Judge(npmi(bags.validation.counts), npmi(bags.test.counts), top)


def fits(
    fit: Callable[..., Any], settings: Sequence[tuple], seeds: Sequence[int], judge: Judge
) -> list[Any]:
    """`fit(seed, *setting)` of each seed, by what the first seed does best in validation."""
    first = [fit(seeds[0], *setting) for setting in settings]
    scores = [float(judge.quality(jnp.asarray(each.components_))) for each in first]
    best = int(np.argmax(scores))
    return [first[best], *(fit(seed, *settings[best]) for seed in seeds[1:])]


def lda(bags: Bags, topics: int, seeds: Sequence[int], judge: Judge, passes: int) -> list[Found]:
    """Latent Dirichlet allocation by online variational Bayes, priors chosen on validation.

    Blei et al. 2003; Hoffman et al. 2010.
    """
    from sklearn.decomposition import LatentDirichletAllocation

    def fit(seed: int, document: float, word: float) -> Any:
        return LatentDirichletAllocation(
            topics, doc_topic_prior=document, topic_word_prior=word, learning_method="online",
            max_iter=passes, random_state=seed,
        ).fit(bags.train.counts)  # fmt: skip

    priors = [(1 / topics, 1 / topics), (0.1, 0.01), (0.5, 0.1)]
    test = bags.test.counts

    def found(model: Any) -> Found:
        # as if of endless documents: else the topics' own divergence from their prior counts too
        model.set_params(total_samples=1e12)
        told = model.perplexity(test, sub_sampling=True)
        near, asked = map(model.transform, (bags.train.counts, test))
        return Found(model.components_, near, asked, told)

    return [found(model) for model in fits(fit, priors, seeds, judge)]


def nmf(bags: Bags, topics: int, seeds: Sequence[int], judge: Judge) -> list[Found]:
    """Factors of counts or of TF-IDF that are not negative, chosen on validation.

    Lee and Seung 1999.
    """
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.pipeline import make_pipeline

    def fit(seed: int, weigh: bool, loss: str) -> Any:
        solver = "cd" if loss == "frobenius" else "mu"
        options: Any = {"n_components": topics, "beta_loss": loss, "solver": solver}
        factors = NMF(init="nndsvdar", random_state=seed, max_iter=200, **options)
        seen = TfidfTransformer(sublinear_tf=True) if weigh else "passthrough"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = make_pipeline(seen, factors).fit(bags.train.counts.astype(np.float32))
        model.components_ = factors.components_  # pyright: ignore[reportAttributeAccessIssue]
        return model

    kinds = [(True, "frobenius"), (False, "frobenius"), (True, "kullback-leibler")]
    parts = [part.counts.astype(np.float32) for part in (bags.train, bags.test)]
    best = fits(fit, kinds, seeds, judge)
    return [Found(model.components_, *map(model.transform, parts)) for model in best]


def measured(bags: Bags, found: Sequence[Found], judge: Judge) -> dict[str, list[float]]:
    """Each seed's measures on the test documents."""
    rows: dict[str, list[float]] = {}
    for each in found:
        topics = jnp.asarray(each.topics)
        values: dict[str, Any] = {
            "NPMI": coherence(judge.test, topics, judge.top).mean(),
            "topic diversity": diversity(topics, judge.top),
        }
        if each.perplexity is not None:
            values["perplexity bound"] = each.perplexity
        if bags.classes:
            near = neighbours(each.near, each.asked)
            same = bags.train.labels[near] == bags.test.labels[:, None]
            values[f"class of the nearest {NEAR}"] = same.mean()
        if bags.topics is not None and bags.topics.shape == topics.shape:
            values["cosine to the true topics"] = matched(each.topics, bags.topics)[1].mean()
        for name, value in values.items():
            rows.setdefault(name, []).append(float(value))
    return rows


def neighbours(near: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The `NEAR` documents of most alike shares, by `sum_k sqrt(p_k q_k)`, of each asked."""
    p, q = (np.sqrt(x / np.maximum(x.sum(1, keepdims=True), 1e-30)) for x in (near, asked))
    count = min(NEAR, len(p) - 1)
    rows = [
        np.argpartition(-piece @ p.T, count)[:, :count]
        for piece in np.array_split(q.astype(np.float32), -(-len(q) // 1000))
    ]
    return np.concatenate(rows)


def matched(found: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each true topic one found, all different, and their cosines, whose sum is greatest."""
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (true, found)]
    cosines = unit[0] @ unit[1].T
    rows, columns = linear_sum_assignment(-cosines)
    return columns, cosines[rows, columns]


def report(run: Study, bags: Bags, found: dict[str, list[Found]], judge: Judge) -> None:
    """Each method's measures, the first's as metrics, and how far its NPMI leads, seed by seed.

    The goal is to lead LDA by two standard errors, where no topics are known to be reached.
    """
    rows = {name: measured(bags, each, judge) for name, each in found.items()}
    first, *plain = rows
    for name, values in rows[first].items():
        run.metric(name, values, "lower" if name.startswith("perplexity") else "higher")
    for method in plain:
        for name, values in rows[method].items():
            run.baseline(f"{method}, {name}", name, values)
        lead = np.subtract(rows[first]["NPMI"], rows[method]["NPMI"])
        run.metric(f"lead over {method}", lead)
        if method == "LDA" and bags.topics is None and len(lead) > 1:
            needed = np.mean(rows[method]["NPMI"]) + 2 * lead.std(ddof=1) / len(lead) ** 0.5
            ours = np.mean(rows[first]["NPMI"])
            run.target("NPMI", float(needed), "LDA's and two errors of the lead", ours > needed)
    if bags.topics is not None:
        known = coherence(judge.test, jnp.asarray(bags.topics), judge.top)
        run.baseline("true topics, NPMI", "NPMI", known.mean())
    for line in table(bags, found[first][0].topics, judge):
        print(line, flush=True)
    (run.out / "topics.txt").write_text("\n".join(each_topic(bags, found[first], run.seeds)) + "\n")


def table(bags: Bags, topics: np.ndarray, judge: Judge) -> list[str]:
    """The most and the least coherent topics, a line of at most 80 characters each."""
    scores = np.asarray(coherence(judge.test, jnp.asarray(topics), judge.top))
    order = np.argsort(-scores)
    shown = order if len(order) <= LISTED else [*order[: LISTED - 3], *order[-3:]]
    return [
        "NPMI  foremost words",
        *(f"{scores[k]:4.2f}  {words(bags, topics[k], 72)}" for k in shown),
    ]


def each_topic(bags: Bags, found: list[Found], seeds: Sequence[int]) -> Iterable[str]:
    """Every topic by its number, as the model that is left gives shares of them."""
    for seed, each in zip(seeds, found, strict=True):
        for k, topic in enumerate(each.topics):
            yield f"seed {seed}, topic {k}: {words(bags, topic, 200)}"


def words(bags: Bags, topic: np.ndarray, width: int) -> str:
    """The foremost words of a topic [V], as many as the width holds."""
    said = " ".join(bags.words[i] for i in np.argsort(-topic, kind="stable")[:10])
    return said if len(said) <= width else said[: width + 1].rpartition(" ")[0]


def draw(run: Study, bags: Bags, found: dict[str, list[Found]], judge: Judge) -> None:
    """The figures, of each method's first seed."""
    first = {name: each[0] for name, each in found.items()}
    topics = {name: each.topics for name, each in first.items()}
    if bags.topics is None:
        run.figure("topics.png", listed, bags, topics, judge)
        run.figure("nearest.png", nearest, bags, next(iter(first.values())))
    else:
        run.figure("topics.png", grids, bags.topics, topics)


def listed(path: Path, bags: Bags, topics: dict[str, np.ndarray], judge: Judge) -> Path:
    """The words of each method's most and least coherent topics."""
    figure, axes = figures.panels(1, len(topics), (6.3, 2.5))
    for ax, (name, each), color in zip(axes, topics.items(), COLORS, strict=False):
        ax.axis("off")
        ax.set_title(f"{name}: NPMI in test documents, foremost words", fontsize=9, color=color)
        for i, line in enumerate(table(bags, each, judge)[1:]):
            ax.text(0, 1 - (i + 0.5) / LISTED, line, fontsize=8, color=INK, va="center")
    return figures.save(figure, path)


def nearest(path: Path, bags: Bags, found: Found, asked: int = 4, shown: int = 3) -> Path:
    """Test documents, and the training documents of most alike topics."""
    figure, (ax,) = figures.panels(1, 1, (6.3, 0.24 * asked * (shown + 2)))
    ax.axis("off")
    some = np.linspace(0, len(found.asked) - 1, asked + 2).astype(int)[1:-1]
    lines = []
    for i, near in zip(some, neighbours(found.near, found.asked[some]), strict=True):
        lines.append((start(bags, bags.test, i), COLORS[0]))
        lines += [(f"    {start(bags, bags.train, j)}", INK) for j in near[:shown]]
        lines.append(("", INK))
    for i, (line, color) in enumerate(lines):
        ax.text(0, 1 - (i + 0.5) / len(lines), line, fontsize=8, color=color, va="center")
    ax.set_title(
        "test documents by their first words, and below each its nearest in training", fontsize=9
    )
    return figures.save(figure, path)


def start(bags: Bags, part: Part, row: int, width: int = 90) -> str:
    """The class of a document, and its first words of those that are looked at, in one line."""
    known = set(bags.words)
    said = " ".join(word for word in tokens(part.texts[row]) if word in known)
    group = f"[{bags.classes[part.labels[row]]}] " if bags.classes else ""
    return f"{group}{said}"[:width]


def grids(path: Path, true: np.ndarray, topics: dict[str, np.ndarray]) -> Path:
    """True topics of a grid's places, and under each the one that every method found for it."""
    rows = {"true": true}
    cosines = {}
    for name, each in topics.items():
        columns, found = matched(each, true)
        rows[name] = each[columns]
        cosines[name] = found
    figure, axes = figures.panels(len(true), len(rows), (0.8, 0.95))
    for i, (name, each) in enumerate(rows.items()):
        for j, topic in enumerate(each):
            ax = axes[i * len(true) + j]
            ax.imshow(topic.reshape(math.isqrt(topic.size), -1), cmap="Blues", vmin=0)
            ax.set(xticks=[], yticks=[])
            if name in cosines:
                ax.set_xlabel(f"{cosines[name][j]:.2f}", fontsize=7)
        axes[i * len(true)].set_ylabel(name, fontsize=8)
    figure.suptitle("topics, and their cosines with the true ones", fontsize=9)
    return figures.save(figure, path)
