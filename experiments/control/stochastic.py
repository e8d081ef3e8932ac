"""What Q-learning cannot learn: a policy that must draw lots, where states look alike.

System S47 of the syllabus. In a corridor with two cells that feel the same, and in rock, paper,
scissors against one who beats one's last sign, the best policy is stochastic. The best
deterministic one comes of going through all, the best of all in closed form; DQN (Mnih et al. 2015)
can reach the first at best, REINFORCE (Williams 1992) and an actor-critic should reach the second.
They begin with one action preferred, lest even chances be no achievement. All values are exact: of
the learnt chances of actions, by the known arrays, without an episode.

    python -m experiments.control.stochastic
    python -m experiments.control.stochastic --preset standard  # 70 s on 2 cores
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge

from dljax import Learner, Member, sweep
from dljax.envs import aliased
from dljax.envs.aliased import Aliased
from dljax.host import experiment, figures
from dljax.host.config import Common, Positive, ShareBelow1
from dljax.host.experiment import Study
from dljax.host.fit import Watch
from dljax.host.result import Result
from dljax.learn import dqn, play, policy_gradient
from dljax.nets.actor_critic import ActorCritic
from dljax.nets.q_network import QNetwork
from dljax.typing import Array, Key, Metrics, PyTree
from experiments.control import _stochastic
from experiments.control.common import TRAINING

NAME = "control.stochastic"
WORLDS = (aliased.corridor, aliased.rock_paper_scissors)
POINTS = 20  # of a curve
ACTORS, LENGTH, WARMUP = 16, 50, 1600
PREFERRED = 2.0  # first logit of the first action, where the others have 0
EPSILON, BATCH, CAPACITY = 0.2, 64, 16_000
LEAST = POINTS * ACTORS * LENGTH


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Learn where lots must be drawn; `--steps` counts those of the environment of a seed."""

    seeds: Annotated[int, Ge(1)] = 5
    """Independent agents, trained in one compiled program."""
    steps: Annotated[int, Ge(LEAST)] = 96_000
    """Environment steps of a seed, in each world and by each learner; REINFORCE, whose episodes
    may end early, is given as many episodes as would fit at their longest, and so takes fewer."""
    gamma: ShareBelow1 = 0.99
    """Discount of a step, of all learners; values are undiscounted."""
    rate: Positive = 0.1
    """First learning rate of Adam; it falls to 0 in a straight line."""


PRESETS = {"quick": Config(), "standard": Config(seeds=10, steps=800_000)}


class Entrant(NamedTuple):
    """A learner, and the chances of actions [K, A] in its state, of all that is seen."""

    learner: Learner
    per_step: int  # environment steps in one step of the learner
    policy: Callable[[PyTree], Array]


def main(config: Config) -> Result:
    with Study(NAME, ["S47"], config) as run:
        curves, chances = {}, {}
        for world in (each() for each in WORLDS):
            known = compared(run, world)
            found = {
                name: learnt(run, world, name, each, config.steps)
                for name, each in entrants(config, world).items()
            }
            judge(run, world, known, found)
            curves[world.name] = known, {name: each[0] for name, each in found.items()}
            chances[world.name] = {name: each[1][0] for name, each in found.items()}
        run.figure("returns.png", _stochastic.draw_returns, curves, config.steps)
        run.figure("chances.png", _stochastic.draw_chances, chances)
    return run.result


def compared(run: Study, world: Aliased) -> dict[str, float]:
    """What the policies are worth that nobody learns."""
    kinds, actions = max(world.seen) + 1, world.mdp.reward.shape[1]
    even = float(aliased.value(world, jnp.full((kinds, actions), 1 / actions)))
    known = {
        "best policy": world.best,
        "best deterministic policy": aliased.best_deterministic(world)[0],
        "even chances": even,
    }
    for name, value in known.items():
        run.baseline(f"{name}, {world.name}", f"return, {world.name}, DQN", value)
    return known


def entrants(config: Config, world: Aliased) -> dict[str, Entrant]:
    """DQN and two policy gradients, each with one weight for what is seen and an action."""
    env, kinds = aliased.environment(world), jnp.eye(max(world.seen) + 1)
    actions = world.mdp.reward.shape[1]
    values, net = QNetwork(actions, hidden=()), ActorCritic(actions, hidden=())
    policy, per = play.policy_for(env), ACTORS * LENGTH
    episode = ACTORS * world.limit  # at most

    def tx(updates: int) -> optax.GradientTransformation:
        return optax.adam(optax.linear_schedule(config.rate, 0.0, updates))

    def greedy(state: PyTree) -> Array:
        q: Any = values.apply({"params": state.fit.params}, kinds)
        return jax.nn.one_hot(q.argmax(-1), actions)

    def sampled(state: PyTree) -> Array:
        logits: Any = net.apply({"params": state.fit.params}, kinds, method="policy")
        return jax.nn.softmax(logits)

    learning = config.steps // per
    q_learner = dqn.make(
        env, values, tx(learning * LENGTH), actors=ACTORS, iterations=LENGTH, period=LENGTH,
        capacity=CAPACITY, warmup=WARMUP, batch=BATCH, epsilon=EPSILON, gamma=config.gamma,
    )  # fmt: skip
    options = {"gamma": config.gamma, "normalize": False}
    episodes = policy_gradient.reinforce(
        net, policy, env, tx(config.steps // episode), episodes=ACTORS, **options
    )
    critic = policy_gradient.actor_critic(
        net, policy, env, tx(learning), actors=ACTORS, steps=LENGTH, lam=0.95, **options
    )
    return {
        "DQN": Entrant(q_learner, per, greedy),
        "REINFORCE": Entrant(uneven(episodes), episode, sampled),
        "actor-critic": Entrant(uneven(critic), per, sampled),
    }


def uneven(learner: Learner) -> Learner:
    """A policy gradient whose policy prefers the first action when it starts."""

    def init(key: Key) -> PyTree:
        state = learner.init(key)
        head = state.fit.params["policy_head"]
        head = head | {"bias": head["bias"].at[0].add(PREFERRED)}
        return state._replace(
            fit=state.fit._replace(params=state.fit.params | {"policy_head": head})
        )

    return Learner(init, learner.step)


def learnt(
    run: Study, world: Aliased, name: str, entrant: Entrant, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """The exact returns [POINTS, N] while learning, and the last chances [N, K, A]."""

    def evaluate(member: Member) -> Metrics:
        return {"return": aliased.value(world, entrant.policy(member.run.state))}

    every = steps // entrant.per_step // POINTS
    fitted = run.fit(
        sweep(lambda _: entrant.learner, None, run.seeds), every * POINTS, Watch(evaluate, every),
        part=f"{world.name}-{name}", key=TRAINING, shown=("return",), chunk=every,
        saves=every * POINTS, per_step=entrant.per_step,
    )  # fmt: skip
    chances = jax.vmap(lambda member: entrant.policy(member.run.state))(fitted.run.state)
    return figures.curve(fitted.records, "return")[1], np.asarray(chances)


def judge(run: Study, world: Aliased, known: dict[str, float], found: dict) -> None:
    """Whether policy gradients beat every deterministic policy; what DQN gets as it explores."""
    best = known["best deterministic policy"]
    for name, (curve, chances) in found.items():
        label = f"return, {world.name}, {name}"
        values = curve[-1]
        error = run.metric(label, values)["sd"] / len(values) ** 0.5
        if name == "DQN":  # greedy it is deterministic, and so no better than the best of those
            actions = chances.shape[-1]
            exploring = (1 - EPSILON) * jnp.asarray(chances) + EPSILON / actions
            each = jax.vmap(lambda policy: aliased.value(world, policy))(exploring)
            run.metric(f"{label}, exploring", each)
        else:
            beyond = values.mean() - 2 * error > best
            run.target(label, best, "the best deterministic policy, beaten", beyond)
            likeliest = jax.nn.one_hot(chances.argmax(-1), chances.shape[-1])
            each = jax.vmap(lambda policy: aliased.value(world, policy))(likeliest)
            run.metric(f"{label}, its likeliest action", each)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
