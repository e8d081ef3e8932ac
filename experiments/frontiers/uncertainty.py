"""Five methods say how sure they are of a number, on the splits on which all such methods compare.

System S53 of the syllabus: deep ensembles (Lakshminarayanan et al. 2017), dropout (Gal and
Ghahramani 2016), evidence (Amini et al. 2020), Bayes by backprop (Blundell et al. 2015) and a
Laplace approximation of the last layer (MacKay 1992; Daxberger et al. 2021), all of the same
network and budget. Inside the training part of each split, parts held out choose a method's
hyperparameter and when to stop, by the likelihood after its variance was stretched to fit; then it
learns from the whole training part, and is tested once. `chosen` is the method whose likelihood
on the parts held out is best, for each split apart.

    python -m experiments.frontiers.uncertainty
    python -m experiments.frontiers.uncertainty --preset standard  # 28 min on 2 cores
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from dljax.data import uci
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive, Widths, require
from dljax.host.experiment import Study
from dljax.host.result import Result
from experiments.frontiers import _tables
from experiments.frontiers._methods import METHODS, Setting
from experiments.frontiers._splits import choose, scored, test
from experiments.frontiers._tables import PUBLISHED, Splits

NAME = "frontiers.uncertainty"
GOALS = {"boston": 2.8, "concrete": 4.6}
COVERAGE = (0.87, 0.93)
MethodName = Literal["ensemble", "dropout", "evidential", "Bayes by backprop", "Laplace"]
Name = Literal["diabetes", "boston", "concrete", "energy", "wine", "yacht", "kin8nm", "power"]


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Tell numbers with their uncertainty by five methods, on standard splits."""

    seeds: Annotated[int, Ge(1), Le(20)] = 20
    """Splits of each table, in one compiled program."""
    data: tuple[Name, ...] = ("diabetes",)
    """Tables: diabetes, or of UCI boston, concrete, energy, wine, yacht, kin8nm, power."""
    methods: tuple[MethodName, ...] = tuple(METHODS)  # pyright: ignore[reportAssignmentType]
    """Those compared."""
    steps: Count = 2400
    """Training steps of each network at most; held-out parts say when to stop."""
    evaluations: Count = 12
    """Times at which it may."""
    hidden: Widths = (64, 64)
    """Widths of the hidden layers."""
    batch: Count = 64
    """Examples in a step."""
    rate: Positive = 2e-3
    """The learning rate of Adam, which falls as a cosine."""
    members: Annotated[int, Ge(2)] = 5
    """Networks of an ensemble."""
    parts: Annotated[int, Ge(1), Le(5)] = 3
    """Fifths of the training part that are held out, one after another, to choose on."""


PRESETS = {
    "quick": Config(seeds=5, steps=600, evaluations=6, hidden=(32, 32)),
    # with 2400 steps the parts held out still asked for more
    "standard": Config(data=("boston", "concrete", "energy", "wine", "yacht"), steps=6000),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S53"], config) as run:
        tables = [uci.load(name) for name in dict.fromkeys(config.data)]
        if not (tables and config.methods):
            raise InputError("--data and --methods need at least one each")
        require("--evaluations", config.evaluations, below=config.steps + 1)
        for table in tables:  # all are looked at before any is learnt
            require("--seed", config.seed, below=len(table.train) + 1 - config.seeds)
            require("--batch", config.batch, below=table.train.shape[1] * 4 // 5)
        for table in tables:
            compare(run, config, table.name, _tables.standardised(table, run.seeds))
            run.figure(f"{table.name}.png", _tables.draw, run.result, table.name)
    return run.result


def compare(run: Study, config: Config, name: str, splits: Splits) -> None:
    """All methods on one table, the one that is chosen, and plain models."""
    setting = Setting(config.hidden, config.batch, config.rate, config.steps, config.members)
    every = config.steps // config.evaluations
    tests, choices = {}, {}
    for title in dict.fromkeys(config.methods):
        method = METHODS[title]
        shared = run, f"{name}, {title}", setting, method, splits
        choices[title] = choose(*shared, config.parts, every)
        told = test(*shared, choices[title], every)
        tests[title] = scored(told, splits, choices[title].stretch)
    best = np.argmin([choice.nll for choice in choices.values()], 0)
    found = [*tests.values()]
    tests["chosen"] = {
        score: np.array([found[k][score][i] for i, k in enumerate(best)]) for score in found[0]
    }
    for title, found in tests.items():
        for score, values in found.items():
            ours = score == "RMSE" and title == "chosen" and name in GOALS
            goal = (GOALS[name], "our goal") if ours else None
            better = "higher" if score == "coverage" else "lower"
            run.metric(f"test {score}, {name}, {title}", values, better, goal)
    covers = tests["chosen"]["coverage"].mean()
    source = "90 % intervals cover 87 to 93 %"
    run.target(f"test coverage, {name}, chosen", 0.9, source, COVERAGE[0] <= covers <= COVERAGE[1])
    for title, values in _tables.plain(splits).items():
        run.baseline(f"{title}, {name}", f"test RMSE, {name}, chosen", values)
    for title, values in PUBLISHED.get(name, {}).items():
        for score, value in zip(("RMSE", "NLL"), values, strict=True):
            known = f"{title} as published, {name}, {score}"
            run.baseline(known, f"test {score}, {name}, {title}", value)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
