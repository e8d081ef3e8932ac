"""Policy gradients: REINFORCE with and without a baseline, and the advantage actor-critic.

System S48 of the syllabus: Williams 1992; Sutton et al. 2000; Mnih et al. 2016.

    python -m experiments.control.reinforce
    python -m experiments.control.reinforce --set method=plain
    python -m experiments.control.reinforce --set method=a2c
"""

from dataclasses import dataclass
from typing import Any

import optax

from dljax.envs.environment import Environment, make
from dljax.errors import unknown
from dljax.host import experiment
from dljax.host.experiment import Result, require
from dljax.learn import play, policy_gradient
from dljax.typing import Array, Key
from experiments.control import common
from experiments.control.common import Agent
from experiments.control.ppo import network
from experiments.control.settings import REINFORCE, REINFORCE_FOR, settle

NAME = "control.reinforce"
METHODS = ("baseline", "plain", "a2c")


@dataclass(frozen=True, kw_only=True)
class Config(common.Config):
    """Train a policy by its own gradient, and test it."""


PRESETS = {"quick": Config(), "standard": Config(), "full": Config()}


def agent(env: Environment, config: Config, chosen: REINFORCE) -> Agent:
    policy, net = play.policy_for(env), network(env, chosen)
    tx = optax.chain(optax.clip_by_global_norm(chosen.norm), optax.adam(chosen.rate))
    shared = {
        "gamma": chosen.gamma,
        "entropy": chosen.entropy,
        "value": chosen.value_weight,
        "normalize": chosen.normalize,
    }
    if chosen.method == "a2c":
        learner = policy_gradient.actor_critic(
            net,
            policy,
            env,
            tx,
            actors=chosen.actors,
            steps=chosen.horizon,
            lam=chosen.lam,
            **shared,
        )
        per_step = chosen.actors * chosen.horizon * chosen.repeat
    else:
        learner = policy_gradient.reinforce(
            net,
            policy,
            env,
            tx,
            episodes=chosen.actors,
            baseline=chosen.method == "baseline",
            budget=chosen.steps,
            **shared,
        )
        per_step = chosen.actors * chosen.expected

    def act(kept, key: Key, observation: Array) -> Array:
        outputs: Any = net.apply({"params": kept}, observation, method="policy")
        if not config.sampled:
            return policy.mode(outputs)
        return policy.sample(policy.noise(key, observation.shape[:1]), outputs)

    return Agent(
        learner,
        per_step,
        lambda state: state.fit.params,
        act,
        lambda state: state.spent,
        steady=chosen.method == "a2c",
    )


def main(config: Config) -> Result:
    common.check(config)
    chosen = settle(REINFORCE(), REINFORCE_FOR, config)
    if chosen.method not in METHODS:
        raise unknown("method", chosen.method, METHODS)
    require("rate", chosen.rate, at_least=1e-9)
    env = make(config.env, repeat=chosen.repeat)
    return common.train(NAME, ["S48"], config, chosen, env, agent(env, config, chosen))


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
