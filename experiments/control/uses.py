"""Three other uses of reinforcement learning, each beside its plain controller: air, arm, ads.

System S45 of the syllabus. PPO (Schulman et al. 2017) conditions the air of a room and moves an
arm by torques: continuous actions, where DQN cannot go. Beside it stand a PI controller and a
computed torque, which know what a room and an arm are, and what the room costs at least, which a
linear programme tells in hindsight. Ads are placed by LinUCB (Li et al. 2010), Thompson sampling,
epsilon-greedy and a policy gradient; the regret of the optimistic one stands beside its bound
(Abbasi-Yadkori et al. 2011), which holds always and so says little before about a million users.
Where a plain controller wins, the target is missed, and names it. The default takes a minute or two
on 2 cores, standard four.

    python -m experiments.control.uses
    python -m experiments.control.uses --preset standard
"""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge

from dljax import Learner, Member, grid, sweep
from dljax.envs import ads
from dljax.envs.environment import make
from dljax.host import experiment, figures
from dljax.host.config import Count, Positive
from dljax.host.experiment import Study
from dljax.host.fit import Watch
from dljax.host.result import Result
from dljax.learn import bandit, play, policy_gradient, risk
from dljax.nets.actor_critic import ActorCritic
from dljax.typing import Array, Metrics
from experiments.control import _uses, common, ppo
from experiments.control.settings import PPO_FOR

NAME = "control.uses"
PARTS = 50  # points of a curve of regret
ACTORS, LENGTH = 16, 4  # users of an update of the policy gradient
DELTA = 0.05  # chance that the bound does not hold
KNOBS = ("bonus", "optimism", "spread", "epsilon")
OPTIMIST = "LinUCB with a bound"
ENTRANTS: dict[str, dict[str, float]] = {
    "LinUCB": {"bonus": bandit.NOISE},
    OPTIMIST: {"optimism": 1.0},
    "Thompson sampling": {"spread": bandit.NOISE},
    "epsilon-greedy": {"epsilon": 0.1},
    "random": {"epsilon": 1.0},
}
GRADIENT = "policy gradient"


@dataclass(frozen=True, kw_only=True)
class Config(common.Tested):
    """Air, arm and ads; `--steps` counts the environment's steps of a seed of PPO, in each."""

    seeds: Count = 3
    """Independent agents, trained in one compiled program."""
    steps: Count = 100_000
    """Environment steps of PPO."""
    validation: Count = 16
    """Fresh episodes by which the best policy of a run is chosen, at each of 40 evaluations."""
    episodes: Count = 32
    """Test episodes, the same for all."""
    rounds: Annotated[int, Ge(PARTS * ACTORS * LENGTH)] = 40_000
    """Users to whom an ad is shown."""
    interests: Count = ads.INTERESTS
    """Interests of which a user is a mixture."""
    ads: Annotated[int, Ge(2)] = ads.ADS
    """Ads to choose from."""
    rate: Positive = 0.02
    """Learning rate of the policy gradient."""


PRESETS = {
    "quick": Config(),
    "standard": Config(seeds=10, steps=800_000, validation=32, episodes=128, rounds=1_000_000),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S45"], config) as run:
        controlled = {name: control(run, config, name) for name in _uses.PLAIN}
        _uses.beside(run, controlled, config.episodes)
        place(run, config)
    return run.result


def control(run: Study, config: Config, name: str) -> _uses.Driven:
    """PPO on one of the environments: every seed's test episodes."""
    chosen = dataclasses.replace(PPO_FOR[name], steps=config.steps)
    env = make(name)
    agent = ppo.agent(env, ppo.Config(env=name, sampled=config.sampled), chosen)
    fitted = common.learn(run, config, chosen.steps, env, agent, name)

    def played(kept: Any) -> _uses.Driven:
        def act(key: Array, seen: Array) -> Array:
            return agent.act(kept, key, seen)

        return _uses.driven(env, act, config.episodes)

    return run.each(played, fitted.kept)


def markets(run: Study, config: Config) -> Array:
    """Click rates [N, ads, interests]: a truth for each seed."""
    keys = [jax.random.fold_in(jax.random.key(_uses.TRUTH), seed) for seed in run.seeds]
    return jnp.stack([ads.truth(key, config.ads, config.interests) for key in keys])


def place(run: Study, config: Config) -> None:
    """Regret of all that place ads against users seen, and the bound of the optimistic one."""
    rates = markets(run, config)
    per = config.rounds // PARTS
    users = per * np.arange(1, PARTS + 1)
    norm = ads.MOST * config.interests**0.5
    curves, widths = linear(run, rates, per, norm)
    curves[GRADIENT] = gradient(run, config, rates, users)
    for name, curve in curves.items():
        run.metric(f"regret, {name}", curve[-1], "lower")
    bound = np.asarray(bandit.bound(users, config.ads, config.interests, norm, DELTA))
    last = curves[OPTIMIST][-1]
    best = min(curves.keys() - {OPTIMIST}, key=lambda name: curves[name][-1].mean())
    run.baseline(best, f"regret, {OPTIMIST}", curves[best][-1])
    run.metric("bound of the regret", [bound[-1]], "lower")
    run.metric("sum of the widths", widths[-1], "lower")
    run.target(f"regret, {OPTIMIST}", bound[-1], "the bound, for each seed", max(last) <= bound[-1])
    below = all(last <= widths[-1])
    run.target("sum of the widths", max(last), f"{OPTIMIST}: above each seed's regret", below)
    run.figure("regret.png", _uses.draw_regret, users, curves, bound, widths)


def linear(
    run: Study, rates: Array, per: int, norm: float
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Regret [PARTS, N] of each linear bandit, all in one program; and the optimist's widths."""
    hparams = grid(entrant=jnp.arange(len(ENTRANTS)), member=jnp.arange(len(run.seeds)))
    for field in KNOBS:
        values = jnp.array([each.get(field, 0.0) for each in ENTRANTS.values()])
        hparams[field] = values[hparams["entrant"]]
    hparams["rates"] = rates[hparams["member"]]

    def make_one(m: dict) -> Learner:
        options = {k: m[k] for k in KNOBS}
        return bandit.make(
            ads.make(m["rates"]), rounds=per, norm=norm, delta=DELTA,
            values=lambda x: ads.clicks(m["rates"], x), **options,
        )  # fmt: skip

    seeds = jnp.array(run.seeds)[hparams["member"]]
    fitted = run.fit(
        sweep(make_one, hparams, seeds), PARTS, part="bandits", names=run.named(ENTRANTS), chunk=1,
        key=common.TRAINING, shown=("train/reward", "train/regret"), saves=PARTS, per_step=per,
    )  # fmt: skip
    found = {}
    for metric in ("regret", "width"):
        total = figures.curve(fitted.records, f"train/{metric}")[1].cumsum(0)
        found[metric] = dict(zip(ENTRANTS, np.split(total, len(ENTRANTS), 1), strict=True))
    return found["regret"], found["width"][OPTIMIST]


def gradient(run: Study, config: Config, rates: Array, users: np.ndarray) -> np.ndarray:
    """Regret [PARTS, N] of an actor-critic, by its policy's exact expectation over fixed users.

    Between two evaluations it is taken for a straight line.
    """
    net, policy = ActorCritic(config.ads, hidden=()), play.policy_for(ads.make(rates[0]))
    every = config.rounds // (PARTS * ACTORS * LENGTH)
    seen = jax.vmap(ads.make(rates[0]).reset)(jax.random.split(jax.random.key(common.TEST), 512))[1]
    tx = optax.adam(optax.linear_schedule(config.rate, 0.0, every * PARTS))

    def make_one(m: Array) -> Learner:
        return policy_gradient.actor_critic(
            net, policy, ads.make(m), tx, actors=ACTORS, steps=LENGTH, gamma=0.0
        )

    def regret(chance: Array, m: Array) -> Array:
        true = ads.clicks(m, seen)
        return (true.max(-1) - (chance * true).sum(-1)).mean()

    def evaluate(member: Member) -> Metrics:
        logits: Any = net.apply({"params": risk.params_of(member)}, seen, method="policy")
        return {"regret": regret(jax.nn.softmax(logits), member.hparams)}

    fitted = run.fit(
        sweep(make_one, rates, jnp.array(run.seeds)), every * PARTS, Watch(evaluate, every),
        part="gradient", chunk=every, key=common.TRAINING, shown=("train/reward", "regret"),
        saves=every * PARTS, per_step=ACTORS * LENGTH,
    )  # fmt: skip
    even = jnp.full((len(seen), config.ads), 1 / config.ads)
    first = jax.vmap(lambda m: regret(even, m))(rates)
    each = np.concatenate([np.asarray(first)[None], figures.curve(fitted.records, "regret")[1]])
    return ((each[1:] + each[:-1]) / 2 * users[0]).cumsum(0)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
