"""Text as a network was taught to read it: words between blanks, or those of running text."""

import numpy as np
import pytest

from dljax.data import readers
from dljax.data.documents import tokens
from dljax.data.readers import Prose
from dljax.data.text import SPECIAL, Vocabulary

TEXT = "Space, in 1993: the SHUTTLE's orbit."


@pytest.mark.parametrize("kind", [Vocabulary, Prose])
def test_a_reader_is_what_it_was_written_as(kind):
    again = readers.from_json(readers.as_json(kind((*SPECIAL, "space", "in", "0"))))
    assert type(again) is kind and again.tokens[4:] == ("space", "in", "0")


def test_running_text_is_read_as_documents_are(capsys):
    reader = Prose((*SPECIAL, *sorted(set(tokens(TEXT)))))
    found = readers.numbers(reader, [TEXT, "space"], 10)
    np.testing.assert_array_equal(found[0, :7], reader.encode(tokens(TEXT)))
    np.testing.assert_array_equal(found[1], [*reader.encode(["space"]), *[0] * 9])
    assert capsys.readouterr().err == ""
    plain = readers.numbers(Vocabulary(reader.tokens), [TEXT], 10)
    assert "Space," in capsys.readouterr().err and plain[0, 0] == 1  # unknown


def test_what_is_cut_is_said(capsys):
    reader = Vocabulary((*SPECIAL, "good", "bad"))
    found = readers.numbers(reader, ["good good bad", "bad"], 2)
    np.testing.assert_array_equal(found, [[4, 4], [5, 0]])
    assert capsys.readouterr().err == "read up to 2 words: 1 of 2 texts\n"
