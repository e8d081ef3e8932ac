"""New cases by region days ahead, by a network over who travels where, and whether it matters.

System S57 of the syllabus. England's 129 regions in the 61 days from 3 March 2020 (Panagopoulos et
al. 2021): a week of cases of all regions is read, and those of one day later on are told. The last
two weeks are for testing, the week before tells how long to train, and then training begins anew
with it. A network of diffusion convolutions (Li et al. 2018) along the journeys of the days that
are learnt from corrects an autoregression of logarithms. The same networks learn with the regions
shuffled and without journeys. Beside them stand persistence, and one ridge of all regions on a
week, of cases and of their logarithms.

On England the network errs less than all of these at each horizon, and less with the journeys than
without; three fifths to four of that gain shuffled journeys give too. The fortnight is a decline:
.7, .6 and .5 of last week's mean, picked in hindsight, would get 6.55, 6.75 and 7.29.

    python -m experiments.frontiers.epidemic
    python -m experiments.frontiers.epidemic --preset standard  # 85 s on 2 cores
"""

import functools
from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
import numpy as np
from annotated_types import MinLen

from dljax.data import epidemic
from dljax.data.epidemic import Epidemic
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.config import Common, Count, NotNegative, Number, Positive, ShareBelow1, Widths
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.nets.diffusion import GraphForecaster
from dljax.typing import Array
from experiments.frontiers import _epidemic, _forecasts
from experiments.frontiers._epidemic import WEEK, Task, rmse
from experiments.frontiers._forecasts import Parts

NAME = "frontiers.epidemic"
WAYS = ("", ", journeys shuffled", ", no journeys")


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Tell new cases by region."""

    steps: Count = 200
    """Training steps at most; validation says how many of them are taken."""
    data: str = "outbreak"
    """outbreak (simulated), england, or the path of a JSON file like England's."""
    horizons: Annotated[Widths, MinLen(1)] = (3, 7, 14)
    """Days ahead; networks are trained for each."""
    validated: Count = 7
    """Days that tell how long to train."""
    tested: Count = 14
    """The last days, for testing."""
    hops: Annotated[tuple[Number, ...], MinLen(1)] = (1, 1)
    """How far each layer hears along journeys."""
    features: Count = 32
    """Features of each region in each layer."""
    batch: Count = 4
    """Days, of all regions, in a step."""
    rate: Positive = 3e-3
    """The learning rate of Adam, which falls as a cosine."""
    dropout: ShareBelow1 = 0.2
    """Share of features dropped in training."""
    weight_decay: NotNegative = 1e-1
    """Decoupled decay of matrices."""


PRESETS = {
    "quick": Config(seeds=3, steps=100),
    "standard": Config(seeds=20, data="england"),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S57"], config) as run:
        if len({*config.horizons}) < len(config.horizons):
            raise InputError(f"--horizons must all differ; got {config.horizons}")
        data = epidemic.load(config.data)
        days, least = len(data.cases), WEEK + max(config.horizons) + config.batch
        if days - config.tested - config.validated < least:
            raise InputError(
                f"{data.name} has {days} days; after --tested {config.tested} and --validated "
                f"{config.validated} at least {least} must be left to learn from"
            )
        change = rmse(data.cases[1:], data.cases[:-1])
        run.metric("RMSE of persistence, 1 day, all days", [float(change)], "lower")
        outcomes = {horizon: tell(run, config, data, horizon) for horizon in config.horizons}
        told = {h: each for h, (each, _) in outcomes.items()}
        plain = {h: each for h, (_, each) in outcomes.items()}
        begin = days - config.tested
        own = {h: each[0] for h, each in told.items()}
        run.figure("days.png", _epidemic.draw_days, data, begin, own, plain)
        true = data.cases[begin:]
        names = [("journeys" + way).removeprefix("journeys, ") for way in WAYS]
        found = {h: dict(zip(names, rmse(each, true), strict=True)) for h, each in told.items()}
        lines = {h: {k: float(rmse(v, true)) for k, v in each.items()} for h, each in plain.items()}
        run.figure("ways.png", _epidemic.draw_ways, found, lines)
    return run.result


def tell(
    run: Study, config: Config, data: Epidemic, horizon: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Train for one horizon and test: what each way and seed tells, and what needs no network."""
    tested = len(data.cases) - config.tested
    chosen = tested - config.validated
    tasks = [Task(data, horizon, end) for end in (chosen, tested)]
    parts = Parts(
        tasks[0].batch(tasks[0].learnt),
        tasks[0].batch(tasks[0].days(chosen, tested)),
        tasks[1].batch(tasks[1].learnt),
    )
    at = tasks[1].days(tested, len(data.cases))
    graphs = _forecasts.shuffled(_epidemic.mean_travels(data, chosen), run.seeds)
    adam, steps = (config.rate, config.weight_decay, config.steps), config.steps
    make = functools.partial(_forecasts.learner, *adam, config.batch)
    net, seen = functools.partial(network, config), jnp.asarray(tasks[1].batch(at).x)
    given = run, net, make, graphs, parts, seen, steps, WAYS, f"{horizon}-"
    outputs, best, kept = _forecasts.told(*given)
    run.model(kept, tasks[1].asked(net(graphs[0, 0])), part=f"{horizon}")
    told = tasks[1].told(at, np.asarray(outputs, np.float64))
    plain, true = tasks[1].plain(at), tasks[1].true(at)
    lines = {name: float(rmse(each, true)) for name, each in plain.items()}
    metric = f"test RMSE, {horizon} days"
    for name, value in lines.items():
        run.baseline(f"{name}, {horizon} days", metric, value)
    goal = (
        min(lines.values()),
        "the issue's, and more: persistence and weekly AR, of logarithms too",
    )
    each = rmse(told, true)
    for way, values in zip(WAYS, each, strict=True):
        goal_of = goal if not way and data.name == "england" else None
        run.metric(f"{metric}{way}", values, "lower", goal_of, steps=best)
    run.metric(f"gain of the journeys, {horizon} days", each[2] - each[0])
    run.metric(f"gain of the right journeys, {horizon} days", each[1] - each[0])
    return told, plain


def network(config: Config, graph: Array) -> GraphForecaster:
    # no bias of each region's own: there are as many days to learn it from as in a month
    return GraphForecaster(1, graph, config.hops, config.features, config.dropout, own=False)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
