"""What spoils a photograph, the networks that mend it, and the plain ways to do so."""

import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
import scipy.ndimage
from sklearn.neighbors import KNeighborsRegressor

from dljax.data.scaling import BYTES
from dljax.data.stream import unit_scale
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.host.function import Function, Input
from dljax.learn import autoencode
from dljax.learn.autoencode import Corrupt
from dljax.nets.progressive import halve
from dljax.nets.restore import Restorer, SlidingCoder
from dljax.ops.scores import psnr, ssim
from dljax.typing import Array, Key, PyTree

SIGMA = 0.1  # of the noise, which the plain ways are told
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

Way = Callable[[np.ndarray], np.ndarray]
"""A spoilt image [h, w, 3] -> a mended one."""


def noise(key: Key, x: Array) -> Array:
    """Gaussian noise of standard deviation `SIGMA`."""
    return autoencode.add_noise(key, x, SIGMA)


def shrink(key: Key, x: Array) -> Array:
    """A quarter of the pixels: the mean of each 2 x 2."""
    del key
    return halve(x)


def halved(image: np.ndarray) -> np.ndarray:
    """The same of one image [h, w, c]."""
    return np.asarray(halve(jnp.asarray(image)[None])[0])


def drain(key: Key, x: Array) -> Array:
    """The luminance in all three channels."""
    del key
    return jnp.broadcast_to((x @ LUMINANCE)[..., None], x.shape)


def non_local_means(h: float, image: np.ndarray) -> np.ndarray:
    """Buades et al. 2005, by scikit-image."""
    from skimage.restoration import denoise_nl_means

    options = {"patch_size": 5, "patch_distance": 6, "channel_axis": -1}
    return denoise_nl_means(image, h=h * SIGMA, sigma=SIGMA, **options)


def total_variation(weight: float, image: np.ndarray) -> np.ndarray:
    """Chambolle 2004, by scikit-image."""
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(image, weight=weight, channel_axis=-1)


def gaussian(width: float, image: np.ndarray) -> np.ndarray:
    return scipy.ndimage.gaussian_filter(image, (width, width, 0))


def cosines(threshold: float, image: np.ndarray, side: int = 8) -> np.ndarray:
    """Cosine transforms of all squares and their three channels, what is small in them set to 0.

    Where they overlap, those of few numbers weigh most. Yu and Sapiro 2011; weights of Dabov et al.
    2007, eq. 10.
    """
    windows = np.lib.stride_tricks.sliding_window_view(image, (side, side), (0, 1))
    codes = np.asarray(scipy.fft.dctn(windows, axes=(2, 3, 4), norm="ortho"))
    kept = np.abs(codes) > threshold * SIGMA
    kept[..., 0, 0, 0] = True
    back = np.asarray(scipy.fft.idctn(codes * kept, axes=(2, 3, 4), norm="ortho"))
    weight = 1 / kept.sum((2, 3, 4))[..., None]
    found, total = np.zeros_like(image), np.zeros((*image.shape[:2], 1), image.dtype)
    h, w = windows.shape[:2]
    for i, j in itertools.product(range(side), range(side)):
        found[i : i + h, j : j + w] += weight * back[..., i, j]
        total[i : i + h, j : j + w] += weight
    return found / total


def doubled(x: Array, method: str = "cubic") -> Array:
    b, h, w, c = x.shape
    return jax.image.resize(x, (b, 2 * h, 2 * w, c), method)


def projected(x: Array, times: int = 4) -> Array:
    """Cubic interpolation of x [B, h, w, c], then `times` what its shrunk image lacks is added.

    Irani and Peleg 1991.
    """
    found = doubled(x)
    for _ in range(times):
        found = found + doubled(x - halve(found))
    return found


def resized(method: str, image: np.ndarray) -> np.ndarray:
    return np.asarray(doubled(jnp.asarray(image)[None], method)[0])


def back_projected(times: int, image: np.ndarray) -> np.ndarray:
    return np.asarray(projected(jnp.asarray(image)[None], times)[0])


class Transfer:
    """Colour of the training places whose grey surroundings are most alike: Welsh et al. 2002.

    Of photographs of half the size, 5 x 5 pixels around each; colour is what is beside luminance.
    """

    def __init__(self, pieces: np.ndarray, most: int = 8000):
        rows = np.random.RandomState(0).permutation(len(pieces))[: most // 8]
        small = np.asarray(shrink(jax.random.key(0), unit_scale(jnp.asarray(pieces[rows]))))
        seen, colour = zip(*(self.places(each) for each in small), strict=True)
        places = np.random.RandomState(1).permutation(len(seen) * len(seen[0]))[:most]
        self.seen, self.colour = (np.concatenate(each)[places] for each in (seen, colour))

    @staticmethod
    def places(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The surroundings [n, 25] of each pixel of [h, w, 3], and its colour [n, 3]."""
        grey = image @ LUMINANCE
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(grey, 2, "edge"), (5, 5))
        return windows.reshape(-1, 25), (image - grey[..., None]).reshape(-1, 3)

    def painted(self, neighbours: int, image: np.ndarray) -> np.ndarray:
        small = halved(image)
        model = KNeighborsRegressor(neighbours, algorithm="brute").fit(self.seen, self.colour)
        colour = model.predict(self.places(small)[0]).reshape(small.shape)
        return image + resized("linear", colour)


def tint(pieces: np.ndarray, image: np.ndarray) -> np.ndarray:
    """The mean colour of what is learnt from over its grey, added to all pixels."""
    mean = pieces.mean((0, 1, 2)) / 255
    return (image + mean - mean @ LUMINANCE).astype(np.float32)


def each(way: Callable[..., np.ndarray], settings: Sequence[object]) -> list[Way]:
    return [functools.partial(way, setting) for setting in settings]


def denoisers(pieces: np.ndarray) -> dict[str, list[Way]]:
    del pieces
    return {
        "non-local means": each(non_local_means, (0.6, 0.75, 0.9)),
        "sliding cosine transform": each(cosines, (2.4, 2.7, 3.0)),
        "total variation": each(total_variation, (0.06, 0.09, 0.12)),
        "Gaussian filter": each(gaussian, (0.5, 0.7, 0.9)),
    }


def enlargers(pieces: np.ndarray) -> dict[str, list[Way]]:
    del pieces
    return {
        "bicubic": each(resized, ("cubic",)),
        "Lanczos": each(resized, ("lanczos3",)),
        "bicubic with back-projection": each(back_projected, (1, 2, 4, 8)),
    }


def painters(pieces: np.ndarray) -> dict[str, list[Way]]:
    return {
        "mean tint": [functools.partial(tint, pieces)],
        "colour of the nearest patches": each(Transfer(pieces).painted, (10, 100, 1000)),
    }


class Task(NamedTuple):
    """What spoils a photograph; how its network looks, and begins; the plain ways, by names."""

    spoil: Corrupt
    fold: int
    enlarge: int
    begin: Callable[[Array], Array] | None
    plain: Callable[[np.ndarray], dict[str, list[Way]]]


TASKS = {
    "denoise": Task(noise, 2, 1, SlidingCoder(2.7 * SIGMA), denoisers),
    "enlarge": Task(shrink, 1, 2, projected, enlargers),
    "colour": Task(drain, 4, 1, None, painters),
}


def decibels(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """PSNR of each of images [..., h, w, 3], the true ones broadcast to them."""
    whole = np.broadcast_to(true, np.broadcast_shapes(found.shape, true.shape))
    return np.asarray(psnr(jnp.asarray(found), jnp.asarray(whole)))


def all_by(way: Way, spoilt: np.ndarray) -> np.ndarray:
    return np.stack([np.clip(way(image), 0, 1) for image in spoilt])


def best_plain(
    ways: dict[str, list[Way]], spoilt: np.ndarray, true: np.ndarray
) -> tuple[dict[str, Way], str]:
    """Each way with the setting of most PSNR on the validation photographs, and the best's name."""
    found, worth = {}, {}
    for name, settings in ways.items():
        reached = [decibels(all_by(way, spoilt), true).mean() for way in settings]
        found[name], worth[name] = settings[int(np.argmax(reached))], max(reached)
    return found, max(worth, key=lambda name: worth[name])


def told(
    run: Study,
    task: str,
    found: np.ndarray,
    others: dict[str, np.ndarray],
    best: str,
    true: np.ndarray,
    names: list[str],
) -> None:
    """PSNR and SSIM of each test photograph, of found [S, N, ...] the mean over seeds."""
    for score, f in (("PSNR", decibels), ("SSIM", ssim)):
        metric = f"{task} {score}"
        own = np.mean([np.asarray(f(x, true)) for x in found], 0)
        run.metric(metric, own, photographs=names)
        for way, x in others.items():
            values = np.asarray(f(x, true))
            run.baseline(f"{way}, {metric}", metric, values, strongest=way == best)
            if (way, score) == (best, "PSNR"):
                gain = own - values
    name = f"{task} gain over the strongest plain way, decibels"
    if task == "colour":
        run.metric(name, gain, photographs=names)
    else:
        said = "two standard errors over photographs"
        run.gain(name, gain, said, seeds=5, photographs=names)


def mends(name: str, net: Restorer, shape: tuple[int, ...]) -> dict[str, Function]:
    """A spoilt photograph of `shape` made good, from 0 to 1; to be coloured, a grey one."""

    def mend(params: PyTree, x: Array) -> Array:
        if name == "colour":
            x = jnp.repeat(x, 3, -1)
        return jnp.clip(jnp.asarray(net.apply({"params": params}, x)), 0, 1)

    seen = (*shape[:2], 1 if name == "colour" else 3)
    return {name: Function(mend, (Input(seen, scaling=BYTES, pictures=True),), rows=1)}


def strip(path: Path, images: dict[str, np.ndarray]) -> Path:
    """The middle of each image, side by side; smaller ones enlarged without a change of pixels."""
    figure, axes = figures.panels(len(images), size=(2.6, 2.7))
    most = max(image.shape[0] for image in images.values())
    for ax, (name, image) in zip(axes, images.items(), strict=True):
        half = 48 * image.shape[0] // most
        h, w = (max(0, side // 2 - half) for side in image.shape[:2])
        ax.imshow(image[h : h + 2 * half, w : w + 2 * half], interpolation="nearest")
        ax.set_title(name, fontsize=10)
        ax.set_axis_off()
    return figures.save(figure, path)
