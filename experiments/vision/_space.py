"""The networks, the varied images and the figures of `space`."""

from collections.abc import Sequence
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from dljax.data.images import ImageData
from dljax.data.stream import unit_scale
from dljax.data.variations import KINDS, vary
from dljax.errors import InputError
from dljax.host import figures
from dljax.host.baselines import chosen, flat, linear_classifier
from dljax.host.config import require_images
from dljax.host.experiment import Study
from dljax.host.function import classifier
from dljax.nets import CNN, MLP
from dljax.typing import Array, Batch, Key, PyTree


class Ordered(nn.Module):
    """A network that gets its pixels in the given order: x [B, ...] -> net(x)."""

    net: nn.Module
    order: Array

    def __call__(self, x: Array, *, train: bool = False) -> Array:
        seen = x.reshape(len(x), -1)[:, self.order].reshape(x.shape)
        return self.net(seen, train=train)  # pyright: ignore[reportCallIssue]


def leave(run: Study, data: ImageData, known: dict[str, tuple[nn.Module, PyTree]]) -> None:
    """The run's models: networks and their weights that learnt images whose pixels are in order."""
    for name, (net, params) in known.items():
        own = Ordered(net, jnp.arange(data.train.x[0].size))
        run.model({"params": params}, {"predict": classifier(own, data)}, part=name)


def equal(
    channels: Sequence[int], hidden: int, data: ImageData
) -> dict[str, tuple[nn.Module, int]]:
    """A CNN and the MLP of one hidden layer that has as many weights within 2 %, and how many.

    Raises InputError unless the data are images that the channels can halve, and there is such.
    """
    require_images(data, channels)
    classes, image = len(data.classes), jax.ShapeDtypeStruct(data.train.x[:1].shape, jnp.float32)

    def weighed(net: nn.Module) -> tuple[nn.Module, int]:
        shapes = jax.eval_shape(net.init, jax.random.key(0), image)
        return net, sum(leaf.size for leaf in jax.tree.leaves(shapes))

    cnn, count = weighed(CNN(channels, (hidden, classes)))
    width = round((count - classes) / (image.size + 1 + classes))
    mlp, near = weighed(MLP((max(width, 1), classes)))
    if abs(near / count - 1) > 0.02:
        raise InputError(f"--hidden {hidden}: {count} weights, and of an MLP at best {near}")
    return {"CNN": (cnn, count), "MLP": (mlp, near)}


def distorted(key: Key, x: Array, kinds: Array, most: float) -> Array:
    """Each kind of variation that is on [K] in half of the images, at strengths up to `most`."""
    k_on, k_strength, k_vary = jax.random.split(key, 3)
    shape = len(x), len(KINDS)
    on = jax.random.bernoulli(k_on, 0.5, shape) & kinds[None]
    return vary(k_vary, x, on * jax.random.uniform(k_strength, shape, maxval=most))


def varied(x: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Images of a test [m, ...] under each kind at each strength, [K, S, m, ...], in x's type.

    The key, and so the direction of each image's change, is the same at all strengths.
    """

    def one(strengths: Array) -> Array:
        found = vary(jax.random.key(0), unit_scale(jnp.asarray(x)), strengths)
        return jnp.round(255 * found).astype(x.dtype) if x.dtype == np.uint8 else found

    each = np.einsum("kl,s->ksl", np.eye(len(KINDS)), strengths).astype(np.float32)
    return np.asarray(jax.jit(lambda each: jax.lax.map(lambda s: jax.lax.map(one, s), each))(each))


def linear(data: ImageData, varied: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Logistic regression's test accuracy, and that on varied images [K, S, m, ...]: [K, S]."""
    fits = [linear_classifier(data.train, strength) for strength in (0.01, 0.1, 1.0)]
    best = chosen(fits, flat(data.validation))
    found = [[best.score(*flat(Batch(x, labels))) for x in curve] for curve in varied]
    return float(best.score(*flat(data.test))), np.array(found)


def area(curve: np.ndarray) -> np.ndarray:
    """Under accuracy [S, N] at equal steps of strength from 0 to 1: the mean accuracy."""
    return (curve[1:] + curve[:-1]).mean(0) / 2


def draw_kinds(path: Path, varied: np.ndarray, strengths: Sequence[float]) -> Path:
    """One image under each kind of variation (rows) at each strength (columns)."""
    figure, axes = figures.panels(len(strengths), len(KINDS), size=(1.1, 1.15))
    for ax, image in zip(axes, varied.reshape(-1, *varied.shape[2:])[:, 0], strict=True):
        figures.picture(ax, image)
        ax.images[0].set_clim(0, 255 if image.dtype == np.uint8 else 1)
        ax.set_xticks([])
        ax.set_yticks([])
    for name, ax in zip(KINDS, axes[:: len(strengths)], strict=True):
        ax.set_ylabel(name, fontsize=8)
    for strength, ax in zip(strengths, axes, strict=False):
        ax.set_title(f"{strength:.1f}", fontsize=8)
    figure.suptitle("an image of the test at strengths of each variation", fontsize=10)
    return figures.save(figure, path)


def draw_curves(
    path: Path, title: str, strengths: Sequence[float], curves: dict[str, np.ndarray]
) -> Path:
    """Accuracy against strength [K, S, N] of each network or plain method, a panel each kind."""
    figure, axes = figures.panels(3, 2, size=(3.4, 2.7))
    for k, (ax, kind) in enumerate(zip(axes, KINDS, strict=True)):
        for i, (name, values) in enumerate(curves.items()):
            figures.spread(ax, strengths, values[k], name, figures.COLORS[i // 2])
            ax.lines[-1].set_linestyle("--" if i % 2 else "-")
        ax.set(title=kind, xlabel="strength", ylim=(0, 1))
        ax.title.set_fontsize(10)
    axes[0].set_ylabel("test accuracy")
    axes[3].set_ylabel("test accuracy")
    axes[0].legend(frameon=False, fontsize=7, loc="lower left")
    figure.suptitle(title, fontsize=10)
    return figures.save(figure, path)


def draw_order(path: Path, title: str, accuracies: dict[str, list[float]]) -> Path:
    """Every seed's accuracy with pixels in order and permuted."""
    figure, (ax,) = figures.panels(1, size=(5.0, 3.4))
    figures.dots(ax, {name.replace(", ", "\n"): each for name, each in accuracies.items()})
    ax.set_ylabel("test accuracy")
    figure.suptitle(title, fontsize=10)
    return figures.save(figure, path)
