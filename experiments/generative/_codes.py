"""What is lost through a code, beside principal components, measured and drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from dljax.data import ImageData
from dljax.host import figures
from dljax.host.baselines import flat
from dljax.host.experiment import Study
from dljax.host.figures import COLORS, INK
from dljax.host.fit import Fitted
from dljax.learn import autoencode
from dljax.nets.coders import Autoencoder
from dljax.typing import Array, Batch, PyTree
from experiments.generative._images import mosaic

WAYS = ("fresh layers", "layers in turn")
SHOWN = 14  # test images
SURE = 1e-3  # the least chance of a pixel, and 1 less the greatest
BOTH = ("dense", "dense, cross-entropy")  # what is lowered: squares, and cross-entropy
STRAIGHT = 1e-3  # radians: the largest angle between subspaces that are one


class Narrow(Autoencoder):
    """An autoencoder that uses the first `units` of its code; they may be a traced array."""

    units: int | Array = 1

    def encode(self, x: Array, *, train: bool = False) -> Array:
        code = super().encode(x, train=train)
        return jnp.where(jnp.arange(code.shape[-1])[None] < self.units, code, 0)


class Passed(NamedTuple):
    """Test images passed through the networks of one kind, as arrays [choices, seeds, ...]."""

    errors: np.ndarray  # mean squares over pixels
    entropies: np.ndarray  # cross-entropies, in nats a pixel
    images: np.ndarray  # the first seed's of SHOWN images: [choices, SHOWN, h, w, c]
    codes: np.ndarray  # the first seed's of all images: [choices, n, L]


def scaled(x: np.ndarray) -> np.ndarray:
    """Images as floats in [0, 1]."""
    return flat(Batch(x, None)).x.reshape(x.shape)


def passed(run: Study, kind: Any, kept: PyTree, x: np.ndarray) -> Passed:
    """`kept`: the parameters of every choice and seed, choice by choice; x [n, h, w, c]."""
    some = slice(None, None, max(1, len(x) // SHOWN))

    def one(params: PyTree, choice: Array) -> tuple[Array, Array, Array, Array]:
        net = kind.net(choice)
        given = x - kind.mean
        y = kind.pixels(autoencode.reconstruct(net, params, given)) + kind.mean[None]
        code, error = autoencode.encode(net, params, given), jnp.mean((y - x) ** 2)
        # a chance of exactly 0 or 1, which a square does not mind, would cost infinitely much
        p = jnp.clip(y, SURE, 1 - SURE)
        entropy = -(x * jnp.log(p) + (1 - x) * jnp.log1p(-p)).mean()
        return error, entropy, y[some][:SHOWN], code

    choices, seeds = jnp.array(kind.choices), len(run.seeds)
    leaves = run.each(one, kept, jnp.repeat(choices, seeds), at_once=1)
    split = [np.asarray(leaf).reshape(-1, seeds, *leaf.shape[1:]) for leaf in leaves]
    return Passed(split[0], split[1], split[2][:, 0], split[3][:, 0])


def angles(kept: PyTree, x: np.ndarray, latents: Sequence[int]) -> dict[int, np.ndarray]:
    """The largest angle between each linear decoder's subspace and that of PCA of x: by code [S].

    A code of as many units as there are pixels spans everything, and is left out.
    """
    from scipy.linalg import subspace_angles
    from sklearn.decomposition import PCA

    rows = scaled(x).reshape(len(x), -1).astype(np.float64)
    kernels = np.asarray(kept["decoder"]["mlp"]["Dense_0"]["kernel"], np.float64)
    kernels = kernels.reshape(len(latents), -1, *kernels.shape[1:])
    found = {}
    for units, each in zip(latents, kernels, strict=True):
        if units < min(rows.shape):
            axes = np.asarray(PCA(units, svd_solver="full").fit(rows).components_)
            found[units] = np.array([subspace_angles(k[:units].T, axes.T).max() for k in each])
    return found


def principal(data: ImageData, latents: Sequence[int]) -> dict[int, np.ndarray]:
    """The test images through the principal components of all training images: [n, h, w, c]."""
    from sklearn.decomposition import PCA

    train, test = flat(data.train).x, flat(data.test).x
    pca = PCA(min(max(latents), *train.shape), random_state=0).fit(train)
    codes, axes = pca.transform(test), np.asarray(pca.components_)
    shape = data.test.x.shape
    return {
        units: (codes[:, :units] @ axes[:units] + pca.mean_).reshape(shape) for units in latents
    }


def report(
    run: Study, latents: Sequence[int], passed: dict[str, Passed], angles: dict[int, np.ndarray]
) -> None:
    for units, values in angles.items():
        name = f"angle to PCA, {units} units"
        found = run.metric(name, values, "lower")["values"]
        met = len(found) >= 5 and max(found) <= STRAIGHT
        run.target(name, STRAIGHT, "our goal, every seed", met)
    said = "two standard errors of the gain over the next smaller code"
    for kind in ("dense", "conv"):
        for units, gain in zip(latents[1:], -np.diff(passed[kind].errors, axis=0), strict=True):
            run.gain(f"gain of {kind}, {units} units", gain, said, seeds=5)
    for kind in ("linear", *BOTH, "conv"):
        for units, values in zip(latents, passed[kind].errors, strict=True):
            run.metric(f"test error of {kind}, {units} units", values, "lower")
    for kind in BOTH:
        for units, values in zip(latents, passed[kind].entropies, strict=True):
            run.metric(f"test cross-entropy of {kind}, {units} units", values, "lower")
    for way, values in zip(WAYS, passed["deep"].errors, strict=True):
        run.metric(f"test error of deep, {way}", values, "lower")


def draw(
    run: Study,
    data: ImageData,
    deep: Fitted,
    found: dict[str, Passed],
    plain: dict[int, np.ndarray],
) -> None:
    named = [name for name in run.result.metrics if name.startswith("angle")]
    angles = {name.split()[-2]: run.result.metrics[name]["values"] for name in named}
    run.figure("errors.png", errors, data, deep, found, plain, angles)
    run.figure("reconstructions.png", reconstructions, data, found, plain)
    run.figure("codes.png", maps, data, found, list(plain))


def errors(
    path: Path,
    data: ImageData,
    deep: Fitted,
    found: dict[str, Passed],
    plain: dict[int, np.ndarray],
    angles: dict[str, Sequence[float]],
) -> Path:
    """Errors by code, angles to PCA, and the deep network's curves."""
    figure, axes = figures.panels(3)
    compared(axes[0], found, plain, scaled(data.test.x))
    figures.dots(axes[1], angles)
    axes[1].axhline(STRAIGHT, color=INK, lw=1, ls="--", label="goal")
    axes[1].set(xlabel="units", ylabel="largest angle, radians", yscale="log")
    axes[1].set_title("linear autoencoder against PCA", fontsize=10)
    steps, values = figures.curve(deep.records, "validation/loss")
    for way, group, color in zip(WAYS, np.split(values, 2, 1), COLORS, strict=False):
        figures.spread(axes[2], steps, group, way, color)
    axes[2].set(xlabel="step", ylabel="validation loss", yscale="log", title="deep, of sigmoids")
    for ax in axes:
        ax.legend(frameon=False, fontsize=8)
    return figures.save(figure, path)


def compared(
    ax: Axes, found: dict[str, Passed], plain: dict[int, np.ndarray], test: np.ndarray
) -> None:
    units = list(plain)
    for kind, color in zip(("linear", *BOTH, "conv"), COLORS, strict=False):
        figures.spread(ax, units, found[kind].errors, kind, color)
    values = [float(np.mean((images - test) ** 2)) for images in plain.values()]
    # as many units as pixels lose nothing, which has no logarithm
    ax.plot(units, np.maximum(values, 1e-6), color=INK, lw=1.2, ls="--", label="PCA")
    ax.set(xscale="log", yscale="log", xlabel="units", ylabel="mean square on test images")
    ax.set_xticks(units, [str(each) for each in units])
    ax.xaxis.minorticks_off()


def reconstructions(
    path: Path, data: ImageData, found: dict[str, Passed], plain: dict[int, np.ndarray]
) -> Path:
    """Some test images through every code."""
    test = scaled(data.test.x)
    some = slice(None, None, max(1, len(test) // SHOWN))
    rows = {"test images": test[some][:SHOWN]}
    for i, (units, images) in enumerate(plain.items()):
        rows[f"PCA, {units}"] = images[some][:SHOWN]
        rows |= {f"{kind}, {units}": found[kind].images[i] for kind in ("dense", "conv")}
    clipped = {name: row.clip(0, 1) for name, row in rows.items()}
    return mosaic(path, clipped, f"{data.name}: through codes of several sizes")


def maps(path: Path, data: ImageData, found: dict[str, Passed], units: list[int]) -> Path:
    """Test images by their smallest code, or by its first two principal components."""
    from sklearn.decomposition import PCA

    figure, axes = figures.panels(3, size=(4.2, 3.6))
    for ax, kind in zip(axes, ("linear", "dense", "conv"), strict=True):
        each = found[kind]
        codes = each.codes[0][:, : units[0]]
        if units[0] > 2:
            codes = PCA(2, random_state=0).fit_transform(codes)
        dots = ax.scatter(codes[:, 0], codes[:, -1], c=data.test.y, cmap="tab10", s=4, lw=0)
        ax.set_title(kind, fontsize=10)
    if len(data.classes) <= 10:
        axes[-1].legend(*dots.legend_elements(), frameon=False, fontsize=7, loc="upper right")
    figure.suptitle(f"{data.name}: test images by a code of {units[0]}, one seed", fontsize=10)
    return figures.save(figure, path)
