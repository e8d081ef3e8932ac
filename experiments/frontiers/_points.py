"""What stands beside networks of points, what is measured of them, and what a person looks at."""

import dataclasses
import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from dljax.data import ImageData
from dljax.data import points as clouds
from dljax.data.points import PARTS, strokes, thinned, turned
from dljax.data.stream import unit_scale
from dljax.errors import InputError
from dljax.host import figures
from dljax.host.baselines import logistic_regression, nearest
from dljax.host.experiment import Study
from dljax.host.function import Function, Input, reads
from dljax.learn import classify, point_segment
from dljax.nets.points import PointNet
from dljax.typing import Array, Batch, Key, PyTree

Told = dict[str, tuple[PointNet, PyTree]]
"""Each network by name, and its weights, a stack of seeds."""
SIDE = 14  # cells of a side of the grid that points are counted in
AROUND = 16  # points that say what a surface is like
LEARNT = 200_000  # points that the plain methods of parts learn from
COUNTS = (1, 2, 4, 8, 16)  # points are thinned to a share of these
TURNS = (0, 15, 30, 45, 60, 90, 120, 150, 180)  # degrees
ORDERS = 3  # in which the same points are told
ALIKE = "change under order"


@functools.partial(jax.jit, static_argnums=2)
def draw(key: Key, images: Array, points: int) -> Array:
    return strokes(key, unit_scale(images), points)


def drawn(data: ImageData, points: int) -> ImageData:
    """The data, the images of validation and test drawn as points once and for all.

    Raises InputError for a table.
    """
    if data.train.x.ndim != 4:
        raise InputError(f"--data: images are needed, and {data.name} is a table")

    def of(part: Batch, number: int) -> Batch:
        x = draw(jax.random.fold_in(jax.random.key(0), number), jnp.asarray(part.x), points)
        return part._replace(x=np.asarray(x))

    return dataclasses.replace(data, validation=of(data.validation, 1), test=of(data.test, 2))


def asked(net: PointNet, data: ImageData, points: int) -> dict[str, Function]:
    """The class of an image by points drawn from it, or of points; of shapes that of each point."""

    def of_points(weights: PyTree, x: Array) -> Any:
        return net.apply(weights, x)

    def of_images(weights: PyTree, x: Array) -> Any:
        return of_points(weights, draw(jax.random.key(0), x, points))

    told = {"points": Function(of_points, (Input(data.test.x.shape[1:], name="points"),),
                               "logits", data.classes)}  # fmt: skip
    if data.train.x.ndim == 3:
        return told
    return {"predict": Function(of_images, reads(data), "logits", data.classes)} | told


def shapes(count: int, points: int) -> ImageData:
    """Shapes to learn parts from, and a quarter as many each to choose on and to test."""
    few = -(-count // 4)
    make = jax.jit(clouds.shapes, static_argnums=(1, 2))
    made = make(jax.random.key(0), count + 2 * few, points)
    ends = np.cumsum([count, few])
    parts = zip(*(np.split(np.asarray(each), ends) for each in made[:2]), strict=True)
    return ImageData("shapes", *(Batch(*part) for part in parts), classes=PARTS)


def grids(data: ImageData, points: int) -> dict[str, float]:
    """Test accuracy of the nearest digit and of logistic regression, of counts in a grid."""
    pieces = np.array_split(data.train.x, -(-len(data.train.x) // 5000))
    keys = jax.random.split(jax.random.key(1), len(pieces))
    train = [draw(key, jnp.asarray(x), points) for key, x in zip(keys, pieces, strict=True)]
    seen = dataclasses.replace(
        data,
        train=data.train._replace(x=grid(np.concatenate(train))),
        validation=data.validation._replace(x=grid(data.validation.x)),
        test=data.test._replace(x=grid(data.test.x)),
    )
    found = np.mean(nearest(seen.train, seen.test.x)[0] == seen.test.y)
    linear = logistic_regression(seen)["mean"]
    return {"nearest digit, by a grid": float(found), "logistic regression, on a grid": linear}


def grid(x: np.ndarray) -> np.ndarray:
    """How many points [n, N, 2] are in each cell of the square from -1 to 1, and around it.

    [n, SIDE SIDE] float32, of the largest, blurred by a normal whose deviation is a cell: counts
    alone are too few for neighbours to look alike. Absent points are in none.
    """
    cell = np.clip(np.floor((np.nan_to_num(x) + 1) / 2 * SIDE), 0, SIDE - 1).astype(int)
    place = cell[..., 1] * SIDE + cell[..., 0]
    counts = np.zeros((len(x), SIDE * SIDE), np.float32)
    real = ~np.isnan(x).any(-1)
    np.add.at(counts, (np.nonzero(real)[0], place[real]), 1)
    soft: Any = gaussian_filter(counts.reshape(-1, SIDE, SIDE), (0, 1, 1))
    soft = soft.reshape(len(x), -1)
    return soft / np.maximum(soft.max(1, keepdims=True), 1e-9)


def surroundings(x: np.ndarray) -> np.ndarray:
    """What is known of each point of a cloud [N, 3], by hand: [N, F].

    Where it is; how its nearest points lie, their spread along three axes of which the first and
    the last are told by their slopes; and of the whole cloud its sizes and, at eight heights, how
    many points there are and how far from the upright axis.
    """
    k = min(AROUND, len(x))
    distance, near = cKDTree(x).query(x, k)
    apart = x[near] - x[near].mean(1, keepdims=True)
    values, vectors = np.linalg.eigh(np.einsum("nki,nkj->nij", apart, apart) / k)
    out = np.hypot(x[:, 0], x[:, 1])
    edges = np.linspace(x[:, 2].min(), x[:, 2].max(), 9)
    level = np.clip(np.digitize(x[:, 2], edges) - 1, 0, 7)
    many = np.bincount(level, minlength=8)
    far = np.bincount(level, out, minlength=8) / np.maximum(many, 1)
    flat = np.linalg.eigvalsh(np.cov(x[:, :2].T))
    whole = np.concatenate([many / len(x), far, flat, [np.ptp(x[:, 2])]])
    own = np.column_stack(
        [x, out, np.sqrt(np.maximum(values, 0)), abs(vectors[:, 2, 0]), abs(vectors[:, 2, 2]),
         distance[:, -1], (x[:, 2] - edges[0]) / np.ptp(x[:, 2])]
    )  # fmt: skip
    return np.hstack([own, np.broadcast_to(whole, (len(x), len(whole)))]).astype(np.float32)


def forests(data: ImageData, trees: int) -> dict[str, float]:
    """Test part mIoU of a random forest and of a linear model of `surroundings`."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = np.concatenate([surroundings(x) for x in data.train.x])
    taken = np.random.RandomState(0).permutation(len(rows))[:LEARNT]
    x, y = rows[taken], data.train.y.reshape(-1)[taken]
    asked = np.concatenate([surroundings(x) for x in data.test.x])
    models = {
        "random forest, of surroundings": RandomForestClassifier(trees, n_jobs=-1, random_state=0),
        "linear, of surroundings": make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=300)
        ),
    }
    found = {}
    for name, model in models.items():
        chances = np.zeros((len(asked), len(PARTS)), np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it stops at max_iter, short of its own tolerance
            fitted = model.fit(x, y)
        chances[:, fitted.classes_] = fitted.predict_proba(asked)
        logits = np.log(np.maximum(chances, 1e-9)).reshape(*data.test.y.shape, -1)
        scores = point_segment.scores(jnp.asarray(logits), jnp.asarray(data.test.y))
        found[name] = float(scores["part mIoU"])
    return found


def variations(x: np.ndarray, axes: tuple[int, int]) -> tuple[np.ndarray, list[int]]:
    """Clouds [m, N, d] thinned to each of `COUNTS`, then turned by each of `TURNS`: [V, m, N, d].

    Which are kept, and the numbers of points that are left.
    """
    left = [max(1, x.shape[1] // share) for share in COUNTS]
    few = [thinned(jax.random.key(0), jnp.asarray(x), count) for count in left]
    all_turned = [
        turned(jnp.asarray(x), jnp.full(len(x), np.radians(angle)), axes) for angle in TURNS
    ]
    return np.stack([*few, *all_turned]), left


def orders(run: Study, told: Told, x: np.ndarray, what: str) -> None:
    """Record how far the greatest logit moves when points are told in another order.

    And the share of clouds whose logits are then the same to the bit.
    """
    mixed = [np.random.RandomState(i).permutation(x.shape[1]) for i in range(ORDERS)]
    for name, (net, kept) in told.items():

        def change(weights: PyTree, net: PointNet = net) -> tuple[Array, Array]:
            def logits(order: Array) -> Array:
                found = classify.predict(net, weights, jnp.asarray(x)[:, order], chunk=100)
                return found[:, jnp.argsort(order)] if net.each else found

            plain = logits(jnp.arange(x.shape[1]))
            other = jax.lax.map(logits, jnp.asarray(np.stack(mixed)))
            apart = jnp.abs(other - plain[None]).reshape(ORDERS, len(x), -1).max(-1)
            return apart.max(), (apart == 0).mean()

        most, same = run.each(change, kept, at_once=1)
        run.metric(f"{ALIKE}, {what}, {name}", most, "lower")
        run.metric(f"same bits in any order, {what}, {name}", same)


def vary(
    run: Study, told: Told, x: np.ndarray, score: Callable[[Array, Array], Array], axes
) -> tuple[list[int], dict[str, np.ndarray]]:
    """`score(logits, x)` of each network on the variations of x [m, N, d]: name -> [V, S]."""
    varied, left = variations(x, axes)
    found = {}
    for name, (net, kept) in told.items():

        def one(weights: PyTree, net: PointNet = net) -> Array:
            def of(x: Array) -> Array:
                return score(classify.predict(net, weights, x, chunk=100), x)

            return jax.lax.map(of, jnp.asarray(varied))

        found[name] = np.asarray(run.each(one, kept, at_once=1)).T
    return left, found


def measure_digits(run: Study, data: ImageData, told: Told, most: int) -> None:
    """Record order, number and rotation of digits' points, and draw them and their neighbours."""
    test = Batch(data.test.x[:most], jnp.asarray(data.test.y[:most]))
    orders(run, told, test.x, "digits")

    def accuracy(logits: Array, x: Array) -> Array:
        return jnp.mean(logits.argmax(-1) == test.y)

    left, found = vary(run, told, test.x, accuracy, (0, 1))
    curves(run, "test accuracy", left, found, "degrees turned", "digits.png", data.name)
    net, kept = told["EdgeConv"]
    near = neighbours(net, jax.tree.map(lambda leaf: leaf[0], kept), test.x[:4])
    run.figure("neighbours.png", draw_neighbours, test.x[:4], *near)


def measure_parts(run: Study, data: ImageData, told: Told, most: int) -> None:
    """Record the same of shapes, which are tilted, and draw some."""
    test = Batch(data.test.x[:most], jnp.asarray(data.test.y[:most]))
    orders(run, told, test.x[:200], "parts")

    def overlap(logits: Array, x: Array) -> Array:
        y = jnp.where(jnp.isnan(x[..., 0]), -1, test.y)
        return point_segment.scores(logits, y)["part mIoU"]

    left, found = vary(run, told, test.x, overlap, (1, 2))
    curves(run, "test part mIoU", left, found, "degrees tilted", "tilts.png", data.name)
    guesses = {
        name: np.asarray(
            classify.predict(net, jax.tree.map(lambda leaf: leaf[0], kept), test.x[:5])
        )
        for name, (net, kept) in told.items()
    }
    shown = {"truth": np.asarray(test.y[:5])} | {k: v.argmax(-1) for k, v in guesses.items()}
    run.figure("parts.png", draw_parts, test.x[:5], shown)


def curves(
    run: Study, metric: str, left: list[int], found: dict[str, np.ndarray], turn: str,
    file: str, title: str,
) -> None:  # fmt: skip
    """Record a metric at a quarter of the points and at a right angle, and draw all [V, S]."""
    for name, values in found.items():
        run.metric(f"{metric} of {left[2]} points, {name}", values[2])
        run.metric(f"{metric}, 90 {turn}, {name}", values[len(left) + TURNS.index(90)])
    run.figure(file, draw_curves, metric, left, found, turn, title)


def neighbours(net: PointNet, weights: classify.Weights, x: np.ndarray) -> tuple[np.ndarray, list]:
    """Which points [B, M] a network keeps of clouds, and each layer's neighbours [B, M, k]."""
    params, extra = weights
    given: Any = {"params": params, **extra}, jnp.asarray(x)
    found = net.apply(*given, mutable=["intermediates"])[1]["intermediates"]
    near = [np.asarray(each) for each in found["neighbours"]]
    everything = np.broadcast_to(np.arange(x.shape[1]), x.shape[:2])
    return np.asarray(found["kept"][0]) if net.keep else everything, near


def draw_neighbours(path: Path, x: np.ndarray, kept: np.ndarray, near: list[np.ndarray]) -> Path:
    """Of one point of each digit (columns), whom each layer listens to (rows)."""
    figure, axes = figures.panels(len(x), len(near), size=(2.2, 2.3))
    for layer, each in enumerate(near):
        for cloud in range(len(x)):
            ax = axes[layer * len(x) + cloud]
            there = x[cloud] if layer == 0 else x[cloud][kept[cloud]]
            at = each.shape[1] // 3  # one that came early, so that it lies apart
            told, own = there[each[cloud, at]], x[cloud][kept[cloud, at]]
            ax.scatter(*x[cloud].T, s=2, color="#d0d4d8", lw=0)
            if layer:
                ax.scatter(*there.T, s=5, color="#9aa3ab", lw=0)
            ax.scatter(*told.T, s=16, color=figures.COLORS[0], lw=0)
            ax.scatter(*own, s=24, color=figures.COLORS[1], lw=0)
            ax.set(xlim=(-1, 1), ylim=(-1, 1), aspect="equal", xticks=[], yticks=[])
        axes[layer * len(x)].set_ylabel(f"layer {layer + 1}", fontsize=8)
    said = "one point (orange) and whom it listens to (blue), near in place, then in features"
    figure.suptitle(said, fontsize=10)
    return figures.save(figure, path)


def draw_curves(
    path: Path, metric: str, left: list[int], found: dict[str, np.ndarray], turn: str, title: str
) -> Path:
    """A metric against the number of points, and against an angle, of each network [V, S]."""
    figure, axes = figures.panels(2, size=(4.0, 3.1))
    for (name, values), color in zip(found.items(), figures.COLORS, strict=False):
        figures.spread(axes[0], left, values[: len(left)], name, color)
        figures.spread(axes[1], TURNS, values[len(left) :], name, color)
    axes[0].set_xscale("log", base=2)
    for ax, label in zip(axes, ("points", turn), strict=True):
        ax.set(xlabel=label, ylabel=metric, ylim=(0, 1.02))
    axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(f"{title}: mean over seeds, band from least to greatest", fontsize=10)
    return figures.save(figure, path)


def draw_parts(path: Path, x: np.ndarray, shown: dict[str, np.ndarray]) -> Path:
    """Shapes (columns), each point in the colour of its part: the truth, then each guess (rows)."""
    from matplotlib import colormaps

    figure, axes = figures.panels(len(x), len(shown), size=(2.2, 2.3))
    colors = colormaps["tab20"](np.arange(len(PARTS)))
    right, up = np.array([0.8, -0.6, 0]), np.array([0.24, 0.32, 0.92])  # seen from a corner, above
    for i, (name, parts) in enumerate(shown.items()):
        for j, cloud in enumerate(x):
            ax = axes[i * len(x) + j]
            ax.scatter(cloud @ right, cloud @ up, s=6, c=colors[parts[j]], lw=0)
            wrong = parts[j] != shown["truth"][j]
            at = cloud[wrong]
            ax.scatter(at @ right, at @ up, s=20, facecolor="none", edgecolor="#000000", lw=0.6)
            ax.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal", xticks=[], yticks=[])
        axes[i * len(x)].set_ylabel(name, fontsize=8)
    figure.suptitle("parts of shapes; what is wrong has a ring", fontsize=10)
    return figures.save(figure, path)
