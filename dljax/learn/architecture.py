"""Searching for an architecture (S59): a controller by REINFORCE, and regularised evolution.

A searcher sees nothing of a child but its reward: `(key, tokens [m, T]) -> values [m]`, a look into
a table where all have been trained, or training there and then. So hundreds of searches of one
space run as one `sweep`. A controller whose rate is 0 is random search.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from dljax.errors import InputError, check_count
from dljax.learn import policy_gradient
from dljax.learn.policy_gradient import Sample
from dljax.learner import Fit, Learner, advance, gradient_step, start
from dljax.ops.policies import categorical
from dljax.typing import Array, Key, Metrics, PyTree

Reward = Callable[[Key, Array], Array]
"""`(key, tokens [m, T]) -> values [m]`: higher is better, and each call may be noisy."""


class History(NamedTuple):
    """The last `n` evaluations, a ring: evaluation i stands at i mod n."""

    tokens: Array  # int32 [n, T]
    value: Array  # [n]; 0 where there is none yet
    count: Array  # int32


class Search(NamedTuple):
    fit: Any  # what descent carries; None for a search without a network
    history: History


def controller(
    counts: Sequence[int],
    reward: Reward,
    net: nn.Module,
    tx: optax.GradientTransformation,
    *,
    children: int,
    budget: int,
    entropy: float | Array = 0.01,
    value: float | Array = 0.5,
) -> Learner:
    """REINFORCE on what a network spells: a step draws `children` sequences and descends once.

    `J = mean[-log pi(a_t | a_<t) (z - V(a_<t)) - entropy H + value (V(a_<t) - z)^2]`, z the reward
    in standard deviations from the mean of all of `budget` evaluations so far. `net(tokens [m, T])`
    gives logits [m, T, O] and values [m, T], as `nets.architecture.Speller`. Raises InputError if
    `budget` is below `children`. Williams 1992; Zoph and Le 2017.
    """
    check_count(children=children)
    if budget < children:
        raise InputError(f"a budget of at least {children} children is needed; got {budget}")
    policy = categorical(max(counts))
    descend = gradient_step(
        policy_gradient.objective(net, policy, entropy=entropy, value=value), tx
    )

    def init(key: Key) -> Search:
        params = net.init(key, jnp.zeros((1, len(counts)), jnp.int32))["params"]
        return Search(Fit(params, {}, tx.init(params)), empty(budget, len(counts)))

    def step(key: Key, state: Search) -> tuple[Search, Metrics]:
        k_noise, k_reward, k_descend = jax.random.split(key, 3)
        noise = policy.noise(k_noise, (children, len(counts)))
        tokens = spell(net, state.fit.params, noise)
        found = reward(k_reward, tokens)
        history = remember(state.history, tokens, found)
        values = policy_gradient.heads(net, state.fit.params, tokens)[1]
        target = jnp.broadcast_to(standard(history, found)[:, None], values.shape)
        sample = Sample(tokens, tokens, target, target - values, jnp.ones_like(values))
        fit, metrics = descend(k_descend, state.fit, sample)
        return Search(fit, history), metrics | told(history, found)

    return Learner(init, step)


def spell(net: nn.Module, params: PyTree, noise: Array) -> Array:
    """Sequences [m, T] drawn token by token, by Gumbel noise [m, T, O]."""
    steps = noise.shape[1]

    def one(t: Array, tokens: Array) -> Array:
        logits = policy_gradient.heads(net, params, tokens)[0]
        return tokens.at[:, t].set(jnp.argmax(logits[:, t] + noise[:, t], -1).astype(jnp.int32))

    return jax.lax.fori_loop(0, steps, one, jnp.zeros(noise.shape[:2], jnp.int32))


def evolution(
    counts: Sequence[int], reward: Reward, *, population: int, tournament: int, budget: int
) -> Learner:
    """Regularised evolution: a step evaluates one child, and the oldest of `population` dies.

    The first `population` are random; later ones are the best of `tournament` drawn from those
    alive, with one token made another. Raises InputError for a budget below the population, and
    for a decision without a second option. Real et al. 2019, algorithm 1.
    """
    check_count(population=population, tournament=tournament)
    if budget < population or min(counts) < 2:
        raise InputError(
            f"a budget of at least the population, {population}, and two options a decision are "
            f"needed; got {budget} and {min(counts)}"
        )
    options = jnp.asarray(counts, jnp.int32)

    def step(key: Key, state: Search) -> tuple[Search, Metrics]:
        k_first, k_drawn, k_place, k_other, k_reward = jax.random.split(key, 5)
        tokens, value, count = state.history
        drawn = jax.random.randint(k_drawn, (tournament,), 1, population + 1, jnp.int32)
        rows = (count - drawn) % budget
        parent = tokens[rows[jnp.argmax(value[rows])]]
        place = jax.random.randint(k_place, (), 0, len(counts), jnp.int32)
        other = jax.random.randint(k_other, (), 1, options[place], jnp.int32)
        mutant = parent.at[place].set((parent[place] + other) % options[place])
        first = jax.random.randint(k_first, (len(counts),), 0, options, jnp.int32)
        child = jnp.where(count < population, first, mutant)[None]
        found = reward(k_reward, child)
        history = remember(state.history, child, found)
        return Search(None, history), told(history, found)

    return Learner(lambda key: Search(None, empty(budget, len(counts))), step)


def table(values: Any, place: Callable[[Array], Array]) -> Reward:
    """A reward looked up: that of one seed, drawn anew each time, of values [N, S]."""
    values = jnp.asarray(values)

    def reward(key: Key, tokens: Array) -> Array:
        return values[place(tokens), jax.random.randint(key, tokens.shape[:1], 0, values.shape[1])]

    return reward


def live(
    make: Callable[[Array], Learner], score: Callable[[Array, PyTree], Array], steps: int
) -> Reward:
    """A reward got by training: `score(tokens, weights)` of `make(tokens)` after `steps` steps.

    All m children of a call train side by side.
    """

    def one(key: Key, tokens: Array) -> Array:
        child = make(tokens)
        run, _ = advance(child, start(child, key), steps)
        return score(tokens, (run.state.fit.params, run.state.fit.extra))

    return lambda key, tokens: jax.vmap(one)(jax.random.split(key, len(tokens)), tokens)


def empty(budget: int, steps: int) -> History:
    return History(jnp.zeros((budget, steps), jnp.int32), jnp.zeros(budget), jnp.int32(0))


def remember(history: History, tokens: Array, value: Array) -> History:
    """With m more evaluations, tokens [m, T] and values [m]."""
    m, n = len(value), len(history.value)
    rows = (history.count + jnp.arange(m, dtype=jnp.int32)) % n
    return History(
        history.tokens.at[rows].set(tokens), history.value.at[rows].set(value), history.count + m
    )


def standard(history: History, value: Array) -> Array:
    """Values [m] in standard deviations from the mean of what the history holds."""
    real = held(history)
    count = jnp.maximum(real.sum(), 1)
    mean = jnp.where(real, history.value, 0).sum() / count
    variance = jnp.where(real, history.value - mean, 0) ** 2
    return (value - mean) / jnp.sqrt(variance.sum() / count + 1e-8)


def told(history: History, value: Array) -> Metrics:
    best = jnp.where(held(history), history.value, -jnp.inf).max()
    return {"reward": value.mean(), "best": best}


def held(history: History) -> Array:
    """Which rows [n] hold an evaluation."""
    return jnp.arange(len(history.value)) < history.count
