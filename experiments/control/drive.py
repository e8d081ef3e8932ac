"""A car learns to keep its lane from a small camera: by imitation, by DAgger and by PPO.

System S49 of the syllabus. The simulator draws closed tracks and paints what a camera of 16 x 24
pixels sees of them; light, texture and the camera's pose differ from episode to episode. Imitation
(Pomerleau 1989) learns what pure pursuit with the true state does on its own states, DAgger (Ross,
Gordon and Bagnell 2011) also on the learner's, PPO (Schulman et al. 2017) only from reward. Tested
on tracks that none has seen, in light that training did not show, and, trained without any
differences, with them. Beside them: pure pursuit, a linear model of the image, chance.

    python -m experiments.control.drive
    python -m experiments.control.drive --preset standard  # 32 min on 2 cores
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

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
from dljax.host.fit import Selection, Watch
from dljax.host.result import Result
from dljax.learn import imitate, ppo, risk
from dljax.nets import MLP
from dljax.nets.actor_critic import ActorCritic
from dljax.typing import Array, Key, Metrics, PyTree
from experiments.control import _drive

GOALS = {"DAgger": 0.99, "PPO": 0.95}
NAME, SCORE, MINIBATCHES = "control.drive", "validation/finished", 8


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Drive by a camera."""

    seeds: Count = 2
    """Independent drivers, trained in one compiled program."""
    steps: Count = 60
    """Steps of DAgger and of imitation."""
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
    """Steps of each car in one of them."""
    ppo_rate: Positive = 1e-3
    """Learning rate of Adam in PPO, which falls to 0."""
    epochs: Count = 4
    """Passes over a rollout in PPO."""
    gamma: Share = 0.98
    """Discount of a step of PPO."""


PRESETS = {
    "quick": Config(),
    "standard": Config(seeds=10, steps=240, batch=256, rate=1e-3, hidden=(256, 128), rollouts=500),
}


class World:
    """The tracks to learn, to choose and to test on, and environments on them."""

    def __init__(self, config: Config):
        few, many = -(-config.unseen // 4), config.unseen
        self.test, self.validation, self.train = _drive.drawn(many, few, config.tracks)
        self.camera = driving.Camera(config.rows, config.columns)
        self.expert = driving.expert(self.train)

    def env(self, looks: driving.Looks) -> Environment:
        return driving.make(self.train, looks=looks, camera=self.camera)


class Student(NamedTuple):
    """Who is to learn, and for how long."""

    learner: Learner
    act: Callable[[PyTree, Array], Array]  # (parameters, what is seen [B, ...]) -> actions [B, 2]
    steps: int
    per_step: int  # frames in one step
    seen: Callable[[Member], Array]  # frames so far
    looks: driving.Looks = driving.VARIED


def main(config: Config) -> Result:
    with Study(NAME, ["S49", "S32"], config) as run:
        _drive.afford(config)
        world = World(config)
        drivers = {k: taught(run, world, k, each) for k, each in everyone(config, world).items()}
        _drive.keep(run, world.env(driving.VARIED), drivers)
        _drive.measure(run, world.test, world.camera, drivers, GOALS)
        _drive.beside(run, world.test, world.camera)
        shown = {name: drivers[name] for name in ("DAgger", "imitation", "PPO")}
        _drive.picture(run, world.test, world.camera, shown)
    return run.result


def everyone(config: Config, world: World) -> dict[str, Student]:
    """All that learn, by name."""
    net = MLP((*config.hidden, 2))
    return {
        "DAgger": imitation(config, world, net),
        "imitation": imitation(config, world, net, own=False),
        "linear model, DAgger": imitation(config, world, MLP((2,))),
        "DAgger, trained without differences": imitation(config, world, net, driving.PLAIN),
        "PPO": reinforced(config, world),
    }


def imitation(
    config: Config, world: World, net: nn.Module, looks: driving.Looks = driving.VARIED,
    *, own: bool = True,
) -> Student:  # fmt: skip
    """One that learns of the expert, on its `own` states or on as many of the expert's."""
    steps, actors, env = config.steps, config.actors, world.env(looks)
    each = actors * config.horizon
    warmup = _drive.WARM * each
    capacity = warmup + steps * each  # all that the expert ever tells is kept
    given: dict[str, Any] = {"actors": actors, "capacity": capacity, "store": jnp.uint8}
    given |= {"updates": config.updates, "batch": min(config.batch, warmup)}
    tx = optax.adam(optax.cosine_decay_schedule(config.rate, steps * config.updates))
    if own:
        options: dict[str, Any] = {"horizon": config.horizon, "warmup": warmup}
        learner = imitate.dagger(env, world.expert, net, tx, **given, **options)
    else:
        learner = imitate.clone(env, world.expert, net, tx, **given)
    within = imitate.box(env)
    act = lambda params, seen: imitate.apply(net, params, within, seen)  # noqa: E731
    return Student(learner, act, steps, each, lambda member: member.run.state.taken, looks)


def reinforced(config: Config, world: World) -> Student:
    """One that learns by PPO, from reward alone."""
    env, updates = world.env(driving.VARIED), config.rollouts * config.epochs * MINIBATCHES
    rate = optax.linear_schedule(config.ppo_rate, 0.0, updates)
    net = ActorCritic(4, deviations=2, hidden=config.hidden, rank=3)
    policy = _drive.careful(env)
    learner = ppo.make(
        env, net, policy, optax.chain(optax.clip_by_global_norm(0.5), optax.adam(rate, eps=1e-5)),
        actors=config.actors, horizon=config.ppo_horizon, epochs=config.epochs,
        minibatches=MINIBATCHES, gamma=config.gamma,
    )  # fmt: skip

    def act(params: PyTree, seen: Array) -> Array:
        return policy.mode(ppo.apply(net, params, seen, "policy"))

    each = config.actors * config.ppo_horizon
    return Student(learner, act, config.rollouts, each, lambda member: each * member.run.step)


def taught(run: Study, world: World, name: str, student: Student) -> _drive.Driver:
    """Train all seeds; the policy kept of each is the one that finishes most validation tracks."""
    steps = student.steps

    def evaluate(member: Member) -> Metrics:
        def policy(key: Key, seen: Array) -> Array:
            return student.act(risk.params_of(member), seen)

        key = jax.random.fold_in(jax.random.key(_drive.VALIDATION), member.run.step)
        share = _drive.finished(world.validation, world.camera, student.looks, policy, key)
        return {SCORE: share, "validation/frames": student.seen(member).astype(jnp.float32)}

    every = max(1, steps // 10)
    found = run.fit(
        sweep(lambda _: student.learner, None, run.seeds), steps,
        Watch(evaluate, every, Selection(SCORE, risk.params_of)),
        key=_drive.TRAINING, part=name, shown=("train/loss", SCORE), chunk=every, saves=steps,
        per_step=student.per_step,
    )  # fmt: skip
    return _drive.Driver(found.kept, student.act, found.records)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
