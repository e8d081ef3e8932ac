"""Policy gradients: REINFORCE with and without a baseline, and the advantage actor-critic.

System S48 of the syllabus: Williams 1992; Sutton et al. 2000; Mnih et al. 2016.

    python -m experiments.control.reinforce  # 35 s on 2 cores
    python -m experiments.control.reinforce --set method=plain
    python -m experiments.control.reinforce --set method=a2c
"""

from dataclasses import dataclass
from typing import Any

import optax

from dljax.envs.environment import Environment, make
from dljax.host import experiment
from dljax.host.result import Result
from dljax.learn import play, policy_gradient
from dljax.typing import Array, PyTree
from experiments.control import common
from experiments.control.common import Agent
from experiments.control.ppo import choose, network
from experiments.control.settings import REINFORCE, REINFORCE_FOR, settle

NAME = "control.reinforce"


@dataclass(frozen=True, kw_only=True)
class Config(common.Config):
    """Train a policy by its own gradient, and test it."""


PRESETS = {"quick": Config(), "standard": Config(), "full": Config()}


def agent(env: Environment, config: Config, chosen: REINFORCE) -> Agent:
    policy, net = play.policy_for(env), network(env, chosen)
    shared = {
        "gamma": chosen.gamma,
        "entropy": chosen.entropy,
        "value": chosen.value_weight,
        "normalize": chosen.normalize,
    }
    actors = chosen.actors
    if chosen.method == "a2c":
        options = {"actors": actors, "steps": chosen.horizon, "lam": chosen.lam}
        per_step = actors * chosen.horizon * chosen.repeat
        updates, _ = common.budget(chosen.steps, per_step)
        rate = optax.linear_schedule(chosen.rate, 0.0, updates) if chosen.anneal else chosen.rate
        tx = common.adam(chosen, rate)
        learner = policy_gradient.actor_critic(net, policy, env, tx, **options, **shared)
    else:
        baseline = chosen.method == "baseline"
        options = {"episodes": actors, "baseline": baseline, "budget": chosen.steps}
        tx = common.adam(chosen, chosen.rate)
        learner = policy_gradient.reinforce(net, policy, env, tx, **options, **shared)
        # how long episodes are is known afterwards only, so the learner minds the budget itself
        per_step = actors * chosen.expected

    def outputs(kept: PyTree, observation: Array) -> Any:
        return net.apply({"params": kept}, observation, method="policy")

    return Agent(
        learner,
        per_step,
        lambda state: state.fit.params,
        lambda kept, key, x: choose(policy, outputs(kept, x), key if config.sampled else None),
        lambda kept, x: common.said(env, policy, outputs(kept, x)),
        lambda state: state.spent,
        steady=chosen.method == "a2c",
    )


def main(config: Config) -> Result:
    chosen = settle(REINFORCE(), REINFORCE_FOR, config)
    env = make(config.env, repeat=chosen.repeat)
    return common.train(NAME, ["S48"], config, chosen, env, agent(env, config, chosen))


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
