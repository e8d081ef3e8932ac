"""Pairs of sentences, one the other's translation (S23), and their subwords.

Subwords are joint: one table of byte pairs for both languages (Sennrich et al. 2016), so that one
table of vectors serves source, target and output.
"""

import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dljax.data.store import fetch, is_path
from dljax.data.text import BOS, EOS, SPECIAL, UNKNOWN, padded, read_text
from dljax.errors import InputError, check_count, unknown
from dljax.typing import Batch


class Texts(NamedTuple):
    """Sentences and their translations, in the same order."""

    source: list[str]
    target: list[str]


class Pairs(NamedTuple):
    """What is learnt from, what choices are made on, and what is tested on."""

    train: Texts
    validation: Texts
    test: Texts


def load_pairs(name_or_path: str | os.PathLike[str]) -> Pairs:
    """The pairs `numbers` or `multi30k`, or those of a file of lines `source <tab> target`.

    numbers: digits and how they are read in English, drawn, nothing to download; multi30k: German
    and English descriptions of pictures (Elliott et al. 2016), tested on those of 2016. Of a file's
    equal lines the first is kept; they are shuffled once, a tenth is for validation, a tenth for
    the test. Raises InputError for an unknown name, and for a file that `read_pairs` refuses.
    """
    name = os.fspath(name_or_path)
    if name == "numbers":
        return numbers()
    if name == "multi30k":
        return Pairs(*(multi30k(part) for part in ("train", "val", "test_2016_flickr")))
    if is_path(name):
        return read_pairs(name)
    raise unknown("pairs", name, ["numbers", "multi30k", "path/to/file.tsv"])


def multi30k(part: str) -> Texts:
    """One of its parts, a line of each language's file a sentence."""

    def lines(language: str) -> list[str]:
        with gzip.open(fetch(f"multi30k/{part}.{language}.gz"), "rt", encoding="utf-8") as stream:
            return [line.strip() for line in stream]

    return Texts(lines("de"), lines("en"))


def read_pairs(path: str | os.PathLike[str]) -> Pairs:
    """Lines `source <tab> target`, each once.

    Raises InputError that names the line of what is not such, and for fewer than 30 pairs.
    """
    found = []
    for number, line in enumerate(read_text(path).rstrip("\n").split("\n"), start=1):
        sides = [side.strip() for side in line.split("\t")]
        if len(sides) != 2 or not all(sides):
            raise InputError(f"{path}, line {number}: {line[:40]!r} is not `source <tab> target`")
        found.append(tuple(sides))
    found = list(dict.fromkeys(found))  # else what is tested might be learnt
    if len(found) < 30:
        raise InputError(f"{path} must have at least 30 different pairs; got {len(found)}")
    order = np.random.default_rng(0).permutation(len(found))
    return parted([found[i] for i in order], len(found) // 10)


def parted(found: Sequence[Sequence[str]], held: int) -> Pairs:
    """The last `held` for the test, as many before them for validation, all else for training."""
    parts = found[: -2 * held], found[-2 * held : -held], found[-held:]
    return Pairs(*(Texts(*map(list, zip(*part, strict=True))) for part in parts))


def numbers(count: int = 6000, held: int = 300) -> Pairs:
    """`40217` and `forty thousand two hundred seventeen`: no number twice, 1 to 9 digits long."""
    rng = np.random.default_rng(0)
    drawn = (10 ** rng.uniform(0, 9, 2 * count)).astype(int).tolist()
    drawn = list(dict.fromkeys(drawn))[:count]
    rng.shuffle(drawn)  # else the short ones, which are few, would all come first
    return parted([(str(number), read_aloud(number)) for number in drawn], held)


SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def read_aloud(number: int) -> str:
    """A number from 0 to 999,999,999 in English words."""
    for size, name in ((10**6, "million"), (10**3, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {read_aloud(number % size)}" if number % size else ""
            return f"{read_aloud(number // size)} {name}{rest}"
    if number < 20:
        return SMALL[number]
    rest = f" {SMALL[number % 10]}" if number % 10 else ""
    return TENS[number // 10 - 2] + rest


class Subwords:
    """Byte pairs by the library `tokenizers`: pieces of words that begin with the mark of a space.

    Digits and punctuation stand alone. `tool` is the library's own object.
    """

    def __init__(self, tool: Any):
        self.tool = tool
        tool.encode_special_tokens = True  # else a text that spells out <pad> has padding inside

    def __len__(self) -> int:
        return self.tool.get_vocab_size()

    def encode(self, texts: Sequence[str], *, ends: bool = False) -> list[np.ndarray]:
        """Numbers of each text; with `ends` between BOS and EOS, as a target is."""
        found = [each.ids for each in self.tool.encode_batch(list(texts))]
        return [np.array([BOS, *ids, EOS] if ends else ids, np.int32) for ids in found]

    def decode(self, tokens: Any) -> list[str]:
        """The texts of rows of tokens [n, T], special ones left out."""
        return self.tool.decode_batch(np.asarray(tokens).tolist())

    def pieces(self, tokens: Any) -> list[str]:
        """Each token of one row as it is written."""
        return [self.tool.id_to_token(int(token)) for token in tokens]

    def write(self, path: Path) -> None:
        self.tool.save(str(path))


def learn_subwords(texts: Sequence[str], most: int) -> Subwords:
    """Merge the most frequent pairs of neighbours until there are `most` subwords.

    Raises InputError for `most` below 1.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    check_count(most=most)
    tool = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tool.pre_tokenizer = pre_tokenizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [
            pre_tokenizers.Metaspace(),
            pre_tokenizers.Punctuation("isolated"),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    tool.decoder = decoders.Metaspace()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=most, special_tokens=list(SPECIAL), show_progress=False
    )
    tool.train_from_iterator(texts, trainer)
    return Subwords(tool)


def read_subwords(path: Path) -> Subwords:
    """What `Subwords.write` wrote."""
    from tokenizers import Tokenizer

    return Subwords(Tokenizer.from_file(str(path)))


def whole(texts: Texts, subwords: Subwords, most: int) -> Batch:
    """All pairs as x [n, S] and y [n, T], padded to the longest; targets stand between BOS and EOS.

    What is longer than `most` subwords is cut, a source at its end, a target before its EOS.
    """
    x, y = subwords.encode(texts.source), subwords.encode(texts.target, ends=True)
    x, y = [each[:most] for each in x], [cut(each, most + 2) for each in y]
    return Batch(*(padded(side, max(map(len, side)))[0] for side in (x, y)))


def cut(target: np.ndarray, most: int) -> np.ndarray:
    """A target of at most `most` tokens, EOS its last."""
    return target if len(target) <= most else np.append(target[: most - 1], np.int32(EOS))


def bucketed(texts: Texts, subwords: Subwords, most: int, count: int) -> list[Batch]:
    """The pairs in at most `count` equal groups of like lengths, each padded to its own longest.

    So little padding is computed. Pairs with a side above `most` subwords are left out. Raises
    InputError if those are all.
    """
    x, y = subwords.encode(texts.source), subwords.encode(texts.target, ends=True)
    sizes = np.array([[len(a), len(b) - 2] for a, b in zip(x, y, strict=True)])
    kept = np.flatnonzero((sizes <= most).all(1))
    if not len(kept):
        raise InputError(f"no pair has at most {most} subwords on both sides")
    order = kept[np.lexsort((sizes[kept].sum(1), sizes[kept].max(1)))]
    groups = [at for at in np.array_split(order, count) if len(at)]
    return [
        Batch(*(padded([s[i] for i in at], max(len(s[i]) for i in at))[0] for s in (x, y)))
        for at in groups
    ]
