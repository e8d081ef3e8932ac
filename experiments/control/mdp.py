"""Value iteration, policy iteration, Q-learning and DQN agree on one known gridworld.

Systems S45 and S46 of the syllabus. The exact Q of a gridworld comes from a linear solve in double
precision. Where moves are certain, Q-learning (Watkins and Dayan 1992) reaches it to 1e-5, and DQN
with one weight a state and action, its own table, to 1e-2. Where moves slip, Q-learning can only
come nearer as its noise averages out: at best as one over the root of the steps, and at rate 1/n
only as steps^-(1 - gamma). Then two mistakes in numbers: the return discounted by gamma^i, absolute
time, as the notes print it, in place of gamma^(i-t); and a time limit taken for an end. The default
takes a minute or two on 2 cores.

    python -m experiments.control.mdp
    python -m experiments.control.mdp --layout russell_norvig --gamma 0.99
    python -m experiments.control.mdp --preset standard
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge

from dljax import Learner, Member, grid, sweep
from dljax.envs import tabular
from dljax.envs.tabular import MDP
from dljax.host import experiment, figures
from dljax.host.config import Common, Positive, ShareBelow1
from dljax.host.experiment import Study
from dljax.host.fit import Watch
from dljax.host.result import Result
from dljax.learn import dqn, q_learning
from dljax.typing import Array, Metrics
from experiments.control import _gridworld, _mistakes
from experiments.control._gridworld import Learnt
from experiments.control._world import World, exact, solve

NAME = "control.mdp"
ACTORS, LENGTH = 16, 25
PER_STEP = ACTORS * LENGTH  # environment steps in a step of each learner
WARMUP = 2_000  # environment steps of DQN before it learns
Decay = tuple[float, float, float]  # first, power and speed of `q_learning.decay`
CERTAIN = {"Q-learning, rate 1": (1.0, 0.0, 1.0), "Q-learning, rate 0.3": (0.3, 0.0, 1.0)}


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Solve a gridworld exactly, learn it by trying, and compare."""

    steps: Annotated[int, Ge(10 * PER_STEP)] = 400_000
    """Environment steps where moves slip; a quarter, but at most 200000, where they do not."""
    layout: Literal["rooms", "russell_norvig"] = "rooms"
    """The gridworld; russell_norvig has 4 x 3 cells and one pit."""
    gamma: ShareBelow1 = 0.9
    """The discount."""
    slip: ShareBelow1 = 0.2
    """Chance of a step to the side, in the slippery copy of the world."""
    rate: Positive = 0.02
    """First learning rate of Adam, for DQN; it falls to 0 in a straight line."""


PRESETS = {"quick": Config(), "standard": Config(steps=4_000_000, seeds=10)}


def rates(gamma: float) -> dict[str, Decay]:
    """The entrants of the slippery world."""
    return {
        "rate 0.1": (0.1, 0.0, 1.0),
        "rate 1/n": (1.0, 1.0, 1.0),
        "rate n^-0.8": (1.0, 0.8, 1.0),
        "rate 1/(1 + (1-gamma) n)": (1.0, 1.0, 1 - gamma),
    }


class Entrants(NamedTuple):
    """Learners that enter together, each of them for all seeds, one entrant after the other."""

    labels: list[str]
    make: Callable[[dict], Learner]
    hparams: dict[str, Array]
    table: Callable[[Any], Array]  # Q [S, A] of a learner's state
    before: int = 0  # environment steps before learning


def main(config: Config) -> Result:
    layout, gamma = tabular.LAYOUTS[config.layout], config.gamma
    few = min(config.steps // 4, 200_000)  # certain moves are learnt soon
    with Study(NAME, ["S45", "S46"], config) as run:
        mdps = tabular.gridworld(layout), tabular.gridworld(layout, slip=config.slip)
        certain, slippery = (World(mdp, exact(mdp, gamma)) for mdp in mdps)
        solve(run, {"certain": certain, "slippery": slippery}, gamma)
        known = learn(run, "certain", certain, by_table(config, certain.mdp, CERTAIN), few)
        known += learn(run, "dqn", certain, by_network(config, certain.mdp, few), few)
        entrants = by_table(config, slippery.mdp, rates(gamma))
        slipped = learn(run, "slippery", slippery, entrants, config.steps)
        best = report(run, known, slipped)
        _mistakes.measure(run, certain.mdp, certain.q, gamma)
        tables = {
            "certain moves, exact": certain.q,
            "Q-learning": known[0].table,
            known[-1].label: known[-1].table,
            f"slip {config.slip:g}, exact": slippery.q,
            f"Q-learning, {best.label}": best.table,
            "its error, times 10": 10 * (best.table - slippery.q),
        }
        run.figure("errors.png", _gridworld.errors, known, slipped)
        run.figure("q.png", _gridworld.grids, layout, tables, 2)
    return run.result


def by_table(config: Config, mdp: MDP, entrants: dict[str, Decay]) -> Entrants:
    """Q-learning at each entrant's rate for each seed."""
    hparams = grid(entrant=jnp.arange(len(entrants)), seed=jnp.array(config.each_seed))
    hparams["decay"] = jnp.array(list(entrants.values()))[hparams["entrant"]]
    env = tabular.environment(mdp)

    def make(m: dict) -> Learner:
        rate = q_learning.decay(*m["decay"])
        return q_learning.make(env, rate, gamma=config.gamma, actors=ACTORS, length=LENGTH)

    return Entrants(list(entrants), make, hparams, lambda state: state.table)


def by_network(config: Config, mdp: MDP, steps: int) -> Entrants:
    """DQN whose network is one linear layer: on one-hot states a weight for each Q(s, a)."""
    env = tabular.environment(mdp)
    net = nn.Dense(mdp.reward.shape[1], use_bias=False)
    tx = optax.adam(optax.linear_schedule(config.rate, 0.0, steps // ACTORS))

    def make(m: dict) -> Learner:
        del m  # the members differ in their seed alone
        return dqn.make(
            env, net, tx, gamma=config.gamma, epsilon=1.0, actors=ACTORS, iterations=LENGTH,
            period=LENGTH, batch=128, capacity=20_000, warmup=WARMUP,
        )  # fmt: skip

    hparams = {"seed": jnp.array(config.each_seed)}
    return Entrants(
        ["DQN, one linear layer"], make, hparams, lambda state: state.fit.params["kernel"], WARMUP
    )


def learn(run: Study, part: str, world: World, entrants: Entrants, steps: int) -> list[Learnt]:
    """All members at once for `steps` environment steps each, with the errors of their Q."""
    right = jnp.asarray(world.q, jnp.float32)
    counted = ~world.mdp.terminal[:, None]

    def judge(member: Member) -> Metrics:
        q = entrants.table(member.run.state)
        chosen = jnp.take_along_axis(right, q.argmax(-1, keepdims=True), -1)
        best = chosen > right.max(-1, keepdims=True) - 1e-5  # of equals, either may be chosen
        error = jnp.where(counted, jnp.abs(q - right), 0).max()
        return {"error": error, "optimal": (best & counted).sum() / counted.sum()}

    count, every = steps // PER_STEP, max(1, steps // PER_STEP // 100)
    fitted = run.fit(
        sweep(entrants.make, entrants.hparams, entrants.hparams["seed"]),
        count // every * every,
        Watch(judge, every),
        part=part,
        names=run.named(entrants.labels),
        shown=("error", "optimal"),
        chunk=every,
        saves=count,
        per_step=PER_STEP,
    )
    at, errors = figures.curve(fitted.records, "error")
    spent = entrants.before + PER_STEP * np.array(at)
    tables = np.asarray(jax.vmap(entrants.table)(fitted.run.state.run.state))
    parts = np.split(errors, len(entrants.labels), 1), np.split(tables, len(entrants.labels))
    each = zip(entrants.labels, *parts, strict=True)
    return [Learnt(label, spent, errors, tables[0]) for label, errors, tables in each]


def report(run: Study, known: list[Learnt], slipped: list[Learnt]) -> Learnt:
    """Each entrant's last errors, with goals where moves are certain; the best where they slip."""
    for name, each, most in (("Q-learning", known[0], 1e-5), ("DQN", known[-1], 1e-2)):
        run.metric(f"error, certain, {name}", each.errors[-1], "lower", (most, "our goal"))
    for each in slipped:
        decade = slice(len(each.steps) // 10, None)  # the last
        steps, errors = np.log(each.steps[decade]), np.log(each.errors.mean(1)[decade])
        slope = float(np.polyfit(steps, errors, 1)[0])
        run.metric(f"error, slippery, {each.label}", each.errors[-1], "lower", slope=slope)
    return min(slipped, key=lambda each: each.errors[-1].mean())


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
