"""PPO plays any gymnax environment, ten seeds at once, beside a random and a known policy.

System S48 of the syllabus: Schulman et al. 2017.

    python -m experiments.control.ppo  # 30 s on 2 cores
    python -m experiments.control.ppo --env Pendulum-v1
"""

from dataclasses import dataclass

import optax

from dljax.envs.environment import Box, Environment, make
from dljax.host import experiment
from dljax.host.result import Result
from dljax.learn import play, ppo
from dljax.nets.actor_critic import ActorCritic
from dljax.typing import Array, Key, PyTree
from experiments.control import common
from experiments.control.common import Agent
from experiments.control.settings import PPO, PPO_FOR, PolicyGradient, settle

NAME = "control.ppo"


@dataclass(frozen=True, kw_only=True)
class Config(common.Config):
    """Train a policy by PPO, and test it."""


PRESETS = {
    "quick": Config(),
    "standard": Config(env="Pendulum-v1"),
    "full": Config(env="Breakout-MinAtar", steps=10_000_000),
}


def agent(
    env: Environment,
    config: common.Tested,
    chosen: PPO,
    tx: optax.GradientTransformation | None = None,
) -> Agent:
    """The learner of the settings, or with another optimiser than theirs."""
    per_step = chosen.actors * chosen.horizon * chosen.repeat
    steps, _ = common.budget(chosen.steps, per_step)
    policy = play.policy_for(env)
    net = network(env, chosen)
    learner = ppo.make(
        env,
        net,
        policy,
        tx or optimizer(chosen, steps),
        actors=chosen.actors,
        horizon=chosen.horizon,
        epochs=chosen.epochs,
        minibatches=chosen.minibatches,
        gamma=chosen.gamma,
        lam=chosen.lam,
        clip=chosen.clip,
        value_clip=chosen.value_clip,
        value_weight=chosen.value_weight,
        entropy=chosen.entropy,
        normalize_observations=chosen.normalize_observations,
        normalize_rewards=chosen.normalize_rewards,
    )

    def outputs(kept: PyTree, observation: Array) -> Array:
        params, seen = kept
        return ppo.apply(net, params, ppo.see(seen, observation), "policy")

    return Agent(
        learner,
        per_step,
        lambda state: (state.fit.params, state.observed),
        lambda kept, key, x: choose(policy, outputs(kept, x), key if config.sampled else None),
        lambda kept, x: common.said(env, policy, outputs(kept, x)),
    )


def choose(policy: play.Policy, outputs: Array, key: Key | None) -> Array:
    """Actions [E, ...] of a policy's outputs [E, ...]: samples, or the likeliest without a key."""
    if key is None:
        return policy.mode(outputs)
    return policy.sample(policy.noise(key, outputs.shape[:1]), outputs)


def network(env: Environment, chosen: PolicyGradient) -> ActorCritic:
    policy = play.policy_for(env)
    return ActorCritic(
        policy.outputs,
        policy.outputs // 2 if isinstance(env.actions, Box) else 0,
        rank=len(env.observation_shape),
        shared=chosen.shared,
        **common.layers(env, chosen),
    )


def optimizer(chosen: PPO, steps: int) -> optax.GradientTransformation:
    """Adam of a clipped gradient, at a rate that ends at 0 after `steps` rollouts if annealed."""
    updates = steps * chosen.epochs * chosen.minibatches
    rate = optax.linear_schedule(chosen.rate, 0.0, updates) if chosen.anneal else chosen.rate
    return common.adam(chosen, rate, eps=chosen.adam_eps)


def main(config: Config) -> Result:
    chosen = settle(PPO(), PPO_FOR, config)
    env = make(config.env, repeat=chosen.repeat)
    return common.train(NAME, ["S48"], config, chosen, env, agent(env, config, chosen))


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
