"""What `experiments.frontiers.citations` compares with, measures and draws."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental.sparse import BCOO

from dljax import Learner, Member, sweep
from dljax.data.citations import Papers, Split, random_split
from dljax.host import figures
from dljax.host.baselines import chosen, linear_classifier
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.function import Function, Input
from dljax.learn import node_classify
from dljax.learn.node_classify import predict
from dljax.learn.optimizers import is_matrix, optimizer
from dljax.learn.risk import params_of
from dljax.nets.graph import symmetric
from dljax.typing import Array, Batch, Graph, Metrics, PyTree

STRENGTHS = (10.0, 100.0, 1000.0)
HOPS = (1, 2, 3, 4)
RESTARTS = (0.05, 0.1, 0.2, 0.4)
PUBLISHED = {  # accuracy on Cora's public split, and who says so
    "GCN": (0.815, "Kipf and Welling 2017"),
    "GAT": (0.830, "Velickovic et al. 2018"),
}


class Splits(NamedTuple):
    """The public split, then random ones, by numbers: mask bool [S, n], and rows [S, m] each."""

    mask: Array
    validation: Array
    test: Array


class Task(NamedTuple):
    """Nodes with their labels [n], with and without the edges between them, and splits."""

    papers: Papers
    graph: Graph
    alone: Graph
    y: Array
    parts: list[Split]
    splits: Splits


class Network(NamedTuple):
    """From a rate of dropout to a network, and the graph that it hears over."""

    build: Callable[[Any], nn.Module]
    graph: Graph


class Setting(NamedTuple):
    """How all networks learn, and how much two passes may pay for disagreeing."""

    steps: int
    every: int
    rate: float
    decay: float
    agreement: float


class Told(NamedTuple):
    """Accuracies of a network, one a seed or a split, and the first seed's logits [n, K]."""

    validation: np.ndarray
    public: np.ndarray
    random: np.ndarray
    logits: np.ndarray


def task(papers: Papers, count: int) -> Task:
    """The public split and `count` random ones, of seeds 1, 2 and so on."""
    drawn = [random_split(papers.y, papers.sizes, seed) for seed in range(1, count + 1)]
    parts = [papers.public, *drawn]
    mask = np.stack([np.isin(np.arange(len(papers.y)), part.train) for part in parts])
    rows = (np.stack([getattr(part, name) for part in parts]) for name in ("validation", "test"))
    none = np.zeros(0, np.int32)
    bare = papers.graph._replace(senders=none, receivers=none)
    splits = Splits(jnp.asarray(mask), *map(jnp.asarray, rows))
    y = jnp.asarray(papers.y)
    return Task(papers, prepared(papers.graph), prepared(bare), y, parts, splits)


def prepared(graph: Graph) -> Graph:
    """As networks take it: weighed, and with features whose zeros cost nothing."""
    return symmetric(graph._replace(x=BCOO.fromdense(jnp.asarray(graph.x))))


def learn(
    run: Study,
    task: Task,
    net: Network,
    setting: Setting,
    hparams: dict[str, Array],
    seeds: Sequence[int],
    part: str,
    names: Sequence[str] = (),
) -> tuple[PyTree, np.ndarray]:
    """The weights [N, ...] that validation prefers, and their accuracy there [N].

    hparams [N]: the share dropped, what disagreeing costs, and which split is learnt from.
    """

    def make(own: dict[str, Array]) -> Learner:
        penalty = optax.add_decayed_weights(setting.decay, mask=is_matrix)
        tx = optax.chain(penalty, optimizer("adam", setting.rate))
        views, mask = 2 if setting.agreement else 1, task.splits.mask[own["split"]]
        return node_classify.make(
            net.build(own["dropout"]),
            tx,
            net.graph,
            task.papers.y,
            mask,
            views=views,
            agreement=own["agreement"],
        )

    def evaluate(member: Member) -> Metrics:
        rows = task.splits.validation[member.hparams["split"]]
        return node_classify.evaluate(net.build(0.0), params_of(member), net.graph, task.y, rows)

    fitted = run.fit(
        # one after another: what several hear at once is gathered in twice the time
        sweep(make, hparams, seeds, at_once=1),
        setting.steps,
        Watch(evaluate, setting.every, Selection("validation/accuracy", params_of)),
        part=part,
        names=names or [f"seed {seed}" for seed in seeds],
        shown=("train/loss", "validation/accuracy"),
        saves=setting.steps,
    )
    return fitted.kept, figures.curve(fitted.records, "validation/accuracy")[1].max(0)


def test(run: Study, task: Task, net: Network, kept: PyTree, split: Array) -> Metrics:
    """Of kept weights [N, ...], scores on the test nodes of their splits [N], and unlikeness."""

    def score(params: PyTree, split: Array) -> Metrics:
        rows, built = task.splits.test[split], net.build(0.0)
        found = node_classify.evaluate(built, params, net.graph, task.y, rows, "test")
        return found | {"unlikeness": unlikeness(predict(built, params, net.graph))}

    return run.each(score, kept, split, at_once=1)


def leave(run: Study, task: Task, net: Network, kept: PyTree, name: str) -> None:
    """The run's model: the class of any of the graph's papers, by number.

    Of kept weights the first are the seeds' of the public split.
    """

    def call(params: PyTree, paper: Array) -> Array:
        return predict(net.build(0.0), params, net.graph)[paper]

    read = (Input((), "int32", "paper", below=len(task.y)),)
    asked = Function(call, read, "logits", tuple(map(str, task.papers.classes)))
    own = jax.tree.map(lambda leaf: leaf[: len(run.seeds)], kept)
    run.model(own, {"predict": asked}, part=name)


def operator(graph: Graph) -> Any:
    """`P`, of a graph as `symmetric` gives it, as scipy's sparse matrix."""
    from scipy.sparse import csr_matrix

    n, ends = graph.x.shape[0], (np.asarray(graph.receivers), np.asarray(graph.senders))
    return csr_matrix((np.asarray(graph.edges), ends), shape=(n, n))


def seen(p: Any, x: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Features that linear models see: a node's own, `P^k x`, and PageRank's.

    PageRank's are `a (I - (1 - a) P)^-1 x` but for what 40 hops leave. Wu et al. 2019 (SGC).
    """
    powers = [x]
    for _ in HOPS:
        powers.append(np.asarray(p @ powers[-1]))
    ranks = [diffused(p, x, restart, 40) for restart in RESTARTS]
    return {"logistic regression": powers[:1], "SGC": powers[1:], "linear PageRank": ranks}


def diffused(p: Any, x: np.ndarray, restart: float, hops: int) -> np.ndarray:
    """`h <- (1 - a) P h + a x` from `h = x`, so many times."""
    h = x
    for _ in range(hops):
        h = np.asarray((1 - restart) * (p @ h) + restart * x, np.float32)
    return h


def plain(task: Task) -> dict[str, list[float]]:
    """Test accuracy of methods that learn no network, on each split, chosen on its validation."""
    p, y = operator(task.graph), task.papers.y
    views = seen(p, task.papers.graph.x)
    found: dict[str, list[float]] = {name: [] for name in (*views, "label propagation")}
    for part in task.parts:
        for name, inputs in views.items():
            found[name].append(linear(inputs, y, part))
        found["label propagation"].append(spread_labels(p, y, part))
    return found


def linear(inputs: Sequence[np.ndarray], y: np.ndarray, part: Split) -> float:
    """Logistic regression on the features and the strength that validation prefers."""
    scored = []
    for x in inputs:
        train = Batch(x[part.train], y[part.train])
        # features sum to 1: their scale is that of a share, and a penalty's strength is not
        fits = [linear_classifier(train, strength) for strength in STRENGTHS]
        best = chosen(fits, (x[part.validation], y[part.validation]))
        accuracies = [best.score(x[rows], y[rows]) for rows in (part.validation, part.test)]
        scored.append(accuracies)
    return max(scored, key=lambda pair: pair[0])[1]


def spread_labels(p: Any, y: np.ndarray, part: Split) -> float:
    """Known labels diffused over the edges, no features: Zhou et al. 2004."""
    known = np.zeros((len(y), y.max() + 1), np.float32)
    known[part.train, y[part.train]] = 1
    scored = []
    for restart in RESTARTS:
        right = diffused(p, known, restart, 40).argmax(1) == y
        scored.append((right[part.validation].mean(), right[part.test].mean()))
    return float(max(scored, key=lambda pair: pair[0])[1])


def unlikeness(h: Array) -> Array:
    """`1 - mean_ij cos(h_i, h_j)` of rows [n, f]: 0 where smoothing has left one direction.

    Chen et al. 2020 (MAD), over all pairs: `mean_ij cos = |mean_i h_i / |h_i||^2`.
    """
    size = jnp.linalg.norm(h, axis=1, keepdims=True)
    return 1 - jnp.square((h / jnp.maximum(size, 1e-12)).mean(0)).sum()


def renumbered(graph: Graph, order: np.ndarray, edges: np.ndarray) -> Graph:
    """A prepared graph with node `order[i]` at place i, and its edges listed in another order."""
    place = np.argsort(order).astype(np.int32)
    ends = (place[np.asarray(each)][edges] for each in (graph.senders, graph.receivers))
    x = BCOO.fromdense(graph.x.todense()[order])
    senders, receivers = ends
    return Graph(x, senders, receivers, graph.edges[edges])


def change(net: Network, params: PyTree) -> tuple[float, np.ndarray]:
    """`max |f(renumbered)_i - f_order(i)| / max |f|`, 0 but for rounding, and logits f [n, K]."""
    rng, say = np.random.default_rng(0), jax.jit(functools.partial(predict, net.build(0.0)))
    order, edges = (rng.permutation(len(a)) for a in (net.graph.x, net.graph.senders))
    moved = renumbered(net.graph, order, edges)
    before, after = (np.asarray(say(params, graph)) for graph in (net.graph, moved))
    return float(np.abs(after - before[order]).max() / np.abs(before).max()), before


def draw_accuracy(
    path: Path, title: str, told: dict[str, Told], plain: dict[str, list[float]]
) -> Path:
    """Test accuracy of each network and plain method: seeds of the public split, random splits."""
    groups = {
        "public split": {name: each.public.tolist() for name, each in told.items()}
        | {name: values[:1] for name, values in plain.items()},
        "random splits": {name: each.random.tolist() for name, each in told.items()}
        | {name: values[1:] for name, values in plain.items()},
    }
    groups = {name: each for name, each in groups.items() if len(each["GCN"])}
    figure, axes = figures.panels(len(groups), size=(5.2, 3.6))
    for ax, (name, values) in zip(axes, groups.items(), strict=True):
        figures.dots(ax, {k.replace(" ", "\n"): each for k, each in values.items()})
        ax.tick_params(axis="x", labelsize=6)
        ax.set_title(name, fontsize=9)
    axes[0].set_ylabel("test accuracy")
    figure.suptitle(title, fontsize=10)
    return figures.save(figure, path)


def draw_depth(
    path: Path, title: str, depths: Sequence[int], curves: dict[str, dict[str, np.ndarray]]
) -> Path:
    """Accuracy and unlikeness of nodes [D, N] against how far a network hears."""
    figure, axes = figures.panels(len(curves))
    for ax, (what, values) in zip(axes, curves.items(), strict=True):
        for (name, each), color in zip(values.items(), figures.COLORS, strict=False):
            figures.spread(ax, depths, each, name, color)
        ax.set_xscale("log", base=2)
        ax.set_xticks(depths, [str(depth) for depth in depths])
        ax.set(xlabel="layers, or hops of PageRank", ylabel=what.replace("/", " "), ylim=(0, 1))
    axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figures.save(figure, path)


def draw_map(
    path: Path, shown: dict[str, np.ndarray], labels: np.ndarray, classes: Sequence[str]
) -> Path:
    """Nodes [m, ...] on a plane that keeps neighbours together, by class (t-SNE).

    van der Maaten and Hinton 2008. Distances between groups mean nothing.
    """
    from matplotlib import colormaps
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    figure, axes = figures.panels(len(shown), size=(4.4, 4.2))
    for ax, (name, x) in zip(axes, shown.items(), strict=True):
        places = np.zeros((len(x), 2))
        if np.ptp(x, 0).any():  # where all are alike TSNE has the process die
            start = "pca" if x.shape[1] > 1 else "random"
            with threadpool_limits(1):
                model = TSNE(perplexity=max(1, min(30, len(x) // 4)), init=start, random_state=0)
                places = model.fit_transform(x)
        for k, label in enumerate(classes):
            own = places[labels == k]
            ax.scatter(*own.T, s=7, lw=0, color=colormaps["tab10"](k % 10), label=label)
        ax.set_title(name, fontsize=9)
        ax.set_xticks([])
        ax.set_yticks([])
    axes[-1].legend(frameon=False, fontsize=7, markerscale=2)
    return figures.save(figure, path)
