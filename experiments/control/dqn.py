"""DQN plays any gymnax environment of discrete actions, ten seeds at once, beside known policies.

System S47 of the syllabus: Mnih et al. 2015; double: van Hasselt et al. 2016; dueling: Wang et al.
2016; prioritised replay: Schaul et al. 2016. Random play before learning counts as steps.

    python -m experiments.control.dqn  # 75 s on 2 cores
    python -m experiments.control.dqn --env Acrobot-v1 --set priority=0.6
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import optax

from dljax.envs.environment import Environment, make
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.result import Result
from dljax.learn import dqn
from dljax.learner import Learner
from dljax.nets.q_network import QNetwork
from dljax.typing import Array, Key, PyTree
from experiments.control import common
from experiments.control.common import Agent
from experiments.control.settings import DQN, DQN_FOR, settle

NAME = "control.dqn"
LOSSES = {"squared": optax.l2_loss, "huber": optax.huber_loss}


@dataclass(frozen=True, kw_only=True)
class Config(common.Config):
    """Learn the values of actions by DQN, and test the greedy policy."""


PRESETS = {"quick": Config(), "standard": Config(), "full": Config()}


def agent(env: Environment, chosen: DQN) -> Agent:
    net = network(env, chosen)

    def act(kept: PyTree, key: Key, observation: Array) -> Array:
        return dqn.greedy(net, kept)(key, observation)

    def values(kept: PyTree, observation: Array) -> Any:
        return net.apply({"params": kept}, observation)

    return Agent(
        learner(env, net, chosen),
        per_step(chosen),
        keep=lambda state: state.fit.params,
        act=act,
        says=values,
        kind="scores",
        spent=lambda state: state.taken,
    )


def per_step(chosen: DQN) -> int:
    return chosen.actors * chosen.iterations * chosen.repeat


def network(env: Environment, chosen: DQN) -> QNetwork:
    return QNetwork(dqn.discrete(env), dueling=chosen.dueling, **common.layers(env, chosen))


def learner(
    env: Environment,
    net: QNetwork,
    chosen: DQN,
    *,
    tau: float | Array | None = None,
    recent: int | Array | None = None,
) -> Learner:
    """The learner of the settings, or with another tau or from the newest `recent` transitions."""
    exploring = max(1, int(chosen.explore * chosen.steps))  # optax takes 0 for no change at all
    return dqn.make(
        env,
        net,
        optimizer(chosen),
        actors=chosen.actors,
        iterations=chosen.iterations,
        capacity=chosen.capacity,
        warmup=chosen.warmup,
        batch=chosen.batch,
        epsilon=optax.linear_schedule(1.0, chosen.epsilon, exploring),
        updates=chosen.updates,
        period=chosen.period,
        tau=chosen.tau if tau is None else tau,
        gamma=chosen.gamma,
        n=chosen.n,
        double=chosen.double,
        loss=LOSSES[chosen.loss],
        recent=recent,
        priority=chosen.priority or None,
        correction=chosen.correction,
        store=bool if chosen.bits else jnp.float32,
    )


def optimizer(chosen: DQN) -> optax.GradientTransformation:
    """Adam of a clipped gradient, whose rate falls to 0 over all steps of learning if annealed."""
    updates = learning(chosen).steps // (chosen.actors * chosen.repeat) * chosen.updates
    rate = optax.linear_schedule(chosen.rate, 0.0, updates) if chosen.anneal else chosen.rate
    return common.adam(chosen, rate)


def learning(chosen: DQN) -> DQN:
    """The settings with the steps that the warm-up leaves."""
    before = chosen.warmup * chosen.repeat
    if chosen.steps - before < per_step(chosen):
        raise InputError(
            f"--steps must be at least {before} of the warm-up and {per_step(chosen)} of learning; "
            f"got {chosen.steps}"
        )
    return dataclasses.replace(chosen, steps=chosen.steps - before)


def main(config: Config) -> Result:
    if config.sampled:
        raise InputError("--sampled: DQN has a greedy policy only")
    chosen = settle(DQN(), DQN_FOR, config)
    env = make(config.env, repeat=chosen.repeat)
    return common.train(NAME, ["S47"], config, learning(chosen), env, agent(env, chosen))


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
