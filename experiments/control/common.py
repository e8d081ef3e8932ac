"""What the agents' experiments share: training of all seeds, choosing, testing, and figures."""

import dataclasses
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Learner, Member, sweep
from dljax.envs.environment import Environment
from dljax.errors import InputError, unknown
from dljax.host import experiment, figures
from dljax.host.experiment import Common, Result, require
from dljax.host.fit import DONATED, Fitted, Selection, fit
from dljax.learn import play
from dljax.typing import Array, Key, Metrics, PyTree
from experiments.control import _frames
from experiments.control.controllers import controllers
from experiments.control.settings import TARGETS, Settings

EVALUATIONS = 40
TRAINING, VALIDATION, TEST, BASELINE = range(4)  # root keys: no two purposes share one


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """The flags of an agent's experiment; `--steps` counts the environment's steps of a seed."""

    seeds: int = 10
    """Independent agents, trained in one compiled program."""
    env: str = "CartPole-v1"
    """Any environment of gymnax by name."""
    set: tuple[str, ...] = ()
    """Settings to change, as in rate=1e-3 actors=16; experiments/control/settings.py has them."""
    validation: int = 32
    """Fresh episodes by which the best policy of a run is chosen, at each of 40 evaluations."""
    episodes: int = 128
    """Fresh episodes on which each seed's policy is tested, once."""
    sampled: bool = False
    """Test the policy by sampling its actions; by default the likeliest is taken."""


class Agent(NamedTuple):
    """A learner, and how its policy acts."""

    learner: Learner
    per_step: int  # environment steps in one step of the learner
    keep: Callable[[PyTree], PyTree]  # what acting needs of the learner's state
    act: Callable[[PyTree, Key, Array], Array]  # (kept, key, observations [E, ...]) -> actions
    spent: Callable[[PyTree], Array] | None = None  # environment steps so far, where counted
    steady: bool = True  # whether per_step is exact


def train(
    name: str,
    systems: list[str],
    config: Config,
    settings: Settings,
    env: Environment,
    agent: Agent,
) -> Result:
    """Train all seeds for `settings.steps` environment steps each, and test them on new episodes.

    The policy kept of each seed is the best on validation episodes; the last one is tested too.
    """
    begun = time.monotonic()
    check(config)
    steps, every = budget(settings.steps, agent.per_step)
    seeds = experiment.seeds(config)
    out = experiment.open_folder(name, config)
    saves = -(-config.checkpoint_every // agent.per_step) if config.checkpoint_every else None

    def evaluate(member: Member) -> Metrics:
        key = jax.random.fold_in(jax.random.key(VALIDATION), member.run.step)
        found = scores(env, agent, agent.keep(member.run.state), key, config.validation)
        played = agent.spent(member.run.state) if agent.spent else member.run.step * agent.per_step
        return found | {"steps": played.astype(jnp.float32)}

    learner = sweep(lambda _: agent.learner, None, jnp.array(seeds))
    fitted = fit(
        learner,
        jax.random.key(TRAINING),
        steps,
        evaluate=lambda members: named("validation", jax.vmap(evaluate)(members)),
        every=every,
        select=Selection("validation/return", keep=lambda member: agent.keep(member.run.state)),
        chunk=every,
        out=out,
        checkpoint_every=saves or max(every, steps // 4),
        resume=config.resume,
        quiet=config.quiet,
        names=[f"seed {seed}" for seed in seeds],
        shown=("train/return", "validation/return"),
    )
    shown = dataclasses.asdict(config) | {"settings": dataclasses.asdict(settings)}
    result = Result(name, systems, shown, seeds)
    result.seconds |= fitted.seconds
    test(result, config, env, agent, fitted)
    progress(result, fitted, config.env)
    if agent.steady:
        result.metrics["environment steps a second"] = speed(learner, agent, fitted, every)
    draw(out / "figures", result, config, env, agent, fitted)
    return experiment.finish(result, out, fitted.run, begun)


def activation(name: str) -> Callable[[Array], Array]:
    known = {"tanh": jax.nn.tanh, "relu": jax.nn.relu, "swish": jax.nn.swish}
    if name not in known:
        raise unknown("activation", name, known)
    return known[name]


def layers(env: Environment, chosen: Any) -> dict[str, Any]:
    """The torso that the settings ask for. Raises InputError where the environment has no images
    for its convolutions, and for widths below 1.
    """
    for name in ("hidden", "channels"):
        for width in getattr(chosen, name):
            require(f"--set {name}", width, at_least=1)
    shape, count = env.observation_shape, len(chosen.channels)
    if count and (len(shape) != 3 or min(shape[:2]) <= 2 * count):
        raise InputError(
            f"--set channels needs an image of more than {2 * count} pixels a side; "
            f"{env.name} observes {shape}"
        )
    return {
        "hidden": chosen.hidden,
        "channels": chosen.channels,
        "activation": activation(chosen.activation),
    }


def check(config: Config) -> None:
    experiment.check_common(config)
    require("--validation", config.validation, at_least=1)
    require("--episodes", config.episodes, at_least=1)


def budget(steps: int, per_step: int) -> tuple[int, int]:
    """Steps of the learner within the budget of environment steps, and between evaluations."""
    require("--steps", steps, at_least=per_step)
    count = steps // per_step
    every = max(1, count // EVALUATIONS)
    return count // every * every, every


def scores(env: Environment, agent: Agent, kept: PyTree, key: Key, episodes: int) -> Metrics:
    """Mean return and length of fresh episodes under a kept policy."""
    return play.evaluate(env, lambda key, seen: agent.act(kept, key, seen), key, episodes)


def named(split: str, metrics: Metrics) -> Metrics:
    return {f"{split}/{name}": value for name, value in metrics.items()}


def test(result: Result, config: Config, env: Environment, agent: Agent, fitted: Fitted) -> None:
    """Each seed's best and last policy on episodes of their own, beside policies not learnt."""
    seeds = jnp.array(result.seeds)

    def fresh(root: int) -> Array:
        return jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(root), seed))(seeds)

    @jax.jit
    @jax.vmap
    def tested(kept: PyTree, key: Key) -> Metrics:
        return scores(env, agent, kept, key, config.episodes)

    keys = fresh(TEST)
    last = jax.vmap(lambda member: agent.keep(member.run.state))(fitted.run.state)
    best = tested(fitted.kept, keys)
    result.metrics["test return"] = experiment.summary(best["return"], "higher")
    result.metrics["test return of the last policy"] = experiment.summary(
        tested(last, keys)["return"], "higher"
    )
    for name, act in controllers(env).items():
        played = functools.partial(play.evaluate, env, act, episodes=config.episodes)
        found = jax.jit(jax.vmap(played))(fresh(BASELINE))["return"]
        result.baselines[name] = {"metric": "test return"} | experiment.summary(found, "higher")


def progress(result: Result, fitted: Fitted, env: str) -> None:
    """The goal, and what it took each seed to reach it first on validation episodes.

    A seed that never did counts with all its steps, and lowers the share that did.
    """
    known = TARGETS.get((result.experiment.partition(".")[2], env))
    if known is None:
        return
    goal, within, source = known
    played, values = curve(fitted, "validation/return")
    taken = played[-1].max()
    early = result.metrics["test return"]["mean"] >= goal
    if taken <= within and (early or taken >= within / 2):  # a short run cannot miss a goal
        said = f"{source}, within {within:,} steps"
        for name in ("test return", "test return of the last policy"):
            result.targets[name] = experiment.target(result.metrics[name], goal, said)
    reached = values >= goal
    when = np.take_along_axis(played, reached.argmax(0)[None], 0)[0]
    first = np.where(reached.any(0), when, played[-1])
    result.metrics[f"steps until {goal}"] = experiment.summary(first, "lower")
    share = np.asarray(reached.any(0), float)
    result.metrics[f"share that reached {goal}"] = experiment.summary(share, "higher")
    rows = [record for record in fitted.records if "validation/return" in record]
    passed = values.mean(1) >= goal
    if passed.any():
        result.seconds[f"until a mean of {goal}"] = rows[int(passed.argmax())]["seconds"]


def curve(fitted: Fitted, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Environment steps and values [T, N] of a metric at each evaluation."""
    rows = [record for record in fitted.records if "validation/steps" in record]
    return np.array([row["validation/steps"] for row in rows]), np.array(
        [row[name] for row in rows]
    )


def speed(learner: Learner, agent: Agent, fitted: Fitted, steps: int) -> dict[str, Any]:
    """Environment steps of all seeds in a second of training alone: no evaluation, no compiling."""
    rates, members = [], fitted.run.state.run.step.size
    for _ in range(4):
        run = jax.tree.map(jnp.copy, fitted.run)  # as fit compiled it: its argument is donated
        begun = time.monotonic()
        jax.block_until_ready(DONATED(learner, run, steps))
        rates.append(steps * agent.per_step * members / (time.monotonic() - begun))
    return experiment.summary([np.median(rates[1:])], "higher")


def draw(
    folder: Path, result: Result, config: Config, env: Environment, agent: Agent, fitted: Fitted
) -> None:
    """The return against environment steps, and one episode of the first seed."""
    figure, (ax,) = figures.panels(1, size=(5.6, 3.8))
    for split, label, color in (
        ("train", "while learning", figures.COLORS[1]),
        ("validation", "on validation episodes", figures.COLORS[0]),
    ):
        played, values = curve(fitted, f"{split}/return")
        if split == "train":  # there is no return before an episode of every seed has ended
            ended = (curve(fitted, "train/episodes")[1] > 0).all(1)
            played, values = played[ended], values[ended]
        figures.spread(ax, played.mean(1), values, label, color)
    styles = ("--", ":", "-.")
    for (name, baseline), style in zip(result.baselines.items(), styles, strict=False):
        ax.axhline(baseline["mean"], color=figures.INK, lw=1, ls=style, label=name)
    if "test return" in result.targets:
        value = result.targets["test return"]["value"]
        ax.axhline(value, color=figures.COLORS[2], lw=1, label="goal")
    ax.set_xlabel("environment steps of a seed")
    ax.set_ylabel("return")
    ax.legend(frameon=False, fontsize=8)
    algorithm = result.experiment.rpartition(".")[2]
    ax.set_title(
        f"{algorithm} on {config.env}: mean of {config.seeds} seeds, least to greatest", fontsize=10
    )
    figures.save(figure, folder / "return.png")
    kept = jax.tree.map(lambda leaf: leaf[0], fitted.kept)
    _frames.strip(folder / "episode.png", config.env, *episode(env, agent, kept))


def episode(env: Environment, agent: Agent, kept: PyTree) -> tuple[np.ndarray, np.ndarray]:
    """Observations [T, ...] and rewards [T] of one test episode."""
    k_begin, k_play, k_act = jax.random.split(jax.random.key(TEST), 3)
    keys = jax.random.split(k_act, (env.limit, 1))

    def act(keys: Array, seen: Array) -> tuple[Array, None]:
        return agent.act(kept, keys[0], seen), None

    _, played = jax.jit(lambda: play.rollout(env, act, keys, k_play, play.begin(env, k_begin, 1)))()
    done = np.asarray(played.terminated | played.truncated)[:, 0]
    length = int(done.argmax()) + 1 if done.any() else len(done)
    return np.asarray(played.observation[:length, 0]), np.asarray(played.reward[:length, 0])
