"""Finding the known files, each checked against its pinned SHA-256 before anything reads it."""

import contextlib
import functools
import hashlib
import io
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pooch

from dljax.data.registry import FILES, File
from dljax.errors import InputError, unknown

GRACE, SLOWEST = 60, 50_000  # a download may take these seconds, and one for so many bytes
HOUR = 3600.0
PART = ".part-"  # begins the name of a folder with a file not yet whole; its process follows


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

    Raises InputError with what went wrong at every address, or if the cache cannot be written.
    """
    with writing(target.parent):
        clear(target.parent)
    failures = []
    for base in file.urls:
        url = base + target.name if base.endswith("/") else base
        pooch.get_logger().info("Downloading %s (%.1f MB)", url, file.bytes / 1e6)
        try:
            content = receive(url, file)
        except Exception as error:  # a redirect to nonsense raises nearly anything
            failures.append(f"{url} ({reason(error)})")
            continue
        with writing(target.parent):
            save(content, target)
        return
    looked = ", ".join(map(str, places))
    tried = f"not from {', '.join(failures)}" if failures else "no public address holds it"
    raise InputError(
        f"cannot find {name}: not at {looked}; {tried}; "
        f"put the file at $DLJAX_DATA/{name} and set DLJAX_DATA"
    )


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raises InputError if the block cannot write to the cache, as when its disk is full."""
    try:
        yield
    except OSError as error:
        hint = "set DLJAX_CACHE to a folder that can be written and has room"
        raise InputError(f"cannot write to {folder}: {error.strerror}; {hint}") from error


def is_path(name: str) -> bool:
    """Whether what names a data set is the path of a file, there or not, and no known name."""
    path = Path(name).expanduser()
    return bool(path.suffix) or len(path.parts) > 1 or path.is_file()


def clear(folder: Path) -> None:
    """Make the folder, and remove what processes that are no more left half-written there."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in folder.glob(f"{PART}*"):
        # a process that is not here may be of another machine that shares the folder
        old = time.time() - part.stat().st_mtime > HOUR
        if old and not alive(part.name.removeprefix(PART).partition("-")[0]):
            shutil.rmtree(part, ignore_errors=True)


def alive(process: str) -> bool:
    """Whether a process of this number runs; what is no number is not one."""
    try:
        os.kill(int(process), 0)
    except PermissionError:  # another user's
        return True
    except (ValueError, OverflowError, OSError):
        return False
    return True


def save(content: bytes, target: Path) -> None:
    """Write a file that appears only once it is whole."""
    with tempfile.TemporaryDirectory(
        dir=target.parent, prefix=f"{PART}{os.getpid()}-", ignore_cleanup_errors=True
    ) as folder:
        part = Path(folder) / target.name
        part.write_bytes(content)
        os.replace(part, target)


class Bounded(io.BytesIO):
    """A file in memory that refuses more than `most` bytes."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def write(self, chunk: Any) -> int:
        if self.tell() + len(chunk) > self.most:
            raise InputError(f"sends more than the {self.most} bytes expected")
        return super().write(chunk)


def receive(url: str, file: File) -> bytes:
    """What an address sends; raises InputError for other bytes, too many, or too slow ones."""
    # "identity": else a server that calls a .gz file gzip-encoded text has it unpacked on the way.
    get = pooch.HTTPDownloader(headers={"Accept-Encoding": "identity"}, chunk_size=2**16)
    with Bounded(file.bytes) as part:
        within(GRACE + file.bytes / SLOWEST, get, url, part, None)
        content = part.getvalue()
    if (actual := hashlib.sha256(content).hexdigest()) != file.sha256:
        raise InputError(f"its SHA-256 is {actual}, but {file.sha256} is expected")
    return content


def within(seconds: float, work: Callable[..., Any], *arguments: Any) -> None:
    """Call `work`, and raise InputError if it is not done in time.

    A server that drips can draw out a name, a header or a body, each byte within its own time-out:
    only from outside is there a limit to all of it. A thread that is late is left behind.
    """
    failed = []

    def run() -> None:
        try:
            work(*arguments)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise InputError(f"not done after {seconds:.3g} s")
    if failed:
        raise failed.pop()  # which a list in its own traceback would keep alive, and its socket


def reason(error: Exception) -> str:
    """Why a download failed, in a few words of one line."""
    if isinstance(error, InputError):
        return str(error)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"HTTP status {status}"
    return getattr(error, "strerror", None) or type(error).__name__
