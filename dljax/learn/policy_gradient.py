"""Policy gradients: REINFORCE with or without a baseline, and the advantage actor-critic (S48).

Descent on `-log pi(a|s) A` with the advantage A held fixed, which ascends the return: Williams
1992; Sutton et al. 2000; with several actors in step, Mnih et al. 2016 (A2C).
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from dljax.envs.environment import Environment
from dljax.errors import InputError, check_count, check_unit
from dljax.learn import play
from dljax.learner import Fit, Learner, Objective, gradient_step
from dljax.ops import returns
from dljax.ops.policies import Policy
from dljax.typing import Array, Key, Metrics, PyTree


class Sample(NamedTuple):
    """What the objective is taken over, [T, E, ...]."""

    observation: Array
    action: Array
    target: Array  # the return, or its estimate
    advantage: Array
    weight: Array  # 1 where the transition counts


class State(NamedTuple):
    fit: Fit
    actors: play.Actors
    spent: Array  # environment steps taken, int32


def objective(
    net: nn.Module, policy: Policy, *, entropy: float | Array = 0.0, value: float | Array = 0.5
) -> Objective:
    """`J = mean_w[-log pi(a|s) A - entropy H(pi(.|s)) + value (V(s) - G)^2]` over a Sample.

    The mean is over the transitions of weight 1. A network maps s to (outputs, V).
    """

    def mean(params, extra, sample: Sample, key: Key):
        del key
        outputs, values = heads(net, params, sample.observation)
        count = jnp.maximum(sample.weight.sum(), 1)

        def averaged(x: Array) -> Array:
            return (sample.weight * x).sum() / count

        gain = averaged(policy.log_prob(outputs, sample.action) * sample.advantage)
        error = averaged((values - sample.target) ** 2)
        spread = averaged(policy.entropy(outputs))
        loss = -gain - entropy * spread + value * error
        return loss, (extra, {"value_loss": error, "entropy": spread})

    return mean


def begin(net: nn.Module, tx: optax.GradientTransformation, env: Environment, key: Key) -> Fit:
    """A network of the environment's observations, before its first step."""
    params = net.init(key, jnp.zeros((1, *env.observation_shape)))["params"]
    return Fit(params, {}, tx.init(params))


def heads(net: nn.Module, params: PyTree, observation: Array) -> Any:
    """The policy's outputs [..., O] and the value [...] of observations [..., ...]."""
    return net.apply({"params": params}, observation)


def reinforce(
    net: nn.Module,
    policy: Policy,
    env: Environment,
    tx: optax.GradientTransformation,
    *,
    episodes: int,
    gamma: float | Array = 0.99,
    baseline: bool = True,
    entropy: float | Array = 0.0,
    value: float | Array = 0.5,
    normalize: bool = True,
    budget: int = 2**31 - 1,
) -> Learner:
    """REINFORCE: a step plays `episodes` fresh episodes to their end, then descends once.

    The return of step t is `G_t = sum_k gamma^k r_{t+k}`; with a baseline the advantage is
    `G_t - V(s_t)` and a truncated episode goes on with the value of its last observation, without
    one the advantage is `G_t` and the episode's time limit belongs to the task. `normalize` scales
    the advantages to variance 1, and with a baseline to mean 0. Once a further step
    could take more than `budget` environment steps in all, the weights stay. Raises InputError for
    a budget below one step, and for a policy that cannot act in the environment.
    """
    check_unit(gamma=gamma)
    play.check_policy(env, policy, net)
    check_count(episodes=episodes)
    most = env.limit * env.repeat * episodes
    if most > budget:
        raise InputError(
            f"{episodes} episodes of up to {env.limit * env.repeat} steps exceed the budget of "
            f"{budget}"
        )
    weight = value if baseline else 0.0  # else the critic's error would scale the clipped gradient
    descend = gradient_step(objective(net, policy, entropy=entropy, value=weight), tx)

    def init(key: Key) -> State:
        k_net, k_play = jax.random.split(key)
        actors = play.begin(env, k_play, episodes)
        return State(begin(net, tx, env, k_net), actors, jnp.int32(0))

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        k_begin, k_noise, k_play, k_descend = jax.random.split(key, 4)
        # fresh episodes, under the statistics of those before
        actors = play.begin(env, k_begin, episodes)._replace(
            last=state.actors.last, episodes=state.actors.episodes
        )
        noise = policy.noise(k_noise, (env.limit, episodes))
        act = acting(net, policy, state.fit.params)
        actors, seen = play.rollout(env, act, noise, k_play, actors)
        done = seen.terminated | seen.truncated
        alive = jnp.cumsum(done, 0) - done == 0  # the rollout goes on with later episodes
        sample = judged(net, state.fit.params, seen, alive, gamma, 1.0, baseline, normalize)
        fit, metrics = descend(k_descend, state.fit, sample)
        left = state.spent <= budget - most
        fit = jax.tree.map(lambda new, old: jnp.where(left, new, old), fit, state.fit)
        spent = state.spent + jnp.where(left, alive.sum(dtype=jnp.int32) * env.repeat, 0)
        metrics |= play.statistics(actors, seen.reward) | {"spent": spent.astype(jnp.float32)}
        return State(fit, actors, spent), metrics

    return Learner(init, step)


def actor_critic(
    net: nn.Module,
    policy: Policy,
    env: Environment,
    tx: optax.GradientTransformation,
    *,
    actors: int,
    steps: int,
    gamma: float | Array = 0.99,
    lam: float | Array = 1.0,
    entropy: float | Array = 0.0,
    value: float | Array = 0.5,
    normalize: bool = False,
) -> Learner:
    """A2C: a step plays `actors` environments for `steps` each and descends once.

    The advantage is that of `ops.returns.gae`; `lam` 1 is the n-step return of the rollout minus
    the value, as in the paper. Episodes go on from one step to the next.
    """
    check_unit(gamma=gamma, lam=lam)
    play.check_policy(env, policy, net)
    check_count(actors=actors, steps=steps)
    descend = gradient_step(objective(net, policy, entropy=entropy, value=value), tx)

    def init(key: Key) -> State:
        k_net, k_play = jax.random.split(key)
        return State(begin(net, tx, env, k_net), play.begin(env, k_play, actors), jnp.int32(0))

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        k_noise, k_play, k_descend = jax.random.split(key, 3)
        noise = policy.noise(k_noise, (steps, actors))
        act = acting(net, policy, state.fit.params)
        playing, seen = play.rollout(env, act, noise, k_play, state.actors)
        counted = jnp.ones_like(seen.terminated)
        sample = judged(net, state.fit.params, seen, counted, gamma, lam, True, normalize)
        fit, metrics = descend(k_descend, state.fit, sample)
        spent = state.spent + steps * actors * env.repeat
        metrics |= play.statistics(playing, seen.reward) | {"spent": spent.astype(jnp.float32)}
        return State(fit, playing, spent), metrics

    return Learner(init, step)


def acting(net: nn.Module, policy: Policy, params: PyTree) -> play.Act:
    """Actions sampled from the policy, and the value beside each."""

    def act(noise: Array, observation: Array) -> tuple[Array, Array]:
        outputs, value = heads(net, params, observation)
        return policy.sample(noise, outputs), value

    return act


def judged(
    net: nn.Module,
    params: PyTree,
    seen: play.Transition,
    counted: Array,
    gamma: float | Array,
    lam: float | Array,
    baseline: bool,
    normalize: bool,
) -> Sample:
    """The transitions [T, E] with their targets and advantages, those not `counted` at weight 0."""
    value, weight = seen.extra, counted.astype(jnp.float32)
    if baseline:
        following = heads(net, params, seen.next_observation)[1]
    else:
        value = following = jnp.zeros_like(value)
    ends = (seen.terminated, seen.truncated)
    advantage = jax.vmap(returns.gae, (1, 1, 1, 1, 1, None, None), 1)(
        seen.reward, value, following, *ends, gamma, lam
    )
    target = advantage + value
    if normalize:
        count = jnp.maximum(weight.sum(), 1)
        # a mean taken away is a baseline too
        mean = (weight * advantage).sum() / count if baseline else 0.0
        variance = (weight * (advantage - mean) ** 2).sum() / count
        advantage = (advantage - mean) / jnp.sqrt(variance + 1e-8)
    return Sample(seen.observation, seen.action, target, advantage, weight)
