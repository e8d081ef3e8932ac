"""Deep Q-learning: replay, a target network, and any of the usual improvements (S47).

Mnih et al. 2015; double: van Hasselt et al. 2016; prioritised: Schaul et al. 2016; dueling networks
are `dljax.nets.q_network`.
A transition is stored as what its target needs, `R + discount max_a Q(s', a)`, so that one step or
n, termination and truncation are settled when it is written, once, and not at each use.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike, DTypeLike

from dljax.envs.environment import Environment
from dljax.errors import InputError, check_count, check_unit
from dljax.learn import play, shapes
from dljax.learn.replay import (
    Ranks,
    Replay,
    by_rank,
    corrections,
    places,
    rank,
    rank_new,
    ranked,
    ring,
)
from dljax.learner import Fit, Learner, Objective, gradient_step
from dljax.ops.pick import pick
from dljax.typing import Array, Key, Metrics, PyTree


class Experience(NamedTuple):
    """What is learnt from, [B, ...]."""

    observation: Array
    action: Array
    reward: Array  # discounted sum over the steps up to `after`
    discount: Array  # of the value of `after`: 0 if the process ended there
    after: Array  # the true observation after them
    weight: Array | None = None  # in the loss, of what priority drew; never stored


class State(NamedTuple):
    fit: Fit  # `extra` holds the target network
    actors: play.Actors
    window: play.Transition | None  # the last n - 1 steps, not yet stored; None for n = 1
    replay: Replay
    taken: Array  # environment steps so far, those before learning included, int32
    ranks: Ranks | None = None  # of the replay's places; None where all are alike


class Drawn(NamedTuple):
    """The randomness of iterations, each leaf leading with their number."""

    forced: Array  # an action to explore, or -1 for the greedy one; [E]
    keys: Array
    fresh: PyTree
    shares: Array  # where in the replay each batch is from


def targets(reward: Array, discount: Array, value: Array, chooser: Array | None = None) -> Array:
    """`R + discount max_a Q(s', a)` with `value` the target network's Q(s', .) [..., A].

    A double one takes the action that `chooser`, the online network's Q(s', .), holds for the best.
    With `discount = gamma (1 - terminated)` a truncated step bootstraps from its true s'.
    """
    if chooser is None:
        return reward + discount * value.max(-1)
    return reward + discount * at(value, chooser.argmax(-1))


def at(values: Array, action: Array) -> Array:
    """values [..., A] at action [...]; a product, since a gather's gradient is a slow scatter."""
    return (values * jax.nn.one_hot(action, values.shape[-1])).sum(-1)


def ahead(played: play.Transition, gamma: ArrayLike, n: int) -> Experience:
    """Experience of n steps, fewer where an episode ends: played [T, E] -> [T - n + 1, E].

    `R_t = sum_{i=t..e} gamma^(i-t) r_i` and `discount = gamma^(e-t+1) (1 - terminated_e)`, e the
    last step of the episode or t + n - 1. Sutton and Barto 2018, eq. 7.1.
    """
    count = len(played.reward) - n + 1

    def shifted(k: int) -> play.Transition:
        return jax.tree.map(lambda leaf: leaf[k : k + count], played)

    gamma, last = jnp.asarray(gamma), shifted(n - 1)
    reward, after = last.reward, last.next_observation
    discount = jnp.where(last.terminated, 0.0, gamma)
    for k in reversed(range(n - 1)):
        now = shifted(k)
        over = now.terminated | now.truncated
        reward = now.reward + jnp.where(over, 0.0, gamma * reward)
        discount = gamma * jnp.where(now.terminated, 0.0, jnp.where(over, 1.0, discount))
        after = pick(over, now.next_observation, after)
    first = shifted(0)
    return Experience(first.observation, first.action, reward, discount, after)


def objective(net: nn.Module, loss: Callable[[Array, Array], Array], double: bool) -> Objective:
    """`mean_i w_i loss(Q(s_i, a_i), target_i)`, in which no gradient flows into the target.

    Metrics: the mean Q(s, a) and, where there are weights w, each `error`, target - Q.
    """

    def mean(params: PyTree, target: PyTree, batch: Experience, key: Key):
        del key
        value = net.apply({"params": target}, batch.after)
        chooser = net.apply({"params": jax.lax.stop_gradient(params)}, batch.after)
        goal = targets(batch.reward, batch.discount, value, chooser if double else None)  # pyright: ignore
        q = at(net.apply({"params": params}, batch.observation), batch.action)  # pyright: ignore
        if batch.weight is None:
            return loss(q, goal).mean(), (target, {"value": q.mean()})
        each = batch.weight * loss(q, goal)
        return each.mean(), (target, {"value": q.mean(), "error": goal - q})

    return mean


def make(
    env: Environment,
    net: nn.Module,
    tx: optax.GradientTransformation,
    *,
    actors: int,
    iterations: int,
    capacity: int,
    warmup: int,
    batch: int,
    epsilon: ArrayLike | optax.Schedule,
    updates: int = 1,
    period: int = 1,
    tau: ArrayLike = 1.0,
    gamma: ArrayLike = 0.99,
    n: int = 1,
    double: bool = False,
    loss: Callable[[Array, Array], Array] = optax.l2_loss,
    recent: int | Array | None = None,
    priority: ArrayLike | None = None,
    correction: ArrayLike = 0.4,
    store: DTypeLike = jnp.float32,
) -> Learner:
    """A step is `iterations` times: `actors` environments act once, then `updates` descents.

    A random policy writes `warmup` transitions or a few more before learning, in `init`. Random
    actions have probability `epsilon`, a number or a schedule of the environment steps taken. Every
    `period` iterations `target += tau (params - target)`: tau 1 is the target network of 2015, and
    with period 1 there is none. Batches come from the newest `recent` transitions of the replay,
    by default from all; or, with `priority`, from all by `P(i) ~ |error_i|^priority`, each with
    weight `(N P(i))^-correction` over the batch's greatest. Observations are kept as `store`: bool
    for images of zeros and ones.

    Raises InputError for continuous actions, another number of outputs than of actions, counts that
    do not fit each other, `recent` beside `priority`, and gamma, tau, epsilon, priority or
    correction outside [0, 1].
    """
    choices = discrete(env)
    check_count(actors=actors, iterations=iterations, updates=updates, period=period, n=n)
    check_unit(gamma=gamma, tau=tau, epsilon=epsilon, priority=priority, correction=correction)
    if not 1 <= batch <= min(warmup, capacity) or warmup > capacity or capacity % actors:
        raise InputError(
            "batch <= warmup <= capacity, a multiple of actors, is needed; "
            f"got {batch}, {warmup}, {capacity} and {actors} actors"
        )
    if isinstance(recent, int) and recent < batch:
        raise InputError(f"recent must be at least the batch of {batch}; got {recent}")
    if recent is not None and priority is not None:
        raise InputError("batches are of the recent or by priority; got both")
    if iterations % period:
        raise InputError(f"period must divide the {iterations} iterations of a step; got {period}")
    values = shapes.given(net, lambda: jnp.zeros((1, *env.observation_shape)))
    shapes.check(values, (choices,), f"the actions of {env.name} need")
    chance = epsilon if callable(epsilon) else lambda taken: jnp.asarray(epsilon)
    seen, number = jnp.zeros(env.observation_shape, store), jnp.zeros(())
    memory = ring(Experience(seen, jnp.int32(0), number, number, seen), capacity)
    newest = capacity if recent is None else recent
    descend = gradient_step(objective(net, loss, double), tx)
    per_iteration = actors * env.repeat

    def remember(replay: Replay, played: play.Transition) -> Replay:
        rows = ahead(played, gamma, n)
        return jax.lax.scan(lambda old, row: (memory.add(old, row), None), replay, rows)[0]

    def recall(replay: Replay, at: Array) -> Experience:
        found = memory.take(replay, at)
        seen, after = (x.astype(jnp.float32) for x in (found.observation, found.after))
        return found._replace(observation=seen, after=after)

    def init(key: Key) -> State:
        k_net, k_begin, k_noise, k_play = jax.random.split(key, 4)
        params = net.init(k_net, jnp.zeros((1, *env.observation_shape)))["params"]
        length = -(-warmup // actors) + n - 1
        noise = jax.random.randint(k_noise, (length, actors), 0, choices)
        begun = play.begin(env, k_begin, actors)
        playing, played = play.rollout(env, lambda action, _: (action, None), noise, k_play, begun)
        window = jax.tree.map(lambda leaf: leaf[length - n + 1 :], played) if n > 1 else None
        replay = remember(memory.init(), played)
        fit = Fit(params, params, tx.init(params))
        ranks = None if priority is None else ranked(replay.written, capacity)
        return State(fit, playing, window, replay, jnp.int32(length * per_iteration), ranks)

    def draw(key: Key, taken: Array) -> Drawn:
        k_act, k_step, k_reset, k_batch = jax.random.split(key, 4)
        shape = (iterations, actors)
        coin, pick = jax.random.uniform(k_act, (2, *shape))
        # one by one, since a constant schedule gives one number whatever it is given
        odds = jnp.asarray(jax.vmap(chance)(taken + per_iteration * jnp.arange(iterations)))
        return Drawn(
            jnp.where(coin < odds[:, None], (choices * pick).astype(jnp.int32), -1),
            jax.random.split(k_step, shape),
            jax.vmap(jax.vmap(env.reset))(jax.random.split(k_reset, shape)),
            jax.random.uniform(k_batch, (iterations, updates, batch + 1)),
        )

    def by_chance(key: Key, state: State, shares: Array) -> tuple[State, Metrics]:
        at = places(shares, state.replay.written, capacity, newest)
        batches = recall(state.replay, at)
        fit, metrics = jax.lax.scan(functools.partial(descend, key), state.fit, batches)
        return state._replace(fit=fit), metrics

    def by_priority(key: Key, state: State, shares: Array) -> tuple[State, Metrics]:
        def once(carry: tuple[Fit, Ranks], shares: Array) -> tuple[tuple[Fit, Ranks], Metrics]:
            fit, ranks = carry
            at = by_rank(shares[1:], ranks.weight)
            weight = corrections(ranks.weight[at], correction)
            fit, metrics = descend(key, fit, recall(state.replay, at)._replace(weight=weight))
            return (fit, rank(ranks, at, metrics.pop("error"), priority)), metrics  # pyright: ignore

        begun: Any = (state.fit, state.ranks)
        (fit, ranks), metrics = jax.lax.scan(once, begun, shares)
        return state._replace(fit=fit, ranks=ranks), metrics

    def iterate(state: State, drawn: Drawn) -> tuple[State, tuple[Metrics, Array]]:
        q = net.apply({"params": state.fit.params}, state.actors.observation)
        action = jnp.where(drawn.forced >= 0, drawn.forced, q.argmax(-1))  # pyright: ignore
        playing, seen = play.play(env, drawn.keys, drawn.fresh, state.actors, action)
        window = jax.tree.map(lambda leaf: leaf[None], seen)
        if n > 1:
            window = jax.tree.map(lambda *parts: jnp.concatenate(parts), state.window, window)
        replay = remember(state.replay, window)
        window = jax.tree.map(lambda leaf: leaf[1:], window) if n > 1 else None
        taken, ranks = state.taken + per_iteration, state.ranks
        if ranks is not None:
            ranks = rank_new(ranks, state.replay.written % capacity, actors)
        state = State(state.fit, playing, window, replay, taken, ranks)
        learn = by_chance if ranks is None else by_priority
        state, metrics = learn(drawn.keys[0], state, drawn.shares)  # the objective draws nothing
        return state, (metrics, seen.reward)

    def stretch(state: State, drawn: Drawn) -> tuple[State, tuple[Metrics, Array]]:
        state, metrics = jax.lax.scan(iterate, state, drawn)
        target = optax.incremental_update(state.fit.params, state.fit.extra, tau)
        return state._replace(fit=state.fit._replace(extra=target)), metrics

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        drawn = draw(key, state.taken)
        drawn = jax.tree.map(lambda x: x.reshape(-1, period, *x.shape[1:]), drawn)
        state, (metrics, reward) = jax.lax.scan(stretch, state, drawn)
        metrics = {name: value.mean() for name, value in metrics.items()}
        return state, play.statistics(state.actors, reward) | metrics

    return Learner(init, step)


def discrete(env: Environment) -> int:
    """The number of actions. Raises InputError if they are continuous."""
    if not isinstance(env.actions, int):
        raise InputError(f"{env.name} has continuous actions; DQN needs discrete ones")
    return env.actions


def greedy(net: nn.Module, params: PyTree) -> Callable[[Key, Array], Array]:
    """The policy `argmax_a Q(s, a)`, for `play.evaluate`."""

    def act(key: Key, observation: Array) -> Array:
        del key
        return net.apply({"params": params}, observation).argmax(-1)  # pyright: ignore

    return act
