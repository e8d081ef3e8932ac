"""Labelled sentences: the grammar's labels, files of one's own, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest

from dljax.data.sentences import BAD, GOOD, load_sentences, read_labelled
from dljax.errors import InputError


def test_the_label_of_a_review_is_that_of_what_follows_but():
    data = load_sentences("reviews")
    assert [len(part.words) for part in data] == [2000, 500, 1000]
    assert 0.4 < data.train.labels.mean() < 0.6
    assert len({" ".join(words) for part in data for words in part.words}) == 3500, "none twice"
    for sentence, label in zip(data.test.words, data.test.labels, strict=True):
        at = sentence.index("but")
        meant = [
            (clause[-1] in GOOD) != ("not" in clause) for clause in (sentence[:at], sentence[at:])
        ]
        assert meant == [not label, bool(label)]
        assert (sentence[-1] in GOOD) != (sentence[-1] in BAD)


def test_a_file_of_ones_own_is_parted_once(tmp_path):
    path = tmp_path / "mine.tsv"
    path.write_bytes("".join(f"so {i} é\t{i % 3}\r\n" for i in range(20)).encode())
    data = load_sentences(path)
    assert [len(part.words) for part in data] == [16, 2, 2]
    seen = {int(words[1]): label for part in data for words, label in zip(*part, strict=True)}
    assert seen == {i: i % 3 for i in range(20)}
    again = load_sentences(path)
    assert again.test.words == data.test.words


def test_of_equal_sentences_the_first_is_kept(tmp_path):
    path = tmp_path / "mine.tsv"
    lines = [f"so {i}\t{i % 2}\n" for i in range(20)]
    path.write_text("".join([*lines, *lines[::-1], *(f"so  {i}\t2\n" for i in range(20))]))
    data = load_sentences(path)
    assert [len(part.words) for part in data] == [16, 2, 2]
    seen = {int(words[1]): label for part in data for words, label in zip(*part, strict=True)}
    assert seen == {i: i % 2 for i in range(20)}


@pytest.mark.parametrize("line", ["no label", "a\tb", "\t1", "a\t-1", "a\t1.5", "", "a\t"])
def test_a_line_that_is_none_is_named(tmp_path, line):
    path = tmp_path / "bad.tsv"
    path.write_text(f"fine\t1\n{line}\nfine\t0\n")
    with pytest.raises(InputError, match=r"bad\.tsv, line 2: .* is not `sentence <tab> label`"):
        read_labelled(path)


def test_too_few_sentences_and_unknown_names_are_said(tmp_path):
    path = tmp_path / "few.tsv"
    path.write_text("".join(f"{i % 9}\t{i % 9 % 2}\n" for i in range(20)))
    with pytest.raises(InputError, match="at least 10 different sentences and 2 kinds of label"):
        load_sentences(path)
    with pytest.raises(InputError, match=r"unknown sentences 'sst'; did you mean sst2\?"):
        load_sentences("sst")


@pytest.mark.skipif(
    not (Path(os.environ.get("DLJAX_DATA", "")) / "sst2").is_dir(), reason="no SST-2 there"
)
def test_sst2_is_what_it_is_known_to_be():
    data = load_sentences("sst2")
    assert [len(part.words) for part in data] == [6920, 872, 1821]
    np.testing.assert_array_equal(np.bincount(data.test.labels), [912, 909])
