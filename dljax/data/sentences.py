"""Sentences with a label (S23): SST-2, a small grammar of reviews, or a file of one's own."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dljax.data.store import fetch, is_path
from dljax.data.text import read_text
from dljax.errors import InputError, unknown


class Labelled(NamedTuple):
    """Sentences as words, and a label 0, 1, ... of each, [n]."""

    words: list[list[str]]
    labels: np.ndarray


class Sentences(NamedTuple):
    """What is learnt from, what choices are made on, and what is tested on."""

    train: Labelled
    validation: Labelled
    test: Labelled


def load_sentences(name_or_path: str | os.PathLike[str]) -> Sentences:
    """The sentences `reviews` or `sst2`, or those of a file of lines `sentence <tab> label`.

    reviews: drawn from the grammar of `review`, nothing to download; sst2: sentences of film
    reviews, negative 0 and positive 1 (Socher et al. 2013), the sentence-level training file. Of a
    file's lines with the same sentence the first is kept; they are shuffled once, a tenth is for
    validation, a tenth for the test. Raises InputError for an unknown name, and for a file that
    `read_labelled` refuses or that has fewer than 10 sentences or 2 kinds of label.
    """
    name = os.fspath(name_or_path)
    if name == "reviews":
        return reviews(2000, 500, 1000)
    if name == "sst2":
        return Sentences(*(read_labelled(fetch(f"sst2/{p}.tsv")) for p in ("train", "dev", "test")))
    if is_path(name):
        return parted(read_labelled(name), name)
    raise unknown("sentences", name, ["reviews", "sst2", "path/to/file.tsv"])


def read_labelled(path: str | os.PathLike[str]) -> Labelled:
    """Lines `sentence <tab> label`. Raises InputError that names the line of what is not such."""
    words, labels = [], []
    for number, line in enumerate(read_text(path).rstrip("\n").split("\n"), start=1):
        sentence, tab, label = line.rpartition("\t")
        if not (tab and sentence.strip() and label.isdecimal() and len(label) < 4):
            raise InputError(
                f"{path}, line {number}: {line[:40]!r} is not `sentence <tab> label`, 0 to 999"
            )
        words.append(sentence.split())
        labels.append(int(label))
    return Labelled(words, np.array(labels, np.int32))


def parted(data: Labelled, path: str) -> Sentences:
    """Eight tenths, a tenth and a tenth of the different sentences, in an order drawn once."""
    first: dict[tuple[str, ...], int] = {}
    for words, label in zip(data.words, data.labels.tolist(), strict=True):
        first.setdefault(tuple(words), label)
    found, count = list(first.items()), len(first)
    if count < 10 or len(set(first.values())) < 2:
        raise InputError(f"{path} must have at least 10 different sentences and 2 kinds of label")
    order = np.random.default_rng(0).permutation(count)
    return split([found[i] for i in order], count * 8 // 10, count * 9 // 10)


def split(found: Sequence[tuple[Sequence[str], int]], held: int, tested: int) -> Sentences:
    """All before number `held` for training, from there for validation, from `tested` tested."""
    parts = []
    for part in (found[:held], found[held:tested], found[tested:]):
        words, labels = zip(*part, strict=True)
        parts.append(Labelled([list(each) for each in words], np.array(labels, np.int32)))
    return Sentences(*parts)


GOOD = ["good", "great", "funny", "moving", "clever", "warm", "brilliant", "charming"]
BAD = ["bad", "dull", "boring", "weak", "clumsy", "cold", "awful", "tired"]
PARTS = ["film", "plot", "story", "cast", "acting", "ending", "music", "dialogue"]


def review(rng: np.random.Generator) -> tuple[list[str], int]:
    """`the PART was [not] [very] WORD but the ...`, where what follows `but` counts.

    A clause is positive where WORD is good and not negated, or bad and negated. The clauses
    disagree, so that a bag of these words says nothing about the label.
    """
    positive = rng.integers(2)
    clauses = []
    for good in (1 - positive, positive):
        negated = rng.integers(2)
        word = rng.choice(GOOD if good != negated else BAD)
        middle = ["not"] * negated + ["very"] * rng.integers(2)
        clauses.append(["the", str(rng.choice(PARTS)), "was", *middle, str(word)])
    return [*clauses[0], "but", *clauses[1]], int(positive)


def reviews(train: int, validation: int, test: int) -> Sentences:
    """So many reviews for each part, none twice; the same at every call."""
    rng, found = np.random.default_rng(0), {}
    while len(found) < train + validation + test:
        words, label = review(rng)
        found[tuple(words)] = label
    return split(list(found.items()), train, train + validation)
