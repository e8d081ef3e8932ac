"""Photographs by name: those that installed packages bring, CIFAR-10's, and a person's own."""

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from dljax.data import load
from dljax.data.objects import shrunk
from dljax.data.pictures import SUFFIXES
from dljax.errors import InputError, brief

BLOCK = 8  # pixels of a side of what is coded at once, as in JPEG
SIDE = 32  # of the pieces that are learnt from, as CIFAR-10's
VIEW = (144, 192)  # the middle of a photograph, which is tested
LARGEST = 2**24  # pixels of a photograph, whose overlapping crops take 50 times its bytes

TRAIN = ("china", "immunohistochemistry", "motorcycle")
VALIDATION = ("grace_hopper", "hubble_deep_field")
TEST = ("astronaut", "chelsea", "coffee", "flower", "retina", "rocket")
NAMES = sorted((*TRAIN, *VALIDATION, *TEST))


def packaged(name: str) -> np.ndarray:
    """A photograph that scikit-learn, Matplotlib or scikit-image ships: [h, w, 3] uint8."""
    if name in ("china", "flower"):
        from sklearn.datasets import load_sample_image

        return load_sample_image(f"{name}.jpg")
    if name == "grace_hopper":
        from matplotlib.cbook import get_sample_data

        return decode(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    from skimage import data

    found = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
    return np.asarray(found)


def photo(name: str, least: tuple[int, int] = (2 * BLOCK, 2 * BLOCK)) -> np.ndarray:
    """One of `NAMES`, or an image file, at half its size: [h, w, 3] uint8.

    The sides are cut to a multiple of `BLOCK`. Raises InputError if there is no such image, or it
    is damaged, smaller than `least` when halved, or too large.
    """
    pixels = packaged(name) if name in NAMES else decode(name)
    h, w = (side // (2 * BLOCK) * 2 * BLOCK for side in pixels.shape[:2])
    if h < 2 * least[0] or w < 2 * least[1]:
        raise InputError(f"{name}: at least {2 * least[1]} x {2 * least[0]} pixels are needed")
    return shrunk(pixels[:h, :w], 2, name)


def decode(name: str) -> np.ndarray:
    """An image file's pixels [h, w, 3], decoded only once its header has told a size in bounds."""
    accepted = f"one of {', '.join(NAMES)}, or an image file of at most {LARGEST:,} pixels"
    try:
        with warnings.catch_warnings():  # Pillow's of large images: the bound here is lower
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(Path(name)) as image:
                if image.width * image.height <= LARGEST:
                    return np.asarray(image.convert("RGB"))
                why = f"{image.width} x {image.height} pixels"
    except Exception as error:  # a hostile file raises nearly anything: SyntaxError, zlib.error
        why = brief(error)
    raise InputError(f"no image {name!r} ({why}); accepted is {accepted}")


def crops(image: np.ndarray, side: int, stride: int) -> np.ndarray:
    """Every `stride`-th square of the image: [n, side, side, 3]."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (side, side), (0, 1))
    return np.moveaxis(windows[::stride, ::stride], 2, -1).reshape(-1, side, side, 3)


def turned(image: np.ndarray) -> list[np.ndarray]:
    """The image in the eight ways that a square can lie."""
    return [np.rot90(each, k) for each in (image, image[:, ::-1]) for k in range(4)]


def files(name: str, flag: str) -> list[str]:
    """The photographs in a folder. Raises InputError if there is no folder, or none in it."""
    root = Path(name)
    kinds = "photos" if flag == "--test" else "photos, cifar10"
    if not root.is_dir():
        raise InputError(
            f"{flag} must be {kinds} or a folder of {' or '.join(SUFFIXES)} files; got {name!r}"
        )
    found = sorted(str(each) for each in root.iterdir() if each.suffix.lower() in SUFFIXES)
    if not found:
        raise InputError(f"{flag}: no {' or '.join(SUFFIXES)} file in {name}")
    return found


def learnt(sources: Iterable[str]) -> np.ndarray:
    """What is learnt from, pieces [n, SIDE, SIDE, 3] uint8 of each source, in all directions."""
    found = []
    for source in sources:
        if source == "cifar10":
            found.append(load(source).train.x)
            continue
        names = TRAIN if source == "photos" else files(source, "--train")
        whole = [photo(name, (SIDE, SIDE)) for name in names]
        found += [crops(each, SIDE, SIDE // 2) for image in whole for each in turned(image)]
    return np.concatenate(found)


def tested(source: str) -> dict[str, np.ndarray]:
    """The middle of each photograph to be tested, by its name: float32 [*VIEW, 3] in [0, 1]."""
    names = TEST if source == "photos" else files(source, "--test")
    return {Path(name).stem: middle(name) for name in names}


def validated() -> np.ndarray:
    """Those by which all choices are made: [2, *VIEW, 3]."""
    return np.stack([middle(name) for name in VALIDATION])


def middle(name: str) -> np.ndarray:
    image = photo(name, VIEW)
    top, left = ((n - size) // 2 for n, size in zip(image.shape, VIEW, strict=False))
    return image[top : top + VIEW[0], left : left + VIEW[1]] / np.float32(255)


def check_apart(sources: Iterable[str], test: str) -> None:
    """Raises InputError for a file that is both learnt from and tested."""
    both = {str(Path(name).resolve()) for name in files(test, "--test")} if test != "photos" else {}
    for source in sources:
        if source in ("photos", "cifar10"):
            continue
        for name in files(source, "--train"):
            if str(Path(name).resolve()) in both:
                raise InputError(f"{name} is in --train and in --test")
