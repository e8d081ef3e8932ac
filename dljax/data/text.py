"""Text as integers (S15, S23): files, vocabularies of characters or words, corpora by name."""

import csv
import io
import json
import os
import sysconfig
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dljax.data.store import fetch, is_path
from dljax.errors import InputError, unknown

SPECIAL = PADDING, UNKNOWN, BEGIN, END = "<pad>", "<unk>", "<bos>", "<eos>"
PAD, UNK, BOS, EOS = range(4)  # their numbers in a vocabulary that has all of them
STDLIB = 1_000_000  # characters of Python's own sources


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by number: characters of a text, or words of sentences.

    Where it holds UNKNOWN, that stands for all it does not hold, and for special tokens spelt out
    in a text; otherwise what it does not hold is an error.
    """

    tokens: tuple[str, ...]

    def __post_init__(self):
        if not self.tokens or len(set(self.tokens)) < len(self.tokens):
            raise InputError("a vocabulary needs at least one token, and none twice")
        object.__setattr__(self, "number", {token: i for i, token in enumerate(self.tokens)})

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: Iterable[str]) -> np.ndarray:
        """The int32 numbers of a sequence of tokens. Raises InputError for one not known."""
        number: dict[str, int] = self.number  # pyright: ignore[reportAttributeAccessIssue]
        if (other := number.get(UNKNOWN)) is not None:
            plain = (other if token in SPECIAL else number.get(token, other) for token in text)
            return np.fromiter(plain, np.int32)
        try:
            found = [number[token] for token in text]
        except KeyError as error:
            known = [token for token in self.tokens if token.strip()]
            raise unknown("token", error.args[0], known) from None
        return np.array(found, np.int32)

    def decode(self, numbers: Iterable[int]) -> list[str]:
        return [self.tokens[i] for i in numbers]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.tokens, ensure_ascii=False) + "\n", encoding="utf-8")


def read_rows(path: str | os.PathLike[str]) -> list[list[str]]:
    """A CSV file's rows of cells, [] for an empty line but for those at the end, which are none.

    Raises InputError for what is no table, and for an empty one.
    """
    try:
        rows = list(csv.reader(io.StringIO(read_text(path))))
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV table: {error}") from None
    while rows and not rows[-1]:
        rows.pop()
    if not rows:
        raise InputError(f"{path} is empty")
    return rows


def read_vocabulary(path: Path) -> Vocabulary:
    """What `Vocabulary.write` wrote."""
    return Vocabulary(tuple(json.loads(path.read_text(encoding="utf-8"))))


def characters(text: str) -> Vocabulary:
    """Every character of the text, in the order of their code points."""
    return Vocabulary(tuple(sorted(set(text))))


def words(
    sentences: Iterable[Sequence[str]], most: int, special: tuple[str, ...] = (PADDING, UNKNOWN)
) -> Vocabulary:
    """The special tokens, then the most frequent words, `most` in all; of equal ones the earlier.

    Padding comes first, so that 0 is padding.
    """
    counts = Counter(word for sentence in sentences for word in sentence if word not in special)
    chosen = [word for word, _ in counts.most_common(max(0, most - len(special)))]
    return Vocabulary((*special, *chosen))


def padded(sequences: Sequence[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers [n, length], cut or filled up with 0 at the end, and which of them are real."""
    found = np.zeros((len(sequences), length), np.int32)
    for row, sequence in zip(found, sequences, strict=True):
        row[: len(sequence)] = sequence[:length]
    lengths = np.array([len(sequence) for sequence in sequences])
    return found, np.arange(length) < lengths[:, None]


def read_text(path: str | os.PathLike[str]) -> str:
    r"""A UTF-8 file, without a byte-order mark, its lines ended by "\n" alone.

    Raises InputError for one that cannot be read, is empty, or holds other bytes, whose offset it
    names.
    """
    try:
        raw = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        bad = f"byte {raw[error.start]:#04x} at offset {error.start}"
        raise InputError(f"{path} is not UTF-8: {bad}") from None
    if not text:
        raise InputError(f"{path} is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def standard_library() -> str:
    """The first `STDLIB` characters of the modules of the Python that runs, in order of name."""
    folder, text = Path(sysconfig.get_paths()["stdlib"]), ""
    for path in sorted(folder.glob("*.py")):
        if len(text) >= STDLIB:
            break
        raw = path.read_bytes()
        if raw.isascii():
            text += raw.decode().replace("\r\n", "\n") + "\n"
    if not text:
        raise InputError(f"no sources of Python's standard library in {folder}; give a text file")
    return text[:STDLIB]


NAMED = {
    "stdlib": standard_library,
    "tinyshakespeare": lambda: read_text(fetch("tinyshakespeare/input.txt")),
    "irish_abc": lambda: read_text(fetch("irish_abc/irish.abc")),
}


def corpus(name_or_path: str | os.PathLike[str]) -> str:
    """The text `stdlib`, `tinyshakespeare` or `irish_abc`, or that of a UTF-8 file.

    stdlib: the sources of Python's own standard library, which everyone has; tinyshakespeare and
    irish_abc: collected by A. Karpathy and by MIT's introductory course. Raises InputError for an
    unknown name, and for a file that `read_text` refuses.
    """
    name = os.fspath(name_or_path)
    if name in NAMED:
        return NAMED[name]()
    if is_path(name):
        return read_text(name)
    raise unknown("text", name, [*NAMED, "path/to/file.txt"])
