"""Bags of words: what a reader of sentences has to beat."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from dljax.data.sentences import Labelled, Sentences
from dljax.typing import Batch


def scores(data: Sentences) -> dict[str, float]:
    """Test accuracy of each plain classifier, its strength chosen on validation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB

    found = {}
    for name, n in (("unigrams", 1), ("bigrams", 2)):
        makes = {
            "logistic regression": [
                LogisticRegression(C=c, max_iter=1000) for c in (0.03, 0.1, 0.3, 1.0, 3.0)
            ],
            "naive Bayes": [MultinomialNB(alpha=a) for a in (0.1, 0.3, 1.0, 3.0)],
        }
        for kind, models in makes.items():
            found[f"{kind} on {name}"] = best(models, data, n)
    return found


def best(models: Iterable[Any], data: Sentences, n: int) -> float:
    """Of counts of up to n words in a row: the test accuracy of the best on validation."""
    from sklearn.feature_extraction.text import CountVectorizer

    def grams(words: list[str]) -> list[str]:
        ends = range(1, n + 1)
        return [" ".join(words[i : i + k]) for k in ends for i in range(len(words) - k + 1)]

    counter = CountVectorizer(analyzer=grams)  # pyright: ignore
    train = counter.fit_transform(data.train.words)

    def score(model: Any, part: Labelled) -> float:
        return float(model.score(counter.transform(part.words), part.labels))

    fitted = [model.fit(train, data.train.labels) for model in models]
    return score(max(fitted, key=lambda model: score(model, data.validation)), data.test)


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
