"""Forecasters of several graphs and seeds: how long to train by validation, then trained anew."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from dljax import Learner, Member, sweep
from dljax.host import figures
from dljax.host.experiment import Study
from dljax.host.fit import Watch
from dljax.learn import risk
from dljax.learn.risk import params_of
from dljax.nets.diffusion import GraphForecaster
from dljax.typing import Array, Batch, Metrics


class Parts(NamedTuple):
    """What is learnt from and told while steps are chosen; and both, scaled alike, afterwards."""

    train: Batch
    validation: Batch
    whole: Batch


def shuffled(graph: Array) -> Array:
    """Walks [S, n, n], those of a graph whose nodes are shuffled, and none: [3, S, n, n]."""
    # NumPy keeps the numbers of its legacy generator for ever
    mixed = np.random.RandomState(0).permutation(graph.shape[-1])
    return jnp.stack([graph, graph[:, mixed][:, :, mixed], jnp.zeros_like(graph)])


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
) -> tuple[Array, int]:
    """Outputs for `seen` of members of graphs x seeds, [G, seeds, m, n, horizon], and steps taken.

    Training ends where the mean validation loss of all was least.
    """
    each = jnp.repeat(graphs, len(run.seeds), 0)
    seeds = run.seeds * len(graphs)

    def validate(member: Member) -> Metrics:
        found = risk.predict(net(member.hparams), (params_of(member), {}), parts.validation.x, 50)
        return {"validation/loss": jnp.mean((found - parts.validation.y) ** 2)}

    def learners(data: Batch) -> Learner:
        return sweep(lambda graph: make(net(graph), data), each, seeds)

    every = max(1, steps // 5)
    options = {"names": run.named(ways), "shown": ("train/loss", "validation/loss"), "chunk": 50}
    first = run.fit(
        learners(parts.train), steps, Watch(validate, every), part=f"{part}chosen", **options
    )
    at, losses = figures.curve(first.records, "validation/loss")
    best = int(at[losses.mean(1).argmin()])
    again = run.fit(learners(parts.whole), best, part=f"{part}anew", **options)
    found = run.each(
        lambda graph, params: risk.predict(net(graph), (params, {}), seen, 50),
        each,
        params_of(again.run.state),
    )
    return found.reshape(len(graphs), len(run.seeds), *found.shape[1:]), best
