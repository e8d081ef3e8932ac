"""DQN on cart-pole with its replay and its target network taken away, one at a time and both.

System S47 of the syllabus: Mnih et al. 2015, whose table 3 takes away the same two. Without replay
a batch is the newest transitions alone; without a target network the learning one is its own
target. All four, for all seeds, train in one program, from the same first weights of a seed.

    python -m experiments.control.ablation
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Learner, Member, grid, sweep
from dljax.envs.environment import Environment, make
from dljax.host import experiment, figures
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import Fitted, fit
from dljax.learn import dqn, play
from dljax.nets.q_network import QNetwork
from dljax.typing import Metrics
from experiments.control import dqn as whole
from experiments.control.common import EVALUATIONS, TEST, TRAINING, VALIDATION
from experiments.control.controllers import random
from experiments.control.settings import DQN, DQN_FOR

NAME = "control.ablation"
WAYS = ("both", "no replay", "no target\nnetwork", "neither")  # in the order of the grid


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Take the replay and the target network away from DQN; `--steps` counts those of a seed."""

    seeds: int = 10
    """Independent agents of each way."""
    env: str = "CartPole-v1"
    """Any environment of gymnax with discrete actions, by name."""
    steps: int | None = 250_000
    """Environment steps of a seed."""
    tau: float = 0.02
    """How far the target network goes towards the learning one after each update."""
    validation: int = 16
    """Fresh episodes at each evaluation."""
    episodes: int = 128
    """Fresh episodes on which each last policy is tested."""


PRESETS = {"quick": Config(), "standard": Config(), "full": Config()}


def settings(config: Config) -> DQN:
    """The tuned settings, with one update at a time and a target that follows at once."""
    tuned = DQN_FOR.get(config.env, DQN())
    return dataclasses.replace(
        tuned, steps=config.steps or tuned.steps, updates=1, period=1, tau=config.tau
    )


def main(config: Config) -> Result:
    begun = time.monotonic()
    experiment.check_common(config)
    require("--tau", config.tau, at_least=1e-9, below=1)
    require("--validation", config.validation, at_least=1)
    require("--episodes", config.episodes, at_least=1)
    chosen = settings(config)
    env = make(config.env, repeat=chosen.repeat)
    net = whole.network(env, chosen)
    steps = whole.learning(chosen).steps // whole.per_step(chosen)
    whole.learner(env, net, chosen)  # refuses what it must before a folder is made
    out = experiment.open_folder(NAME, config)
    fitted = train(config, chosen, env, net, steps, out)
    shown = dataclasses.asdict(config) | {"settings": dataclasses.asdict(chosen)}
    result = Result(NAME, ["S47"], shown, experiment.seeds(config))
    result.seconds |= fitted.seconds
    compare(result, config, env, net, fitted)
    draw(out / "figures" / "ablation.png", result, chosen, fitted)
    return experiment.finish(result, out, fitted.run, begun)


def train(
    config: Config, chosen: DQN, env: Environment, net: QNetwork, steps: int, out: Path
) -> Fitted:
    """Members run over target network x replay x seed."""
    members = grid(
        tau=jnp.array([config.tau, 1.0]),
        recent=jnp.array([chosen.capacity, chosen.batch]),
        number=jnp.arange(config.seeds),
    )

    def one(hparams: dict) -> Learner:
        return whole.learner(env, net, chosen, tau=hparams["tau"], recent=hparams["recent"])

    def evaluate(member: Member) -> Metrics:
        key = jax.random.fold_in(jax.random.key(VALIDATION), member.run.step)
        act = dqn.greedy(net, member.run.state.fit.params)
        found = play.evaluate(env, act, key, config.validation)["return"]
        taken = member.run.state.taken.astype(jnp.float32)
        return {"validation/return": found, "validation/steps": taken}

    every, per_step = max(1, steps // EVALUATIONS), whole.per_step(chosen)
    return fit(
        sweep(one, members, config.seed + members["number"]),
        jax.random.key(TRAINING),
        steps // every * every,
        evaluate=jax.vmap(evaluate),
        every=every,
        chunk=every,
        out=out,
        checkpoint_every=-(-(config.checkpoint_every or settings(config).steps) // per_step),
        resume=config.resume,
        quiet=config.quiet,
        shown=("train/return", "validation/return"),
        may_diverge=True,  # a network that is its own target may
    )


def compare(
    result: Result, config: Config, env: Environment, net: QNetwork, fitted: Fitted
) -> None:
    """Each way's last policies on test episodes, and what each part is worth."""

    def tested(member: Member) -> jax.Array:
        key = jax.random.fold_in(jax.random.key(TEST), member.hparams["number"])
        act = dqn.greedy(net, member.run.state.fit.params)
        return play.evaluate(env, act, key, config.episodes)["return"]

    returns = np.asarray(jax.jit(jax.vmap(tested))(fitted.run.state))
    by_way = dict(zip(WAYS, returns.reshape(len(WAYS), config.seeds), strict=True))
    for way, values in by_way.items():
        name = way.replace("\n", " ")
        result.metrics[f"test return, {name}"] = experiment.summary(values, "higher")
    for way in WAYS[1:]:
        name = f"gain over {way}".replace("\n", " ")
        gain = experiment.summary(by_way["both"] - by_way[way], "higher")
        result.metrics[name] = gain
        said = "two standard errors of the gain, seed by seed"
        result.targets[name] = experiment.gain_target(gain, said, digits=2)
    act = random(env)
    found = jax.jit(lambda key: play.evaluate(env, act, key, config.episodes))(jax.random.key(TEST))
    result.baselines["random policy"] = {"metric": "test return"} | experiment.summary(
        [found["return"]], "higher"
    )


def draw(path: Path, result: Result, chosen: DQN, fitted: Fitted) -> None:
    """Returns and value estimates against steps, and each way's tested returns."""
    figure, axes = figures.panels(3)
    steps = figures.curve(fitted.records, "validation/steps")[1][:, 0]
    _, returns = figures.curve(fitted.records, "validation/return")
    _, values = figures.curve(fitted.records, "train/value")
    seeds = returns.shape[1] // len(WAYS)
    for i, (way, color) in enumerate(zip(WAYS, figures.COLORS, strict=False)):
        rows = slice(i * seeds, (i + 1) * seeds)
        label = way.replace("\n", " ")
        axes[0].plot(steps, returns[:, rows].mean(1), color=color, lw=1.4, label=label)
        axes[1].plot(steps, np.median(values[:, rows], 1), color=color, lw=1.4)
    axes[0].set_ylabel("return on fresh episodes, mean of seeds")
    axes[0].legend(frameon=False, fontsize=8)
    axes[1].set_ylabel("mean Q(s, a) in a batch, median of seeds")
    if chosen.gamma < 1:
        most = 1 / (1 - chosen.gamma)
        axes[1].axhline(most, color=figures.INK, lw=1, ls="--", label="most that reward 1 can earn")
        axes[1].legend(frameon=False, fontsize=8)
    axes[1].set_yscale("symlog", linthresh=100)
    for ax in axes[:2]:
        ax.set_xlabel("environment steps of a seed")
    tested = {
        way: result.metrics[f"test return, {way}".replace("\n", " ")]["values"] for way in WAYS
    }
    figures.dots(axes[2], tested)
    axes[2].set_ylabel("test return of the last policy")
    figure.suptitle(f"DQN on {result.config['env']} without its parts, {seeds} seeds", fontsize=10)
    figures.save(figure, path)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
