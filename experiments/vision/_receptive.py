"""Stacks of windows for `receptive`: drawn at random, those of known networks, and one to train."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from dljax.host import figures
from dljax.ops.conv import avg_pool, conv
from dljax.ops.receptive import Window, fields, lengths, padded, support
from dljax.typing import Array


class Layer(NamedTuple):
    """A convolution to so many channels, or a pool of as many as come in."""

    name: str
    windows: tuple[Window, ...]  # along rows and columns
    channels: int | None = None


def drawn(rng: np.random.Generator, layers: int = 5) -> tuple[tuple[int, ...], list[Layer]]:
    """An image's sides, and layers over it: as many, up to the given number, as fit.

    Sizes, strides, dilations and paddings are drawn for rows and columns apart.
    """
    sides, found = tuple(map(int, rng.integers(8, 25, 2))), []
    for _ in range(layers):
        pool, windows = rng.random() < 0.3, []
        for _ in sides:
            size, stride, dilation = (int(rng.integers(1, top)) for top in (5, 4, 2 if pool else 4))
            pads = rng.integers(0, (size - 1) * dilation + 1, 2)
            windows.append(Window(size, stride, dilation, *map(int, pads)))
        more = [*found, Layer("pool" if pool else "conv", tuple(windows), None if pool else 2)]
        if any(
            along[-1].reach > lengths(along[:-1], n)[-1] + along[-1].low + along[-1].high
            for n, along in zip(sides, axes(more), strict=True)
        ):
            break
        found = more
    return sides, found


def axes(layers: Sequence[Layer]) -> tuple[list[Window], list[Window]]:
    """The windows along rows, and those along columns."""
    return [each.windows[0] for each in layers], [each.windows[1] for each in layers]


def gradient(sides: tuple[int, ...], layers: Sequence[Layer], key: Array) -> Array:
    """The slopes [h', w', h, w] of a stack's outputs by its inputs, all weights positive.

    So nothing cancels: a slope is zero only where no path leads. Pools are of means; a maximum
    hears of one input at a time.
    """

    def outputs(x: Array) -> Array:
        x = x[None, ..., None]
        for i, layer in enumerate(layers):
            size, stride, dilation, low, high = zip(*layer.windows, strict=True)
            pads = list(zip(low, high, strict=True))
            if layer.channels is None:
                x = avg_pool(x, size, stride, pads)
                continue
            shape = (*size, x.shape[-1], layer.channels)
            kernel = jax.random.uniform(jax.random.fold_in(key, i), shape, minval=0.5, maxval=1.5)
            x = conv(x, kernel, stride, pads, None, dilation)
        return x.sum((0, 3))

    return jax.jit(jax.jacrev(outputs))(jnp.ones(sides))


def agree(sides: tuple[int, ...], layers: Sequence[Layer], key: Array) -> bool:
    """Whether the gradient is non-zero exactly where the formula says."""
    rows, columns = (support(along, n) for along, n in zip(axes(layers), sides, strict=True))
    wanted = rows[:, None, :, None] & columns[None, :, None, :]
    return bool(np.array_equal(gradient(sides, layers, key) != 0, wanted))


def square(n: int, size: int, stride: int = 1, dilation: int = 1, by: str = "SAME"):
    """A window of equal sides over n x n positions."""
    return (padded(n, size, stride, dilation, by),) * 2


def known() -> dict[str, tuple[tuple[int, int, int], list[Layer]]]:
    """Networks that the table shows, each with the image [h, w, d] that it is given."""
    cnn, n = [], 28
    for channels in (32, 64):
        cnn += [Layer("conv", square(n, 3), channels), Layer("pool", square(n, 2, 2, by="VALID"))]
        n //= 2
    trunk, n = [], 64
    for i, channels in enumerate((16, 32, 64)):
        stride = 2 if i else 1
        trunk.append(Layer("conv", square(n, 3, stride), channels))
        n //= stride
        trunk.append(Layer("conv", square(n, 3), channels))
    vgg, n = [], 224
    for count, channels in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        vgg += [Layer("conv", square(n, 3), channels)] * count
        vgg.append(Layer("pool", square(n, 2, 2)))
        n //= 2
    dilated = [Layer("conv", square(64, 3, 1, 2**i), 16) for i in range(5)]
    return {
        "the CNN of vision.classify": ((28, 28, 1), cnn),
        "the trunk of dljax.nets.trunk": ((64, 64, 1), trunk),
        "dilations of 1 to 16 (Yu and Koltun 2016)": ((64, 64, 1), dilated),
        "VGG-16 (Simonyan and Zisserman 2015)": ((224, 224, 3), vgg),
    }


def table(name: str, shape: tuple[int, int, int], layers: Sequence[Layer]) -> str:
    """h x w x d of each layer, and what one of its positions sees, along rows."""
    rows, columns = axes(layers)
    sizes = zip(lengths(rows, shape[0]), lengths(columns, shape[1]), fields(rows), strict=True)
    depth, lines = shape[2], [name]
    heads = ("layer", "h x w x d", "window", "stride", "dilation", "field", "jump", "centre")
    lines.append("  {:6}{:>15}{:>8}{:>8}{:>10}{:>7}{:>6}{:>8}".format(*heads))
    for layer, (h, w, field) in zip([None, *layers], sizes, strict=True):
        depth = (layer and layer.channels) or depth
        kind, window = (layer.name, layer.windows[0][:3]) if layer else ("image", ("", "", ""))
        said = "  {:6}{:>15}{:>8}{:>8}{:>10}{:>7}{:>6}{:>8g}"
        lines.append(said.format(kind, f"{h} x {w} x {depth}", *window, *field[:2], field.centre))
    return "\n".join(lines) + "\n"


class Deep(nn.Module):
    """`depth` 3x3 convolutions without padding, then logits: one position that sees 2 depth + 1.

    x [B, 2 depth + 1, 2 depth + 1, c] -> [B, classes]. Activations are `max(x, slope x)`, so linear
    at a slope of 1 and rectified at 0; weights start at a variance of `2 / ((1 + slope^2) fan_in)`
    (He et al. 2015, eq. 15), so that neither grows with depth.
    """

    depth: int
    channels: int
    classes: int
    slope: float | Array = 0.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        def start(key: Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32) -> Array:
            fan_in = np.prod(shape[:-1])
            return jnp.sqrt(2 / ((1 + self.slope**2) * fan_in)) * jax.random.normal(
                key, shape, dtype
            )

        for _ in range(self.depth):
            window = {"padding": "VALID", "kernel_init": start, "conv_general_dilated": conv}
            x = nn.Conv(self.channels, (3, 3), **window)(x)
            x = jnp.where(x > 0, x, self.slope * x)
        return nn.Dense(self.classes)(x[:, 0, 0])


def squares(net: Deep, params: dict, x: Array) -> Array:
    """The mass [r, r] of an effective field: squared slopes of all logits, mean over x [n, ...].

    Luo et al. 2016.
    """

    def slopes(x: Array) -> Array:
        return jax.jacrev(lambda x: net.apply({"params": params}, x[None])[0])(x)  # pyright: ignore

    return jax.lax.map(lambda x: (slopes(x) ** 2).sum((0, -1)), x).mean(0)


def walk(depth: int) -> np.ndarray:
    """What a linear stack's mass is on average over independent weights: a random walk's end.

    The product of as many squares has the product of their means, so the mass is uniform over
    three taps, folded `depth` times along rows and columns: Luo et al. 2016, section 2.
    """
    steps = np.ones(1)
    for _ in range(depth):
        steps = np.convolve(steps, np.ones(3) / 3)
    return np.outer(steps, steps)


def draw_maps(path: Path, masses: dict[str, list[np.ndarray]], widths: dict[str, list[float]]):
    """A row for each state, a column for each depth: the mass's root, and the square of 95 %."""
    columns = len(next(iter(masses.values())))
    figure, found = figures.panels(columns, len(masses), size=(2.1, 2.3))
    for i, (name, row) in enumerate(masses.items()):
        for j, mass in enumerate(row):
            ax, r, side = found[i * columns + j], len(mass), widths[name][j]
            ax.imshow(np.sqrt(mass), cmap="magma", extent=(0, r, 0, r))
            low = (r - side) / 2
            box = [low, low + side, low + side, low, low], [low, low, low + side, low + side, low]
            ax.plot(*box, color="white", lw=1.2)
            ax.set_xticks([])
            ax.set_yticks([])
            ax.set_title(f"{name}\n{r} x {r}: {side:.1f} hold 95 %", fontsize=8)
    figure.suptitle("what a position listens to: root of its squared slopes", fontsize=10)
    return figures.save(figure, path)


def draw_widths(path: Path, depths: Sequence[int], shares: dict[str, np.ndarray], told: np.ndarray):
    """The share of the field's side that holds 95 %, [D, N], against depth."""
    figure, (ax,) = figures.panels(1, size=(5.2, 3.6))
    for i, (name, values) in enumerate(shares.items()):
        figures.spread(ax, depths, values, name, figures.COLORS[i // 2])
        ax.lines[-1].set_linestyle("-" if i % 2 else "--")  # dashed: before training
    ax.plot(depths, told, color=figures.INK, ls=":", lw=1.4, label="random walk")
    ax.set(xlabel="3x3 convolutions", ylabel="side with 95 % / side of the field", ylim=(0, 1))
    ax.set_xticks(list(depths))
    ax.legend(frameon=False, fontsize=8)
    figure.suptitle("effective receptive field, band from least to greatest seed", fontsize=10)
    return figures.save(figure, path)
