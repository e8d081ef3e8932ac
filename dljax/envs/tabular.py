"""Finite Markov decision processes with known arrays: gridworlds and random ones (S45).

The same arrays are solved exactly (`dljax.learn.dynamic_programming`) and played as an
`Environment`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from dljax.envs.interface import Environment, Step
from dljax.errors import InputError
from dljax.typing import Array, Key

MOVES = {"up": (-1, 0), "right": (0, 1), "down": (1, 0), "left": (0, -1)}
LAYOUTS = {
    "russell_norvig": ("...G", ".#.X", "S..."),
    "rooms": (
        "....#....",
        ".........",
        "....#..X.",
        "#.###....",
        "....##.##",
        ".X..#....",
        ".........",
        "....#...G",
    ),
}


class MDP(NamedTuple):
    """What is known of a finite MDP. A terminal state leads to itself and earns nothing."""

    transition: Array  # P[s, a, s'], each row a distribution
    reward: Array  # R[s, a], expected
    terminal: Array  # [S] bool: to enter one ends the episode
    start: Array  # [S], the distribution of first states


class Position(NamedTuple):
    at: Array  # the state's number, int32
    time: Array  # steps of the episode so far, int32


def mdp(
    transition: Array, reward: Array, terminal: Array | None = None, start: Array | None = None
) -> MDP:
    """An MDP whose terminal states, none by default, absorb; it starts in any other by default.

    Raises InputError where shapes do not fit, or where known rows of `transition` do not sum to 1.
    """
    states = transition.shape[0]
    terminal = jnp.zeros(states, bool) if terminal is None else terminal
    start = (~terminal).astype(jnp.float32) if start is None else start
    shapes = [x.shape for x in (transition, reward, terminal, start)]
    if shapes != [(*reward.shape, states), (states, *reward.shape[1:]), (states,), (states,)]:
        raise InputError(f"an MDP has arrays [S, A, S], [S, A], [S] and [S]; got {shapes}")
    if not isinstance(transition, Tracer):
        chance = np.asarray(transition, float)
        away = np.abs(chance.sum(-1) - 1).max()
        if not (away <= 1e-5 and chance.min() >= 0):  # so that NaN is refused too
            raise InputError(
                "rows of transition must be distributions; "
                f"the least chance is {chance.min():g}, and a sum is {away:g} from 1"
            )
    if not isinstance(start, Tracer):
        begin = np.asarray(start, float)
        if not (begin.min() >= 0 and 0 < begin.sum() < np.inf):
            raise InputError(f"start must be weights of states, not all 0; got {begin.tolist()}")
    ends = terminal[:, None]
    transition = jnp.where(ends[..., None], jnp.eye(states)[:, None], transition)
    return MDP(transition, jnp.where(ends, 0.0, reward), terminal, start / start.sum())


def cells(layout: Sequence[str]) -> np.ndarray:
    """Row and column of each state of a gridworld, [S, 2]: the cells that are no wall."""
    return np.argwhere(np.array([list(row) for row in layout]) != "#")


def gridworld(
    layout: Sequence[str] = LAYOUTS["rooms"],
    *,
    slip: float = 0.0,
    living: float = 0.0,
    goal: float = 1.0,
    pit: float = -1.0,
) -> MDP:
    """Walk up, right, down or left; with chance `slip`, to one of the two sides instead.

    In the layout `#` is a wall, `S` a start (any cell, where there is none), and `G`, `X` and
    digits end the episode with `goal`, `pit` and what they say. Every move earns `living`; one into
    a wall or over the edge stays. Russell and Norvig 2010, section 17.1. Raises InputError for a
    bad layout or slip.
    """
    letters = set("".join(layout))
    if len({len(row) for row in layout}) != 1 or not letters <= set("#.SGX0123456789"):
        raise InputError(
            f"a layout is rows of one length of the letters # . S G X and digits; got {layout}"
        )
    if not letters & set(".S"):
        raise InputError(f"a layout needs a cell to start from, S or '.'; got {layout}")
    if not 0 <= slip <= 1:
        raise InputError(f"slip must be in [0, 1]; got {slip}")
    at = cells(layout)
    number = {(int(r), int(c)): s for s, (r, c) in enumerate(at)}
    marks = np.array([layout[r][c] for r, c in at])
    transition = np.zeros((len(at), 4, len(at)), np.float32)
    for s, (r, c) in enumerate(at):
        ends = [number.get((int(r + dr), int(c + dc)), s) for dr, dc in MOVES.values()]
        for a in range(4):
            for turn, chance in ((0, 1 - slip), (1, slip / 2), (3, slip / 2)):
                transition[s, a, ends[(a + turn) % 4]] += chance
    digit = np.char.isdigit(marks)
    said = np.where(digit, marks, "0").astype(float)
    prize = np.select([marks == "G", marks == "X"], [goal, pit], said).astype(np.float32)
    terminal = (marks == "G") | (marks == "X") | digit
    start = marks == "S" if "S" in marks else ~terminal
    arrays = (transition, living + transition @ prize, terminal, start.astype(np.float32))
    return mdp(*map(jnp.asarray, arrays))


def random_mdp(
    key: Key, states: int, actions: int, *, branching: int = 3, ends: Array | int = 0
) -> MDP:
    """A Garnet: each action leads to `branching` random states, and earns N(0, 1).

    The chances are uniform over their simplex; the last `ends` states are terminal. Pure in the
    key. Archibald et al. 1995. Raises InputError if branching is not from 1 to `states`, or ends
    not from 0 to `states - 1`.
    """
    if not isinstance(ends, Tracer) and not 0 <= ends < states:
        raise InputError(f"ends must be from 0 to {states - 1}; got {ends}")
    if not 1 <= branching <= states:
        raise InputError(f"branching must be from 1 to the {states} states; got {branching}")
    k_next, k_chance, k_reward = jax.random.split(key, 3)
    order = jax.random.uniform(k_next, (states, actions, states))
    follows = jax.nn.one_hot(jax.lax.top_k(order, branching)[1], states).sum(-2)
    if branching > 1:  # else x / x, which XLA does not always make 1
        follows *= jax.random.exponential(k_chance, order.shape)
    reward = jax.random.normal(k_reward, (states, actions))
    terminal = jnp.arange(states) >= states - ends
    return mdp(follows / follows.sum(-1, keepdims=True), reward, terminal)


def summed(chance: Array) -> Array:
    """Cumulative sums over the last axis, in order: jnp.cumsum associates them otherwise, and then
    rounding gives states of chance 0 a chance.
    """

    def add(total: Array, one: Array) -> tuple[Array, Array]:
        return total + one, total + one

    sums = jax.lax.scan(add, jnp.zeros(chance.shape[:-1]), jnp.moveaxis(chance, -1, 0))[1]
    return jnp.moveaxis(sums, 0, -1)


def environment(
    mdp: MDP,
    *,
    limit: Array | int = 100,
    name: str = "tabular",
    seen: Sequence[int] | None = None,
) -> Environment:
    """Plays the MDP: one-hot observations, rewards R[s, a], truncated after `limit` steps.

    seen: what is seen of each state [S], numbers from 0; by default itself. States that look alike
    make the process partially observed. Raises InputError unless it has a number for each state.
    """
    states, actions = mdp.reward.shape
    looks = range(states) if seen is None else seen
    if len(looks) != states or min(looks) < 0:
        raise InputError(f"seen must be a number from 0 for each of {states} states; got {looks}")
    kinds, look = max(looks) + 1, jnp.array(looks)
    following, first = summed(mdp.transition), summed(mdp.start)

    def drawn(key: Key, cumulative: Array) -> Array:
        return (jax.random.uniform(key) * cumulative[-1] >= cumulative).sum(dtype=jnp.int32)

    def observed(at: Array) -> Array:
        return jax.nn.one_hot(look[at], kinds)

    def reset(key: Key) -> tuple[Position, Array]:
        at = drawn(key, first)
        return Position(at, jnp.int32(0)), observed(at)

    def step(key: Key, state: Position, action: Array) -> tuple[Position, Step]:
        at, time = drawn(key, following[state.at, action]), state.time + 1
        after = Step(observed(at), mdp.reward[state.at, action], mdp.terminal[at], time >= limit)
        return Position(at, time), after

    # a traced limit does for whoever steps it; learners that make arrays of that length want an int
    return Environment(name, reset, step, (kinds,), actions, limit)  # pyright: ignore
