"""Pairs: numbers read aloud, subwords there and back, buckets, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest

from dljax.data.pairs import (
    BOS,
    EOS,
    Texts,
    bucketed,
    learn_subwords,
    load_pairs,
    read_aloud,
    read_subwords,
    whole,
)
from dljax.errors import InputError


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (99, "ninety nine"),
        (700, "seven hundred"),
        (40217, "forty thousand two hundred seventeen"),
        (100_000_005, "one hundred million five"),
        (12_000_110, "twelve million one hundred ten"),
    ],
)
def test_numbers_are_read_aloud(number, words):
    assert read_aloud(number) == words


def test_no_number_is_in_two_parts():
    pairs = load_pairs("numbers")
    parts = [set(part.source) for part in pairs]
    assert [len(part) for part in parts] == [5400, 300, 300]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert max(map(len, pairs.test.source)) == 9


TEXTS = ["Ein Mann läuft, 42 mal!", "A man runs, 42 times!", "saftig-grünes Gras"]


def test_subwords_come_back_as_the_text_and_from_disk(tmp_path):
    subwords = learn_subwords(TEXTS * 3, 80)
    assert len(subwords) <= 80
    found = subwords.encode(TEXTS, ends=True)
    assert all(each[0] == BOS and each[-1] == EOS and each.dtype == np.int32 for each in found)
    assert [subwords.decode([each])[0] for each in found] == TEXTS
    pieces = subwords.pieces(subwords.encode(TEXTS[:1])[0])
    assert {"4", "2", ",", "!"} <= set(pieces)
    subwords.write(tmp_path / "subwords.json")
    again = read_subwords(tmp_path / "subwords.json")
    np.testing.assert_array_equal(again.encode(TEXTS)[0], subwords.encode(TEXTS)[0])


def test_special_tokens_that_a_text_spells_out_are_plain_subwords(tmp_path):
    text = "a <pad> b <eos> <unk> <bos>"
    subwords = learn_subwords([text] * 3, 40)
    subwords.write(tmp_path / "subwords.json")
    for each in (subwords, read_subwords(tmp_path / "subwords.json")):
        (found,) = each.encode([text], ends=True)
        assert found.min() > 0 and (found[1:-1] > EOS).all()
        assert each.decode([found]) == [text]


def test_buckets_hold_every_pair_once_with_little_padding():
    source = ["a" + " a" * (i % 7) for i in range(40)]
    texts = Texts(source, source[::-1])
    subwords = learn_subwords(source, 10)
    buckets = bucketed(texts, subwords, 5, 3)
    assert 1 < len(buckets) <= 3
    kept = [i for i in range(40) if max(i % 7, (39 - i) % 7) < 5]
    rows = [tuple(map(int, (x > 0).sum(1))) for x, _ in buckets]
    assert sorted(n for row in rows for n in row) == sorted(i % 7 + 1 for i in kept)
    for x, y in buckets:
        assert (x[:, -1] > 0).any() and (y[:, -1] > 0).any(), "padded to its own longest"
        assert (y[:, 0] == BOS).all() and ((y == EOS).sum(1) == 1).all()
    assert buckets[0].x.shape[1] <= buckets[-1].x.shape[1]
    x, y = whole(texts, subwords, 5)
    assert x.shape == (40, 5) and y.shape == (40, 7)
    assert ((y == EOS).sum(1) == 1).all()
    with pytest.raises(InputError, match="no pair has at most 0 subwords"):
        bucketed(texts, subwords, 0, 3)


def test_files_of_ones_own_and_what_is_refused(tmp_path):
    path = tmp_path / "mine.tsv"
    path.write_text("".join(f"{i}\tn {i}\n" for i in range(30)))
    pairs = load_pairs(path)
    assert [len(part.source) for part in pairs] == [24, 3, 3]
    assert all(b == f"n {a}" for part in pairs for a, b in zip(*part, strict=True))
    path.write_text("".join(f"{i % 30}\tn {i % 30}\n" for i in range(300)))
    pairs = load_pairs(path)
    assert sorted(int(a) for part in pairs for a in part.source) == list(range(30)), "none twice"
    path.write_text("a\tb\nc\n")
    with pytest.raises(InputError, match="line 2: 'c' is not `source <tab> target`"):
        load_pairs(path)
    path.write_text("".join(f"{i % 29}\tb\n" for i in range(40)))
    with pytest.raises(InputError, match="at least 30 different pairs; got 29"):
        load_pairs(path)
    with pytest.raises(InputError, match="unknown pairs 'multi'; did you mean multi30k"):
        load_pairs("multi")


@pytest.mark.skipif(
    not (Path(os.environ.get("DLJAX_DATA", "")) / "multi30k").is_dir(), reason="no Multi30k there"
)
def test_multi30k_is_what_it_is_known_to_be():
    pairs = load_pairs("multi30k")
    assert [len(part.target) for part in pairs] == [29000, 1014, 1000]
    assert pairs.test.target[0] == "A man in an orange hat starring at something."
    assert pairs.test.source[0] == "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt."
