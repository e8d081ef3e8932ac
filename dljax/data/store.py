"""Finding the known files, each checked against its pinned SHA-256 before anything reads it."""

import functools
import hashlib
import os
import tempfile
from pathlib import Path

import pooch

from dljax.data.registry import FILES, File
from dljax.errors import InputError, unknown


def fetch(name: str) -> Path:
    """The local path of the known file `name`, such as "mnist/train-images-idx3-ubyte.gz".

    Looked for in `$DLJAX_DATA`, then in the cache folder (`$DLJAX_CACHE`, or the system's own),
    then downloaded into the cache. Raises InputError if the name is unknown, if the bytes do not
    hash to the pinned SHA-256, or if the file is nowhere to be had.
    """
    if name not in FILES:
        raise unknown("data file", name, FILES)
    file = FILES[name]
    cached = cache_folder() / name
    places = [*(folder / name for folder in user_folders()), cached]
    for path in places:
        if path.is_file():
            status = path.stat()
            check(path, file.sha256, status.st_size, status.st_mtime_ns)
            return path
    download(name, file, cached, places)
    return cached


def user_folders() -> list[Path]:
    """The folder that `$DLJAX_DATA` names, if it is set; raises InputError if it is no folder."""
    value = os.environ.get("DLJAX_DATA")
    if not value:
        return []
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise InputError(f"DLJAX_DATA is {value!r}, which is not a folder; unset it or mend it")
    return [folder]


def cache_folder() -> Path:
    """`$DLJAX_CACHE`, or the system's cache folder for dljax; it need not exist yet."""
    return Path(os.environ.get("DLJAX_CACHE") or pooch.os_cache("dljax")).expanduser()


@functools.cache  # once a process; size and time are arguments so that a changed file is read again
def check(path: Path, sha256: str, size: int, mtime_ns: int) -> None:
    """Raises InputError if the bytes of `path` do not hash to `sha256`."""
    if (actual := digest(path)) != sha256:
        hint = "delete the file to have it downloaded, or put the right one there"
        raise InputError(f"{path} has SHA-256 {actual}, but {sha256} is expected; {hint}")


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal; raises InputError if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def download(name: str, file: File, target: Path, places: list[Path]) -> None:
    """Bring `file` from the first of its addresses that gives the right bytes, whole or not at all.

    Raises InputError with what went wrong at every address.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"cannot make {target.parent}: {error.strerror}"
        raise InputError(f"{why}; set DLJAX_CACHE to a folder that can be written") from error
    failures = []
    for base in file.urls:
        url = base + target.name if base.endswith("/") else base
        pooch.get_logger().info("Downloading %s (%.1f MB)", url, file.bytes / 1e6)
        try:
            return download_from(url, file.sha256, target)
        except (OSError, InputError) as error:  # what requests raises is an OSError
            failures.append(f"{url} ({reason(error)})")
    looked = ", ".join(map(str, places))
    raise InputError(
        f"cannot find {name}: not at {looked}; not from {', '.join(failures)}; "
        f"put the file at $DLJAX_DATA/{name} and set DLJAX_DATA"
    )


def download_from(url: str, sha256: str, target: Path) -> None:
    """Download one address to `target`, which appears only once its bytes have been checked."""
    # "identity": else a server that calls a .gz file gzip-encoded text has it unpacked on the way.
    get = pooch.HTTPDownloader(headers={"Accept-Encoding": "identity"})
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as folder:
        part = Path(folder) / target.name
        get(url, str(part), None)  # pyright: ignore[reportArgumentType]  (only Pooch itself passes one)
        if (actual := digest(part)) != sha256:
            raise InputError(f"{target.name} has SHA-256 {actual}, but {sha256} is expected")
        os.replace(part, target)


def reason(error: Exception) -> str:
    """Why a download failed, in a few words of one line."""
    if isinstance(error, InputError):
        return str(error)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"HTTP status {status}"
    return getattr(error, "strerror", None) or type(error).__name__
