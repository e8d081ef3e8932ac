"""AutoML whose searchers can be judged: the whole space is trained first, so regret is exact.

System S59 of the syllabus. Some 500 child networks (depth, widths, kernel, activation, skip), each
an array of masks, train as sweeps, several seeds each. Then searchers look into that table instead
of training: a recurrent controller by REINFORCE (Zoph and Le 2017), random search, regularised
evolution (Real et al. 2019) and a Gaussian process with expected improvement. As in NAS-Bench-101
(Ying et al. 2019), an evaluation shows the noisy validation accuracy of one seed, drawn anew each
time, and a search chooses the child that looked best; its regret is the mean test accuracy over
seeds of the best child less that of the chosen one, which no search sees. Random search's is known
in closed form too. Last, the controller searches a space too large to exhaust, its children
trained as they are asked for, beside random search. On Fashion-MNIST .3 % of regret is left after
64 evaluations, .8 at random. A loop over children without masks is .6 as fast as the sweep, or
with compiling each for itself .1 to .2.

    python -m experiments.frontiers.automl
    python -m experiments.frontiers.automl --preset standard  # 7 min on 2 cores
    python -m experiments.frontiers.automl --preset fashion
"""

import math
from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Le, MinLen

from dljax import Learner, sweep
from dljax.data import ImageData, load
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.baselines import logistic_regression
from dljax.host.config import Common, Count, NotNegative, Positive, Widths, require
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.learn import architecture
from dljax.learn.architecture import History, Reward
from dljax.learn.optimizers import optimizer
from dljax.nets.architecture import Space, Speller, layered, shared
from dljax.typing import Array
from experiments.frontiers import _automl, _automl_figures
from experiments.frontiers._automl import AFTER, Nursery, Table

NAME = "frontiers.automl"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Search for an architecture, and know how good the search was."""

    seeds: Annotated[int, Ge(2)] = 400
    """Independent searches of each kind in one compiled program."""
    steps: Count = 400
    """Training steps of each child."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with images x and labels y."""
    examples: Count = 800
    """Images to learn from; other training images join those of validation."""
    held: Count = 637
    """Images of validation, at most: what a search sees is measured on them."""
    tested: Count = 5000
    """Images of the test, at most."""
    repeats: Annotated[int, Ge(2)] = 3
    """Seeds of each child."""
    depths: Annotated[Widths, MinLen(2)] = (2, 3, 4)
    """Layers that a child may have."""
    widths: Annotated[Widths, MinLen(2)] = (2, 4, 8)
    """Channels that a layer may have: one choice for the first layer, one for all others."""
    kernels: Annotated[Widths, MinLen(2)] = (1, 2, 3)
    """Sides that a window may have, on a grid of 4 x 4 patches."""
    batch: Count = 32
    """Images in a step."""
    rate: Positive = 5e-3
    """The learning rate of the children's Adam, which falls as a cosine."""
    evaluations: Annotated[int, Ge(AFTER)] = 128
    """Children that a search may look at."""
    children: Annotated[int, Ge(1), Le(AFTER)] = 4
    """Children that the controller spells between two of its steps."""
    hidden: Count = 32
    """Units of the controller."""
    controller_rate: Positive = 0.03
    """The learning rate of the controller's Adam."""
    entropy: NotNegative = 0.01
    """The weight of its entropy."""
    population: Annotated[int, Ge(1), Le(AFTER)] = 16
    """Children alive in evolution."""
    tournament: Count = 4
    """Of whom the best is a parent."""
    processes: Count = 20
    """Searches by a Gaussian process."""
    sample: Count = 6
    """Children that are trained one by one too, to compare speeds."""
    layers: Annotated[int, Ge(2)] = 4
    """Layers of the larger space, each with choices of its own."""
    live_seeds: Annotated[int, Ge(2)] = 5
    """Searches of it by the controller, and as many at random."""
    rounds: Count = 24
    """Steps of the controller there."""
    live_children: Count = 8
    """Children trained between two of them."""
    live_steps: Count = 200
    """Training steps of each there."""


PRESETS = {
    "quick": Config(
        seeds=200, steps=150, repeats=2, depths=(2, 3), kernels=(1, 3), processes=20, sample=3,
        layers=2, live_seeds=2, rounds=6, live_steps=60,
    ),
    "standard": Config(),
    "fashion": Config(data="fashion_mnist", examples=3000, held=2000, steps=600),
}  # fmt: skip


def main(config: Config) -> Result:
    with Study(NAME, ["S59"], config) as run:
        data = parts(config, load(config.data))
        space = shared(config.depths, config.widths, config.kernels)
        large = layered(config.layers, config.widths, config.kernels)
        nursery = Nursery(data, config.batch, config.rate)
        table = _automl.train_all(run, nursery, space, config.steps, config.repeats)
        _automl.speed(run, nursery, space, config.steps, config.sample)
        _automl.optimum(run, space, table)
        run.baseline("logistic regression", **logistic_regression(data))
        regret = searches(run, config, space, table)
        exact = _automl.compare(run, table, regret)
        title = f"{data.name}: {len(space)} children, {config.repeats} seeds each"
        run.figure("space.png", _automl_figures.draw_space, title, space, table)
        run.figure("regret.png", _automl_figures.draw_regret, title, regret, exact)
        live(run, config, nursery, large)
    return run.result


def parts(config: Config, data: ImageData) -> ImageData:
    """The data cut as is asked for, once sure that all can be done."""
    if AFTER % config.children or config.evaluations % config.children:
        raise InputError(f"--children must divide {AFTER} and --evaluations; got {config.children}")
    require("--examples", config.examples, below=len(data.train.y))
    require("--batch", config.batch, below=config.examples + 1)
    return _automl.cut(data, config.examples, config.held, config.tested)


def searches(run: Study, config: Config, space: Space, table: Table) -> dict[str, np.ndarray]:
    """The regret [S, n] of what each search would choose after each evaluation."""
    reward, budget = architecture.table(table.validation, space.place), config.evaluations
    found = controlled(run, config, space, reward, run.seeds, "table", config.children, budget)

    def evolve(_: Array) -> Learner:
        sizes = {"population": config.population, "tournament": config.tournament}
        return architecture.evolution(space.counts, reward, **sizes, budget=budget)

    learner = sweep(evolve, jnp.zeros(config.seeds), run.seeds)
    fitted = run.fit(learner, budget, part="evolution", chunk=budget)
    found["evolution"] = fitted.run.state.run.state.history
    regret = {}
    for name, each in found.items():
        places, values = np.asarray(space.place(each.tokens)), np.asarray(each.value)
        regret[name] = table.regret[_automl.chosen(places, values)]
    numbers = run.seeds[: config.processes]
    regret["Gaussian process"] = _automl.processes(numbers, space, table, budget)
    return regret


def controlled(
    run: Study, config: Config, space: Space, reward: Reward, seeds: list[int], part: str,
    children: int, budget: int,
) -> dict[str, History]:  # fmt: skip
    """What the controller evaluated [S, n], and what it did at rate 0: random search."""

    def make(rate: Array) -> Learner:
        net, tx = Speller(space.counts, config.hidden), optimizer("adam", rate)
        sizes = {"children": children, "budget": budget}
        return architecture.controller(
            space.counts, reward, net, tx, **sizes, entropy=config.entropy
        )

    names = [f"{name}, seed {seed}" for name in _automl.BOTH for seed in seeds]
    rates, slow = jnp.repeat(jnp.array([config.controller_rate, 0.0]), len(seeds)), part == "live"
    learner = sweep(make, rates, seeds * 2, at_once=1 if slow else None)
    steps, shown = budget // children, ("train/reward", "train/best")
    chunk = 1 if slow else steps
    fitted = run.fit(learner, steps, part=part, names=names, shown=shown, chunk=chunk, saves=chunk)
    history = fitted.run.state.run.state.history
    halves = (History(*(leaf[i * len(seeds) :][: len(seeds)] for leaf in history)) for i in (0, 1))
    return dict(zip(_automl.BOTH, halves, strict=True))


def live(run: Study, config: Config, nursery: Nursery, space: Space) -> None:
    """The controller on a space too large to exhaust, beside random search of equal budget."""
    reward = nursery.reward(space, config.live_steps)
    own = run.seeds[: config.live_seeds], "live", config.live_children
    found = controlled(run, config, space, reward, *own, config.rounds * config.live_children)
    _automl.judge(run, nursery, space, found, config.steps, config.repeats)
    size = f"{math.prod(space.counts):,} children"  # more than len() can say
    title = f"{nursery.data.name}: a space of {size}, trained as they are spelled"
    run.figure("live.png", _automl_figures.draw_live, title, found, config.live_children)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
