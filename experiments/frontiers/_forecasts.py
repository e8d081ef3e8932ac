"""What forecasts of all nodes of a graph share: training over graphs and seeds, and a ridge."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Learner, Member, sweep
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.host.fit import Watch
from dljax.learn import graph_forecast, risk
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import params_of
from dljax.nets.diffusion import GraphForecaster
from dljax.typing import Array, Batch, Metrics, PyTree


class Parts(NamedTuple):
    """What is learnt from and told while steps are chosen; and both, scaled alike, afterwards."""

    train: Batch
    validation: Batch
    whole: Batch


def shuffled(graph: Array, seeds: Sequence[int]) -> Array:
    """Walks [S, n, n], those of the graph with its nodes shuffled by each seed, and none.

    [3, seeds, S, n, n].
    """
    # NumPy keeps the numbers of its legacy generator for ever
    orders = [np.random.RandomState(seed).permutation(graph.shape[-1]) for seed in seeds]
    mixed = jnp.stack([graph[:, order][:, :, order] for order in orders])
    same = jnp.broadcast_to(graph[None], mixed.shape)
    return jnp.stack([same, mixed, jnp.zeros_like(mixed)])


def learner(
    rate: float, decay: float, steps: int, batch: int, net: GraphForecaster, data: Batch
) -> Learner:
    """Adam with decoupled decay of matrices, whose rate falls as a cosine over the steps."""
    tx = optimizer("adam", rate, weight_decay=decay, steps=steps, schedule="cosine")
    return graph_forecast.make(net, tx, data, batch=batch)


def told(
    run: Study,
    net: Callable[[Array], GraphForecaster],
    make: Callable[[GraphForecaster, Batch], Learner],
    graphs: Array,
    parts: Parts,
    seen: Array,
    steps: int,
    ways: tuple[str, ...],
    part: str = "",
) -> tuple[Array, int, PyTree]:
    """Outputs for `seen` over graphs [G, seeds, ...]: [G, seeds, m, n, horizon], steps taken, and
    the weights [seeds, ...] over the first graph.

    Training ends where the mean validation loss of all was least.
    """
    each = graphs.reshape(-1, *graphs.shape[2:])
    seeds = run.seeds * len(graphs)

    def validate(member: Member) -> Metrics:
        found = risk.predict(net(member.hparams), (params_of(member), {}), parts.validation.x, 50)
        return {"validation/loss": jnp.mean((found - parts.validation.y) ** 2)}

    def learners(data: Batch) -> Learner:
        return sweep(lambda graph: make(net(graph), data), each, seeds)

    every = max(1, steps // 5)
    names = run.named(way.removeprefix(", ") or "the graph" for way in ways)
    options = {"names": names, "shown": ("train/loss", "validation/loss"), "chunk": 50}
    first = run.fit(
        learners(parts.train), steps, Watch(validate, every), part=f"{part}chosen", **options
    )
    at, losses = figures.curve(first.records, "validation/loss")
    best = int(at[losses.mean(1).argmin()])
    again = run.fit(learners(parts.whole), best, part=f"{part}anew", **options)
    weights = params_of(again.run.state)
    found = run.each(
        lambda graph, params: risk.predict(net(graph), (params, {}), seen, 50), each, weights
    )
    first = jax.tree.map(lambda leaf: leaf[: len(run.seeds)], weights)
    return found.reshape(len(graphs), len(run.seeds), *found.shape[1:]), best, first


def ridge(x: np.ndarray, y: np.ndarray, asked: np.ndarray, penalty: float) -> np.ndarray:
    """What a ridge of x [..., m, F] and y [..., m, H] tells of `asked` [..., k, F]: [..., k, H]."""
    return fitted(x, y, penalty)(asked)


def fitted(x: np.ndarray, y: np.ndarray, penalty: float) -> Callable[[Any], Any]:
    """The ridge of x [..., m, F] and y [..., m, H], of NumPy's arrays or JAX's.

    `y' + z (Z^T Z / m + penalty I)^-1 Z^T (Y - y') / m`, y' the mean and z in standard deviations.
    """
    mean, level = x.mean(-2, keepdims=True), y.mean(-2, keepdims=True)
    sd, m = np.maximum(x.std(-2, keepdims=True), 1e-9), x.shape[-2]
    z = (x - mean) / sd
    turned = np.swapaxes(z, -1, -2)
    gram = turned @ z / m + penalty * np.eye(x.shape[-1])
    weights = np.linalg.solve(gram, turned @ (y - level) / m)
    return lambda asked: (asked - mean) / sd @ weights + level
