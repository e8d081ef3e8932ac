"""The tasks of `memory`, and how they went."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax.data.recall import UNASKED, adding, recall
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.host.function import Function, Input
from dljax.learn import risk
from dljax.learn.risk import Loss
from dljax.nets.reader import Attention, Reader
from dljax.typing import Array, Batch, PyTree
from experiments.sequences._choose import Chosen

ASKED = 100  # the gap, and the numbers to add from, that the table tells of
GAPS = (10, ASKED)  # of each a network learns
LONGEST = 200  # the gap up to which all are tested
LENGTHS = (10, 25, 50, 75, ASKED)  # of the numbers of a test, the longest to learn from
TESTED = 1000  # sequences for validation, for a test, and for a test of each length


class Task(NamedTuple):
    """What is to be learnt; `score(outputs, y)` of the test is one number for each of `at`."""

    train: Batch
    validation: Batch
    test: Batch
    outputs: int
    loss: Loss
    score: Callable[[Array, Array], Array]
    at: Sequence[int]  # gaps, or lengths


def recalling(examples: int, gap: int, symbols: int, early: bool = False) -> Task:
    """Name the marked symbol; the score is the share of right names at each gap up to `LONGEST`.

    Gaps to learn from are of half of `gap` to it, all alike; where it is asked `early` too, of 0 to
    it, log-uniformly.
    """
    steps = np.arange(gap + 1)
    weights = 1 / (1 + steps) if early else steps >= gap // 2
    weights = np.float32(weights / weights.sum())

    def losses(logits: Array, y: Array) -> Array:
        every = jnp.broadcast_to(y[:, None], logits.shape[:2])
        return optax.softmax_cross_entropy_with_integer_labels(logits, every) @ weights

    def score(logits: Array, y: Array) -> Array:
        return jnp.mean(logits.argmax(-1) == y[:, None], 0)

    rng = np.random.default_rng(0)
    sizes = ((examples, gap), (TESTED, gap), (TESTED, LONGEST))
    splits = (recall(rng, n, longest, symbols) for n, longest in sizes)
    return Task(*splits, outputs=symbols, loss=losses, score=score, at=range(LONGEST + 1))


def summing(examples: int) -> Task:
    """Add two marked numbers among 2 to 100; the score is the squared error at each length.

    The lengths to learn from are drawn log-uniformly.
    """

    def loss(outputs: Array, y: Array) -> Array:
        return jnp.where(y == UNASKED, 0, (outputs - y) ** 2).sum(-1)

    def score(outputs: Array, y: Array) -> Array:
        return loss(outputs, y).reshape(len(LENGTHS), -1).mean(1)

    def lengths(n: int) -> np.ndarray:
        return np.exp(rng.uniform(np.log(2), np.log(ASKED + 1), n)).astype(int)

    rng = np.random.default_rng(0)
    drawn = (lengths(examples), lengths(TESTED), np.repeat(LENGTHS, TESTED))
    splits = (adding(rng, each, ASKED) for each in drawn)
    return Task(*splits, outputs=1, loss=loss, score=score, at=LENGTHS)


class Trained(NamedTuple):
    """A network, its weights at the chosen rate, and every seed's scores [S, len(at)]."""

    net: Reader
    chosen: Chosen
    scores: np.ndarray
    at: Sequence[int]


def leave(run: Study, task: Task, trained: Trained) -> None:
    """The run's model: of sequences [n, T, d] that end after a gap, the symbol that was marked."""

    def call(params: PyTree, x: Array) -> Array:
        return risk.apply(trained.net, params, x)[:, -1]

    read, names = (Input(task.train.x.shape[1:]),), tuple(map(str, range(task.outputs)))
    run.model(trained.chosen.weights, {"predict": Function(call, read, "logits", names)})


def widest(task: Task, budget: int) -> int:
    """The largest even width with which `Attention` has at most `budget` weights; at least 2."""

    def count(size: int) -> int:
        net = Attention(size, task.test.x.shape[1])
        found = jax.eval_shape(net.init, jax.random.key(0), jnp.asarray(task.train.x[:1]))
        return sum(leaf.size for leaf in jax.tree.leaves(found))

    return max([2, *(size for size in range(2, 200, 2) if count(size) <= budget)])


def tell(
    run: Study,
    symbols: int,
    known: dict[str, dict[int, Trained]],
    ends: dict[str, Trained],
    added: dict[str, Trained],
) -> None:
    """Recall at the gaps learnt from, and at twice the longest; adding; what needs no memory."""

    def told(metric: str, name: str, each: Trained, at: int, better: str = "higher") -> None:
        goal = (0.99, "our goal") if metric + name == f"recall at gap {ASKED}, lstm" else None
        more = {"rate": each.chosen.rate, "greatest gradient": each.chosen.norms.tolist()}
        run.metric(metric + name, each.scores[:, list(each.at).index(at)], better, goal, **more)

    for name, each in ends.items():
        told(f"recall at gap {ASKED}, ", name, each, ASKED)
    for name, each in added.items():
        told(f"squared error of {ASKED} numbers, ", name, each, ASKED, "lower")
    for name, gaps in known.items():
        told(f"recall at gap {2 * ASKED}, ", name, gaps[ASKED], 2 * ASKED)
        for gap in gaps:
            if gap != ASKED:
                told(f"recall at gap {gap}, ", name, gaps[gap], gap)
    metric, chance = f"recall at gap {ASKED}", 1 / symbols
    run.baseline("chance", metric, chance)
    run.baseline("answering 1", f"squared error of {ASKED} numbers", 1 / 6)
    if (found := run.result.metrics.get(f"{metric}, tanh")) is not None:
        near = abs(found["mean"] - chance) <= 0.1 and run.config.seeds >= 5
        run.target(f"{metric}, tanh", chance + 0.1, "within 10 points of chance, our goal", near)


def draw_scores(
    path: Path, known: dict[str, dict[int, Trained]], added: dict[str, Trained], chance: float
) -> None:
    """Recall against the gap, of those that learn gaps of 50 to 100; adding against the length."""
    figure, (left, right) = figures.panels(2, size=(5, 3.4))
    for (name, gaps), color in zip(known.items(), figures.COLORS, strict=False):
        figures.spread(left, range(1, LONGEST + 1), gaps[ASKED].scores.T[1:], name, color)
        figures.spread(right, LENGTHS, added[name].scores.T, name, color)
    left.axvspan(ASKED // 2, ASKED, color=figures.INK, alpha=0.07, lw=0)
    left.axhline(chance, color=figures.INK, lw=0.8, ls="--", label="chance")
    right.axhline(1 / 6, color=figures.INK, lw=0.8, ls="--", label="answering 1")
    left.set(xlabel="gap; those to learn from in grey", ylabel="right names", ylim=(0, 1.03))
    right.set(xlabel="numbers, two of them marked", ylabel="squared error", ylim=(0, 0.25))
    right.legend(frameon=False, fontsize=8)
    figures.save(figure, path)
