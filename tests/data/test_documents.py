"""Archives of documents: what is read, and what is refused."""

import io
import tarfile

import pytest

from dljax import InputError
from dljax.data import documents
from dljax.data.documents import read_archive, tokens


def archive(path, files):
    with tarfile.open(path, "w:gz") as out:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            out.addfile(member, io.BytesIO(text))
    return path


FILES = {
    "news-train/cats/1": b"From: A\r\n\r\nThey purr.\n\nTwice.",
    "news-train/dogs/2": b"From: B\n\nThey b\xe4rk at 12.",
    "news-test/dogs/3": b"no header",
    "README": b"of neither split",
}


def test_documents_are_read_without_their_headers(tmp_path):
    train, test, classes = read_archive(archive(tmp_path / "a.tar.gz", FILES))
    assert classes == ("cats", "dogs")
    assert train == (["They purr.\n\nTwice.", "They bärk at 12."], [0, 1])
    assert test == ([""], [1])
    assert tokens("They've 12 cats, 3rd-rate.") == ["they", "ve", "0", "cats", "0", "rd", "rate"]


def test_an_archive_of_too_much_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = archive(tmp_path / "a.tar.gz", FILES)
    size = sum(len(text) for name, text in FILES.items() if name != "README")
    monkeypatch.setattr(documents, "LARGEST", size)
    assert read_archive(path)[2] == ("cats", "dogs")
    monkeypatch.setattr(documents, "LARGEST", size - 1)
    with pytest.raises(InputError, match=f"holds more than {size - 1} bytes of documents"):
        read_archive(path)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({k: v for k, v in FILES.items() if "cats" not in k}, "two classes"),
        (FILES | {"news-test/birds/4": b""}, "no other"),
        ({k: v for k, v in FILES.items() if "train" not in k}, "got 0 and 1"),
        ({k: v for k, v in FILES.items() if "test" not in k}, "got 2 and 0"),
        ({}, "two classes"),
    ],
)
def test_an_archive_without_two_classes_or_a_test_is_refused(tmp_path, files, said):
    with pytest.raises(InputError, match=said):
        read_archive(archive(tmp_path / "a.tar.gz", files))


def test_what_is_no_archive_or_not_there_is_refused(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="no archive") as caught:
        read_archive(tmp_path / "a.tar.gz")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot read"):
        read_archive(tmp_path / "b.tar.gz")
    whole = archive(tmp_path / "c.tar.gz", FILES).read_bytes()
    (tmp_path / "c.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"c\.tar\.gz"):
        read_archive(tmp_path / "c.tar.gz")
