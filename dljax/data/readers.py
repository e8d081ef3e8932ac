"""Text as the numbers that a trained network reads, by the words or the subwords it was taught."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from dljax.data import documents
from dljax.data.pairs import Subwords
from dljax.data.scaling import listed, say
from dljax.data.text import UNKNOWN, Vocabulary, padded


class Prose(Vocabulary):
    """Words of running text, as `documents.tokens` finds them; of others, blanks are between."""


Reader = Vocabulary | Subwords


def numbers(reader: Reader, texts: Sequence[str], length: int) -> np.ndarray:
    """The first `length` words, or subwords, of each text [n, length], 0 behind its end."""
    if isinstance(reader, Subwords):
        encoded = reader.encode(texts)
    else:
        split = [(documents.tokens if isinstance(reader, Prose) else str.split)(t) for t in texts]
        encoded = [reader.encode(words) for words in split]
        strange = {word for words in split for word in words} - set(reader.tokens)
        if UNKNOWN in reader.tokens and strange:
            say(f"not learnt, so as the unknown word: {listed('word', sorted(strange))}")
    if cut := sum(len(each) > length for each in encoded):
        say(f"read up to {length} {unit(reader)}: {cut} of {len(texts)} texts")
    return padded(encoded, length)[0]


def unit(reader: Reader) -> str:
    return "subwords" if isinstance(reader, Subwords) else "words"


def as_json(reader: Reader) -> dict[str, Any]:
    if isinstance(reader, Subwords):
        return {"subwords": json.loads(reader.tool.to_str())}
    return {"prose" if isinstance(reader, Prose) else "words": list(reader.tokens)}


def from_json(found: dict[str, Any]) -> Reader:
    """What `as_json` wrote."""
    if "prose" in found:
        return Prose(tuple(found["prose"]))
    if "words" in found:
        return Vocabulary(tuple(found["words"]))
    from tokenizers import Tokenizer

    return Subwords(Tokenizer.from_str(json.dumps(found["subwords"])))
