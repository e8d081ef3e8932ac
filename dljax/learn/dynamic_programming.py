"""Exact solutions of a known finite MDP: linear solve, value and policy iteration (S45, S46).

Pure in the arrays of the MDP, so a batch of MDPs is solved by `vmap`. A terminal state is worth 0.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from dljax.envs.tabular import MDP
from dljax.errors import InputError
from dljax.typing import Array


class Solution(NamedTuple):
    """The optimal values of an MDP, an optimal policy, and the rounds it took."""

    value: Array  # [S]
    q: Array  # [S, A]
    policy: Array  # [S] int32
    rounds: Array  # int32


def check(gamma: ArrayLike) -> None:
    if isinstance(gamma, int | float) and not 0 <= gamma < 1:
        raise InputError(f"gamma must be at least 0 and below 1; got {gamma}")


def action_values(mdp: MDP, value: Array, gamma: ArrayLike) -> Array:
    """`Q(s,a) = R(s,a) + gamma sum_s' P(s'|s,a) V(s')`; value [S] -> [S, A]."""
    return mdp.reward + gamma * mdp.transition @ jnp.where(mdp.terminal, 0.0, value)


def evaluate(mdp: MDP, policy: Array, gamma: ArrayLike) -> Array:
    """The value [S] of a policy [S, A], by solving `(I - gamma P_pi) V = R_pi`.

    With gamma 1, a policy that never ends has no value: the answer is then not finite, or large.
    Sutton and Barto 2018, eq. 4.3.
    """
    going = jnp.where(mdp.terminal, 0.0, mdp.transition)  # what follows the end is worth nothing
    system = jnp.eye(len(mdp.terminal)) - gamma * jnp.einsum("sa,sat->st", policy, going)
    return jnp.linalg.solve(system, (policy * mdp.reward).sum(-1))


def value_iteration(
    mdp: MDP, gamma: ArrayLike, *, tolerance: float = 1e-6, most: int = 100_000
) -> Solution:
    """`V <- max_a Q(s,a)` until the change d is all but equal everywhere.

    V* then lies between `V + gamma / (1 - gamma) min d` and the same with `max d`; V is moved to
    the middle, at most `tolerance` from V*, or what rounding leaves: about eps |V| / (1 - gamma).
    Raises InputError unless gamma is in [0, 1). Puterman 1994, sections 6.3 and 6.6.
    """
    check(gamma)
    rest = jnp.asarray(gamma / (1 - gamma), jnp.float32)

    def bounds(change: Array) -> tuple[Array, Array]:
        return rest * change.min(), rest * change.max()

    def going(carry: tuple[Array, Array, Array]) -> Array:
        value, change, rounds = carry
        low, high = bounds(change)
        rounding = rest * jnp.finfo(value.dtype).eps * jnp.abs(value).max()
        return (high - low > 2 * jnp.maximum(tolerance, rounding)) & (rounds < most)

    def sweep(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        value, _, rounds = carry
        new = action_values(mdp, value, gamma).max(-1)
        return new, new - value, rounds + 1

    zero = jnp.zeros(len(mdp.terminal))
    first = sweep((zero, zero, jnp.int32(0)))
    value, change, rounds = jax.lax.while_loop(going, sweep, first)
    low, high = bounds(change)
    q = action_values(mdp, value + (low + high) / 2, gamma)
    return Solution(q.max(-1), q, q.argmax(-1).astype(jnp.int32), rounds)


def policy_iteration(mdp: MDP, gamma: ArrayLike, *, most: int = 1000) -> Solution:
    """Solve for the policy's value, be greedy against it, until no action changes.

    An action gives way only to one that is better by more than rounding, so equal ones cannot take
    turns for ever. Raises InputError unless gamma is in [0, 1). Howard 1960.
    """
    check(gamma)
    states, actions = mdp.reward.shape

    def solved(policy: Array) -> Array:
        return action_values(mdp, evaluate(mdp, jax.nn.one_hot(policy, actions), gamma), gamma)

    def going(carry: tuple[Array, Array, Array, Array]) -> Array:
        _, _, changed, rounds = carry
        return changed & (rounds < most)

    def improve(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        policy, _, _, rounds = carry
        q = solved(policy)
        now = jnp.take_along_axis(q, policy[:, None], -1)[:, 0]
        slack = 16 * jnp.finfo(q.dtype).eps * jnp.abs(q).max()
        better = q.max(-1) > now + slack
        new = jnp.where(better, q.argmax(-1), policy).astype(jnp.int32)
        return new, q, better.any(), rounds + 1

    begun = (jnp.zeros(states, jnp.int32), mdp.reward, jnp.bool_(True), jnp.int32(0))
    policy, q, _, rounds = jax.lax.while_loop(going, improve, begun)
    return Solution(q.max(-1), q, policy, rounds)
