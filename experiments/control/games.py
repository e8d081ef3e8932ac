"""MinAtar's games and Pong from their pixels, by PPO and by DQN, beside a random policy.

System S47 of the syllabus, whose DQN plays 49 Atari games: Mnih et al. 2015. MinAtar (Young and
Tian 2019) has five of them on a grid of 10 x 10 cells, a channel a kind of thing; DQN's network,
replay and target network are those of its authors, the settings of PPO (Schulman et al. 2017) those
of purejaxrl. gymnax's copies repeat no action by chance, as MinAtar's games do a tenth of the time,
and end after 1,000 steps (Freeway 2,500). Each step that the ball is in play earns 1 in its Pong.
Published returns stand beside ours with their source; MinAtar's paper and pgx show curves without
numbers. Seaquest is slow: some 2,000 steps a second. The default takes two minutes on 2 cores,
standard an hour, full, which plays Breakout as long as what is published did, about four.

    python -m experiments.control.games
    python -m experiments.control.games --games Asterix Pong --algorithms PPO
    python -m experiments.control.games --preset standard
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import jax
from annotated_types import MinLen

from dljax.envs.environment import Environment, make
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.config import Count, Share, require_once
from dljax.host.devices import require_memory
from dljax.host.experiment import Study
from dljax.host.fit import Fitted
from dljax.host.result import Result
from experiments.control import _frames, _returns, common, dqn, ppo
from experiments.control.common import Agent
from experiments.control.settings import DQN, DQN_FOR, GAMES, PPO, PPO_FOR

NAME = "control.games"
Game = Literal["Asterix", "Breakout", "Freeway", "Seaquest", "SpaceInvaders", "Pong"]
Algorithm = Literal["PPO", "DQN"]

PUBLISHED: dict[tuple[str, str], tuple[float, str]] = {
    ("Asterix", "PPO"): (15, "gymnax's README, PPO of gymnax-blines"),
    ("Breakout", "PPO"): (28, "gymnax's README, PPO of gymnax-blines"),
    ("Freeway", "PPO"): (58, "gymnax's README, PPO of gymnax-blines"),
    ("SpaceInvaders", "PPO"): (131, "gymnax's README, PPO of gymnax-blines"),
    ("Breakout", "DQN"): (9.23, "joash2003/rainbow-minatar: MinAtar's DQN, 5M frames, 3 seeds"),
}
"""Returns that others report, and where."""


@dataclass(frozen=True, kw_only=True)
class Config(common.Tested):
    """Learn games from pixels; `--steps` sets the environment's steps of every game and agent."""

    seeds: Count = 1
    """Independent agents of each game, trained in one compiled program."""
    games: Annotated[tuple[Game, ...], MinLen(1)] = ("Breakout",)
    """What is played: MinAtar's games, or gymnax's Pong."""
    algorithms: Annotated[tuple[Algorithm, ...], MinLen(1)] = ("PPO", "DQN")
    """Who plays."""
    ppo_steps: Count = 150_000
    """Environment steps of PPO in the first game."""
    dqn_steps: Count = 50_000
    """Environment steps of DQN in it, those of its random warm-up included."""
    others: Share = 0.25
    """How much of these the games after it get."""
    validation: Count = 8
    """Fresh episodes by which the best policy of a run is chosen, at each of 40 evaluations."""
    episodes: Count = 32
    """Fresh episodes on which each seed's policy is tested, once."""


PRESETS = {
    "quick": Config(),
    "standard": Config(
        seeds=5, games=("Breakout", "Asterix", "Freeway", "SpaceInvaders", "Pong"),
        ppo_steps=2_000_000, dqn_steps=300_000, others=0.2, episodes=128,
    ),
    "full": Config(seeds=5, ppo_steps=10_000_000, dqn_steps=5_000_000, episodes=128),
}  # fmt: skip


class Entrant(NamedTuple):
    """An agent of one game, to be trained for some steps of the environment."""

    game: str
    algorithm: str
    env: Environment
    agent: Agent
    steps: int

    @property
    def of(self) -> str:
        return f", {self.game}, {self.algorithm}"


def main(config: Config) -> Result:
    require_once("--games", config.games)
    require_once("--algorithms", config.algorithms)
    all_of_them = [enter(config, game, who) for game in config.games for who in config.algorithms]
    shown = {each.of[2:]: settings(config, each.game, each.algorithm) for each in all_of_them}
    told = {name: dataclasses.asdict(each) for name, each in shown.items()}
    with Study(NAME, ["S47"], config, settings=told) as run:
        done = [(each, play(run, config, each)) for each in all_of_them]
        for game in config.games:
            env = make(GAMES[game])
            common.beside(run, config, env, f", {game}", f"test return, {game}")
            best = max(
                (each for each in done if each[0].game == game),
                key=lambda each: run.result.metrics[f"test return{each[0].of}"]["mean"],
            )
            act, key = common.first(best[0].agent, best[1]), jax.random.key(common.TEST)
            run.figure(f"{game.lower()}.gif", _frames.watched, env, act, key)
        records = {(each.game, each.algorithm): fitted.records for each, fitted in done}
        run.figure("returns.png", _returns.draw_games, run.result, records)
    return run.result


def settings(config: Config, game: str, algorithm: str) -> Any:
    """The tuned settings, with the steps that the configuration gives this game."""
    first = config.ppo_steps if algorithm == "PPO" else config.dqn_steps
    steps = first if game == config.games[0] else int(config.others * first)
    tuned: Any = (PPO_FOR if algorithm == "PPO" else DQN_FOR)[GAMES[game]]
    return dataclasses.replace(tuned, steps=config.steps or max(1, steps))


def enter(config: Config, game: str, algorithm: str) -> Entrant:
    """Raises InputError where the steps do not reach for one of the learner, or memory for all."""
    env, chosen = make(GAMES[game]), settings(config, game, algorithm)
    flags = f"--seeds {config.seeds} of {algorithm} in {game}"
    require_memory(flags, config.seeds * space(env, chosen))
    if algorithm == "PPO":
        return Entrant(game, algorithm, env, ppo.agent(env, config, chosen), chosen.steps)
    if config.sampled:
        raise InputError("--sampled: DQN has a greedy policy only; ask for --algorithms PPO")
    learning = dqn.learning(chosen).steps
    return Entrant(game, algorithm, env, dqn.agent(env, chosen), learning)


def space(env: Environment, chosen: PPO | DQN) -> int:
    """Bytes of a seed: a replay of pairs of images, or a rollout, held about eight times."""
    cells = math.prod(env.observation_shape)
    if isinstance(chosen, DQN):
        return 2 * cells * chosen.capacity * (1 if chosen.bits else 4)
    return 8 * 4 * cells * chosen.actors * chosen.horizon


def play(run: Study, config: Config, each: Entrant) -> Fitted:
    """Train and test an entrant, beside what others report of it."""
    env, agent, of = each.env, each.agent, each.of
    part = f"{each.game} {each.algorithm}"
    fitted = common.learn(run, config, each.steps, env, agent, part)
    common.test(run, config, env, agent, fitted, of)
    common.progress(run, fitted, each.algorithm.lower(), env.name, of)
    if fitted.rate:
        rate = fitted.rate * agent.per_step * config.seeds
        run.metric(f"environment steps a second{of}", [rate])
    if (each.game, each.algorithm) in PUBLISHED:
        mean, source = PUBLISHED[each.game, each.algorithm]
        run.baseline(f"published{of}", f"test return{of}", mean, source=source)
    return fitted


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
