"""Papers are told apart by a few whose topic is known and by whom they cite: graph networks.

System S56 of the syllabus: graph convolution (Kipf and Welling 2017), attention over neighbours
(Velickovic et al. 2018) and an MLP whose answers personalised PageRank spreads (Gasteiger et al.
2019), beside the same network without edges, logistic regression, label propagation (Zhou et al.
2004), the linear SGC (Wu et al. 2019) and linear PageRank. Unknown nodes teach too, where
validation prefers it: passes that drop otherwise must agree (Feng et al. 2020). The validation
nodes of the public split choose each network's settings, when to stop, and the network whose
accuracy is `test accuracy`; random splits of the same sizes take these settings as they are, though
some of these nodes are theirs to test on (plain methods choose on each split's own). Then accuracy
and what is left of the nodes' differences, against depth. On Cora 16 layers of graph convolution
learn nothing (.20), 16 hops of PageRank do (.83), and nodes' logits grow alike little in either.

    python -m experiments.frontiers.citations
    python -m experiments.frontiers.citations --data cora --preset standard  # 32 min on 2 cores
"""

from dataclasses import dataclass
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge

from dljax import grid
from dljax.data import citations
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.config import (
    Common,
    Count,
    NotNegative,
    Number,
    Positive,
    ShareBelow1,
    Widths,
    require,
)
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.nets.graph import GAT, GCN, Pagerank
from experiments.frontiers import _citations
from experiments.frontiers._citations import PUBLISHED, Network, Setting, Task, Told

NAME = "frontiers.citations"
GOAL = (0.835, "our goal; GCN as published 81.5, Kipf and Welling 2017")
EXACT = (1e-5, "order does not matter, to float accuracy")
HEADS = 8
MOST = 5  # seeds whose smoothing is measured


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Tell the topics of papers that cite each other."""

    seeds: Count = 20
    """Independent runs of each network on the public split, in one compiled program."""
    steps: Count = 300
    """Training steps of each network, each of the whole graph; validation says which was best."""
    data: str = "communities"
    """communities (made on the spot), cora, or the path of an .npz file with x, y and edges."""
    splits: Number = 20
    """Random splits, of a seed each."""
    width: Annotated[int, Ge(HEADS)] = 64
    """Numbers of a hidden layer; attention has 8 heads, which share them."""
    dropout: tuple[ShareBelow1, ...] = (0.5, 0.8, 0.9)
    """Shares of features dropped, of which validation chooses one."""
    agreement: tuple[NotNegative, ...] = (0.0, 2.0)
    """What two passes pay for disagreeing about any node; validation chooses one."""
    decay: NotNegative = 5e-4
    """What half the square of each weight costs: within Adam's gradient, as in the papers."""
    rate: Positive = 0.01
    """The learning rate of Adam."""
    trials: Count = 3
    """Seeds of each setting while choosing."""
    every: Count = 10
    """Steps between evaluations."""
    depths: Widths = (1, 2, 4, 8, 16)
    """Layers, or hops of PageRank, whose smoothing is measured."""


PRESETS = {
    "quick": Config(
        seeds=5, steps=100, splits=3, width=32, trials=2, dropout=(0.5, 0.8), depths=(2, 8)
    ),
    "standard": Config(data="cora"),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S56"], config) as run:
        require("--every", config.every, below=config.steps + 1)
        if not (config.dropout and config.agreement and config.depths):
            raise InputError("--dropout, --agreement and --depths need at least one number each")
        task = _citations.task(citations.load(config.data), config.splits)
        nets, told = networks(config, task), {}
        for name, net in nets.items():
            told[name] = compare(run, config, task, name, net)
        best = max(told, key=lambda name: told[name].validation.mean())
        goal = GOAL if config.data == "cora" else None
        run.metric("test accuracy", told[best].public, goal=goal, network=best)
        if config.splits:
            run.metric("test accuracy, random splits", told[best].random, network=best)
        plain = baselines(run, task, PUBLISHED if config.data == "cora" else {})
        curves = deeper(run, config, task)
        title = f"{task.papers.name}: {config.seeds} seeds, {config.splits} random splits"
        run.figure("accuracy.png", _citations.draw_accuracy, title, told, plain)
        title = f"{task.papers.name}: {len(run.seeds[:MOST])} seeds"
        run.figure("depth.png", _citations.draw_depth, title, config.depths, curves)
        rows = np.asarray(task.splits.test[0])
        shown = {"words alone": task.papers.graph.x[rows]}
        shown |= {f"what {name} says": told[name].logits[rows] for name in ("no graph", best)}
        labels = task.papers.y[rows], task.papers.classes
        run.figure("map.png", _citations.draw_map, shown, *labels)
    return run.result


def networks(config: Config, task: Task) -> dict[str, Network]:
    """All take a rate of dropout; the last is the first where nobody cites."""
    classes, width = len(task.papers.classes), config.width
    return {
        "GCN": Network(lambda rate: GCN(classes, 2, width, rate), task.graph),
        "GAT": Network(lambda rate: GAT(classes, 2, width // HEADS, HEADS, rate), task.graph),
        "PageRank": Network(lambda rate: Pagerank(classes, width, rate), task.graph),
        "no graph": Network(lambda rate: GCN(classes, 2, width, rate), task.alone),
    }


def compare(run: Study, config: Config, task: Task, name: str, net: Network) -> Told:
    """Choose a network's settings on the public split's validation; learn and test with them."""
    setting = Setting(config.steps, config.every, config.rate, config.decay, max(config.agreement))
    axes = {"dropout": jnp.asarray(config.dropout), "agreement": jnp.asarray(config.agreement)}
    tried = grid(**axes, split=jnp.zeros(1, jnp.int32), seed=jnp.arange(config.trials))
    seeds = tried.pop("seed").tolist()
    names = [f"setting {i // config.trials}, seed {seed}" for i, seed in enumerate(seeds)]
    shared = run, task, net, setting
    _, found = _citations.learn(*shared, tried, seeds, f"{name}, choice", names)
    best = int(found.reshape(-1, config.trials).mean(1).argmax()) * config.trials
    chosen = {key: float(tried[key][best]) for key in axes}
    split = np.repeat(range(config.splits + 1), [config.seeds, *[1] * config.splits])
    hparams = {key: jnp.full(len(split), each) for key, each in chosen.items()}
    hparams["split"] = jnp.asarray(split, jnp.int32)
    seeds = [*run.seeds, *range(config.splits)]
    names = [f"split {i}, seed {seed}" for i, seed in zip(split, seeds, strict=True)]
    kept, found = _citations.learn(*shared, hparams, seeds, name, names)
    right = np.asarray(_citations.test(run, task, net, kept, hparams["split"])["test/accuracy"])
    public, random = np.split(right, [config.seeds])
    run.metric(f"validation accuracy, {name}", found[: config.seeds], chosen=chosen)
    run.metric(f"test accuracy, {name}", public)
    if config.splits:
        run.metric(f"test accuracy, {name}, random splits", random)
    _citations.leave(run, task, net, kept, name)
    first = jax.tree.map(lambda leaf: leaf[0], kept)
    what, (moved, logits) = f"change under a permutation, {name}", _citations.change(net, first)
    run.metric(what, [moved], "lower")
    run.target(what, *EXACT, moved <= EXACT[0])
    return Told(found[: config.seeds], public, random, logits)


def baselines(
    run: Study, task: Task, published: dict[str, tuple[float, str]]
) -> dict[str, list[float]]:
    """What learns no network, on each split, and what others published of networks."""
    plain = _citations.plain(task)
    for name, values in plain.items():
        run.baseline(name, "test accuracy", values[0])
        if values[1:]:
            run.baseline(f"{name}, random splits", "test accuracy, random splits", values[1:])
    for name, (value, source) in published.items():
        run.baseline(f"{name} as published", f"test accuracy, {name}", value, source=source)
    return plain


def deeper(run: Study, config: Config, task: Task) -> dict[str, dict[str, np.ndarray]]:
    """Accuracy and unlikeness [D, N] against layers of graph convolution, and hops of PageRank."""
    setting = Setting(config.steps, config.every, config.rate, config.decay, 0.0)
    classes, width, seeds = len(task.papers.classes), config.width, run.seeds[:MOST]
    split, none = jnp.zeros(len(seeds), jnp.int32), jnp.zeros(len(seeds))
    hparams = {"dropout": none + 0.5, "agreement": none, "split": split}
    found: dict[str, dict[str, list]] = {what: {} for what in ("test/accuracy", "unlikeness")}
    for name in ("GCN", "PageRank"):
        for depth in config.depths:
            deep = (
                GCN(classes, depth, width)
                if name == "GCN"
                else Pagerank(classes, width, 0.5, depth)
            )
            net = Network(lambda rate, deep=deep: deep.clone(dropout=rate), task.graph)
            part = f"{name}, depth {depth}"
            kept, _ = _citations.learn(run, task, net, setting, hparams, seeds, part)
            for what, values in _citations.test(run, task, net, kept, split).items():
                if what in found:
                    run.metric(f"{what.replace('/', ' ')}, {part}", values)
                    found[what].setdefault(name, []).append(values)
    return {what: {k: np.array(v) for k, v in each.items()} for what, each in found.items()}


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
