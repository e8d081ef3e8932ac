"""Speeds of traffic 15 to 60 minutes ahead by a network over the roads, beside straight lines.

System S57 of the syllabus. Layers of diffusion convolution (Li et al. 2018) read the last hour of
all sensors and their mean day, and say how far each speed will go from the last. T-GCN's protocol
(Zhao et al. 2019): the first 80 % of the time to learn from, and of the first three steps all
errors together, "15 minutes"; each step apart stands beside it. The last fifth of the learning part
tells how long to train, and then training begins anew with it. The same networks learn with the
sensors shuffled and without roads: does the graph matter? Beside them stand persistence, each
sensor's own ridge on its last hour, with the time of day, and on all that the network sees of it,
and the mean at that time of day. On Los-loop roads lower the RMSE (4.75; without them 4.91, the
best ridge 5.11), and the MAE not at all: 2.82 both ways.

A trip along the longest way: when does it arrive (ETA), by the speeds told, and by the sum of mean
times? Lengths are known up to one factor, so the trip is said to take 30 minutes at mean speeds.

    python -m experiments.frontiers.traffic
    python -m experiments.frontiers.traffic --preset standard  # 13 min on 2 cores
    python -m experiments.frontiers.traffic --data speeds.csv --roads nearness.csv
"""

import functools
from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
import numpy as np
from annotated_types import MinLen

from dljax.data import traffic
from dljax.data.traffic import DAY, Traffic
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.config import Common, Count, NotNegative, Number, Positive, ShareBelow1
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.learn import graph_forecast
from dljax.nets.diffusion import GraphForecaster, walks
from dljax.typing import Array
from experiments.frontiers import _forecasts, _traffic
from experiments.frontiers._forecasts import Parts
from experiments.frontiers._traffic import HORIZON, MINUTES, SEEN, Task

NAME = "frontiers.traffic"
GOALS = {
    "RMSE": (5.05, "our goal; ridge with time of day 5.154, T-GCN 5.175"),
    "MAE": (3.05, "our goal; ridge with time of day 3.002"),
}
POOLED = 3
WAYS = ("", ", roads shuffled", ", no roads")


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Tell the speeds of the next hour at all sensors."""

    data: str = "ring"
    """ring (simulated), los-loop, or the path of a CSV of speeds, a column a sensor."""
    roads: str = ""
    """With a path: that of a CSV of n x n weights, how near sensors are."""
    past: Count = 12
    """Steps of five minutes that are seen."""
    harmonics: Number = 4
    """Of the day, for the network and for the ridge with time of day."""
    hops: Annotated[tuple[Number, ...], MinLen(1)] = (2, 1)
    """How far each layer hears along the roads."""
    features: Count = 32
    """Features of each sensor in each layer."""
    epochs: Count = 15
    """Passes over the windows at most, where --steps is not given."""
    batch: Count = 32
    """Windows, of all sensors, in a step."""
    rate: Positive = 2e-3
    """The learning rate of Adam, which falls as a cosine."""
    dropout: ShareBelow1 = 0.1
    """Share of features dropped in training."""
    weight_decay: NotNegative = 1e-2
    """Decoupled decay of matrices."""
    trip: Positive = 30.0
    """Minutes that the trip takes at mean speeds."""


PRESETS = {
    "quick": Config(seeds=3),
    "standard": Config(seeds=20, data="los-loop"),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S57"], config) as run:
        data = traffic.load(config.data, config.roads)
        total = len(data.speeds)
        tested = int(0.8 * total)
        chosen = int(0.8 * tested)
        if chosen <= DAY or min(tested - chosen, total - tested) < config.past + HORIZON:
            raise InputError(
                f"--data: {config.past} steps, an hour after them and a day to learn from are "
                f"needed; {data.name} has {total} steps"
            )
        graph = walks(data.roads, len(data.sensors))
        if np.allclose(graph[0], graph[1]):  # roads both ways: one walk says all
            graph = graph[:1]
        tasks = [Task(data.speeds, config.past, config.harmonics, end) for end in (chosen, tested)]
        parts = Parts(
            tasks[0].batch(tasks[0].steps(0, chosen)),
            tasks[0].batch(tasks[0].steps(chosen, tested)),
            tasks[1].batch(tasks[1].steps(0, tested)),
        )
        per_epoch = max(1, len(parts.train.y) // config.batch)
        at = tasks[1].steps(tested, total, POOLED)
        steps = config.steps or config.epochs * per_epoch
        graphs, seen = _forecasts.shuffled(graph, run.seeds), jnp.asarray(tasks[1].seen(at))

        def net(graph: Array) -> GraphForecaster:
            return GraphForecaster(HORIZON, graph, config.hops, config.features, config.dropout)

        adam = config.rate, config.weight_decay, steps
        make = functools.partial(_forecasts.learner, *adam, config.batch)
        outputs, steps, kept = _forecasts.told(run, net, make, graphs, parts, seen, steps, WAYS)
        run.model(kept, tasks[1].asked(net(graphs[0, 0]), data.sensors))
        run.metric("steps", [steps])
        plain = tasks[1].plain(at, tasks[0].best(tasks[0].steps(chosen, tested)))
        test(run, data, tasks[1], at, np.asarray(outputs, np.float64), plain, config.trip)
    return run.result


def test(
    run: Study,
    data: Traffic,
    task: Task,
    at: np.ndarray,
    outputs: np.ndarray,
    plain: dict[str, np.ndarray],
    trip: float,
) -> None:
    """Errors of each way, seed and plain forecast."""
    true = graph_forecast.ahead(data.speeds, at, HORIZON)
    told = task.told(at, outputs)
    own = np.stack(graph_forecast.errors(told, true))  # [2, ways, seeds, HORIZON]
    sides = {name: np.stack(graph_forecast.errors(each, true)) for name, each in plain.items()}
    for i, kind in enumerate(GOALS):
        goal = GOALS[kind] if data.name == "los-loop" else None
        for way, each in zip(WAYS, own[i], strict=True):
            metric = f"test {kind}, {POOLED * MINUTES} minutes{way}"
            run.metric(metric, pooled(kind, each, POOLED), "lower", None if way else goal)
        for steps in range(POOLED, HORIZON + 1, POOLED):
            minutes = f"{MINUTES * steps} minutes"
            for what, of in ((minutes, pooled), (f"step of {minutes}", single)):
                metric = f"test {kind}, {what}"
                if steps > POOLED or of is single:
                    run.metric(metric, of(kind, own[i, 0], steps), "lower")
                for name, each in sides.items():
                    run.baseline(f"{name}, {kind}, {what}", metric, of(kind, each[i], steps))
    right, mixed, alone = (pooled("RMSE", each, POOLED) for each in own[0])
    run.metric("gain of the roads, RMSE", alone - right)
    run.metric("gain of the right roads, RMSE", mixed - right)
    run.figure("horizons.png", _traffic.draw_horizons, own[:, 0], sides)
    shown = {"network": told[0, 0], **{name: plain[name] for name in (SEEN, "persistence")}}
    step = POOLED - 1
    each = {k: np.sqrt(np.nanmean((v - true)[..., step] ** 2, 0)) for k, v in shown.items()}
    run.figure("map.png", _traffic.draw_map, data, each)
    _traffic.arrive(run, data, task, at, true, {"network": told[0], **plain}, trip)


def pooled(kind: str, errors: np.ndarray, steps: int) -> np.ndarray:
    """The error of the first steps together, of those of each step [..., HORIZON]."""
    first = errors[..., :steps]
    return np.sqrt((first**2).mean(-1)) if kind == "RMSE" else first.mean(-1)


def single(_: str, errors: np.ndarray, steps: int) -> np.ndarray:
    return errors[..., steps - 1]


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
