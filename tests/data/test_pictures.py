"""Picture files: what is read back as it was written, and what is refused in one line."""

import io
import struct
import tarfile
import zlib

import numpy as np
import pytest
from PIL import Image

from dljax.data import pictures
from dljax.errors import InputError

RNG = np.random.default_rng(0)


def png(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels, **options).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (2, 2)])
def test_what_was_written_is_read(tmp_path, shape):
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    (tmp_path / "mine.png").write_bytes(png(pixels))
    found = pictures.read(tmp_path / "mine.png")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pixels.reshape(*shape[:2], -1))


def test_black_and_white_is_grey_of_0_and_255():
    pixels = RNG.random((4, 6)) < 0.5
    np.testing.assert_array_equal(pictures.decode(png(pixels), "it")[..., 0], 255 * pixels)


def chunks(header, rows):
    """A PNG file of a header and of rows that may not be what it says."""
    parts = (b"IHDR" + header, b"IDAT" + zlib.compress(rows), b"IEND")
    framed = (struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def refused(content, name="mine.png"):
    with pytest.raises(InputError, match=rf"^{name}: .* is accepted$") as found:
        pictures.decode(content, name)
    assert "\n" not in str(found.value)
    return str(found.value)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((4, 4, 4), np.uint8), "RGBA"),
        (np.zeros((4, 4, 2), np.uint8), "grey with transparency"),
        (np.zeros((4, 4), np.uint16), "16-bit grey"),
        (np.zeros((1, 1), np.uint8), "1 x 1 pixels"),
        (np.zeros((3, 1), np.uint8), "1 x 3 pixels"),
    ],
)
def test_what_is_not_8_bits_of_grey_or_colour_is_refused(pixels, said):
    assert said in refused(png(pixels))


def test_a_palette_and_another_format_are_refused():
    file = io.BytesIO()
    Image.new("P", (4, 4)).save(file, "PNG")
    assert "a palette" in refused(file.getvalue())
    file = io.BytesIO()
    Image.new("L", (4, 4)).save(file, "GIF")
    assert "cannot identify image file;" in refused(file.getvalue())


@pytest.mark.parametrize(("depth", "kind", "said"), [(16, 2, "16 bits"), (2, 0, "2 bits")])
def test_other_numbers_of_bits_are_refused(depth, kind, said):
    rows = bytes(2 * (1 + 2 * {2: 3, 0: 1}[kind] * max(1, depth // 8)))
    assert said in refused(chunks(struct.pack(">II5B", 2, 2, depth, kind, 0, 0, 0), rows))


def test_a_transparent_colour_is_refused():
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG", transparency=(0, 0, 0))
    assert "transparent" in refused(file.getvalue())


def test_a_flipped_bit_is_refused_or_changes_nothing():
    pixels = RNG.integers(0, 256, (6, 6), dtype=np.uint8)
    content, taken = bytearray(png(pixels)), 0
    for at in range(len(content)):
        content[at] ^= 1 << at % 8
        try:
            np.testing.assert_array_equal(pictures.decode(bytes(content), "it")[..., 0], pixels)
            taken += 1
        except InputError:
            pass
        content[at] ^= 1 << at % 8
    assert taken < 20  # in what follows the pixels


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_damaged_file_is_refused(kind):
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (64, 64), dtype=np.uint8)).save(file, kind)
    whole = file.getvalue()
    for content in (b"", whole[:20], whole[: len(whole) // 2]):
        refused(content)
    if kind == "PNG":
        refused(whole[:100] + bytes(50) + whole[150:])


def test_a_huge_picture_is_refused_by_its_header():
    header = struct.pack(">II5B", 20_000, 20_000, 8, 2, 0, 0, 0)
    assert "pixels" in refused(chunks(header, b""))


def test_no_such_picture(tmp_path):
    with pytest.raises(InputError, match=r"none\.png: cannot be read: No such file"):
        pictures.read(tmp_path / "none.png")


def test_an_archive_gives_what_is_wanted_of_it(tmp_path, monkeypatch):
    path = tmp_path / "all.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {"a/1.png": b"one", "../2.png": b"two", "b.txt": b"three"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    found = pictures.read_archive(path, lambda name: name.endswith(".png"))
    assert found == {"a/1.png": b"one", "../2.png": b"two"}
    assert sorted(tmp_path.iterdir()) == [path]
    monkeypatch.setattr(pictures, "ARCHIVE", 5)
    with pytest.raises(InputError, match="unpacks to more than 5 bytes"):
        pictures.read_archive(path, lambda name: name.endswith(".png"))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match=r"all\.tar\.gz is no archive that can be read: "):
        pictures.read_archive(path, lambda name: True)
