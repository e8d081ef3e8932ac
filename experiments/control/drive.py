"""A car learns to keep its lane from a small camera: by imitation, by DAgger and by PPO.

System S49 of the syllabus. The simulator draws closed tracks and paints what a camera of 16 x 24
pixels sees of them; light, texture and the camera's pose differ from episode to episode. Imitation
(Pomerleau 1989) learns what pure pursuit with the true state does on its own states, DAgger (Ross,
Gordon and Bagnell 2011) also on the learner's, PPO (Schulman et al. 2017) only from reward. Tested
on tracks that none has seen, in light that training did not show, and, trained without any
differences, with them. Beside them: pure pursuit, a linear model of the image, and chance.

    python -m experiments.control.drive
    python -m experiments.control.drive --preset standard
"""

from collections.abc import Callable
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from dljax import Learner, Member, sweep
from dljax.envs import driving
from dljax.envs.environment import Environment
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive, Share, Widths
from dljax.host.experiment import Study
from dljax.host.fit import Fitted, Selection, Watch
from dljax.host.result import Result
from dljax.learn import imitate, ppo
from dljax.nets import MLP
from dljax.nets.actor_critic import ActorCritic
from dljax.typing import Array, Key, Metrics, PyTree
from experiments.control import _drive

NAME = "control.drive"
GOALS = {"DAgger": 0.99, "PPO": 0.95}
SCORE = "validation/finished"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Drive by a camera; `--steps` counts those of DAgger and imitation."""

    seeds: Count = 2
    """Independent drivers, trained in one compiled program."""
    tracks: Count = 200
    """Tracks to learn on."""
    unseen: Count = 200
    """Tracks to test on, once each; a quarter as many others choose the best of a run."""
    rows: Count = 16
    """Pixels of the camera from top to bottom."""
    columns: Count = 24
    """And from left to right."""
    hidden: Widths = (128, 64)
    """Widths of the dense layers."""
    rate: Positive = 2e-3
    """Learning rate of Adam, which falls to 0."""
    capacity: Count = 20_000
    """Answers of the expert that are kept, as bytes."""
    batch: Count = 128
    """Answers of the expert in an update."""
    actors: Count = 32
    """Cars that drive at once."""
    horizon: Count = 25
    """Steps of each car in a step of DAgger."""
    updates: Count = 50
    """Updates in a step of DAgger and of imitation."""
    rollouts: Count = 60
    """Steps of PPO."""
    ppo_horizon: Count = 64
    """Steps of each car in a step of PPO."""
    ppo_rate: Positive = 1e-3
    """Learning rate of Adam in PPO, which falls to 0."""
    epochs: Count = 4
    """Passes over a rollout in PPO."""
    gamma: Share = 0.98
    """Discount of a step of PPO."""


PRESETS = {
    "quick": Config(steps=60),
    "standard": Config(seeds=10, steps=150, rollouts=500),
}


class World:
    """The tracks to learn, to choose and to test on, and environments on them."""

    def __init__(self, config: Config):
        counts = config.tracks, -(-config.unseen // 4), config.unseen
        self.train, self.validation, self.test = map(_drive.drawn, range(3), counts)
        self.camera = driving.Camera(config.rows, config.columns)
        self.expert = driving.expert(self.train)

    def env(self, looks: driving.Looks) -> Environment:
        return driving.make(self.train, looks=looks, camera=self.camera)


def main(config: Config) -> Result:
    steps = config.steps or 60
    with Study(NAME, ["S49", "S32"], config) as run:
        world = World(config)
        env, plain = world.env(driving.VARIED), world.env(driving.PLAIN)
        _drive.afford(config, env)
        drivers = {
            name: imitation(run, config, world, steps, name, where, net)
            for name, where, net in (
                ("DAgger", env, network(config)),
                ("imitation", env, network(config)),
                ("linear model, DAgger", env, MLP((2,))),
                ("DAgger, trained without differences", plain, network(config)),
            )
        }
        drivers["PPO"] = reinforced(run, config, world, env)
        _drive.measure(run, world.test, world.camera, drivers, GOALS)
        _drive.beside(run, world.test, world.camera)
        shown = {name: drivers[name] for name in ("DAgger", "imitation", "PPO")}
        _drive.picture(run, world.test, world.camera, shown)
    return run.result


def network(config: Config) -> nn.Module:
    return MLP((*config.hidden, 2))


def imitation(
    run: Study, config: Config, world: World, steps: int, name: str, env: Environment,
    net: nn.Module,
) -> _drive.Driver:  # fmt: skip
    """Learn of the expert, by DAgger or from as many of its own states as DAgger keeps."""
    tx = optax.adam(optax.cosine_decay_schedule(config.rate, steps * config.updates))
    actors, each = config.actors, config.actors * config.horizon
    capacity = -(-config.capacity // actors) * actors
    warmup = min(capacity, 4 * each)
    given = {"actors": actors, "capacity": capacity, "batch": min(config.batch, warmup)}
    given |= {"updates": config.updates, "store": jnp.uint8}
    if name == "imitation":
        learner = imitate.clone(env, world.expert, net, tx, **given)
    else:
        options = {"horizon": config.horizon, "warmup": warmup}
        learner = imitate.dagger(env, world.expert, net, tx, **given, **options)

    def act(params: PyTree, seen: Array) -> Array:
        return imitate.apply(net, params, imitate.box(env), seen)

    looks = driving.PLAIN if "without" in name else driving.VARIED
    return fitted(run, world, learner, steps, name, act, looks, per_step=each)


def reinforced(run: Study, config: Config, world: World, env: Environment) -> _drive.Driver:
    """Learn by PPO from reward alone."""
    minibatches = 8
    updates = config.rollouts * config.epochs * minibatches
    tx = optax.chain(
        optax.clip_by_global_norm(0.5),
        optax.adam(optax.linear_schedule(config.ppo_rate, 0.0, updates), eps=1e-5),
    )
    net = ActorCritic(4, deviations=2, hidden=config.hidden, rank=3)
    policy = _drive.careful(env)
    learner = ppo.make(
        env, net, policy, tx, actors=config.actors, horizon=config.ppo_horizon,
        epochs=config.epochs, minibatches=minibatches, gamma=config.gamma,
    )  # fmt: skip

    def act(params: PyTree, seen: Array) -> Array:
        return policy.mode(ppo.apply(net, params, seen, "policy"))

    per_step = config.actors * config.ppo_horizon
    return fitted(run, world, learner, config.rollouts, "PPO", act, driving.VARIED, per_step)


def fitted(
    run: Study, world: World, learner: Learner, steps: int, name: str,
    act: Callable[[PyTree, Array], Array], looks: driving.Looks, per_step: int,
) -> _drive.Driver:  # fmt: skip
    """Train all seeds; the policy kept of each is the one that finishes most validation tracks."""

    def evaluate(member: Member) -> Metrics:
        def policy(key: Key, seen: Array) -> Array:
            return act(member.run.state.fit.params, seen)

        key = jax.random.fold_in(jax.random.key(_drive.VALIDATION), member.run.step)
        share = _drive.finished(world.validation, world.camera, looks, policy, key)
        return {SCORE: share, "validation/frames": per_step * member.run.step.astype(jnp.float32)}

    every = max(1, steps // 10)
    found: Fitted = run.fit(
        sweep(lambda _: learner, None, run.seeds),
        steps,
        Watch(evaluate, every, Selection(SCORE, lambda member: member.run.state.fit.params)),
        key=_drive.TRAINING,
        part=name,
        shown=("train/loss", SCORE),
        chunk=every,
        saves=steps,
        per_step=per_step,
    )
    return _drive.Driver(found.kept, act, found.records)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
