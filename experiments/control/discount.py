"""How the discount changes the best path of a drone on a map, and where exactly it does.

System S46 of the syllabus. Prizes of 1, 3 and 9 lie 2, 7 and 22 moves away. A prize r after n moves
is worth `r gamma^(n - 1)`, so the drone leaves one for another at the gamma where both are equal,
`(r / r')^(1 / (n' - n))`. The best path comes from a linear solve, where it changes by bisection,
and Q-learning must find the same paths. On a second map a narrow way along a pit is short, and
another long and safe: where the wind blows, gamma decides between them too.

    python -m experiments.control.discount  # 20 s on 2 cores
    python -m experiments.control.discount --gammas 0.5 0.9 0.99
"""

import itertools
from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, MinLen

from dljax import Learner, Member, grid, sweep
from dljax.envs import tabular
from dljax.envs.tabular import MDP
from dljax.host import experiment
from dljax.host.config import Common, ShareBelow1
from dljax.host.experiment import Study
from dljax.host.fit import Watch
from dljax.host.result import Result
from dljax.learn import q_learning
from dljax.typing import Metrics
from experiments.control import _discount
from experiments.control._discount import PRIZES, WINDY
from experiments.control._world import exact

NAME = "control.discount"
ACTORS, LENGTH = 16, 25
PER_STEP = ACTORS * LENGTH  # environment steps in a step of Q-learning
BISECTIONS = 20  # of an interval of at most .1


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Find the best path for each gamma; `--steps` counts those of Q-learning."""

    steps: Annotated[int, Ge(PER_STEP)] = 100_000
    """Environment steps of a gamma and seed of Q-learning, which begins anywhere on the map."""
    gammas: Annotated[tuple[ShareBelow1, ...], MinLen(1)] = (
        0.3, 0.5, 0.7, 0.79, 0.82, 0.85, 0.9, 0.92, 0.94, 0.97,
    )  # fmt: skip
    """Discounts at which Q-learning must find the best path."""
    wind: ShareBelow1 = 0.04
    """Chance of a step to the side on the second map."""


PRESETS = {"quick": Config(), "standard": Config(seeds=10, steps=400_000)}


def main(config: Config) -> Result:
    with Study(NAME, ["S46"], config) as run:
        mdp, windy = tabular.gridworld(PRIZES), tabular.gridworld(WINDY, slip=config.wind, pit=0)
        changes = {"prizes": switches(PRIZES, mdp), "wind": switches(WINDY, windy)}
        closed = _discount.closed(_discount.prizes(PRIZES))
        away = [abs(a - b) for a, b in zip(changes["prizes"], closed, strict=True)]
        for at, right in zip(changes["prizes"], closed, strict=True):
            run.metric(f"gamma of a change, prizes, {right:.4f}", [at])
        run.metric("error of the changes", [max(away)], "lower")
        run.target("error of the changes", 1e-5, "closed form", max(away) <= 1e-5)
        for number, at in enumerate(changes["wind"], 1):
            run.metric(f"gamma of change {number}, wind {config.wind:g}", [at])
        paths = learnt(run, config, mdp)
        ends = list(changes.values())
        run.figure("maps.png", _discount.draw_maps, drawn(mdp, windy, ends), config.wind)
        run.figure("values.png", _discount.draw_values, ends[0], config.gammas, paths)
    return run.result


def drawn(mdp: MDP, windy: MDP, changes: list[list[float]]) -> dict[str, dict[str, list[int]]]:
    """For both maps, the best path between every two changes, by what gammas it is best for."""
    found: dict[str, dict[str, list[int]]] = {}
    maps = (("prizes", PRIZES, mdp), ("wind", WINDY, windy))
    for (name, layout, world), ends in zip(maps, changes, strict=True):
        bounds, found[name] = [0.0, *ends, 1.0], {}
        for low, high in itertools.pairwise(bounds):
            said = f"gamma from {low:.3f} to {high:.3f}"
            found[name][said] = best(layout, world, (low + high) / 2)
    return found


def best(layout: tuple[str, ...], mdp: MDP, gamma: float) -> list[int]:
    """The best path from the start, as it goes without wind."""
    return _discount.followed(layout, exact(mdp, gamma))


def switches(layout: tuple[str, ...], mdp: MDP) -> list[float]:
    """The gammas at which the best path changes, by bisection of the intervals of a grid."""
    points = np.linspace(0.3, 0.99, 24)
    paths = [best(layout, mdp, float(gamma)) for gamma in points]
    found = []
    for i in range(len(points) - 1):
        if paths[i] == paths[i + 1]:
            continue
        low, high = float(points[i]), float(points[i + 1])
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if best(layout, mdp, middle) == paths[i] else (low, middle)
        found.append((low + high) / 2)
    return found


def learnt(run: Study, config: Config, mdp: MDP) -> dict[float, np.ndarray]:
    """Q-learning at every gamma for every seed, in one program: whether each path is the best one.

    Returned are the prizes that it flies to.
    """
    hparams = grid(gamma=jnp.array(config.gammas), seed=jnp.array(run.seeds))
    anywhere = (~mdp.terminal).astype(jnp.float32)
    env = tabular.environment(mdp._replace(start=anywhere / anywhere.sum()))

    def make(m: dict) -> Learner:
        rate = q_learning.decay(1.0, 0.0)  # moves are certain
        return q_learning.make(env, rate, gamma=m["gamma"], actors=ACTORS, length=LENGTH)

    def judge(member: Member) -> Metrics:
        return {"value": member.run.state.table.max()}

    count = config.steps // PER_STEP
    fitted = run.fit(
        sweep(make, hparams, hparams["seed"]), count, Watch(judge), part="q-learning",
        names=run.named(f"gamma {gamma:g}" for gamma in config.gammas), shown=("train/loss",),
        chunk=max(1, count // 10), saves=count, per_step=PER_STEP,
    )  # fmt: skip
    tables = np.asarray(fitted.run.state.run.state.table)
    right, ends = [], {}
    for gamma, each in zip(config.gammas, np.split(tables, len(config.gammas)), strict=True):
        paths = [_discount.followed(PRIZES, table) for table in each]
        right.append([path == best(PRIZES, mdp, gamma) for path in paths])
        ends[gamma] = np.array([_discount.prize_at(PRIZES, path[-1]) for path in paths])
    share = np.mean(right, 0)  # of the gammas, for each seed
    run.metric("share of the best paths, Q-learning", share, goal=(1.0, "our goal"))
    return ends


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
