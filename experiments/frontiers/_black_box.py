"""The networks, measurements and figures of `black_box`."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from scipy import ndimage
from scipy.stats import rankdata

from dljax.data.stream import unit_scale
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.learn import classify, saliency
from dljax.nets import CNN
from dljax.typing import Array, Batch, PyTree

PATHS, TIMES = "integrated gradients", "gradient x input"
RANDOM, NOISE = "all layers random", "random labels"


def explained(
    run: Study,
    net: CNN,
    methods: dict[str, saliency.Method],
    trained: PyTree,
    noise: PyTree,
    shown: Batch,
) -> dict[str, np.ndarray]:
    """Each method's maps [K, S, n, h, w] by the trained networks, their cascade, and of noise."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(1), jnp.array(run.seeds))
    images, labels = unit_scale(jnp.asarray(shown.x)), jnp.asarray(shown.y)
    fresh = jax.jit(jax.vmap(lambda key: net.init(key, 0 * images[:1])["params"]))(keys)
    kinds = [*cascade(trained, fresh), noise]

    def maps(params: PyTree) -> dict[str, Array]:
        def logits(x: Array) -> Array:
            return net.apply({"params": params}, x)  # pyright: ignore[reportReturnType]

        return {
            name: saliency.maps(method, logits, images, labels).sum(-1)
            for name, method in methods.items()
        }

    every = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *kinds)
    found = run.each(maps, every, at_once=1)
    shape = len(kinds), len(run.seeds)
    return {name: np.asarray(each).reshape(*shape, *each.shape[1:]) for name, each in found.items()}


def cascade(trained: PyTree, fresh: PyTree) -> list[PyTree]:
    """Weights of which none, the top layer, the top two, ... all are as if never trained."""
    old, new = flatten_dict(trained), flatten_dict(fresh)
    layers = sorted({key[:-1] for key in old})  # Conv_0, Conv_1, MLP_0/Dense_0, ...
    return [
        unflatten_dict({key: (old if key[:-1] in layers[:kept] else new)[key] for key in old})
        for kept in range(len(layers), -1, -1)
    ]


def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of maps [..., n, h, w], mean over n: [...].

    Ranks of ties are their mean; a map that is flat is like no other, 0.
    """

    def centred(maps: np.ndarray) -> np.ndarray:
        ranks = rankdata(maps.reshape(*maps.shape[:-2], -1), axis=-1)
        return ranks - ranks.mean(-1, keepdims=True)

    first, second = centred(a), centred(b)
    norms = np.sqrt((first**2).sum(-1) * (second**2).sum(-1))
    return ((first * second).sum(-1) / np.where(norms > 0, norms, 1)).mean(-1)


def edges(images: np.ndarray) -> np.ndarray:
    """The size of Sobel's gradient of images [n, h, w, c], summed over c: a map of no network."""
    each = [image.sum(-1, dtype=float) for image in images]  # of all at once it would mix images
    return np.stack([np.hypot(ndimage.sobel(x, 0), ndimage.sobel(x, 1)) for x in each])


def deletion(net: CNN, params: PyTree, x: Array, labels: Array, maps: Array, counts: Array):
    """The mean probability of the label once so many pixels are black, greatest of a map first.

    x [n, h, w, c], maps [O, n, h, w], counts [P] -> [O, P]. Petsiuk et al. 2018.
    """
    shown = unit_scale(x)

    def of_map(each: Array) -> Array:
        order = each.reshape(len(each), -1).argsort(-1, descending=True)
        rank = order.argsort(-1).reshape(each.shape)[..., None]

        def left(count: Array) -> Array:
            logits = classify.predict(net, (params, {}), shown * (rank >= count))
            chances = jax.nn.softmax(logits)
            return jnp.take_along_axis(chances, labels[:, None], 1).mean()

        return jax.lax.map(left, counts)

    return jax.lax.map(of_map, maps)


def complete(
    run: Study, net: CNN, trained: PyTree, found: dict[str, np.ndarray], shown: Batch
) -> None:
    """How far a map's sum is from the rise of the logit above that of a black image, as a share."""
    images, labels = jnp.asarray(shown.x), jnp.asarray(shown.y)[:, None]

    def rise(params: PyTree) -> Array:
        logits, black = (
            classify.predict(net, (params, {}), each) for each in (images, 0 * images[:1])
        )
        return jnp.take_along_axis(logits - black, labels, 1)[:, 0]

    wanted = np.asarray(run.each(rise, trained))
    left = {
        name: np.abs(found[name][0].sum((-1, -2)) - wanted).mean(1) / np.abs(wanted).mean(1)
        for name in (PATHS, TIMES)
    }
    goal = 0.05, "Sundararajan et al. 2017: 20 to 300 steps are enough for 5 %"
    run.metric(f"completeness error, {PATHS}", left[PATHS], "lower", goal)
    run.baseline(TIMES, f"completeness error, {PATHS}", left[TIMES])


def compare(run: Study, title: str, found: dict[str, np.ndarray], shown: Batch) -> None:
    """Rank correlations of the trained networks' maps with others', and with the image's edges."""
    depth = len(next(iter(found.values()))) - 2  # layers of the network
    kinds = ["trained", "top layer random", *(f"top {i} random" for i in range(2, depth)), RANDOM]
    plain = {"edges of the image": edges(shown.x), "the image": shown.x.sum(-1, dtype=float)}
    curves, alike, others = {}, {}, {RANDOM: -2, NOISE: -1}
    for name, maps in found.items():
        first, twin = maps[0], np.roll(maps[0], 1, 0)
        curves[name] = similarity(np.abs(first), np.abs(maps))
        alike[name] = similarity(np.abs(first), np.abs(twin))
        run.metric(f"rank correlation, {name}, two seeds alike", alike[name])
        for kind, values in zip([*kinds, NOISE][1:], curves[name][1:], strict=True):
            run.metric(f"rank correlation, {name}, {kind}", values, "lower")
        for kind, own in plain.items():
            run.metric(f"rank correlation, {name}, {kind}", similarity(np.abs(first), own), "lower")
        run.metric(f"signed rank correlation, {name}, two seeds alike", similarity(first, twin))
        for kind, i in others.items():
            signed = similarity(first, maps[i])
            run.metric(f"signed rank correlation, {name}, {kind}", signed, "lower")
            said = f"two standard errors; Adebayo et al. 2018: {kind} must change the map"
            run.gain(f"change by {kind}, {name}", alike[name] - curves[name][i], said, seeds=5)
    rows = np.unique(shown.y, return_index=True)[1][:6]
    columns = {name: maps[0, 0, rows] for name, maps in found.items()}
    columns |= {f"{PATHS},\n{kind}": found[PATHS][i, 0, rows] for kind, i in others.items()}
    columns["edges of the image"] = plain["edges of the image"][rows]
    run.figure("maps.png", draw_maps, shown.x[rows], columns)
    run.figure("sanity.png", draw_sanity, title, [*kinds, NOISE], curves, alike)


def delete(
    run: Study,
    title: str,
    net: CNN,
    trained: PyTree,
    found: dict[str, np.ndarray],
    shown: Batch,
    shares: np.ndarray,
) -> None:
    """The probability of the label as pixels are made black, in the order of maps and without any.

    What speaks for the label goes first; of the gradient, which has no such sign, the greatest.
    """
    seeds, pixels = len(run.seeds), shown.x[0, ..., 0].size
    orders = {
        name: np.abs(maps[0]) if name == "gradient" else maps[0] for name, maps in found.items()
    }
    drawn = [np.random.default_rng(seed).random(shown.x.shape[:3]) for seed in run.seeds]
    plain = {
        "random order": np.stack(drawn),
        "brightest first": np.stack([shown.x.sum(-1, dtype=float)] * seeds),
        "edges first": np.stack([edges(shown.x)] * seeds),
        f"{PATHS} of a random network": found[PATHS][-2],
    }
    stack = np.stack([*orders.values(), *plain.values()], 1).astype(np.float32)
    counts = jnp.asarray(np.round(shares * pixels).astype(np.int32))
    images, labels = jnp.asarray(shown.x), jnp.asarray(shown.y)
    chances = np.asarray(
        run.each(
            lambda params, maps: deletion(net, params, images, labels, maps, counts),
            trained,
            jnp.asarray(stack),
            at_once=1,
        )
    )  # [S, O, P]
    names = [*orders, *plain]
    areas = dict(zip(names, np.trapezoid(chances, shares).T, strict=True))
    best = min(("random order", "brightest first", "edges first"), key=lambda n: areas[n].mean())
    for name in plain:
        run.baseline(name, "area of deletion", areas[name])
    for name in orders:
        run.metric(f"area of deletion, {name}", areas[name], "lower")
        said = f"two standard errors below {best}, the best order of no network"
        run.gain(f"gain of deletion, {name}", areas[best] - areas[name], said, seeds=5)
    curves = dict(zip(names, chances.transpose(1, 2, 0), strict=True))
    run.figure("deletion.png", draw_deletion, title, shares, curves, set(plain))


def draw_maps(path: Path, images: np.ndarray, columns: dict[str, np.ndarray]) -> Path:
    """An image a row [n, h, w, c], and beside it each column's map [n, h, w] on its own scale."""
    figure, axes = figures.panels(1 + len(columns), len(images), size=(1.35, 1.3))
    for ax in axes:
        ax.set_xticks([])
        ax.set_yticks([])
    for row, image in enumerate(images):
        first, *others = axes[row * (1 + len(columns)) :]
        figures.picture(first, image)
        for ax, (name, maps) in zip(others, columns.items(), strict=False):
            limit = max(float(np.abs(maps[row]).max()), 1e-30)
            ax.imshow(maps[row], cmap="RdBu_r", vmin=-limit, vmax=limit)
            if row == 0:
                ax.set_title(name, fontsize=7)
    figure.suptitle("what speaks for the label (red) and against it (blue), first seed")
    return figures.save(figure, path)


def draw_sanity(
    path: Path,
    title: str,
    kinds: list[str],
    found: dict[str, np.ndarray],
    alike: dict[str, np.ndarray],
) -> Path:
    """Rank correlation [kinds, S] with the trained network's maps; dashed that of seeds alike."""
    figure, (ax,) = figures.panels(1, size=(6.4, 3.8))
    for (name, values), color in zip(found.items(), figures.COLORS, strict=False):
        figures.spread(ax, range(len(kinds)), values, name, color)
        ax.axhline(alike[name].mean(), color=color, ls="--", lw=1)
    ax.set_xticks(range(len(kinds)), kinds, fontsize=8)
    ax.axhline(0, color=figures.INK, lw=0.6)
    ax.set_ylabel("rank correlation of the maps' sizes")
    ax.legend(frameon=False, fontsize=8)
    ax.set_title(f"{title}; dashed: two seeds trained alike", fontsize=9)
    return figures.save(figure, path)


def draw_deletion(
    path: Path, title: str, shares: np.ndarray, curves: dict[str, np.ndarray], plain: set[str]
) -> Path:
    """Probability of the label [P, S] against the share of pixels made black, by what order."""
    figure, (ax,) = figures.panels(1, size=(6.4, 4.0))
    for i, (name, values) in enumerate(curves.items()):
        figures.spread(ax, shares.tolist(), values, name, figures.COLORS[i % len(figures.COLORS)])
        if name in plain:
            ax.lines[-1].set_linestyle("--")
    ax.set(xlabel="share of pixels made black", ylabel="mean probability of the label")
    ax.legend(frameon=False, fontsize=8)
    ax.set_title(title, fontsize=9)
    return figures.save(figure, path)
