"""300 trainings of a small network: one compiled sweep, a loop of jitted runs, torch.

Five optimisers, 12 rates and 5 seeds, as in experiments/foundations/optimizers.py. Peers: the same
300 as a Python loop of whole runs, compiled once an optimiser with the rate an argument; torch's
own optimisers in eager mode, of which a few trainings stand for all, on one thread and on all; and
the 300 stacked by hand in torch, with updates of our own, since its optimisers take one rate. Our
five seeds are spread over all devices; each seed races its optimisers and rates within a member.
Every whole run, initialisation included, is timed; compilation is not.
"""

import functools
import importlib.util
import os
from collections.abc import Callable
from typing import Any

import jax

from benchmarks._sizes import BATCH, HIDDEN, RATES, SEEDS, STEPS
from benchmarks.measure import compiled, interleaved, row
from dljax import advance, start
from dljax.data import ImageData, load
from dljax.host.devices import place
from dljax.host.fit import SWEEP, advance_spread, layout_of
from dljax.learn import classify
from dljax.learn.optimizers import Optimizer, optimizer
from dljax.learner import Run
from dljax.nets import MLP
from experiments.foundations.optimizers import ENTRANTS, contest

REPEATS = 5


def main(peak: float) -> list[dict[str, Any]]:
    data, net = load("digits"), MLP((HIDDEN, 10))
    learner = contest(net, RATES, data, BATCH, list(range(SEEDS)))
    key = jax.random.key(0)
    at, _ = layout_of(jax.eval_shape(lambda: start(learner, key)))

    def begun() -> Run:
        return place(start(learner, key), at, SWEEP)

    given = (learner, begun(), STEPS, at)
    executable, costs = compiled(advance_spread, *given, static=(0, 2, 3))
    torch_peers, timed = peers(data)
    count = len(ENTRANTS) * len(RATES) * SEEDS
    times = interleaved(
        {
            "dljax": lambda: executable(begun()),
            "loop of jitted runs": loop(net, data),
            **torch_peers,
        },
        REPEATS,
    )
    for name in times:
        if "eager" in name:
            times[name] = {k: round(v * count / timed, 3) for k, v in times[name].items()}
    weights = BATCH * (64 * HIDDEN * 4 + HIDDEN * 10 * 6)  # no gradient of the pixels
    return [
        row(
            f"{count} trainings of {STEPS} steps",
            times,
            ours="dljax",
            gflop=1e-9 * weights * STEPS * count,
            peak=peak,
            **costs,
            devices={"dljax": at.mesh.size if at else 1, "loop of jitted runs": 1},
            trainings_per_second={
                k: round(1e3 * count / t["median_ms"], 1) for k, t in times.items()
            },
            extrapolated=f"torch eager: {timed} of {count} trainings timed, one an optimiser",
        )
    ]


def loop(net: MLP, data: ImageData) -> Callable[[], Any]:
    """The 300 one after the other, each a compiled whole run."""

    def whole(name: Optimizer) -> Callable:
        def run(key: jax.Array, rate: jax.Array):
            learner = classify.make(net, optimizer(name, rate), data.train, batch=BATCH)
            return advance(learner, start(learner, key), STEPS)

        return jax.jit(run)

    runs = [whole(name) for name in ENTRANTS]
    keys = [jax.random.key(seed) for seed in range(SEEDS)]
    return lambda: [run(key, rate) for run in runs for rate in RATES for key in keys]


def peers(data: ImageData) -> tuple[dict[str, Callable[[], Any]], int]:
    """Torch's ways by name, and how many of the 300 its eager ones train; none without torch."""
    if importlib.util.find_spec("torch") is None:
        return {}, 0
    from benchmarks import torch_sweep as peer

    ways = {"eager": peer.trainings(data), "stacked": lambda: peer.stacked(data)}
    counts = {"1 thread": 1, "all threads": os.cpu_count() or 1}
    calls = {
        f"torch {way}, {name}": functools.partial(peer.threads, count, train)
        for way, train in ways.items()
        for name, count in counts.items()
    }
    return calls, len(peer.EAGER) * len(peer.SAMPLE)
