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

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Learner, Member, grid, sweep
from dljax.envs import tabular
from dljax.envs.tabular import MDP
from dljax.errors import unknown
from dljax.host import experiment, figures
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import Fitted, fit
from dljax.learn import dqn, q_learning
from dljax.learn import dynamic_programming as dp
from dljax.typing import Array, Metrics
from experiments.control import _gridworld, _mistakes

NAME = "control.mdp"
ACTORS, LENGTH = 16, 25
PER_STEP = ACTORS * LENGTH  # environment steps in a step of each learner
WARMUP = 2_000  # environment steps of DQN before it learns
SOLVERS = {
    "value iteration": jax.jit(dp.value_iteration),
    "policy iteration": jax.jit(dp.policy_iteration),
}
Decay = tuple[float, float, float]  # first, power and speed of `q_learning.decay`
CERTAIN = {"Q-learning, rate 1": (1.0, 0.0, 1.0), "Q-learning, rate 0.3": (0.3, 0.0, 1.0)}


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Solve a gridworld exactly, learn it by trying, and compare."""

    layout: str = "rooms"
    """rooms, or russell_norvig: 4 x 3 cells with one pit."""
    gamma: float = 0.9
    """The discount."""
    slip: float = 0.2
    """Chance of a step to the side, in the slippery copy of the world."""
    rate: float = 0.02
    """First learning rate of Adam, for DQN; it falls to 0 in a straight line."""


PRESETS = {"quick": Config(steps=400_000), "standard": Config(steps=4_000_000, seeds=10)}


def rates(gamma: float) -> dict[str, Decay]:
    """The entrants of the slippery world."""
    return {
        "rate 0.1": (0.1, 0.0, 1.0),
        "rate 1/n": (1.0, 1.0, 1.0),
        "rate n^-0.8": (1.0, 0.8, 1.0),
        "rate 1/(1 + (1-gamma) n)": (1.0, 1.0, 1 - gamma),
    }


def main(config: Config) -> Result:
    begun = time.monotonic()
    experiment.check_common(config)
    require("--gamma", config.gamma, at_least=0, below=1)
    require("--slip", config.slip, at_least=0, below=1)
    require("--rate", config.rate, at_least=1e-9)
    if config.layout not in tabular.LAYOUTS:
        raise unknown("--layout", config.layout, tabular.LAYOUTS)
    steps, gamma = config.steps or 400_000, config.gamma
    require("--steps", steps, at_least=10 * PER_STEP)
    seeds, out = experiment.seeds(config), experiment.open_folder(NAME, config)
    result = Result(NAME, ["S45", "S46"], dataclasses.asdict(config), seeds)
    layout = tabular.LAYOUTS[config.layout]
    certain, slippery = tabular.gridworld(layout), tabular.gridworld(layout, slip=config.slip)
    solve([certain, slippery], gamma, result)
    few = min(steps // 4, 200_000)
    network, tables = by_network(config, certain, few), by_table(config, certain, CERTAIN)
    runs = {
        "certain": learn(config, "certain", certain, tables, few, out),
        "dqn": learn(config, "dqn", certain, network, few, out),
    }
    tables = by_table(config, slippery, rates(gamma))
    runs["slippery"] = learn(config, "slippery", slippery, tables, steps, out)
    for fitted in runs.values():
        result.add(fitted.seconds)
    report(config, result, [certain, slippery], runs, out / "figures")
    mistakes = _mistakes.measure(certain, exact(certain, gamma), gamma, seeds, out)
    for name, errors in mistakes.items():
        result.metrics[name] = experiment.summary(errors, "lower")
    aim(result, _mistakes.TARGETS, 1e-5)
    return experiment.finish(result, out, [fitted.run for fitted in runs.values()], begun)


def exact(mdp: MDP, gamma: float) -> np.ndarray:
    """Q* [S, A] in double precision: policy iteration's policy, evaluated by a linear solve."""
    found = SOLVERS["policy iteration"](mdp, gamma)
    policy = np.eye(mdp.reward.shape[1])[np.asarray(found.policy)]
    chance = np.asarray(mdp.transition, float) * ~np.asarray(mdp.terminal)
    reward = np.asarray(mdp.reward, float)
    system = np.eye(len(reward)) - gamma * np.einsum("sa,sat->st", policy, chance)
    return reward + gamma * chance @ np.linalg.solve(system, (policy * reward).sum(1))


def solve(worlds: list[MDP], gamma: float, result: Result) -> None:
    """Errors of value and policy iteration, in single precision, on both worlds."""
    right = [exact(mdp, gamma) for mdp in worlds]
    for name, method in SOLVERS.items():
        errors = [method(mdp, gamma).q - q for mdp, q in zip(worlds, right, strict=True)]
        worst = max(np.abs(error).max() for error in errors)
        result.metrics[f"error of {name}"] = experiment.summary([worst], "lower")
        aim(result, f"error of {name}", 1e-5)
    for name, q in zip(("certain", "slippery"), right, strict=True):
        largest = float(np.abs(q).max())
        result.baselines[f"Q = 0, {name}"] = {"metric": f"error, {name}", "mean": largest}


def aim(result: Result, name: str, most: float) -> None:
    """The mean, over the seeds where there are some, should be `most` at most."""
    row = result.metrics[name]
    met = row["mean"] <= most and (len(row["values"]) == 1 or len(result.seeds) >= 5)
    result.targets[name] = {"value": most, "source": "our goal", "met": bool(met)}


Entrants = tuple[Callable[[dict], Learner], dict[str, Array], Callable[[Any], Array]]
"""A learner by its hyperparameters, those of all members, and the learner's Q [S, A]."""


def by_table(config: Config, mdp: MDP, entrants: dict[str, Decay]) -> Entrants:
    """Q-learning at each entrant's rate for each seed."""
    axes = grid(entrant=jnp.arange(len(entrants)), seed=jnp.array(experiment.seeds(config)))
    decays = jnp.array(list(entrants.values()))[axes["entrant"]]
    env = tabular.environment(mdp)

    def make(m: dict) -> Learner:
        rate = q_learning.decay(*m["decay"])
        return q_learning.make(env, rate, gamma=config.gamma, actors=ACTORS, length=LENGTH)

    return make, axes | {"decay": decays}, lambda state: state.table


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

    axes = {"seed": jnp.array(experiment.seeds(config))}
    return make, axes, lambda state: state.fit.params["kernel"]


def learn(config: Config, name: str, mdp: MDP, entrants: Entrants, steps: int, out: Path) -> Fitted:
    """All members at once for `steps` environment steps each, with the errors of their Q."""
    make, axes, table = entrants
    right = jnp.asarray(exact(mdp, config.gamma), jnp.float32)
    counted = ~mdp.terminal[:, None]

    def judge(member: Member) -> Metrics:
        q = table(member.run.state)
        chosen = jnp.take_along_axis(right, q.argmax(-1, keepdims=True), -1)
        best = chosen > right.max(-1, keepdims=True) - 1e-5
        error = jnp.where(counted, jnp.abs(q - right), 0).max()
        return {"error": error, "optimal": (best & counted).sum() / counted.sum()}

    count, every = steps // PER_STEP, max(1, steps // PER_STEP // 100)
    saves = -(-config.checkpoint_every // PER_STEP) if config.checkpoint_every else count
    return fit(
        sweep(make, axes, axes["seed"]),
        jax.random.key(0),
        count // every * every,
        evaluate=jax.vmap(judge),
        every=every,
        chunk=every,
        out=out / name,
        checkpoint_every=saves,
        resume=config.resume,
        quiet=config.quiet,
        shown=("error", "optimal"),
    )


def report(
    config: Config, result: Result, worlds: list[MDP], runs: dict[str, Fitted], folder: Path
) -> None:
    """Each entrant's last errors, targets where the world is certain, and two figures."""
    tried = curves(runs["certain"], list(CERTAIN))
    networks = curves(runs["dqn"], ["DQN, one linear layer"], WARMUP)
    slipped = curves(runs["slippery"], list(rates(config.gamma)))
    for name, each, most in (("Q-learning", tried[0], 1e-5), ("DQN", networks[0], 1e-2)):
        name = f"error, certain, {name}"
        result.metrics[name] = experiment.summary(each.errors[-1], "lower")
        aim(result, name, most)
    for each in slipped:
        row = experiment.summary(each.errors[-1], "lower")
        steps, errors = (np.log(x[len(x) // 10 :]) for x in (each.steps, each.errors.mean(1)))
        row["slope"] = float(np.polyfit(steps, errors, 1)[0])  # of the last decade
        result.metrics[f"error, slippery, {each.label}"] = row
    _gridworld.errors(folder / "errors.png", tried + networks, slipped)
    best = int(np.argmin([each.errors[-1].mean() for each in slipped]))
    states = {name: fitted.run.state.run.state for name, fitted in runs.items()}
    certain, slippery = (exact(mdp, config.gamma) for mdp in worlds)
    learnt = np.asarray(states["slippery"].table[best * config.seeds])
    tables = {
        "certain moves, exact": certain,
        "Q-learning": np.asarray(states["certain"].table[0]),
        "DQN, one linear layer": np.asarray(states["dqn"].fit.params["kernel"][0]),
        f"slip {config.slip:g}, exact": slippery,
        f"Q-learning, {slipped[best].label}": learnt,
        "its error, times 10": 10 * (learnt - slippery),
    }
    _gridworld.grids(folder / "q.png", tabular.LAYOUTS[config.layout], tables, 2)


def curves(fitted: Fitted, labels: list[str], before: int = 0) -> list[_gridworld.Learnt]:
    """The errors [T, seeds] of each entrant; a sweep holds one entrant after the other."""
    steps, errors = figures.curve(fitted.records, "error")
    spent = (before + np.array(steps) * PER_STEP).tolist()
    parts = np.split(errors, len(labels), axis=1)
    return [_gridworld.Learnt(x, spent, y) for x, y in zip(labels, parts, strict=True)]


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
