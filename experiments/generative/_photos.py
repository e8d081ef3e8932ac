"""Photographs for the uses of autoencoders, what spoils them, and the plain ways to mend them."""

import io
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from PIL import Image
from sklearn.datasets import load_sample_image

from dljax.data.scaling import BYTES
from dljax.errors import InputError, brief
from dljax.host import figures
from dljax.host.function import Function, Input
from dljax.learn import autoencode
from dljax.learn.autoencode import Corrupt
from dljax.typing import Array, Key, PyTree

BLOCK = 8  # pixels of a side of what is coded at once, as in JPEG
LARGEST = 2**24  # pixels of a photograph, whose overlapping crops take 50 times its bytes


def mends(net: nn.Module, shape: tuple[int, ...]) -> dict[str, Function]:
    """A spoilt photograph made good, from 0 to 1."""

    def mend(params: PyTree, x: Array) -> Array:
        return jnp.clip(jnp.asarray(net.apply({"params": params}, x)), 0, 1)

    return {"mend": Function(mend, (Input(shape, scaling=BYTES, pictures=True),), rows=1)}


def photo(name: str) -> np.ndarray:
    """china or flower of scikit-learn, or an image file, at half its size: [h, w, 3] uint8.

    The sides are cut to a multiple of `BLOCK`. Raises InputError if there is no such image, or it
    is damaged, too small or too large.
    """
    pixels = load_sample_image(f"{name}.jpg") if name in ("china", "flower") else decode(name)
    h, w = (side // (2 * BLOCK) * 2 * BLOCK for side in pixels.shape[:2])
    if min(h, w) < 4 * BLOCK:
        raise InputError(f"{name}: sides of at least {4 * BLOCK} pixels are needed")
    quarters = pixels[:h, :w].reshape(h // 2, 2, w // 2, 2, 3).mean((1, 3))
    return np.round(quarters).astype(np.uint8)


def decode(name: str) -> np.ndarray:
    """An image file's pixels [h, w, 3], decoded only once its header has told a size in bounds."""
    accepted = f"china, flower or an image file of at most {LARGEST:,} pixels is accepted"
    try:
        with warnings.catch_warnings():  # Pillow's of large images: the bound here is lower
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(Path(name)) as image:
                if image.width * image.height <= LARGEST:
                    return np.asarray(image.convert("RGB"))
                why = f"{image.width} x {image.height} pixels"
    except Exception as error:  # a hostile file raises nearly anything: SyntaxError, zlib.error
        why = brief(error)
    raise InputError(f"no image {name!r} ({why}); {accepted}")


def crops(image: np.ndarray, side: int, stride: int) -> np.ndarray:
    """Every `stride`-th square of the image: [n, side, side, 3]."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (side, side), (0, 1))
    return np.moveaxis(windows[::stride, ::stride], 2, -1).reshape(-1, side, side, 3)


def whole(blocks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The image of a shape whose blocks [n, ...] stand row by row, clipped to [0, 1]."""
    h, w = shape[0] // BLOCK, shape[1] // BLOCK
    tiled = blocks.reshape(h, w, BLOCK, BLOCK, 3).swapaxes(1, 2)
    return np.clip(tiled.reshape(shape), 0, 1)


def noise(key: Key, x: Array) -> Array:
    """Gaussian noise of standard deviation 0.1."""
    return autoencode.add_noise(key, x, 0.1)


def shrink(key: Key, x: Array) -> Array:
    """A quarter of the pixels, and cubic interpolation back."""
    del key
    n, h, w, c = x.shape
    small = x.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))
    return jax.image.resize(small, x.shape, "cubic")


def drain(key: Key, x: Array) -> Array:
    """The luminance of ITU-R BT.601 in all three channels."""
    del key
    grey = x @ jnp.array([0.299, 0.587, 0.114])
    return jnp.broadcast_to(grey[..., None], x.shape)


def smooth(spoilt: np.ndarray, train: np.ndarray, spoilt_train: np.ndarray) -> np.ndarray:
    """A Gaussian filter of the width that is best on the training photograph."""

    def filtered(image: np.ndarray, width: float) -> np.ndarray:
        return scipy.ndimage.gaussian_filter(image, (width, width, 0))

    widths = np.linspace(0.2, 2, 19)
    errors = [((filtered(spoilt_train, width) - train) ** 2).mean() for width in widths]
    return filtered(spoilt, float(widths[int(np.argmin(errors))]))


def tint(spoilt: np.ndarray, train: np.ndarray, spoilt_train: np.ndarray) -> np.ndarray:
    """The mean colour of the training photograph over its grey, added to all pixels."""
    return spoilt + (train - spoilt_train).mean((0, 1))


class Task(NamedTuple):
    """What spoils a photograph, and the plain way to mend it, of the arguments of `smooth`."""

    spoil: Corrupt
    plain: str
    mend: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


TASKS = {
    "denoise": Task(noise, "Gaussian filter", smooth),
    "enlarge": Task(shrink, "cubic interpolation", lambda spoilt, *_: spoilt),
    "colour": Task(drain, "mean tint", tint),
}


def jpeg(image: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """The image [h, w, 3] in [0, 1] through the best JPEG of at most `most` bytes, and its bytes.

    Its headers count: they are part of the file. The smallest there is may still be larger.
    """
    pixels = Image.fromarray(np.round(255 * image).astype(np.uint8))
    for quality in range(95, 0, -1):
        file = io.BytesIO()
        pixels.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= most:
            break
    size = file.tell()
    return np.asarray(Image.open(file), np.float32) / 255, size


def packed(codes: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, bytes]:
    """Codes [n, L] through 6 bits a number, and their deflated table.

    low, high [L]: the range of each number, known to both sides.
    """
    levels = 63
    whole = np.clip(np.round((codes - low) / (high - low) * levels), 0, levels).astype(np.uint8)
    # number by number, differences along the row of blocks: neighbours are alike
    flat = np.diff(whole.T, axis=1, prepend=0).astype(np.uint8)
    return whole / levels * (high - low) + low, zlib.compress(flat.tobytes(), 9)


def strip(path: Path, images: dict[str, np.ndarray]) -> Path:
    """The middle of each image, side by side."""
    figure, axes = figures.panels(len(images), size=(2.6, 2.7))
    for ax, (name, image) in zip(axes, images.items(), strict=True):
        h, w = (max(0, side // 2 - 48) for side in image.shape[:2])
        ax.imshow(image[h : h + 96, w : w + 96], interpolation="nearest")
        ax.set_title(name, fontsize=10)
        ax.set_axis_off()
    return figures.save(figure, path)
