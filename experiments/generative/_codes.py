"""What is lost through a code, beside principal components, measured and drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from dljax.data import ImageData
from dljax.host import figures
from dljax.host.baselines import flat
from dljax.host.experiment import Result
from dljax.host.figures import COLORS, INK
from dljax.host.fit import Fitted
from dljax.learn import autoencode
from dljax.nets.coders import Autoencoder
from dljax.typing import Array, Batch, PyTree
from experiments.generative._images import mosaic

WAYS = ("fresh layers", "layers in turn")
SHOWN = 14  # test images


class Narrow(Autoencoder):
    """An autoencoder that uses the first `units` of its code; they may be a traced array."""

    units: int | Array = 1

    def encode(self, x: Array, *, train: bool = False) -> Array:
        code = super().encode(x, train=train)
        return jnp.where(jnp.arange(code.shape[-1])[None] < self.units, code, 0)


class Passed(NamedTuple):
    """Test images passed through the networks of one kind, as arrays [choices, seeds, ...]."""

    errors: np.ndarray  # mean squares over pixels
    images: np.ndarray  # the first seed's of SHOWN images: [choices, SHOWN, h, w, c]
    codes: np.ndarray  # the first seed's of all images: [choices, n, L]


def scaled(x: np.ndarray) -> np.ndarray:
    """Images as floats in [0, 1]."""
    return flat(Batch(x, None)).x.reshape(x.shape)


def passed(kind: Any, kept: PyTree, x: np.ndarray, seeds: int) -> Passed:
    """`kept`: the parameters of every choice and seed, choice by choice; x [n, h, w, c]."""
    some = slice(None, None, max(1, len(x) // SHOWN))

    def one(pair):
        params, choice = pair
        net = kind.net(choice)
        given = x - kind.mean
        y = kind.pixels(autoencode.reconstruct(net, params, given)) + kind.mean[None]
        return jnp.mean((y - x) ** 2), y[some][:SHOWN], autoencode.encode(net, params, given)

    pairs = (kept, jnp.repeat(jnp.array(kind.choices), seeds))
    leaves = jax.jit(lambda pairs: jax.lax.map(one, pairs))(pairs)
    split = [np.asarray(leaf).reshape(-1, seeds, *leaf.shape[1:]) for leaf in leaves]
    return Passed(split[0], split[1][:, 0], split[2][:, 0])


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


def draw(
    folder: Path,
    data: ImageData,
    deep: Fitted,
    found: dict[str, Passed],
    plain: dict[int, np.ndarray],
    result: Result,
) -> None:
    """Errors by code, angles, the deep network's curves; reconstructions; maps of the codes."""
    test = scaled(data.test.x)
    some = slice(None, None, max(1, len(test) // SHOWN))
    figure, axes = figures.panels(3)
    errors(axes[0], found, plain, test)
    straightness(axes[1], result)
    steps, values = figures.curve(deep.records, "validation/loss")
    for way, group, color in zip(WAYS, np.split(values, 2, 1), COLORS, strict=False):
        figures.spread(axes[2], steps, group, way, color)
    axes[2].set(xlabel="step", ylabel="validation loss", yscale="log", title="deep, of sigmoids")
    axes[2].legend(frameon=False, fontsize=8)
    figures.save(figure, folder / "errors.png")

    rows = {"test images": test[some][:SHOWN]}
    for i, (units, images) in enumerate(plain.items()):
        rows[f"PCA, {units}"] = images[some][:SHOWN]
        rows |= {f"{kind}, {units}": found[kind].images[i] for kind in ("dense", "conv")}
    clipped = {name: row.clip(0, 1) for name, row in rows.items()}
    mosaic(folder / "reconstructions.png", clipped, f"{data.name}: through codes of several sizes")
    maps(folder / "codes.png", data, found, list(plain))


def errors(
    ax: Axes, found: dict[str, Passed], plain: dict[int, np.ndarray], test: np.ndarray
) -> None:
    units = list(plain)
    for kind, color in zip(("linear", "dense", "conv"), COLORS, strict=False):
        figures.spread(ax, units, found[kind].errors, kind, color)
    values = [float(np.mean((images - test) ** 2)) for images in plain.values()]
    ax.plot(units, np.maximum(values, 1e-6), color=INK, lw=1.2, ls="--", label="PCA")
    ax.set(xscale="log", yscale="log", xlabel="units", ylabel="mean square on test images")
    ax.set_xticks(units, [str(each) for each in units])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=8)


def straightness(ax: Axes, result: Result) -> None:
    named = [name for name in result.metrics if name.startswith("angle")]
    figures.dots(ax, {name.split()[-2]: result.metrics[name]["values"] for name in named})
    ax.axhline(result.targets[named[0]]["value"], color=INK, lw=1, ls="--", label="goal")
    ax.set(xlabel="units", ylabel="largest angle, radians", yscale="log")
    ax.set_title("linear autoencoder against PCA", fontsize=10)
    ax.legend(frameon=False, fontsize=8)


def maps(path: Path, data: ImageData, found: dict[str, Passed], units: list[int]) -> Path:
    """Test images by their smallest code, or by its first two principal components."""
    from sklearn.decomposition import PCA

    figure, axes = figures.panels(3, size=(4.2, 3.6))
    for ax, (kind, each) in zip(axes, found.items(), strict=False):
        codes = each.codes[0][:, : units[0]]
        if units[0] > 2:
            codes = PCA(2, random_state=0).fit_transform(codes)
        dots = ax.scatter(codes[:, 0], codes[:, -1], c=data.test.y, cmap="tab10", s=4, lw=0)
        ax.set_title(kind, fontsize=10)
    if len(data.classes) <= 10:
        axes[-1].legend(*dots.legend_elements(), frameon=False, fontsize=7, loc="upper right")
    figure.suptitle(f"{data.name}: test images by a code of {units[0]}, one seed", fontsize=10)
    return figures.save(figure, path)
