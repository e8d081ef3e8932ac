"""Documents in classes (S17): an archive of folders, as 20 Newsgroups comes."""

import os
import re
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

from dljax.errors import InputError

LARGEST = 2**28  # bytes of all documents together


class Documents(NamedTuple):
    """Texts and the numbers of their classes."""

    texts: list[str]
    labels: list[int]


def read_archive(
    path: str | os.PathLike[str],
) -> tuple[Documents, Documents, tuple[str, ...]]:
    """Training and test documents of a `.tar.gz` of files -train/CLASS/NAME and -test/CLASS/NAME.

    As `20news-bydate.tar.gz` is (Lang 1995). All up to a text's first empty line, a letter's
    header, is left out, since it names its sender. Nothing is unpacked to the disk. Raises
    InputError for what cannot be read, holds too much, has fewer than two classes or no test.
    """
    found: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    try:
        with tarfile.open(Path(path).expanduser()) as archive:
            left = LARGEST
            for member in archive:
                group = Path(member.name).parent
                split = group.parent.name.rpartition("-")[2] if member.isfile() else ""
                if split not in found:
                    continue
                left -= member.size
                if left < 0:
                    raise InputError(f"{path} holds more than {LARGEST} bytes of documents")
                stream = archive.extractfile(member)
                raw = stream.read() if stream else b""
                body = raw.decode("latin-1").replace("\r\n", "\n").partition("\n\n")[2]
                found[split].append((group.name, body))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        said = str(error).partition("\n")[0]  # of tarfile's, one line a kind of archive follows
        raise InputError(f"{path} is no archive that can be read: {said}") from error
    classes = tuple(sorted({name for name, _ in found["train"]}))
    tested = {name for name, _ in found["test"]}
    if len(classes) < 2 or not tested or not tested <= set(classes):
        need = "two classes or more in train/, and of them, and no other, one or more in test/"
        raise InputError(f"{path} must hold {need}; got {len(classes)} and {len(tested)}")
    train, test = (
        Documents([text for _, text in rows], [classes.index(name) for name, _ in rows])
        for rows in found.values()
    )
    return train, test, classes


def tokens(text: str) -> list[str]:
    """Runs of letters, and runs of digits as one token, in lower case."""
    return ["0" if word[0].isdigit() else word for word in re.findall(r"[a-z]+|\d+", text.lower())]
