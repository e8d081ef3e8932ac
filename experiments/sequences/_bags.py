"""Bags of words: what a reader of sentences has to beat."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from dljax.data.sentences import Labelled, Sentences
from dljax.data.text import PAD, UNK
from dljax.errors import InputError
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
        counters = [counter(n, once).fit(data.train.words) for once in (False, True)]
        for kind, models in makes.items():
            fitted = [fit(each, model, data.train) for each in counters for model in models]
            found[f"{kind} on {name}"] = float(chosen(fitted, data.validation).score(*data.test))
    return found


def counter(n: int, once: bool) -> Any:
    """Counts of up to n words in a row, or, `once`, of which there are."""
    from sklearn.feature_extraction.text import CountVectorizer

    def grams(words: list[str]) -> list[str]:
        ends = range(1, n + 1)
        return [" ".join(words[i : i + k]) for k in ends for i in range(len(words) - k + 1)]

    return CountVectorizer(analyzer=grams, binary=once)  # pyright: ignore[reportArgumentType]


def fit(counter: Any, model: Any, train: Labelled) -> Any:
    """A fresh copy of the model behind a counter that is fitted already."""
    from sklearn.base import clone
    from sklearn.pipeline import make_pipeline

    own: Any = clone(model)
    own.fit(counter.transform(train.words), train.labels)
    return make_pipeline(counter, own)


MOST = 46340  # words, the square of which int32 holds
PARTS = 10  # of the training sentences, each told of by the others


class Evidence:
    """What words, and pairs of neighbours, tell of each class, as naive Bayes counts labels.

    Called with tokens [n, T] it gives `r_wk = log p(w | k) - mean_k' log p(w | k')` of each word,
    then of the pair that it ends: [n, T, 2 classes]. Counts are raised by 1; padding and what
    training does not have tell nothing. For two classes half the log-count ratio, up to its sign
    (Wang and Manning 2012).
    """

    def __init__(self, train: Batch, words: int, classes: int):
        known = pairs(train.x, words)
        self.words, self.pairs = words, np.unique(known[known > PAD]).astype(np.int32)
        tokens = self.numbered(train.x)
        self.ratios = [
            ratios(Batch(each, train.y), size, classes)
            for each, size in zip(tokens, (words, len(self.pairs) + 2), strict=True)
        ]

    def numbered(self, x: Any) -> tuple[Any, Any]:
        """Words, and pairs with 1 for those that training does not have."""
        xp: Any = np if isinstance(x, np.ndarray) else jnp
        found, known = pairs(x, self.words), self.pairs
        if not len(known):
            return x, xp.where(found == PAD, PAD, UNK)
        at = xp.searchsorted(known, found).clip(0, len(known) - 1)
        own = xp.where(xp.asarray(known)[at] == found, at + 2, UNK)
        return x, xp.where(found == PAD, PAD, own)

    def __call__(self, x: Any) -> Any:
        """Of NumPy's arrays, or of JAX's in a program."""
        xp: Any = np if isinstance(x, np.ndarray) else jnp
        tables = zip(self.ratios, self.numbered(x), strict=True)
        return xp.concatenate([xp.asarray(table)[each] for table, each in tables], -1)


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


def evident(
    asked: bool, train: Batch, size: int, kinds: int
) -> tuple[Callable[[Batch], Batch], Batch]:
    """What puts the evidence of training beside other tokens, and the training tokens with theirs.

    All as they are where it is not `asked` for.
    """
    if not asked:
        return lambda data: data, train
    evidence = Evidence(train, size, kinds)

    def beside(data: Batch, told: Any) -> Batch:
        xp: Any = np if isinstance(told, np.ndarray) else jnp
        x = xp.concatenate([data.x[..., None], told], -1)  # numbers below 2^24, which float32 has
        return data._replace(x=x.astype(np.float32))

    own = beside(train, crossed(train, size, kinds))
    return lambda data: beside(data, evidence(data.x)), own


def pairs(x: Any, words: int) -> Any:
    """Each word with the one before it as one number [n, T], 0 where either is none or unknown.

    Raises InputError for so many words that int32 does not hold it.
    """
    if words > MOST:
        raise InputError(f"--evidence tells at most {MOST} words apart; got {words}")
    xp: Any = np if isinstance(x, np.ndarray) else jnp
    before = xp.pad(x[:, :-1], ((0, 0), (1, 0)))
    return xp.where((x > UNK) & (before > UNK), before * words + x, PAD)


def ratios(data: Batch, words: int, classes: int) -> np.ndarray:
    """`r_wk` of `Evidence`, [words, classes]; the first two words are padding and the unknown."""
    counts = np.zeros((words, classes))
    np.add.at(counts, (data.x, np.broadcast_to(data.y[:, None], data.x.shape)), 1)
    counts[:2] = 0
    seen = counts.any(1)
    counts[seen] += 1
    chances = np.log(counts[seen] / counts.sum(0))
    found = np.zeros((words, classes), np.float32)
    found[seen] = chances - chances.mean(1, keepdims=True)
    return found
