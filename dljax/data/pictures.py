"""Picture files, PNG or JPEG, alone or in an archive: their sizes are told before they unpack."""

import io
import tarfile
import warnings
import zlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from dljax.data.files import check_size
from dljax.errors import InputError, brief

LARGEST = 2**24  # pixels of a picture
SUFFIXES = (".jpg", ".jpeg", ".png")  # in letters of either case
CLEAR = {"RGBA": "RGB", "LA": "L", "P": "RGB", "PA": "RGB"}  # what is left on white
ARCHIVE = 2**28  # bytes of what is read of an archive


def read(path: Path, indexed: bool = False) -> np.ndarray:
    """The pixels of a picture file; see `decode`."""
    return decode(content_of(path), path, indexed)


def content_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def decode(content: bytes, name: object, indexed: bool = False, white: bool = False) -> np.ndarray:
    """The pixels of a PNG or JPEG file's bytes: uint8, grey [h, w, 1] or RGB [h, w, 3].

    Of a palette, where it may be `indexed`, the numbers of its colours, [h, w, 1], as masks have.
    On `white`, palettes and transparency are taken too, and a photograph is turned as it was held.
    Raises InputError, naming `name`, for a damaged file, transparency, 16 bits and whatever else is
    not 8 bits of grey or RGB, a side of one pixel, or more than `LARGEST` pixels, none unpacked.
    """
    from PIL import Image, ImageOps  # here, since few who import this floor read pictures

    try:
        with warnings.catch_warnings():  # Pillow's of large images: the bound here is lower
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
                numbers = indexed and image.mode == "P"  # whose colours may well be transparent
                mode, info = ("L", ()) if numbers else (image.mode, image.info)
                if white and mode in CLEAR:
                    mode, info = CLEAR[mode], ()
                if why := refusal(mode, image.size, () if white else info):
                    raise InputError(why)
                if image.format == "PNG":
                    bits = content[24]  # of a channel: IHDR's
                    if bits != 8 and image.mode not in ("1", "P" if white else "1") and not numbers:
                        raise InputError(f"{bits} bits")
                    with Image.open(io.BytesIO(content), formats=("PNG",)) as checked:
                        checked.verify()  # its sums, which loading does not look at
                image = ImageOps.exif_transpose(image) if white else image
                if white and (image.mode in CLEAR or "transparency" in image.info):
                    image = image.convert("RGBA")
                    ground = Image.new("RGBA", image.size, "white")
                    image = Image.alpha_composite(ground, image).convert(mode)
                pixels = np.array(image.convert("L") if image.mode == "1" else image)
    except Exception as error:  # a hostile file raises nearly anything: SyntaxError, zlib.error
        why = brief(error)
        why = why.partition(" <_io.")[0]  # Pillow names the stream
        wanted = "a PNG or JPEG picture of 8 bits, grey or RGB, is accepted"
        raise InputError(f"{name}: {why}; {wanted}") from error
    return pixels.reshape(*pixels.shape[:2], -1)


def alike(path: Path, shape: Sequence[int | None]) -> np.ndarray:
    """A picture on white, resized to shape [h, w, c] where numbers are given."""
    from PIL import Image

    pixels = decode(content_of(path), path, white=True)
    high, wide, channels = shape
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    if channels and channels != pixels.shape[-1]:
        image = image.convert("L" if channels == 1 else "RGB")
    if high and wide and pixels.shape[:2] != (high, wide):
        image = image.resize((wide, high))
    return np.asarray(image).reshape(image.height, image.width, -1)


def by_folder(root: Path, size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 [n, h, w, c] in a folder a class, `size` x `size` if that is given; names [n].

    Grey ones become RGB where one is coloured. Raises InputError for fewer than two classes, and
    for pictures of several sizes if no `size` is given.
    """
    named = [
        (folder.name, file)
        for folder in sorted(each for each in root.iterdir() if each.is_dir())
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    ]
    if len({name for name, _ in named}) < 2:
        raise InputError(f"{root}: a folder of .png or .jpg files a class is needed, of 2 or more")
    found, total = [], 0
    for _, file in named:
        image = alike(file, (size, size, None))
        total = check_size(root, total + image.size)
        if found and image.shape[:2] != found[0].shape[:2]:
            first, this = (f"{x.shape[1]} x {x.shape[0]}" for x in (found[0], image))
            raise InputError(
                f"{file} is {this} pixels, but {named[0][1]} {first}; give a size (--size 64)"
            )
        found.append(image)
    if len({image.shape[-1] for image in found}) > 1:
        found = [np.broadcast_to(image, (*image.shape[:2], 3)) for image in found]
    return np.stack(found), np.array([name for name, _ in named])


def refusal(mode: str, size: tuple[int, int], info: Collection[str | tuple]) -> str | None:
    """Why a picture of Pillow's `mode`, width and height and `info` is not taken, if it is not."""
    width, height = size
    if width * height > LARGEST:
        return f"{width} x {height} pixels, more than {LARGEST:,}"
    if min(size) < 2:
        return f"{width} x {height} pixels, and a side of one shows nothing"
    if mode in ("1", "L", "RGB"):
        return "a colour that is transparent" if "transparency" in info else None
    return {
        "RGBA": "RGBA, with transparency",
        "LA": "grey with transparency",
        "P": "a palette of colours",
    }.get(mode, "16-bit grey" if mode.startswith("I") else f"of kind {mode}")


def read_archive(path: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The files of a `.tar.gz` whose names are `wanted`, by name; nothing is written to the disk.

    Raises InputError for what cannot be read, or holds more than `ARCHIVE` bytes of them.
    """
    found: dict[str, bytes] = {}
    left = ARCHIVE
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if not (member.isfile() and wanted(member.name)):
                    continue
                left -= member.size
                if left < 0:
                    raise InputError(f"{path} unpacks to more than {ARCHIVE:,} bytes")
                stream = archive.extractfile(member)
                found[member.name] = stream.read() if stream else b""
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        said = str(error).partition("\n")[0]  # of tarfile's, one line a kind of archive follows
        raise InputError(f"{path} is no archive that can be read: {said}") from error
    return found
