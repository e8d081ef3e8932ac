"""Delayed reward: how late a reward may come to be learnt from, and by whom.

System S45 of the syllabus. First a choice between 0.2 at once and 1 after a delay: one-step values
(Watkins and Dayan 1992) carry a reward back by one step a visit, so that a delay of d costs some
d^2 steps; replay (Lin 1992), returns of n steps and of lambda (Sutton and Barto 2018, chapters 7
and 12) carry it faster, and at lambda 1, in the policy gradient's whole return, it comes at once.
All get as many steps of the environment. Then mountain cars, whose flag independent random actions
hardly ever reach: PPO (Schulman et al. 2017) with each action held for some steps, which climbs
further by chance, and without that help. The one with continuous actions is paid at its flag only,
and pays for what it pushes. The default takes two minutes on 2 cores.

    python -m experiments.control.delay
    python -m experiments.control.delay --preset standard
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, MinLen

from dljax import Learner, Member, grid, sweep
from dljax.envs.environment import Environment
from dljax.host import experiment
from dljax.host.config import Count, Positive, ShareBelow1, require, require_once
from dljax.host.experiment import Study
from dljax.host.fit import Watch
from dljax.host.result import Result
from dljax.learn import dqn, play, policy_gradient, q_learning
from dljax.nets.actor_critic import ActorCritic
from dljax.ops.policies import categorical
from dljax.typing import Array, Key, Metrics
from experiments.control import _delay, common

NAME = "control.delay"
ACTORS, LENGTH = 4, 32
PER_STEP = ACTORS * LENGTH  # environment steps in a step of each learner of the choice
LEARNT = 0.9  # the return from which a delay counts as learnt
LAMBDAS = (0.0, 0.9, 1.0)
Car = Literal["MountainCar-v0", "MountainCarContinuous-v0"]


@dataclass(frozen=True, kw_only=True)
class Config(common.Tested):
    """Delay a reward; `--steps` counts the environment's steps in which a choice is learnt."""

    seeds: Count = 5
    """Independent learners of each kind at each delay."""
    steps: Count = 20_000
    """Environment steps of each learner of the choice."""
    delays: Annotated[tuple[Count, ...], MinLen(1)] = (4, 16, 64, 256)
    """Steps from the choice to its reward."""
    n: Annotated[int, Ge(2)] = 16
    """Steps of the longer returns."""
    gamma: ShareBelow1 = 0.999
    """The discount."""
    rate: Positive = 0.05
    """Learning rate of Adam, for the actor-critics."""
    cars: tuple[Car, ...] = ("MountainCarContinuous-v0",)
    """Mountain cars."""
    car_steps: Count = 100_000
    """Environment steps of each seed in mountain car."""
    validation: Count = 8
    """Fresh episodes by which the best policy of a run is chosen, in mountain car."""


PRESETS = {
    "quick": Config(seeds=3),
    "standard": Config(
        seeds=10, steps=50_000, delays=(4, 16, 32, 64, 128, 256), validation=32, episodes=128,
        cars=("MountainCar-v0", "MountainCarContinuous-v0"), car_steps=500_000,
    ),
}  # fmt: skip


class Kind(NamedTuple):
    """A way to learn the choice, for several settings; how its state acts greedily."""

    names: list[str]
    make: Callable[[Environment, dict], Learner]
    # (state, observations) -> what the best action has most of
    values: Callable[[Any, Array], Array]
    per_step: int = PER_STEP  # environment steps in a step of the learner
    before: int = 0  # and before its first


def main(config: Config) -> Result:
    delays = sorted(config.delays)
    require_once("--delays", delays)
    learners, returns = kinds(config), {}
    for kind in learners.values():
        require("--steps", config.steps, at_least=kind.before + kind.per_step)
    for name in config.cars:
        _delay.ways(name, config.car_steps)
    with Study(NAME, ["S45"], config) as run:
        for part, kind in learners.items():
            returns |= learn(run, config, part, kind, delays)
        for name, values in returns.items():
            run.metric(f"longest delay learnt, {name}", longest(delays, values))
        for name, values in returns.items():
            for delay, each in zip(delays, values, strict=True):
                run.metric(f"return, {name}, delay {delay}", each)
        run.baseline("who learns none", "longest delay learnt", 0)
        run.baseline("random policy", "return", (1 + _delay.SOON) / 2)
        run.baseline("the hasty", "return", _delay.SOON)
        cars = {
            name: _delay.climb(run, config, name, config.car_steps)
            for name in dict.fromkeys(config.cars)
        }
        run.figure("delay.png", _delay.draw, returns, delays, cars)
    return run.result


def kinds(config: Config) -> dict[str, Kind]:
    """All that learn the choice, each with a weight a cell and action and no more."""
    table: Any = nn.Dense(2, use_bias=False, kernel_init=nn.initializers.zeros)
    net, policy = ActorCritic(2, hidden=()), categorical(2)
    gamma, warmup = config.gamma, 10 * ACTORS
    capacity = min(-(-config.steps // ACTORS) * ACTORS, 20_000)
    rollout = 2 * max(config.delays)  # in which most rewards follow their choice

    def q(env: Environment, hparams: dict) -> Learner:
        del hparams
        rate = q_learning.decay(1.0, 0.0)  # nothing is random here, so no rate is faster
        return q_learning.make(env, rate, gamma=gamma, actors=ACTORS, length=LENGTH)

    def replaying(n: int) -> Callable[[Environment, dict], Learner]:
        return lambda env, hparams: dqn.make(
            env, table, optax.sgd(8.0), actors=ACTORS, iterations=LENGTH, capacity=capacity,
            warmup=warmup, batch=32, epsilon=1.0, gamma=gamma, n=n,
            store=bool,
        )  # fmt: skip

    def critic(env: Environment, hparams: dict) -> Learner:
        return policy_gradient.actor_critic(
            net, policy, env, optax.adam(config.rate), actors=ACTORS, steps=rollout, gamma=gamma,
            lam=hparams["lam"], normalize=True,
        )  # fmt: skip

    def told(state: Any, seen: Array) -> Array:
        return seen @ state.fit.params["kernel"]

    def preferred(state: Any, seen: Array) -> Any:
        return net.apply({"params": state.fit.params}, seen, method="policy")

    names = [f"actor-critic, lambda {lam:g}" for lam in LAMBDAS]
    first = warmup + ACTORS * (config.n - 1)
    return {
        "one step": Kind(["Q-learning, one step"], q, lambda state, seen: seen @ state.table),
        "replay": Kind(["replay, one step"], replaying(1), told, before=warmup),
        "n steps": Kind([f"replay, {config.n} steps"], replaying(config.n), told, before=first),
        "lambda": Kind(names, critic, preferred, ACTORS * rollout),
    }


def learn(
    run: Study, config: Config, part: str, kind: Kind, delays: list[int]
) -> dict[str, np.ndarray]:
    """The greedy policies' returns [D, N] by name; all delays and seeds learn in one program."""
    settings = len(kind.names)
    members = grid(setting=jnp.arange(settings), delay=jnp.array(delays), seed=jnp.array(run.seeds))
    members["lam"] = jnp.array(LAMBDAS)[members["setting"]]

    def env(hparams: dict) -> Environment:
        return _delay.corridor(hparams["delay"], delays[-1])

    def judge(member: Member) -> Metrics:
        def act(key: Key, seen: Array) -> Array:
            return kind.values(member.run.state, seen).argmax(-1)

        return {"return": play.evaluate(env(member.hparams), act, jax.random.key(0), 1)["return"]}

    steps = (config.steps - kind.before) // kind.per_step
    fitted = run.fit(
        sweep(lambda h: kind.make(env(h), h), members, members["seed"]), steps, Watch(judge, steps),
        part=part, names=run.named(f"{name}, delay {d}" for name in kind.names for d in delays),
        shown=("return",), chunk=steps, saves=steps, per_step=kind.per_step,
    )  # fmt: skip
    last = np.array(fitted.records[-1]["return"]).reshape(settings, len(delays), -1)
    return dict(zip(kind.names, last, strict=True))


def longest(delays: list[int], returns: np.ndarray) -> np.ndarray:
    """Of each seed, the longest delay up to which all are learnt, or 0; returns [D, N]."""
    upto = np.logical_and.accumulate(returns >= LEARNT, 0)
    return np.concatenate([[0], delays])[upto.sum(0)]


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
