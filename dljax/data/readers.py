"""Text as the numbers that a trained network reads, by the words or the subwords it was taught."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from dljax.data.pairs import Subwords
from dljax.data.scaling import listed, say
from dljax.data.text import UNKNOWN, Vocabulary, padded

Reader = Vocabulary | Subwords


def numbers(reader: Reader, texts: Sequence[str], length: int) -> np.ndarray:
    """The first `length` words, or subwords, of each text [n, length], 0 behind its end."""
    if isinstance(reader, Subwords):
        return padded(reader.encode(texts), length)[0]
    split = [text.split() for text in texts]
    if UNKNOWN in reader.tokens:
        strange = {word for words in split for word in words} - set(reader.tokens)
        if strange:
            say(f"not learnt, so as the unknown word: {listed('word', sorted(strange))}")
    return padded([reader.encode(words) for words in split], length)[0]


def unit(reader: Reader) -> str:
    return "subwords" if isinstance(reader, Subwords) else "words"


def as_json(reader: Reader) -> dict[str, Any]:
    if isinstance(reader, Subwords):
        return {"subwords": json.loads(reader.tool.to_str())}
    return {"words": list(reader.tokens)}


def from_json(found: dict[str, Any]) -> Reader:
    """What `as_json` wrote."""
    if "words" in found:
        return Vocabulary(tuple(found["words"]))
    from tokenizers import Tokenizer

    return Subwords(Tokenizer.from_str(json.dumps(found["subwords"])))
