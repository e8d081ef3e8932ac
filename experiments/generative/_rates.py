"""Images as files: those of a codec, whose codes are range-coded, and JPEG's and WebP's."""

import io
import itertools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from sklearn.decomposition import PCA

from dljax.data.scaling import BYTES
from dljax.data.stream import unit_scale
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.host.function import Function, Input
from dljax.host.result import summary, two_errors
from dljax.nets.codec import LEAST, MOST, Basis, Codec, causal
from dljax.nets.trunk import space_to_depth
from dljax.typing import Array, PyTree
from experiments.generative import _coder
from experiments.generative._coder import LARGEST
from experiments.generative._mending import decibels

FINE = 2**10  # steps of a weight, and of a logarithm: sums of whole numbers have no rounding


def basis(pieces: np.ndarray, latent: int, block: int) -> Basis:
    """The first principal components of blocks of pieces [n, h, w, 3] uint8."""
    blocks = np.asarray(space_to_depth(unit_scale(jnp.asarray(pieces)) - 0.5, block))
    rows = blocks.reshape(-1, blocks.shape[-1])[:: max(1, blocks[..., 0].size // 20_000)]
    directions = np.asarray(PCA(latent, random_state=0).fit(rows).components_).T
    return Basis(directions, (rows @ directions).std(0))


class Tables(NamedTuple):
    """A codec's distributions at one level, in whole numbers: the same on all machines."""

    to_mean: np.ndarray
    to_scale: np.ndarray
    scale: np.ndarray


def tables(params: PyTree, level: int) -> Tables:
    """Windows [9, L, L], causal, and scales [L], of one member's parameters."""
    windows = (np.asarray(params[name]) for name in ("to_mean", "to_scale"))
    seen = causal(params["scale"].shape[-1])
    mean, scale = (np.round(FINE * each * seen).reshape(9, *each.shape[2:]) for each in windows)
    own = np.round(FINE**2 * np.asarray(params["scale"][level], np.float64))
    return Tables(mean.astype(np.float64), scale.astype(np.float64), own)


def loudness(codes: np.ndarray) -> np.ndarray:
    return np.round(FINE * np.log1p(np.abs(codes)))


def distributions(mean: np.ndarray, log_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and scales as floats, of sums of whole numbers."""
    return mean / FINE, np.exp(np.clip(log_scale / FINE**2, LEAST, MOST))


def chances(codes: np.ndarray, known: Tables) -> tuple[np.ndarray, np.ndarray]:
    """Means and scales [h, w, L] of all codes [h, w, L], as `Codec.chances`."""
    h, w, _ = codes.shape
    mean, log_scale = np.zeros(codes.shape), np.broadcast_to(known.scale, codes.shape).copy()
    padded = np.pad(codes.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
    loud = loudness(padded)
    for tap in range(5):
        rows, columns = (slice(tap // 3, tap // 3 + h), slice(tap % 3, tap % 3 + w))
        mean += padded[rows, columns] @ known.to_mean[tap]
        log_scale += loud[rows, columns] @ known.to_scale[tap]
    return distributions(mean, log_scale)


def packed(codes: np.ndarray, level: int, known: Tables) -> bytes:
    """The file of codes [h, w, L], whole numbers: three bytes of level and sizes, and the codes."""
    told = [each.reshape(-1) for each in chances(codes, known)]
    return bytes((level, *codes.shape[:2])) + _coder.write(codes.reshape(-1).astype(int), *told)


def unpacked(file: bytes, known: Tables) -> np.ndarray:
    """The codes of a file. Each tells what the next is likely to be: they are read one by one."""
    _, h, w = file[:3]
    read, latent = _coder.reader(file[3:]), len(known.scale)
    padded = np.zeros((h + 2, w + 2, latent))
    for row, column in np.ndindex(h, w):
        mean, log_scale = np.zeros(latent), known.scale.copy()
        for tap in range(4):
            near = padded[row + tap // 3, column + tap % 3]
            mean += near @ known.to_mean[tap]
            log_scale += loudness(near) @ known.to_scale[tap]
        own = padded[row + 1, column + 1]
        for k in range(latent):
            own[k] = read(*map(float, distributions(mean[k], log_scale[k])))
            mean += own[k] * known.to_mean[4, k]
            log_scale += loudness(own[k]) * known.to_scale[4, k]
    return padded[1:-1, 1:-1].astype(int)


def encode(net: Codec, images: Array, level: Array, params: PyTree) -> Array:
    """Whole numbers [N, h / block, w / block, L] of images at a level []."""

    def one(x: Array) -> Array:
        y = net.apply({"params": params}, x[None], level[None], method="encode")
        return jnp.clip(jnp.round(jnp.asarray(y)[0]), -LARGEST, LARGEST)

    return jax.lax.map(one, images)


def decode(net: Codec, level: Array, params: PyTree, codes: Array) -> Array:
    """Images [N, h, w, 3] in [0, 1]."""

    def one(y: Array) -> Array:
        x = net.apply({"params": params}, y[None], level[None], method="decode")
        return jnp.clip(jnp.asarray(x)[0], 0, 1)

    return jax.lax.map(one, codes)


def compresses(net: Codec, shape: tuple[int, ...], level: int) -> dict[str, Function]:
    """A photograph of `shape` as it comes out of its file at a level, from 0 to 1."""

    def through(params: PyTree, x: Array) -> Array:
        k = jnp.asarray(level)
        return decode(net, k, params, encode(net, x, k, params))

    return {"compress": Function(through, (Input(shape, scaling=BYTES, pictures=True),), rows=1)}


class Curve(NamedTuple):
    """Bits per pixel and PSNR of each image at each setting, [N, settings], bits rising."""

    bits: np.ndarray
    decibels: np.ndarray

    def at(self, bits: np.ndarray) -> np.ndarray:
        """PSNR of each image at other bits [N], linear in their logarithm; beyond, the nearest."""
        pairs = zip(bits, self.bits, self.decibels, strict=True)
        return np.array([np.interp(np.log(b), np.log(x), y) for b, x, y in pairs])


def library(images: np.ndarray, kind: str, whole: bool = True, **options: Any) -> Curve:
    """Images [N, h, w, 3] in [0, 1] through Pillow's files, at qualities of 1 to 95.

    Unless the `whole` file counts, that of JPEG's tables does not, which could be agreed upon.
    """
    found = []
    for image in images:
        pixels = Image.fromarray(np.round(255 * image).astype(np.uint8))
        sizes, read = [], []
        for quality in (1, 3, 6, *range(10, 96, 5)):
            file = io.BytesIO()
            pixels.save(file, kind, quality=quality, **options)
            sizes.append(file.tell() - (0 if whole else header(file.getvalue())))
            read.append(np.asarray(Image.open(file).convert("RGB"), np.float32) / 255)
        order = np.argsort(sizes, kind="stable")
        bits = 8 * np.array(sizes)[order] / (pixels.width * pixels.height)
        found.append((bits, decibels(np.stack(read), image[None])[order]))
    return Curve(*(np.stack(each) for each in zip(*found, strict=True)))


def header(file: bytes) -> int:
    """Bytes of a JPEG file before its scan's data: the scan's own header, marker FFDA, included."""
    start = file.index(b"\xff\xda") + 2
    return start + int.from_bytes(file[start : start + 2], "big")


def coded(run: Study, net: Codec, params: PyTree, images: np.ndarray) -> Curve:
    """Images [N, h, w, 3] through files at each level: means over members [S]."""
    levels, members = jnp.arange(len(net.gains)), range(len(params["gain"]))

    def through(own: PyTree) -> tuple[Array, Array]:
        def at(level: Array) -> tuple[Array, Array]:
            y = encode(net, jnp.asarray(images), level, own)
            return y, decode(net, level, own, y)

        return jax.lax.map(at, levels)

    y, decoded = map(np.asarray, run.each(through, params, at_once=1))
    sizes = np.zeros((len(members), len(images), len(levels)))
    for i, k in itertools.product(members, range(len(levels))):
        known = tables(jax.tree.map(lambda leaf, i=i: leaf[i], params), k)
        sizes[i, :, k] = [len(packed(codes, k, known)) for codes in y[i, k]]
    bits = 8 * sizes.mean(0) / (images.shape[1] * images.shape[2])
    return Curve(bits, decibels(decoded, images[None, None]).mean(0).T)


def compare(run: Study, own: Curve, others: dict[str, list[Curve]]) -> None:
    """At each rate: bits, PSNR, and that of others of as many bits; and where those are beaten.

    That is: by more than two standard errors over photographs.
    """
    rates = range(own.bits.shape[1])
    gains: dict[str, list[np.ndarray]] = {name: [] for name in others}
    for k in rates:
        metric = f"PSNR at rate {k + 1}"
        run.metric(f"bits per pixel at rate {k + 1}", own.bits[:, k], "lower")
        run.metric(metric, own.decibels[:, k])
        for name, curves in others.items():
            best = np.max([each.at(own.bits[:, k]) for each in curves], 0)
            run.baseline(f"{name} of as many bits, {metric}", metric, best)
            gains[name].append(own.decibels[:, k] - best)
    for name, found in gains.items():
        where = [float(own.bits[:, k].mean()) for k in rates if beaten(found[k])]
        run.metric(f"rates of {len(rates)} at which {name} is beaten", [len(where)], bits=where)


def beaten(gain: np.ndarray) -> bool:
    """Whether the mean gain exceeds two of its standard errors."""
    found = summary(gain, "higher")
    return len(gain) > 1 and found["mean"] > two_errors(found)


def draw(path: Path, curves: dict[str, list[Curve]], title: str) -> Path:
    """PSNR over bits per pixel, both means over images at each setting."""
    figure, (ax,) = figures.panels(1, size=(5.6, 4.0))
    means = [[np.mean(each, 1) for each in several] for several in curves.values()]
    for name, lines, color in zip(curves, means, figures.COLORS, strict=False):
        for i, line in enumerate(lines):
            style = "o-" if line.shape[1] < 10 else ("-", "--")[i]
            label = (name, f"{name}, 4:4:4")[i]
            ax.plot(*line, style, color=color, ms=4, lw=1.4, label=label)
    ax.set(xscale="log", xlabel="bits per pixel", ylabel="PSNR, decibels")
    most = 1.5 * curves["autoencoder"][0].bits.mean(0).max()
    every = np.concatenate([line for lines in means for line in lines], 1)
    seen = every[:, np.isfinite(every[1]) & (every[0] <= most)]  # a flat photograph may be exact
    (left, low), high = seen.min(1), seen[1].max()
    ax.set(xlim=(0.9 * left, most), ylim=(low - 0.5, high + 1))
    ax.set_title(title, fontsize=10)
    ax.legend(frameon=False, fontsize=8)
    return figures.save(figure, path)
