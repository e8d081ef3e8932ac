"""Known files: found in order, checked against their hashes, and downloaded whole or not at all."""

import contextlib
import errno
import hashlib
import os
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dljax.data import fetch, store
from dljax.data.registry import FILES, File
from dljax.errors import InputError

NAME, CONTENT = "set/file.gz", b"the right bytes"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """An empty data folder, a cache folder that does not exist yet, and a clean slate."""
    data, cache = tmp_path / "data", tmp_path / "cache"
    (data / "set").mkdir(parents=True)
    monkeypatch.setenv("DLJAX_DATA", str(data))
    monkeypatch.setenv("DLJAX_CACHE", str(cache))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    store.check.cache_clear()
    return data, cache


@pytest.fixture
def server():
    """The address of a local server, and its answers by path.

    An answer is (status, headers, body), or a function of the stream to write to.
    """
    answers = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer = answers.get(self.path, (404, {}, b"not found"))
            if callable(answer):
                with contextlib.suppress(OSError):  # the client has gone
                    answer(self.wfile)
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in {"Content-Length": len(body), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/", answers
        http.shutdown()
        thread.join()


def register(monkeypatch, *urls):
    monkeypatch.setitem(FILES, NAME, File(SHA256, len(CONTENT), urls))


def refusal(name=NAME):
    with pytest.raises(InputError) as caught:
        fetch(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def files_under(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_data_folder_comes_before_the_cache(folders, monkeypatch):
    register(monkeypatch)
    data, cache = folders
    (cache / "set").mkdir(parents=True)
    (cache / NAME).write_bytes(CONTENT)
    assert fetch(NAME) == cache / NAME
    (data / NAME).write_bytes(CONTENT)
    assert fetch(NAME) == data / NAME


@pytest.mark.parametrize("place", [0, 1])
def test_a_wrong_file_is_refused_with_both_hashes_and_left_alone(folders, monkeypatch, place):
    register(monkeypatch)
    path = folders[place] / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"wrong")
    message = refusal()
    wrong = hashlib.sha256(b"wrong").hexdigest()
    assert str(path) in message
    assert SHA256 in message
    assert wrong in message
    assert path.read_bytes() == b"wrong"


def test_a_file_is_hashed_once_a_process_and_again_when_it_changes(folders, monkeypatch):
    register(monkeypatch)
    path = folders[0] / NAME
    path.write_bytes(CONTENT)
    hashed = []
    digest = store.digest
    monkeypatch.setattr(store, "digest", lambda path: hashed.append(path) or digest(path))
    assert fetch(NAME) == fetch(NAME) == path
    assert hashed == [path]
    path.write_bytes(CONTENT + b"!")
    assert SHA256 in refusal()


def test_a_download_lands_in_the_cache_and_is_used_from_there(folders, monkeypatch, server):
    url, answers = server
    register(monkeypatch, url)
    answers["/file.gz"] = (200, {}, CONTENT)
    assert fetch(NAME) == folders[1] / NAME
    assert (folders[1] / NAME).read_bytes() == CONTENT
    answers.clear()
    assert fetch(NAME) == folders[1] / NAME
    assert files_under(folders[1]) == ["set", NAME]


def test_the_second_address_serves_when_the_first_fails(folders, monkeypatch, server):
    url, answers = server
    register(monkeypatch, url + "gone/", url + "mirror/other-name")
    answers["/mirror/other-name"] = (200, {}, CONTENT)
    assert fetch(NAME).read_bytes() == CONTENT


def test_a_download_with_wrong_bytes_leaves_nothing(folders, monkeypatch, server):
    url, answers = server
    register(monkeypatch, url)
    answers["/file.gz"] = (200, {}, b"wrong")
    message = refusal()
    assert SHA256 in message
    assert hashlib.sha256(b"wrong").hexdigest() in message
    assert url + "file.gz" in message
    assert files_under(folders[1]) == ["set"]


def test_a_download_appears_whole_by_one_rename(folders, monkeypatch, server):
    url, answers = server
    register(monkeypatch, url)
    answers["/file.gz"] = (200, {}, CONTENT)
    target, said = folders[1] / NAME, []
    replace = os.replace

    def rename(old, new):
        said.append((Path(old), Path(new), Path(old).read_bytes(), target.exists()))
        replace(old, new)

    monkeypatch.setattr(os, "replace", rename)
    fetch(NAME)
    ((part, *rest),) = said
    assert target.parent in part.parents  # one file system, or it would be a copy
    assert rest == [target, CONTENT, False]


def test_a_download_cut_short_leaves_nothing(folders, monkeypatch, server):
    url, answers = server
    register(monkeypatch, url)
    answers["/file.gz"] = (200, {"Content-Length": len(CONTENT) + 9}, CONTENT)
    assert url + "file.gz" in refusal()
    assert files_under(folders[1]) == ["set"]


def test_an_interrupted_download_leaves_nothing(folders, monkeypatch):
    class Interrupted:
        def __init__(self, **options):
            pass

        def __call__(self, url, output_file, pooch):
            output_file.write(CONTENT[:5])
            raise KeyboardInterrupt

    register(monkeypatch, "http://127.0.0.1/")
    monkeypatch.setattr(store.pooch, "HTTPDownloader", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(NAME)
    assert files_under(folders[1]) == ["set"]


def test_more_bytes_than_are_pinned_stop_at_once(folders, monkeypatch, server):
    url, answers = server
    register(monkeypatch, url)
    sent = []

    def flood(stream):
        stream.write(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(1000):
            stream.write(bytes(2**20))
            sent.append(2**20)

    answers["/file.gz"] = flood
    assert f"sends more than the {len(CONTENT)} bytes" in refusal()
    assert sum(sent) < 100 * 2**20  # what fits the buffers of both ends
    assert files_under(folders[1]) == ["set"]


@pytest.mark.parametrize("start", [b"", b"HTTP/1.0 200 OK\r\nContent-Length: 15\r\n\r\n"])
def test_a_server_that_drips_has_a_limit(folders, monkeypatch, server, start):
    url, answers = server
    register(monkeypatch, url)
    monkeypatch.setattr(store, "GRACE", 0.2)

    def drip(stream):
        stream.write(start)
        for byte in b"HTTP/1.0 200 OK and no end":
            stream.write(bytes([byte]))
            time.sleep(0.05)

    answers["/file.gz"] = drip
    begun = time.monotonic()
    assert "not done after 0.2 s" in refusal()
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/file.gz",
        "http://[::1",
        "http://",
        "http://127.0.0.1:99999999/",
        f"http://{'a' * 300}/",
        "http://\x00\xff/",
        "/file.gz",
    ],
)
def test_a_redirect_to_nonsense_is_one_line(folders, monkeypatch, server, target):
    url, answers = server
    register(monkeypatch, url)
    answers["/file.gz"] = (302, {"Location": target}, b"")
    assert url + "file.gz (" in refusal()


def test_a_full_cache_is_named(folders, monkeypatch, server):
    url, answers = server
    register(monkeypatch, url, url + "mirror/")
    answers["/file.gz"] = (200, {}, CONTENT)

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store.Path, "write_bytes", full)
    message = refusal()
    assert f"cannot write to {folders[1] / 'set'}: No space left on device" in message
    assert "DLJAX_CACHE" in message
    assert files_under(folders[1]) == ["set"]


def test_what_a_dead_process_left_in_the_cache_is_removed(folders, monkeypatch, server):
    url, answers = server
    register(monkeypatch, url)
    answers["/file.gz"] = (200, {}, CONTENT)
    kept = f".part-{os.getppid()}-x"
    for name in (kept, f".part-{2**31 - 1}-x", f".part-{2**70}-x", ".part-x", ".part-"):
        (folders[1] / "set" / name).mkdir(parents=True)
        (folders[1] / "set" / name / "file.gz").write_bytes(CONTENT[:5])
        os.utime(folders[1] / "set" / name, (0, 0))
    new = ".part-1-new"  # of a machine, perhaps, that shares the folder
    (folders[1] / "set" / new).mkdir()
    monkeypatch.setattr(store, "alive", lambda process: process == str(os.getppid()))
    fetch(NAME)
    assert files_under(folders[1]) == [
        "set",
        f"set/{new}",
        f"set/{kept}",
        f"set/{kept}/file.gz",
        NAME,
    ]


def test_a_process_is_alive_until_it_is_not(monkeypatch):
    child = subprocess.Popen(["true"])
    child.wait()
    assert store.alive(str(os.getpid()))
    assert not any(map(store.alive, ("", "x", str(2**70), str(child.pid))))

    def another_users(process, signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", another_users)
    assert store.alive("1")


def test_without_a_network_the_message_says_where_it_looked_and_what_to_do(folders, monkeypatch):
    register(monkeypatch, "http://127.0.0.1:1/")  # nothing listens on port 1
    message = refusal()
    assert str(folders[0] / NAME) in message
    assert str(folders[1] / NAME) in message
    assert "http://127.0.0.1:1/file.gz" in message
    assert "set DLJAX_DATA" in message


def test_an_http_error_is_named_by_its_status(folders, monkeypatch, server):
    register(monkeypatch, server[0])
    assert "HTTP status 404" in refusal()


def test_an_unknown_name_suggests_the_nearest():
    assert "mnist/train-images-idx3-ubyte.gz" in refusal("mnist/train-image-idx3-ubyte.gz")


def test_a_data_folder_that_is_none_is_refused(folders, monkeypatch):
    register(monkeypatch)
    monkeypatch.setenv("DLJAX_DATA", str(folders[0] / "absent"))
    assert "DLJAX_DATA" in refusal()
    assert "absent" in refusal()


def test_a_cache_folder_that_cannot_be_made_is_refused(folders, monkeypatch, tmp_path):
    register(monkeypatch, "http://127.0.0.1:1/")
    (tmp_path / "plain").write_bytes(b"")
    monkeypatch.setenv("DLJAX_CACHE", str(tmp_path / "plain" / "cache"))
    assert "DLJAX_CACHE" in refusal()


def test_every_known_file_is_pinned_and_has_an_address():
    for name, file in FILES.items():
        assert len(file.sha256) == 64 and set(file.sha256) <= set("0123456789abcdef"), name
        assert file.bytes > 0, name
        # packed by us: no one address holds them
        packed = ("cifar10_part/", "isbi_membrane/", "bccd/", "uci/", "20newsgroups/")
        packed += ("noto_emoji_pairs/",)
        assert bool(file.urls) != name.startswith(packed), name
        assert not name.startswith("/") and ".." not in name.split("/"), name
