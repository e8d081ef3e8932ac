"""IDX and `.npz` files: their sizes are told before they unpack, and nothing is unpickled."""

import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from dljax.errors import InputError, brief

LARGEST = 2**31  # bytes of a file's arrays, which conversion and training hold several times


def read_idx(path: Path, rank: int) -> np.ndarray:
    """The uint8 array with `rank` axes of an IDX file, MNIST's format, gzipped if it is `.gz`.

    Raises InputError if the gzip is damaged, or the header and the data disagree; no more is
    unpacked than the header says.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            magic = stream.read(4)
            if magic != bytes((0, 0, 8, rank)):  # 8: unsigned bytes
                raise InputError(f"{path} is not an IDX file of bytes with {rank} axes")
            shape = struct.unpack(f">{rank}I", stream.read(4 * rank))
            size = check_size(path, math.prod(shape))
            content = stream.read(size + 1)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise InputError(f"{path} is not a whole IDX file: {error}") from error
    if len(content) != size:
        more = "more" if len(content) > size else f"{len(content)} values"
        raise InputError(f"{path} holds {more}; its header says {size}")
    return np.frombuffer(bytearray(content), np.uint8).reshape(shape)


def check_size(name: object, size: int) -> int:
    """The size, once sure that it is not above `LARGEST`."""
    if size > LARGEST:
        raise InputError(f"{name} unpacks to {size:,} bytes; at most {LARGEST:,} are accepted")
    return size


def open_npz(
    path: Path, keys: Sequence[str] = ("x", "y"), known: Iterable[str] = ()
) -> dict[str, np.ndarray]:
    """Those of the arrays named by `keys` that the file holds; nothing is unpickled.

    `known` are the names that a user may have meant instead.
    """
    if not path.is_file():
        raise InputError(f"no such file; give the path of an .npz file, or {', '.join(known)}")
    if not zipfile.is_zipfile(path):
        raise InputError("not an .npz file, or a damaged one; write it with numpy.savez")
    key = "the list of arrays"
    try:
        with zipfile.ZipFile(path) as archive:  # which gives no more bytes than its list says
            named = (f for f in archive.infolist() if f.filename.removesuffix(".npy") in keys)
            check_size("it", sum(file.file_size for file in named))
        with np.load(path, allow_pickle=False) as archive:
            arrays = {}
            for key in keys:
                if key in archive.files:
                    arrays[key] = np.asarray(archive[key])
            return arrays
    except InputError:
        raise
    except Exception as error:  # a hostile zip raises nearly anything: zlib.error, KeyError, ...
        why = brief(error)
        raise InputError(f"cannot read {key}: {why}") from error
