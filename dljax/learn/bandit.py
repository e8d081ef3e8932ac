"""Linear contextual bandits: LinUCB, Thompson sampling and epsilon-greedy, and a bound (S45).

Each arm has its ridge regression of rewards on contexts, A = I + sum x x^T and b = sum r x, and
`w_a(x) = sqrt(x^T A_a^-1 x)` is how little is known of its value `x . A_a^-1 b`. The three differ
only in what they make of it, so all are one learner, whose numbers may be swept over.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from dljax.envs.environment import Environment
from dljax.errors import InputError, check_count, check_unit
from dljax.learner import Learner
from dljax.typing import Array, Key, Metrics

NOISE = 0.5  # of a reward in [0, 1]: it is 1/2-subgaussian (Hoeffding)


class State(NamedTuple):
    inverse: Array  # A^-1 of each arm, [K, d, d]
    right: Array  # b, [K, d]
    volume: Array  # log det A, [K]


class Drawn(NamedTuple):
    """The users of rounds and all chance, each leaf leading with the rounds."""

    state: tuple
    seen: Array
    keys: Array
    normal: Array  # [K]
    coin: Array
    arm: Array  # of a round that explores


def radius(volume: Array, norm: ArrayLike, arms: int, delta: ArrayLike) -> Array:
    """How far, in units of w_a, an arm's value is from its estimate at most, always and for all.

    `|theta_a| + sqrt(2 log(K / delta) + log det A_a) / 2` with chance 1 - delta; `norm` is a bound
    of |theta_a|. Abbasi-Yadkori, Pal and Szepesvari 2011, theorem 2, for K arms (union bound).
    """
    spread = jnp.sqrt(2 * jnp.log(arms / jnp.asarray(delta)) + volume)
    return jnp.asarray(norm) + NOISE * spread


def bound(rounds: ArrayLike, arms: int, size: int, norm: float, delta: float) -> Array:
    """The regret of `optimism` 1 after n rounds is below this with chance 1 - delta, whoever comes.

    `2 rho sqrt(2 n K d log(1 + n / (K d)))`, rho the radius at `log det A_a = d log(1 + n / d)`,
    for |x| <= 1 and rewards in [0, 1]. Lattimore and Szepesvari 2020, theorem 19.2, with a
    confidence set for each arm in place of a joint one.
    """
    n = jnp.asarray(rounds, jnp.float32)
    widest = radius(size * jnp.log1p(n / size), norm, arms, delta)
    grown = arms * size * jnp.log1p(n / (arms * size))
    return 2 * jnp.maximum(widest, 1.0) * jnp.sqrt(2 * n * grown)


def make(
    env: Environment,
    *,
    rounds: int,
    bonus: ArrayLike = 0.0,
    optimism: ArrayLike = 0.0,
    spread: ArrayLike = 0.0,
    epsilon: ArrayLike = 0.0,
    norm: ArrayLike = 1.0,
    delta: ArrayLike = 0.05,
    values: Callable[[Array], Array] | None = None,
) -> Learner:
    """`argmax_a x . A_a^-1 b_a + (bonus + optimism rho_a + spread z_a) w_a`, z normal, or chance.

    LinUCB has a `bonus` (Li et al. 2010, algorithm 1); with `optimism` 1 it is the one whose regret
    has a bound (rho is `radius`, of `norm` and `delta`); Thompson sampling has a `spread` (Agrawal
    and Goyal 2013); a random arm is chosen with chance `epsilon`. A step is `rounds` contexts, in
    turn. Metrics: mean `reward`; and, where the true `values` [K] of a context are known, the sum
    of `regret` and of `width`, `min(1, 2 rho w)`, which bounds it at optimism 1. Raises InputError
    if an episode is no single round, contexts are no vectors, or actions are continuous.
    """
    check_count(rounds=rounds)
    check_unit(epsilon=epsilon, delta=delta)
    if isinstance(delta, float | int) and delta == 0:
        raise InputError("delta must be above 0; got 0")
    if not isinstance(env.actions, int) or len(env.observation_shape) != 1 or env.limit != 1:
        raise InputError(
            f"{env.name} is no bandit: a vector is seen, an arm chosen, and that is all"
        )
    arms, (size,) = env.actions, env.observation_shape

    def init(key: Key) -> State:
        del key
        eye = jnp.broadcast_to(jnp.eye(size), (arms, size, size))
        return State(eye, jnp.zeros((arms, size)), jnp.zeros(arms))

    def one(state: State, drawn: Drawn) -> tuple[State, Metrics]:
        x = drawn.seen
        known = state.inverse @ x  # A^-1 x, [K, d]
        width = jnp.sqrt(jnp.maximum(known @ x, 0.0))
        rho = radius(state.volume, norm, arms, delta)
        score = (known * state.right).sum(-1)
        score += (bonus + optimism * rho + spread * drawn.normal) * width
        arm = jnp.where(drawn.coin < epsilon, drawn.arm, score.argmax())
        _, after = env.step(drawn.keys, drawn.state, arm)
        mine = jnp.arange(arms) == arm
        # Sherman and Morrison; and det(A + x x^T) = det A (1 + x^T A^-1 x)
        grown = 1 + width**2
        less = known[:, :, None] * known[:, None, :] / grown[:, None, None]
        state = State(
            state.inverse - jnp.where(mine[:, None, None], less, 0.0),
            state.right + jnp.where(mine[:, None], after.reward * x[None], 0.0),
            state.volume + jnp.where(mine, jnp.log(grown), 0.0),
        )
        metrics = {"reward": after.reward}
        if values is not None:
            true = values(x)
            metrics["regret"] = true.max() - true[arm]
            metrics["width"] = jnp.minimum(1.0, 2 * rho[arm] * width[arm])
        return state, metrics

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        k_user, k_step, k_normal, k_coin, k_arm = jax.random.split(key, 5)
        state_, seen = jax.vmap(env.reset)(jax.random.split(k_user, rounds))
        drawn = Drawn(
            state_,
            seen,
            jax.random.split(k_step, rounds),
            jax.random.normal(k_normal, (rounds, arms)),
            jax.random.uniform(k_coin, (rounds,)),
            jax.random.randint(k_arm, (rounds,), 0, arms),
        )
        state, metrics = jax.lax.scan(one, state, drawn)
        reward = metrics.pop("reward").mean()
        return state, {"reward": reward} | {name: x.sum() for name, x in metrics.items()}

    return Learner(init, step)
