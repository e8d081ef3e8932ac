"""Proximal policy optimisation: several epochs on each rollout, kept near the policy that played.

Schulman et al. 2017 (S48). A step of the learner is one rollout [T, E] and its epochs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from dljax.data.stream import permute
from dljax.envs.environment import Environment
from dljax.errors import InputError, check_count, check_unit
from dljax.learn import normalize, play
from dljax.learner import Fit, Learner, Objective, gradient_step
from dljax.ops import returns
from dljax.ops.policies import Policy
from dljax.typing import Array, Key, Metrics, PyTree


class Sample(NamedTuple):
    """What a minibatch holds of each transition, [B, ...]."""

    observation: Array
    action: Array
    log_prob: Array  # of the policy that played
    value: Array  # as it was then
    advantage: Array
    target: Array


class State(NamedTuple):
    fit: Fit
    actors: play.Actors
    observed: normalize.Moments | None
    scale: normalize.Scale | None


def clipped(ratio: Array, advantage: Array, clip: float | Array) -> Array:
    """`min(r A, clamp(r, 1 - c, 1 + c) A)`: no gain from going further than c. Eq. 7."""
    return jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - clip, 1 + clip) * advantage)


def value_error(
    value: Array, old: Array, target: Array, clip: float | Array | None = None
) -> Array:
    """`1/2 (v - g)^2`, or with `clip` the larger of it and that of v kept within c of `old`."""
    error = (value - target) ** 2
    if clip is not None:
        kept = old + jnp.clip(value - old, -clip, clip)
        error = jnp.maximum(error, (kept - target) ** 2)
    return error / 2


def objective(
    net: nn.Module,
    policy: Policy,
    *,
    clip: float | Array = 0.2,
    value_clip: bool = False,
    value_weight: float | Array = 0.5,
    entropy: float | Array = 0.0,
    normalize_advantage: bool = True,
) -> Objective:
    """`J = mean[-clipped(pi / pi_old, A) + v value_error - e H(pi)]` over a Sample. Eq. 9."""

    def mean(params: PyTree, extra: PyTree, batch: Sample, key: Key):
        del key
        outputs, value = apply(net, params, batch.observation)
        advantage = batch.advantage
        if normalize_advantage:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        ratio = jnp.exp(policy.log_prob(outputs, batch.action) - batch.log_prob)
        gain = clipped(ratio, advantage, clip).mean()
        limit = clip if value_clip else None
        error = value_error(value, batch.value, batch.target, limit).mean()
        spread = policy.entropy(outputs).mean()
        loss = -gain + value_weight * error - entropy * spread
        beyond = (jnp.abs(ratio - 1) > clip).mean()
        return loss, (extra, {"value_loss": error, "entropy": spread, "clipped": beyond})

    return mean


def make(
    env: Environment,
    net: nn.Module,
    policy: Policy,
    tx: optax.GradientTransformation,
    *,
    actors: int,
    horizon: int,
    epochs: int,
    minibatches: int,
    gamma: float | Array = 0.99,
    lam: float | Array = 0.95,
    clip: float | Array = 0.2,
    value_clip: bool = False,
    value_weight: float | Array = 0.5,
    entropy: float | Array = 0.0,
    normalize_advantage: bool = True,
    normalize_observations: bool = False,
    normalize_rewards: bool = False,
) -> Learner:
    """`horizon` steps of `actors` environments, then `epochs` passes in `minibatches` pieces.

    Raises InputError where the pieces do not divide the rollout, where gamma or lam is outside
    [0, 1], or where the policy cannot act in the environment.
    """
    check(env, net, policy, actors, horizon, epochs, minibatches, gamma, lam)
    size = actors * horizon
    goal = objective(
        net,
        policy,
        clip=clip,
        value_clip=value_clip,
        value_weight=value_weight,
        entropy=entropy,
        normalize_advantage=normalize_advantage,
    )
    descend = gradient_step(goal, tx)

    def init(key: Key) -> State:
        k_net, k_play = jax.random.split(key)
        params = net.init(k_net, jnp.zeros((1, *env.observation_shape)))["params"]
        return State(
            Fit(params, {}, tx.init(params)),
            play.begin(env, k_play, actors),
            normalize.moments(env.observation_shape) if normalize_observations else None,
            normalize.scale(actors) if normalize_rewards else None,
        )

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        k_noise, k_play, k_order = jax.random.split(key, 3)
        fit, seen = state.fit, state.observed

        def act(noise: Array, observation: Array) -> tuple[Array, Any]:
            outputs = apply(net, fit.params, see(seen, observation), "policy")
            return policy.sample(noise, outputs), None

        noise = policy.noise(k_noise, (horizon, actors))
        after, played = play.rollout(env, act, noise, k_play, state.actors)
        reward, scale = played.reward, state.scale
        if scale is not None:
            scale = normalize.follow(scale, reward, played.terminated | played.truncated, gamma)
            reward = normalize.scaled(scale, reward)
        sample = judged(net, policy, fit.params, seen, played._replace(reward=reward), gamma, lam)
        flat = jax.tree.map(lambda leaf: leaf.reshape(size, *leaf.shape[2:]), sample)
        table, unpack = packed(flat)
        place = jnp.arange(size)
        orders = jax.vmap(lambda key: permute(key, place, size))(jax.random.split(k_order, epochs))

        def one(fit: Fit, rows: Array) -> tuple[Fit, Metrics]:
            return descend(key, fit, unpack(table[rows]))  # the objective draws nothing

        fit, metrics = jax.lax.scan(one, fit, orders.reshape(epochs * minibatches, -1))
        if seen is not None:
            seen = normalize.update(seen, played.observation)
        metrics = {name: value.mean() for name, value in metrics.items()}
        metrics |= play.statistics(after, played.reward)
        return State(fit, after, seen, scale), metrics

    return Learner(init, step)


def see(seen: normalize.Moments | None, observation: Array) -> Array:
    """Observations as the network gets them."""
    return observation if seen is None else normalize.standard(seen, observation)


def apply(net: nn.Module, params: PyTree, x: Array, method: str = "__call__") -> Any:
    """The policy's outputs and the value of x [..., *seen], or the one that `method` names."""
    return net.apply({"params": params}, x, method=method)


def judged(
    net: nn.Module,
    policy: Policy,
    params: PyTree,
    seen: normalize.Moments | None,
    played: play.Transition,
    gamma: float | Array,
    lam: float | Array,
) -> Sample:
    """A rollout [T, E] with its advantages and targets, in one pass of the network over all."""
    observation = see(seen, played.observation)
    outputs, value = apply(net, params, observation)
    after = apply(net, params, see(seen, played.next_observation), "value")
    estimate = jax.vmap(returns.gae, (1, 1, 1, 1, 1, None, None), 1)
    advantage = estimate(
        played.reward, value, after, played.terminated, played.truncated, gamma, lam
    )
    log_prob = policy.log_prob(outputs, played.action)
    return Sample(observation, played.action, log_prob, value, advantage, advantage + value)


def packed(tree: PyTree) -> tuple[Array, Callable[[Array], PyTree]]:
    """The leaves [n, ...] side by side as one float32 [n, W], and rows of it as the tree again.

    So a shuffle gathers once. Integers up to 2^24 come back as they were.
    """
    leaves, treedef = jax.tree.flatten(tree)
    flat = [leaf.reshape(len(leaf), -1).astype(jnp.float32) for leaf in leaves]
    ends = [0]
    for leaf in flat:
        ends.append(ends[-1] + leaf.shape[1])

    def unpack(rows: Array) -> PyTree:
        pieces = [
            rows[:, start:end].reshape(len(rows), *leaf.shape[1:]).astype(leaf.dtype)
            for start, end, leaf in zip(ends, ends[1:], leaves, strict=False)
        ]
        return treedef.unflatten(pieces)

    return jnp.concatenate(flat, 1), unpack


def check(
    env: Environment,
    net: nn.Module,
    policy: Policy,
    actors: int,
    horizon: int,
    epochs: int,
    minibatches: int,
    gamma: float | Array,
    lam: float | Array,
) -> None:
    check_count(actors=actors, horizon=horizon, epochs=epochs, minibatches=minibatches)
    if actors * horizon % minibatches:
        raise InputError(
            f"minibatches must divide the rollout of {actors} x {horizon} = {actors * horizon} "
            f"transitions; got {minibatches}"
        )
    check_unit(gamma=gamma, lam=lam)
    play.check_policy(env, policy, net)
