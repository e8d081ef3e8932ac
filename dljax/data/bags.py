"""Documents as counts of words (S35): bars, newsgroups, or documents of one's own."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dljax.data.documents import read_archive
from dljax.data.store import fetch, is_path
from dljax.data.text import read_text
from dljax.errors import InputError, unknown

SIDE = 5  # of the grid whose rows and columns are topics
FEWEST = 20  # documents


class Part(NamedTuple):
    """Documents: counts of words [n, V], their texts, and the numbers of their classes, or -1."""

    counts: np.ndarray
    texts: list[str]
    labels: np.ndarray


class Bags(NamedTuple):
    """Documents of V words, and their topics [K, V], which sum to 1, where they are known."""

    name: str
    words: tuple[str, ...]
    classes: tuple[str, ...]
    train: Part
    validation: Part
    test: Part
    topics: np.ndarray | None = None


def load_bags(name_or_path: str | os.PathLike[str], words: int) -> Bags:
    """The documents `bars` or `20newsgroups`, or those of an archive or a file.

    bars: see `bars`; 20newsgroups: letters of 20 groups (Lang 1995), those before a date to learn
    from. Else a path: an archive as `read_archive` takes it, or a `.txt` file with a document a
    line, of which a tenth is the test. A fifth of what is left is for validation. The `words` are
    those that the most training documents hold, of three letters or more, but scikit-learn's
    English stop words; documents that hold none of them are left out. Raises InputError for an
    unknown name, for what cannot be read, and for too few documents or words.
    """
    name = os.fspath(name_or_path)
    if name == "bars":
        return bars(np.random.default_rng(0))
    if name == "20newsgroups":
        return archived(name, fetch("20newsgroups/20news-bydate.tar.gz"), words)
    if is_path(name) and name.endswith(".txt"):
        texts = [line for line in read_text(name).split("\n") if line.strip()]
        every = [(text, -1) for text in texts]
        rest, test = cut(every, 10)
        return counted(name, *cut(rest, 5), test, (), words)
    if is_path(name):
        return archived(name, name, words)
    raise unknown("documents", name, ["bars", "20newsgroups", "path/to/file.txt or archive.tar.gz"])


Texts = Sequence[tuple[str, int]]
"""Documents and the numbers of their classes."""


def archived(name: str, path: str | os.PathLike[str], words: int) -> Bags:
    train, test, classes = read_archive(path)
    every = cut([*zip(*train, strict=True)], 5)
    return counted(name, *every, [*zip(*test, strict=True)], classes, words)


def cut(texts: Texts, share: int) -> tuple[Texts, Texts]:
    """All but one in `share`, and those, by an order drawn once."""
    order = np.random.default_rng(0).permutation(len(texts))
    last = len(texts) // share
    return [texts[i] for i in order[last:]], [texts[i] for i in order[:last]]


def counted(
    name: str, train: Texts, validation: Texts, test: Texts, classes: tuple[str, ...], words: int
) -> Bags:
    from sklearn.feature_extraction.text import CountVectorizer

    if len(train) + len(validation) + len(test) < FEWEST:
        raise InputError(f"{name} must hold at least {FEWEST} documents")
    counter = CountVectorizer(token_pattern="[a-z]{3,}", stop_words="english")
    try:
        every: Any = counter.fit_transform([text for text, _ in train])
    except ValueError:  # not one word
        raise InputError(f"{name} holds no words but stop words") from None
    held = np.asarray((every > 0).sum(0)).ravel()
    chosen = np.sort(np.argsort(-held, kind="stable")[:words])
    vocabulary = tuple(counter.get_feature_names_out()[chosen].tolist())

    def part(texts: Texts) -> Part:
        counts = counter.transform([text for text, _ in texts])[:, chosen].toarray()
        some = np.flatnonzero(counts.any(1)).tolist()
        if not some:
            raise InputError(f"{name}: a part holds none of the {len(vocabulary)} words")
        labels = np.array([texts[i][1] for i in some], np.int32)
        return Part(counts[some].astype(np.int16), [texts[i][0] for i in some], labels)

    return Bags(name, vocabulary, classes, part(train), part(validation), part(test))


def bars(
    rng: np.random.Generator,
    sizes: tuple[int, int, int] = (2000, 500, 1000),
    length: int = 40,
    alpha: float = 0.2,
) -> Bags:
    """Documents of `length` words, each a place of a grid, of topics that are its rows and columns.

    `theta ~ Dirichlet(alpha)`, and each word is of a topic drawn by theta, and one of its places.
    A document's class is its largest topic. Griffiths and Steyvers 2004, figure 1.
    """
    rows = np.kron(np.eye(SIDE), np.ones(SIDE)) / SIDE
    columns = np.kron(np.ones(SIDE), np.eye(SIDE)) / SIDE
    topics = np.concatenate([rows, columns])
    words = tuple(f"row{i}column{j}" for i in range(1, SIDE + 1) for j in range(1, SIDE + 1))

    def part(n: int) -> Part:
        theta = rng.dirichlet(np.full(len(topics), alpha), n)
        counts = rng.multinomial(length, theta @ topics).astype(np.int16)
        texts = [" ".join(np.repeat(words, each)) for each in counts]
        return Part(counts, texts, theta.argmax(1).astype(np.int32))

    kinds = [f"{kind} {i}" for kind in ("row", "column") for i in range(1, SIDE + 1)]
    train, validation, test = map(part, sizes)
    known = topics.astype(np.float32)
    return Bags("bars", words, tuple(kinds), train, validation, test, known)
