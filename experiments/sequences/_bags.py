"""Bags of words: what a reader of sentences has to beat."""

from typing import Any

import numpy as np

from dljax.data.sentences import Sentences
from dljax.data.text import PAD, UNK
from dljax.host.baselines import chosen
from dljax.typing import Batch


def scores(data: Sentences) -> dict[str, float]:
    """Test accuracy of each plain classifier, its strength chosen on validation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB

    makes = {
        "logistic regression": [
            LogisticRegression(C=c, max_iter=1000) for c in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
        ],
        "naive Bayes": [MultinomialNB(alpha=a) for a in (0.1, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0)],
    }
    found = {}
    for name, n in (("unigrams", 1), ("bigrams", 2)):
        for kind, models in makes.items():
            ways = [reading(model, n, once) for model in models for once in (False, True)]
            best = chosen([way.fit(*data.train) for way in ways], data.validation)
            found[f"{kind} on {name}"] = float(best.score(*data.test))
    return found


def reading(model: Any, n: int, once: bool) -> Any:
    """The model behind counts of up to n words in a row, or, `once`, of which there are."""
    from sklearn.base import clone
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.pipeline import make_pipeline

    def grams(words: list[str]) -> list[str]:
        ends = range(1, n + 1)
        return [" ".join(words[i : i + k]) for k in ends for i in range(len(words) - k + 1)]

    counter = CountVectorizer(analyzer=grams, binary=once)  # pyright: ignore[reportArgumentType]
    return make_pipeline(counter, clone(model))


PARTS = 10  # of the training sentences, each told of by the others


class Evidence:
    """What words, and pairs of neighbours, tell of each class, as naive Bayes counts labels.

    Called with tokens [n, T] it gives `r_wk = log p(w | k) - mean_k' log p(w | k')` of each word,
    then of the pair that it ends: [n, T, 2 classes]. Counts are raised by 1; padding and what
    training does not have tell nothing. For two classes half the log-count ratio, up to its sign
    (Wang and Manning 2012).
    """

    def __init__(self, train: Batch, words: int, classes: int):
        self.words, self.pairs = words, np.unique(pairs(train.x, words))
        tokens = self.numbered(train.x)
        self.ratios = [
            ratios(Batch(each, train.y), size, classes)
            for each, size in zip(tokens, (words, len(self.pairs) + 2), strict=True)
        ]

    def numbered(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Words, and pairs with 1 for those that training does not have."""
        found = pairs(x, self.words)
        at = np.searchsorted(self.pairs, found).clip(0, len(self.pairs) - 1)
        own = np.where(self.pairs[at] == found, at + 2, UNK)
        return x, np.where(found == PAD, PAD, own)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        tables = zip(self.ratios, self.numbered(x), strict=True)
        return np.concatenate([table[each] for table, each in tables], -1)


def crossed(train: Batch, words: int, classes: int) -> np.ndarray:
    """The evidence of each tenth of the sentences by the other nine, [n, T, 2 classes].

    What a sentence's own label had put into the counts would be trusted, and does not come again:
    Wolpert 1992.
    """
    found = np.zeros((*train.x.shape, 2 * classes), np.float32)
    part = np.random.default_rng(0).permutation(len(train.y)) % PARTS
    for k in range(PARTS):
        own, others = part == k, part != k
        evidence = Evidence(Batch(train.x[others], train.y[others]), words, classes)
        found[own] = evidence(train.x[own])
    return found


def pairs(x: np.ndarray, words: int) -> np.ndarray:
    """Each word with the one before it as one number [n, T], 0 where either is none or unknown."""
    before = np.pad(x[:, :-1], ((0, 0), (1, 0))).astype(np.int64)
    return np.where((x > UNK) & (before > UNK), before * words + x, PAD)


def ratios(data: Batch, words: int, classes: int) -> np.ndarray:
    """`r_wk` of `Evidence`, [words, classes]; the first two words are padding and the unknown."""
    counts = np.ones((words, classes))
    np.add.at(counts, (data.x, np.broadcast_to(data.y[:, None], data.x.shape)), 1)
    counts = counts[2:]
    chances = np.log(counts / counts.sum(0))
    found = chances - chances.mean(1, keepdims=True)
    return np.concatenate([np.zeros((2, classes)), found]).astype(np.float32)
