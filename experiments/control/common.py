"""What the agents' experiments share: training of all seeds, choosing, testing, and figures."""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Learner, Member, sweep
from dljax.envs.environment import Box, Environment
from dljax.errors import InputError
from dljax.host import devices
from dljax.host.config import Common, Count, require
from dljax.host.experiment import Study
from dljax.host.fit import Fitted, Selection, Watch
from dljax.host.function import Function, Input
from dljax.host.result import Result
from dljax.learn import play
from dljax.ops.policies import Policy
from dljax.typing import Array, Key, Metrics, PyTree
from experiments.control import _frames, _returns
from experiments.control._returns import curve
from experiments.control.controllers import Act, controllers
from experiments.control.settings import TARGETS, Settings

EVALUATIONS = 40
TRAINING, VALIDATION, TEST, BASELINE = range(4)  # root keys: no two purposes share one


@dataclass(frozen=True, kw_only=True)
class Tested(Common):
    """How agents are chosen and tested."""

    seeds: Count = 10
    """Independent agents, trained in one compiled program."""
    validation: Count = 32
    """Fresh episodes by which the best policy of a run is chosen, at each of 40 evaluations."""
    episodes: Count = 128
    """Fresh episodes on which each seed's policy is tested, once."""
    sampled: bool = False
    """Test the policy by sampling its actions; by default the likeliest is taken."""


@dataclass(frozen=True, kw_only=True)
class Config(Tested):
    """The flags of an agent's experiment; `--steps` counts the environment's steps of a seed."""

    env: str = "CartPole-v1"
    """Any environment: gymnax's or ours by name, or your own as module:function."""
    set: tuple[str, ...] = ()
    """Settings to change, as in rate=1e-3 actors=16; experiments/control/settings.py has them."""


class Agent(NamedTuple):
    """A learner, and how its policy acts."""

    learner: Learner
    per_step: int  # environment steps in one step of the learner
    keep: Callable[[PyTree], PyTree]  # what acting needs of the learner's state
    act: Callable[[PyTree, Key, Array], Array]  # (kept, key, observations [E, ...]) -> actions
    says: Callable[[PyTree, Array], Array]  # (kept, observations) -> what `acting` tells
    spent: Callable[[PyTree], Array] | None = None  # environment steps so far, where counted
    steady: bool = True  # whether per_step is exact
    kind: Literal["logits", "scores"] = "logits"


def train(
    name: str,
    systems: list[str],
    config: Config,
    settings: Settings,
    env: Environment,
    agent: Agent,
) -> Result:
    """Train all seeds for `settings.steps` environment steps each, and test them on new episodes.

    The policy kept of each seed is the best on validation episodes; the last one is tested too.
    """
    with Study(name, systems, config, settings=dataclasses.asdict(settings)) as run:
        fitted = learn(run, config, settings.steps, env, agent)
        test(run, config, env, agent, fitted)
        beside(run, config, env)
        progress(run, fitted, name.partition(".")[2], config.env)
        if agent.steady and fitted.rate:  # none where a finished run is resumed
            rate = fitted.rate * agent.per_step * config.seeds
            run.metric("environment steps a second", [rate])
        run.figure("return.png", _returns.draw, run.result, fitted.records)
        run.figure("episode.png", _frames.episode, env, first(agent, fitted), jax.random.key(TEST))
    return run.result


def learn(
    run: Study, config: Tested, steps: int, env: Environment, agent: Agent, part: str = ""
) -> Fitted:
    """Train all seeds for `steps` environment steps each; `part` names them among several fits."""
    count, every = budget(steps, agent.per_step)
    needed = len(run.seeds) * devices.state_bytes(agent.learner)
    devices.require_memory(f"{len(run.seeds)} seeds of such actors and memory", needed)
    fitted = run.fit(
        sweep(lambda _: agent.learner, None, run.seeds),
        count,
        Watch(
            functools.partial(validated, env, agent, config.validation),
            every,
            Selection("validation/return", lambda member: agent.keep(member.run.state)),
        ),
        part=part,
        shown=("train/return", "validation/return"),
        chunk=every,
        key=TRAINING,
        saves=max(every, count // 4),
        per_step=agent.per_step,
    )
    run.model(fitted.kept, {"act": acting(env, agent)}, part=part)
    return fitted


def acting(env: Environment, agent: Agent) -> Function:
    """What a kept policy says: of each discrete action, or the action itself of a box."""
    read = (Input(env.observation_shape, name="observation"),)
    if isinstance(env.actions, Box):
        return Function(agent.says, read)
    return Function(agent.says, read, agent.kind, tuple(map(str, range(env.actions))))


def said(env: Environment, policy: Policy, outputs: Array) -> Array:
    """The logits of a policy's outputs [E, ...], or its likeliest action, within the box."""
    if isinstance(env.actions, Box):
        return jnp.clip(policy.mode(outputs), env.actions.low[None], env.actions.high[None])
    return outputs


def first(agent: Agent, fitted: Fitted) -> Act:
    """How the best policy of the first seed acts."""
    return functools.partial(agent.act, jax.tree.map(lambda leaf: leaf[0], fitted.kept))


def layers(env: Environment, chosen: Settings) -> dict[str, Any]:
    """The torso that the settings ask for.

    Raises InputError where the environment has no images for its convolutions.
    """
    shape, count = env.observation_shape, len(chosen.channels)
    if count and (len(shape) != 3 or min(shape[:2]) <= 2 * count):
        raise InputError(
            f"--set channels needs an image of more than {2 * count} pixels a side; "
            f"{env.name} observes {shape}"
        )
    activation = getattr(jax.nn, chosen.activation)
    return {"hidden": chosen.hidden, "channels": chosen.channels, "activation": activation}


def adam(chosen: Settings, rate: Any, **options: Any) -> optax.GradientTransformation:
    """Adam at a rate or schedule, of a gradient whose norm is clipped if the settings say so."""
    clip = optax.identity() if chosen.norm is None else optax.clip_by_global_norm(chosen.norm)
    return optax.chain(clip, optax.adam(rate, **options))


def budget(steps: int, per_step: int) -> tuple[int, int]:
    """Steps of the learner within the budget of environment steps, and between evaluations."""
    require("--steps", steps, at_least=per_step)
    count = steps // per_step
    every = max(1, count // EVALUATIONS)
    return count // every * every, every


def scores(env: Environment, agent: Agent, kept: PyTree, key: Key, episodes: int) -> Metrics:
    """Mean return and length of fresh episodes under a kept policy."""
    return play.evaluate(env, functools.partial(agent.act, kept), key, episodes)


def validated(env: Environment, agent: Agent, episodes: int, member: Member) -> Metrics:
    """A member's scores on episodes that are the same for all, and the steps that it has taken."""
    state, step = member.run.state, member.run.step
    key = jax.random.fold_in(jax.random.key(VALIDATION), step)
    found = scores(env, agent, agent.keep(state), key, episodes)
    played = agent.spent(state) if agent.spent else step * agent.per_step
    found["steps"] = played.astype(jnp.float32)
    return {f"validation/{name}": value for name, value in found.items()}


def test(
    run: Study, config: Tested, env: Environment, agent: Agent, fitted: Fitted, of: str = ""
) -> None:
    """Each seed's best and last policy on episodes of their own; `of` ends the metrics' names."""
    seeds = jnp.array(run.seeds)

    def tested(kept: PyTree, seed: Array) -> Array:
        key = jax.random.fold_in(jax.random.key(TEST), seed)
        return scores(env, agent, kept, key, config.episodes)["return"]

    last = jax.vmap(lambda member: agent.keep(member.run.state))(fitted.run.state)
    run.metric(f"test return{of}", run.each(tested, fitted.kept, seeds))
    run.metric(f"test return of the last policy{of}", run.each(tested, last, seeds))


def beside(
    run: Study, config: Tested, env: Environment, of: str = "", metric: str = "test return"
) -> None:
    """The policies that nobody learnt, on as many episodes."""
    for name, act in controllers(env).items():

        def played(seed: Array, act: Any = act) -> Array:
            key = jax.random.fold_in(jax.random.key(BASELINE), seed)
            return play.evaluate(env, act, key, config.episodes)["return"]

        run.baseline(f"{name}{of}", metric, run.each(played, jnp.array(run.seeds)))


def progress(run: Study, fitted: Fitted, algorithm: str, env: str, of: str = "") -> None:
    """The goal, and what it took each seed to reach it first on validation episodes.

    A seed that never did counts with all its steps, and lowers the share that did.
    """
    known = TARGETS.get((algorithm, env))
    if known is None:
        return
    value, within, source = known
    played, returns = curve(fitted.records, "validation/return")
    taken, metrics = played[-1].max(), run.result.metrics
    early = metrics[f"test return{of}"]["mean"] >= value
    if taken <= within and (early or taken >= within / 2):  # a short run cannot miss a goal
        goal = (value, f"{source}, within {within:,} steps")
        for name in (f"test return{of}", f"test return of the last policy{of}"):
            run.metric(name, metrics[name]["values"], goal=goal)
    reached = returns >= value
    when = np.take_along_axis(played, reached.argmax(0)[None], 0)[0]
    first = np.where(reached.any(0), when, played[-1])
    run.metric(f"steps until {value}{of}", first, "lower")
    run.metric(f"share that reached {value}{of}", np.asarray(reached.any(0), float))
    passed = returns.mean(1) >= value
    if passed.any():
        row = [record for record in fitted.records if "validation/return" in record][
            passed.argmax()
        ]
        run.result.seconds[f"until a mean of {value}{of}"] = row["seconds"]
