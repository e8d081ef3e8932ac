"""Bags of words: what a reader of sentences has to beat."""

from typing import Any

import numpy as np

from dljax.data.sentences import Sentences
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


def told(data: Batch, words: int, classes: int) -> np.ndarray:
    """What each word tells of each class, as naive Bayes counts it: [words, classes].

    `r_wk = log p(w | k) - mean_k' log p(w | k')`, each count raised by 1; padding and the unknown
    word tell nothing. For two classes half the log-count ratio, up to its sign (Wang and Manning
    2012).
    """
    counts = np.ones((words, classes))
    np.add.at(counts, (data.x, np.broadcast_to(data.y[:, None], data.x.shape)), 1)
    counts = counts[2:]
    chances = np.log(counts / counts.sum(0))
    ratios = chances - chances.mean(1, keepdims=True)
    return np.concatenate([np.zeros((2, classes)), ratios]).astype(np.float32)
