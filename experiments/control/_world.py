"""A gridworld that is known: its exact Q, and what value and policy iteration make of it."""

from typing import NamedTuple

import jax
import numpy as np

from dljax.envs.tabular import MDP
from dljax.host.experiment import Study
from dljax.learn import dynamic_programming as dp

SOLVERS = {
    "value iteration": jax.jit(dp.value_iteration),
    "policy iteration": jax.jit(dp.policy_iteration),
}


class World(NamedTuple):
    """A gridworld and its exact Q* [S, A]."""

    mdp: MDP
    q: np.ndarray


def exact(mdp: MDP, gamma: float) -> np.ndarray:
    """Q* [S, A] in double precision: policy iteration's policy, evaluated by a linear solve."""
    found = SOLVERS["policy iteration"](mdp, gamma)
    policy = np.eye(mdp.reward.shape[1])[np.asarray(found.policy)]
    chance = np.asarray(mdp.transition, float) * ~np.asarray(mdp.terminal)
    reward = np.asarray(mdp.reward, float)
    system = np.eye(len(reward)) - gamma * np.einsum("sa,sat->st", policy, chance)
    return reward + gamma * chance @ np.linalg.solve(system, (policy * reward).sum(1))


def solve(run: Study, worlds: dict[str, World], gamma: float) -> None:
    """Errors of value and policy iteration, in single precision, over both worlds."""
    for name, method in SOLVERS.items():
        errors = [np.abs(method(mdp, gamma).q - q).max() for mdp, q in worlds.values()]
        run.metric(f"error of {name}", [max(errors)], "lower")
        run.target(f"error of {name}", 1e-5, "our goal", max(errors) <= 1e-5)
    for name, world in worlds.items():
        run.baseline(f"Q = 0, {name}", f"error, {name}", np.abs(world.q).max())
