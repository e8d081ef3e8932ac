"""Text: what is read, what is refused and where, and numbers for tokens and back."""

import numpy as np
import pytest

from dljax.data.text import (
    UNKNOWN,
    Vocabulary,
    characters,
    corpus,
    padded,
    read_text,
    read_vocabulary,
    words,
)
from dljax.errors import InputError


def test_a_vocabulary_numbers_tokens_and_comes_back_from_disk(tmp_path):
    found = characters("abba\n é")
    assert found.tokens == ("\n", " ", "a", "b", "é")
    numbers = found.encode("béa")
    assert numbers.dtype == np.int32
    assert "".join(found.decode(numbers)) == "béa"
    found.write(tmp_path / "vocabulary.json")
    assert read_vocabulary(tmp_path / "vocabulary.json") == found


def test_an_unknown_token_is_named_or_stands_for_all():
    with pytest.raises(InputError, match="unknown token 'z'"):
        characters("abc").encode("az")
    sentences = [["a", "b", "a"], ["c", "a", "b"]]
    found = words(sentences, 4)
    assert found.tokens == ("<pad>", UNKNOWN, "a", "b")
    assert found.encode(["c", "a"]).tolist() == [1, 2]
    assert found.encode(["a", "<pad>", "<eos>", UNKNOWN]).tolist() == [2, 1, 1, 1]
    special = words(sentences, 5, ("<pad>", "<bos>"))
    assert special.encode(["<bos>", "a", "<pad>"]).tolist() == [1, 2, 0]
    for tokens in ((), ("a", "a")):
        with pytest.raises(InputError, match="at least one token, and none twice"):
            Vocabulary(tokens)


def test_padding_says_what_is_real():
    found, real = padded([np.array([3, 4, 5]), np.array([6])], 2)
    assert found.tolist() == [[3, 4], [6, 0]]
    assert real.tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"a\r\nb\rc\n", "a\nb\nc\n"), (b"\xef\xbb\xbfa", "a"), ("é".encode(), "é")],
)
def test_line_ends_and_marks_are_made_even(tmp_path, raw, text):
    path = tmp_path / "text.txt"
    path.write_bytes(raw)
    assert corpus(path) == text


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"", "is empty"), (b"ab\xff", "not UTF-8: byte 0xff at offset 2"), (None, "cannot read")],
)
def test_what_cannot_be_read_is_one_line(tmp_path, raw, said):
    path = tmp_path / "text.txt"
    if raw is not None:
        path.write_bytes(raw)
    with pytest.raises(InputError, match=said):
        read_text(path)


def test_everyone_has_a_text():
    text = corpus("stdlib")
    assert len(text) == 1_000_000
    assert "def " in text
    with pytest.raises(InputError, match=r"unknown text 'stdlb'; did you mean stdlib\?"):
        corpus("stdlb")
