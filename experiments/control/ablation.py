"""DQN with its replay and its target network taken away, one at a time and both.

System S47 of the syllabus: Mnih et al. 2015, whose table 3 takes away the same two, as Young and
Tian 2019 do in MinAtar. Without replay a batch is the newest transitions alone; without a target
network the learning one is its own target. All four, for all seeds, train in one program, from the
same first weights of a seed, with the same number of updates of the same size. One actor plays, so
that the newest transitions are one stretch of one episode, as alike as can be: ten actors in step
mix their streams, which is half of what a replay is for.

What would refute the notes is said here beforehand: that a part helps is shown if the mean over at
least 10 seeds of its gain, return with all minus return without it, each seed with its own, exceeds
two standard errors. It is refuted for this setting if the mean is below minus two; in between
nothing is shown. Two gains are asked so: of the last policies, and of the mean over all evaluations
of a run, since in a pilot of four seeds three ways ended alike and got there at different times.

Then what the notes say of the network: one pass that gives Q(s, a) of all actions, against one pass
an action of a network that is told it: the same values, and the time of each. The default takes a
minute on 2 cores, standard five.

    python -m experiments.control.ablation
    python -m experiments.control.ablation --preset standard --seed 100
    python -m experiments.control.ablation --env Breakout-MinAtar --seeds 10 --steps 100000
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Gt, Lt

from dljax import Learner, Member, grid, sweep
from dljax.envs.environment import Environment, make
from dljax.host import experiment, figures
from dljax.host.config import Common, Count
from dljax.host.experiment import Study
from dljax.host.fit import Fitted, Watch
from dljax.host.result import Result
from dljax.learn import dqn, play, risk
from dljax.nets.q_network import QNetwork
from dljax.typing import Metrics
from experiments.control import _passes
from experiments.control import dqn as whole
from experiments.control.common import EVALUATIONS, TEST, TRAINING, VALIDATION
from experiments.control.controllers import random
from experiments.control.settings import DQN, DQN_FOR

NAME = "control.ablation"
WAYS = ("both", "no replay", "no target network", "neither")  # in the order of the grid


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Take the replay and the target network away from DQN; `--steps` counts those of a seed."""

    seeds: Count = 3
    """Independent agents of each way."""
    env: str = "Acrobot-v1"
    """Any environment with discrete actions, by name, or your own as module:function."""
    steps: Count = 12_000
    """Environment steps of a seed."""
    actors: Count = 1
    """Environments played at once: the more, the less alike are the newest transitions."""
    batch: Count = 32
    """Transitions in an update, of which there is one after each step of the actors."""
    warmup: Count = 1_000
    """Transitions of a random policy before learning; they count as steps."""
    tau: Annotated[float, Gt(0), Lt(1)] = 0.02
    """How far the target network goes towards the learning one after each update."""
    validation: Count = 4
    """Fresh episodes at each evaluation."""
    episodes: Count = 128
    """Fresh episodes on which each last policy is tested."""


PRESETS = {
    "quick": Config(),
    "standard": Config(seeds=12, steps=100_000),
    "full": Config(seeds=12, steps=300_000),
}


def settings(config: Config) -> DQN:
    """The tuned settings, with one update at a time and a target that follows at once."""
    tuned = DQN_FOR.get(config.env, DQN())
    asked = {name: getattr(config, name) for name in ("actors", "batch", "warmup", "tau")}
    return dataclasses.replace(tuned, steps=config.steps, updates=1, period=1, **asked)


def main(config: Config) -> Result:
    chosen = settings(config)
    with Study(NAME, ["S47"], config, settings=dataclasses.asdict(chosen)) as run:
        env = make(config.env, repeat=chosen.repeat)
        net = whole.network(env, chosen)
        whole.learner(env, net, chosen)  # refuses what does not fit, before a folder is made
        fitted = train(run, config, chosen, env, net)
        compare(run, config, env, net, fitted)
        _passes.compare(run, config.batch)
        run.figure("ablation.png", draw, run.result, chosen.gamma, fitted)
    return run.result


def train(run: Study, config: Config, chosen: DQN, env: Environment, net: QNetwork) -> Fitted:
    """Members run over target network x replay x seed."""
    per_step = whole.per_step(chosen)
    steps = whole.learning(chosen).steps // per_step
    every = max(1, steps // EVALUATIONS)
    members = grid(
        tau=jnp.array([config.tau, 1.0]),
        recent=jnp.array([chosen.capacity, chosen.batch]),
        number=jnp.arange(config.seeds),
    )

    def one(hparams: dict) -> Learner:
        return whole.learner(env, net, chosen, tau=hparams["tau"], recent=hparams["recent"])

    def evaluate(member: Member) -> Metrics:
        key = jax.random.fold_in(jax.random.key(VALIDATION), member.run.step)
        act = dqn.greedy(net, risk.params_of(member))
        found = play.evaluate(env, act, key, config.validation)["return"]
        taken = member.run.state.taken.astype(jnp.float32)
        return {"validation/return": found, "validation/steps": taken}

    return run.fit(
        sweep(one, members, config.seed + members["number"]),
        steps // every * every,
        Watch(evaluate, every),
        names=run.named(WAYS),
        shown=("train/return", "validation/return"),
        chunk=every,
        key=TRAINING,
        saves=steps,
        per_step=per_step,
        may_diverge=True,  # a network that is its own target may
    )


def compare(run: Study, config: Config, env: Environment, net: QNetwork, fitted: Fitted) -> None:
    """Each way's last policies on test episodes, its runs' mean, and what each part is worth."""

    def tested(member: Member) -> jax.Array:
        # by the number of its seed, so that all ways meet the same episodes and gains are paired
        key = jax.random.fold_in(jax.random.key(TEST), member.hparams["number"])
        act = dqn.greedy(net, risk.params_of(member))
        return play.evaluate(env, act, key, config.episodes)["return"]

    last = np.asarray(run.each(tested, fitted.run.state))
    mean = figures.curve(fitted.records, "validation/return")[1].mean(0)
    for name, gain, values in (
        ("test return", "gain over", last),
        ("mean return while learning", "gain while learning over", mean),
    ):
        returns = values.reshape(len(WAYS), config.seeds)
        for way, each in zip(WAYS, returns, strict=True):
            run.metric(f"{name}, {way}", each)
        said = "two standard errors of the gain, seed by seed"
        for way, each in zip(WAYS[1:], returns[1:], strict=True):
            run.gain(f"{gain} {way}", returns[0] - each, said)
    by_chance = jax.jit(lambda key: play.evaluate(env, random(env), key, config.episodes))
    run.baseline("random policy", "test return", [by_chance(jax.random.key(TEST))["return"]])


def draw(path: Path, result: Result, gamma: float, fitted: Fitted) -> None:
    """Returns and value estimates against steps, and each way's tested returns."""
    figure, axes = figures.panels(3)
    records = [each for each in fitted.records if "validation/steps" in each]  # not checkpoints'
    steps = figures.curve(records, "validation/steps")[1][:, 0]
    returns, values = (
        np.split(figures.curve(records, name)[1], len(WAYS), axis=1)
        for name in ("validation/return", "train/value")
    )
    for i, (way, color) in enumerate(zip(WAYS, figures.COLORS, strict=False)):
        axes[0].plot(steps, returns[i].mean(1), color=color, lw=1.4, label=way)
        axes[1].plot(steps, np.median(values[i], 1), color=color, lw=1.4)
    axes[0].set_ylabel("return on fresh episodes, mean of seeds")
    axes[1].set_ylabel("mean Q(s, a) in a batch, median of seeds")
    axes[1].set_yscale("symlog", linthresh=100)  # estimates that diverge beside those that do not
    if gamma < 1:
        for most, said in ((1, "what rewards of 1 can add up to"), (-1, None)):
            axes[1].axhline(most / (1 - gamma), color=figures.INK, lw=1, ls="--", label=said)
        axes[1].legend(frameon=False, fontsize=8)
    axes[0].legend(frameon=False, fontsize=8)
    for ax in axes[:2]:
        ax.set_xlabel("environment steps of a seed")
    tested = {
        way.replace("target ", "target\n"): result.metrics[f"test return, {way}"]["values"]
        for way in WAYS
    }
    figures.dots(axes[2], tested)
    axes[2].set_ylabel("test return of the last policy")
    title = f"DQN on {result.config['env']} without its parts, {len(result.seeds)} seeds"
    figure.suptitle(title, fontsize=10)
    figures.save(figure, path)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
