"""Filters by hand on pictures (S28), and what each layer of a network responds to (S31)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from dljax.data import pictures
from dljax.data.stream import unit_scale
from dljax.host.baselines import chosen, linear_classifier
from dljax.host.figures import COLORS, panels, save
from dljax.learn.classify import Weights
from dljax.nets import CNN
from dljax.ops.conv import conv
from dljax.ops.receptive import Field, Window, fields
from dljax.typing import Array, Batch

FILTERS = {
    "sharpen": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float32),
    "edge": np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32),
    "strong edge": np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], np.float32),
}
TOP = 16  # images that a unit's class is told by
ANGLES = 16  # orientations of the gratings


def filtered(image: Array, kernel: Array) -> Array:
    """Each channel under a filter, its border repeated outwards: [h, w, c], [k, k] -> [h, w, c].

    A correlation, as all of deep learning's: scipy's `ndimage.correlate(..., mode="nearest")`.
    """
    reach = kernel.shape[0] // 2
    planes = jnp.pad(jnp.moveaxis(image, -1, 0), ((0, 0), (reach, reach), (reach, reach)), "edge")
    found = conv(planes[..., None], kernel[..., None, None], (1, 1), "VALID")
    return jnp.moveaxis(found[..., 0], 0, -1)


def photographs(path: Path | None) -> dict[str, np.ndarray]:
    """scikit-learn's two, and the user's where there is one, [h, w, c] in [0, 1]."""
    from sklearn.datasets import load_sample_images

    found: dict[str, np.ndarray] = {}
    found |= zip(("china", "flower"), load_sample_images().images, strict=True)
    if path is not None:
        found[path.name] = pictures.read(path)
    return {name: np.asarray(unit_scale(jnp.asarray(image))) for name, image in found.items()}


def differences(images: Sequence[np.ndarray], kernel: np.ndarray) -> list[float]:
    """The greatest difference from scipy's correlation and convolution, of each image.

    A convolution turns the filter about; these look the same after it.
    """
    found = []
    for image in images:
        ours = np.asarray(filtered(jnp.asarray(image), jnp.asarray(kernel)))
        for scipy_s in (ndimage.correlate, ndimage.convolve):
            theirs = scipy_s(image.astype(np.float64), kernel[..., None], mode="nearest")
            found.append(float(np.abs(ours - theirs).max()))
    return found


def field(layer: int) -> Field:
    """What a unit sees of layer 1, 2, ... of `CNN`: 3x3 convolutions, each with 2x2 pooling."""
    return fields([Window(3, low=1, high=1), Window(2, 2)] * layer)[-1]


def crop(sees: Field, image: np.ndarray, row: int, column: int) -> np.ndarray:
    """The patch of an image [h, w, c] under the unit at a place, zeros outside."""
    room = sees.size
    padded = np.pad(image, ((room, room), (room, room), (0, 0)))
    top, left = (room + sees.start + sees.jump * at for at in (row, column))
    return padded[top : top + room, left : left + room]


def layers(net: CNN, weights: Weights, x: Array) -> list[Array]:
    """The maps of every convolution after its pooling, of x [B, h, w, c]: [B, h, w, features]."""
    params, extra = weights
    variables = {"params": params, **extra}

    def wanted(module: nn.Module, _: str) -> bool:
        return (module.name or "").startswith("Conv_")

    maps: Any = net.apply(variables, x, capture_intermediates=wanted)[1]["intermediates"]
    return [maps[f"Conv_{i}"]["__call__"][0] for i in range(len(net.channels))]


class Response(NamedTuple):
    """Each unit's greatest response to each image, and at which place of its map: [n, features]."""

    value: Array
    place: Array


def responses(net: CNN, weights: Weights, x: Array, chunk: int = 100) -> list[Response]:
    """Of every layer, to images [n, h, w, c]."""

    def one(image: Array) -> list[Response]:
        maps = layers(net, weights, unit_scale(image)[None])
        flat = [each.reshape(-1, each.shape[-1]) for each in maps]
        return [Response(each.max(0), each.argmax(0)) for each in flat]

    return jax.lax.map(one, x, batch_size=chunk)


def top(value: Array, count: int = TOP) -> Array:
    """The images that excite each unit most, value [n, features] -> [count, features]."""
    return jax.lax.top_k(value.T, count)[1].T


def purity(value: Array, labels: Array, classes: int) -> Array:
    """The share of the commonest class among a unit's `TOP` images, the mean over live units.

    value [n, features], labels [n]. A unit that responds to fewer than `TOP` images is left out.
    """
    shown = jax.nn.one_hot(labels, classes)[top(value)]
    alive = (value > 0).sum(0) >= TOP
    return jnp.mean(shown.mean(0).max(-1), where=alive)


def gratings(shape: Sequence[int]) -> np.ndarray:
    """Waves in [0, 1] of `ANGLES` orientations, lengths of 3, 4 and 6 pixels, and 4 phases.

    shape [h, w, c] -> [ANGLES, 3 * 4, h, w, c].
    """
    h, w, channels = shape
    down, across = np.mgrid[:h, :w]
    waves = [
        np.cos(2 * np.pi * (np.cos(angle) * across + np.sin(angle) * down) / length + phase)
        for angle in np.arange(ANGLES) * np.pi / ANGLES
        for length in (3, 4, 6)
        for phase in np.arange(4) * np.pi / 2
    ]
    found = (1 + np.array(waves, np.float32)) / 2
    return np.repeat(found.reshape(ANGLES, -1, h, w, 1), channels, -1)


def tuning(value: Array) -> Array:
    """How much units prefer one orientation, `|sum_a r_a e^(2 i a)| / sum_a r_a`, 0 to 1.

    value [ANGLES * waves, features], r_a a unit's greatest response to a grating of angle a; the
    mean over units that respond. Ringach, Shapley and Hawken 2002: one less the circular variance.
    """
    r = value.reshape(ANGLES, -1, value.shape[-1]).max(1)
    turn = jnp.exp(2j * jnp.pi * jnp.arange(ANGLES) / ANGLES)
    total = r.sum(0)
    return jnp.mean(jnp.abs(turn @ r) / jnp.maximum(total, 1e-9), where=total > 0)


def readout(train: Batch, validation: Batch, test: Batch) -> float:
    """Test accuracy of logistic regression on units' greatest responses, [n, features]."""
    spread = train.x.std(0) + 1e-6
    train, validation, test = (
        part._replace(x=part.x / spread) for part in (train, validation, test)
    )
    fits = [linear_classifier(train, strength) for strength in (0.1, 1.0, 10.0)]
    return float(chosen(fits, validation).score(*test))


def draw_photographs(path: Path, images: Mapping[str, np.ndarray]) -> Path:
    """Every picture, and what each filter makes of it: edges as their sizes, the greatest dark."""
    figure, axes = panels(1 + len(FILTERS), len(images), size=(3.0, 2.3))
    for row, (name, image) in enumerate(images.items()):
        made = {name: image}
        for kind, kernel in FILTERS.items():
            found = np.asarray(filtered(jnp.asarray(image), jnp.asarray(kernel)))
            made[kind] = found.clip(0, 1) if kind == "sharpen" else 1 - np.abs(found).clip(0, 1)
        for ax, (title, each) in zip(axes[row * len(made) :], made.items(), strict=False):
            ax.imshow(each.squeeze(), cmap="gray", vmin=0, vmax=1)
            ax.axis("off")
            ax.set_title(title, fontsize=9)
    return save(figure, path)


def draw_patches(
    path: Path, x: np.ndarray, found: Sequence[Response], sides: Sequence[int], units: int = 8
) -> Path:
    """Of each layer, the patches of x [n, h, w, c] that excite some of its units most.

    A row a unit, those with the most spread responses; found [layers], sides their maps' widths.
    """
    count = 9
    figure, axes = panels(len(found), size=(3.6, 3.4))
    for ax, (i, response), width in zip(axes, enumerate(found), sides, strict=True):
        value, place, sees = np.asarray(response.value), np.asarray(response.place), field(i + 1)
        best = np.argsort(-value.std(0))[:units]
        edge = 1 if sees.size < 12 else 2
        side = sees.size + edge
        sheet = np.ones((len(best) * side, count * side, x.shape[-1]))
        for row, unit in enumerate(best):
            for column, image in enumerate(np.asarray(top(jnp.asarray(value), count))[:, unit]):
                patch = crop(sees, x[image], *divmod(int(place[image, unit]), width))
                patch = 1 - patch if x.shape[-1] == 1 else patch
                sheet[row * side :, column * side :][: sees.size, : sees.size] = patch
        ax.imshow(sheet.squeeze(), cmap="gray", vmin=0, vmax=1)
        ax.axis("off")
        ax.set_title(f"layer {i + 1}: {sees.size} x {sees.size} pixels", fontsize=9)
    figure.suptitle(
        "a row a unit: what excites it most, of images it never learnt from", fontsize=10
    )
    return save(figure, path)


def draw_hierarchy(path: Path, found: Mapping[str, Mapping[str, np.ndarray]]) -> Path:
    """Each measure by layer, trained beside untrained: found[measure][which] is [S, layers]."""
    figure, axes = panels(len(found), size=(3.4, 3.0))
    for ax, (measure, by) in zip(axes, found.items(), strict=True):
        for (which, values), color in zip(by.items(), COLORS, strict=False):
            depth = 1 + np.arange(values.shape[1])
            ax.plot(depth, values.mean(0), "o-", color=color, label=which, ms=4, lw=1.4)
            ax.fill_between(depth, values.min(0), values.max(0), color=color, alpha=0.2, lw=0)
        ax.set_xticks(depth)
        ax.set(xlabel="layer", ylabel=measure)
    axes[0].legend(frameon=False, fontsize=8)
    return save(figure, path)
