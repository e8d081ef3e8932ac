"""Worlds whose states look alike, where the best deterministic policy is not the best (S47).

Known arrays, as in `tabular`, of which only a part is seen; so each policy of what is seen has an
exact value, and all deterministic ones can be gone through. Singh, Jaakkola and Jordan 1994.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax.envs import tabular
from dljax.envs.interface import Environment
from dljax.envs.tabular import MDP
from dljax.errors import InputError
from dljax.typing import Array

CORRIDOR = (".....", "X#G#X")
SIGNS = ("rock", "paper", "scissors")  # each is beaten by the next


class Aliased(NamedTuple):
    name: str
    mdp: MDP
    seen: tuple[int, ...]  # what is seen of each state
    limit: int  # steps of an episode
    best: float  # the value of the best policy of what is seen, in closed form


def walls(layout: Sequence[str]) -> tuple[int, ...]:
    """A number for each state of a gridworld, the same where the same of its sides are walls."""
    open_cells = {(int(r), int(c)) for r, c in tabular.cells(layout)}
    around = [
        tuple((r + dr, c + dc) in open_cells for dr, dc in tabular.MOVES.values())
        for r, c in tabular.cells(layout).tolist()
    ]
    kinds = {each: number for number, each in enumerate(dict.fromkeys(around))}
    return tuple(kinds[each] for each in around)


def corridor(living: float = -0.1, goal: float = 1.0, pit: float = -1.0) -> Aliased:
    """Five cells above a pit, a treasure and a pit, of which only the walls around are felt.

    The cells on both sides of the middle feel the same, and the treasure lies to the right of one
    and to the left of the other. Who always goes to one side there comes from two of the five
    starts to the wrong end. Half and half takes 1, 4, 4, 5 and 5 moves: `goal + 3.8 living` (but
    for episodes that last to the limit, fewer than one in 10^6). David Silver's lecture 7, 2015.
    """
    mdp = tabular.gridworld(CORRIDOR, living=living, goal=goal, pit=pit)
    return Aliased("aliased-gridworld", mdp, walls(CORRIDOR), 50, goal + 3.8 * living)


def rock_paper_scissors(rounds: int = 10) -> Aliased:
    """An opponent who shows what beats one's last sign, whom one does not see.

    Reward 1 for a win, -1 for a loss. Who shows signs with chances p wins `(1 - 3 |p|^2) / 2` of a
    round on average: at most 0, for equal chances, and -1 for one sign for ever. The first round's
    opponent is chance. Raises InputError for fewer than 1 round.
    """
    if rounds < 1:
        raise InputError(f"rock, paper, scissors needs at least 1 round; got {rounds}")
    last, mine = np.meshgrid(range(3), range(3), indexing="ij")
    # the opponent shows last + 1: the same is a draw, one further beats it
    reward = np.array([0.0, 1.0, -1.0])[(mine - last - 1) % 3]
    transition = np.broadcast_to(np.eye(3), (3, 3, 3))
    mdp = tabular.mdp(jnp.asarray(transition, jnp.float32), jnp.asarray(reward, jnp.float32))
    return Aliased("rock-paper-scissors", mdp, (0, 0, 0), rounds, 0.0)


def environment(world: Aliased) -> Environment:
    return tabular.environment(world.mdp, limit=world.limit, name=world.name, seen=world.seen)


def value(world: Aliased, policy: Array) -> Array:
    """The mean return of an episode, undiscounted, of a policy [K, A] of what is seen: exact.

    `V_{k+1} = R_pi + P_pi V_k` from 0, for as many steps as an episode has.
    """
    chance = policy[jnp.array(world.seen)]  # [S, A]
    reward = (chance * world.mdp.reward).sum(-1)
    following = jnp.einsum("sa,sat->st", chance, world.mdp.transition)

    def once(_: Array, ahead: Array) -> Array:
        return reward + following @ ahead

    return world.mdp.start @ jax.lax.fori_loop(0, world.limit, once, jnp.zeros_like(reward))


def best_deterministic(world: Aliased) -> tuple[float, np.ndarray]:
    """The greatest value of a deterministic policy, and its actions [K]: by going through all."""
    kinds, actions = max(world.seen) + 1, world.mdp.reward.shape[1]
    every = np.array([*itertools.product(range(actions), repeat=kinds)])
    values = jax.jit(
        lambda every: jax.vmap(lambda each: value(world, jax.nn.one_hot(each, actions)))(every)
    )(every)
    return float(values.max()), every[int(values.argmax())]
