"""A network learns a board game from its rules alone, by playing itself, and is judged exactly.

System S49 of the syllabus. Gumbel AlphaZero (Danihelka et al. 2022): search with the network,
learn what the search found and how the games ended, begin again. Tic-tac-toe is judged in every
position that play can reach, against an opponent that knows the whole tree; Connect Four in late
positions that a solver has solved, and in games against UCT with random games, 1,000 to a move.
With `--recorded` another player first imitates games of UCT, then plays itself for as long: the way
of Silver et al. 2016, beside pure self-play, which has had half as many updates.

    python -m experiments.control.selfplay
    python -m experiments.control.selfplay --preset tic-tac-toe  # 15 min on 2 cores
    python -m experiments.control.selfplay --preset standard
    python -m experiments.control.selfplay --preset standard --opening 3 3 2
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import flax.linen as nn
import jax
import optax
from annotated_types import Ge

from dljax import Learner, sweep
from dljax.envs import boards, solve
from dljax.envs.boards import GAMES, TIC_TAC_TOE, Game
from dljax.errors import InputError
from dljax.host import devices, experiment
from dljax.host.config import Common, Count, Number, Positive, Share, require
from dljax.host.experiment import Study
from dljax.host.fit import Fitted, Watch
from dljax.host.result import Result
from dljax.learn import alphazero, risk
from dljax.learn.optimizers import optimizer
from dljax.nets.alphazero import BoardNet
from dljax.typing import PyTree
from experiments.control import _selfplay, _selfplay_figures
from experiments.control._selfplay import Judge

NAME = "control.selfplay"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Learn a board game by self-play, and measure how far that is from perfect."""

    steps: Count = 40
    """Steps: so many moves of all games, then so many updates."""
    game: Literal["tic-tac-toe", "connect-four"] = "tic-tac-toe"
    """The rules."""
    channels: Count = 16
    """Features of each convolution."""
    blocks: Count = 2
    """Residual blocks of two convolutions."""
    games: Count = 64
    """Games played at once."""
    plies: Count = 9
    """Moves of each in a step."""
    simulations: Count = 16
    """Positions that a search looks at before a move, in self-play."""
    openings: Number = 6
    """Random moves at most, with which games of self-play begin."""
    memory: Count = 20
    """Steps whose positions are remembered."""
    batch: Count = 256
    """Positions in an update."""
    updates: Count = 40
    """Updates in a step."""
    rate: Positive = 3e-3
    """The learning rate of Adam, which falls as a cosine."""
    lam: Share = 0.8
    """How far the end of a game is the target of its values, rather than later searches."""
    played: Count = 32
    """Positions that a search looks at before a move, in tests."""
    rival: Count = 1000
    """Random games that UCT plays before a move, in tests."""
    matches: Annotated[int, Ge(2)] = 200
    """Games against each opponent; in half of them the learnt player is first."""
    opening: tuple[Number, ...] = ()
    """Moves with which all those begin; by default two random ones, the same for both sides."""
    late: Count = 300
    """Positions of the solver's, where it cannot list them all."""
    empty: Count = 12
    """Empty cells that these have at most."""
    evaluations: Count = 10
    """How often it is measured while it learns, in 40 games against UCT of a tenth."""
    recorded: Number = 0
    """Games of UCT with itself that a second player imitates, and then plays itself as the first;
    0 for no such player."""


PRESETS = {
    "quick": Config(),
    "tic-tac-toe": Config(seeds=10, steps=100, played=64, recorded=256),
    "standard": Config(
        game="connect-four", steps=300, channels=32, games=128, plies=16, openings=8, batch=256,
        updates=24, rate=2e-3,
    ),
}  # fmt: skip


def adam(config: Config) -> optax.GradientTransformation:
    return optimizer("adam", config.rate, steps=config.steps * config.updates, schedule="cosine")


def learner(config: Config, game: Game, net: nn.Module, begin: PyTree | None = None) -> Learner:
    per_step = config.games * config.plies
    return alphazero.make(
        game, net, adam(config), games=config.games, plies=config.plies,
        simulations=config.simulations, openings=config.openings,
        capacity=config.memory * per_step, batch=config.batch, updates=config.updates,
        lam=config.lam, begin=begin,
    )  # fmt: skip


def taught(run: Study, judge: Judge, part: str, begin: PyTree | None = None) -> Fitted:
    """Every seed plays itself, from nothing or from where it `begins`."""
    config: Any = run.config
    every = max(1, config.steps // config.evaluations)
    flags = f"--games {config.games}, --memory {config.memory} and --seeds {config.seeds}"
    alone = learner(config, judge.game, judge.net)
    devices.require_memory(flags, config.seeds * devices.state_bytes(alone))
    learn = sweep(lambda params: learner(config, judge.game, judge.net, params), begin, run.seeds)
    shown = "train/loss", "validation/score", "validation/optimal"
    watch = Watch(judge.validated, every)
    return run.fit(learn, config.steps, watch, part=part, shown=shown, chunk=every)


def imitated(run: Study, judge: Judge) -> PyTree:
    """Every seed's parameters after it has learnt from the games of others."""
    config: Any = run.config
    record = _selfplay.recorded(judge.game, config.recorded, config.rival, config.openings)
    learn = alphazero.imitate(
        judge.game, judge.net, adam(config), record, batch=min(config.batch, len(record.value))
    )
    steps = config.steps * config.updates
    members = sweep(lambda _: learn, None, run.seeds)
    fitted = run.fit(
        members, steps, part="imitation", shown=("train/loss",), chunk=max(1, steps // 10)
    )
    return risk.params_of(fitted.run.state)


def main(config: Config) -> Result:
    game = GAMES[config.game]
    start = boards.replay(game, config.opening)[-1] if config.opening else None
    if config.matches % 2 or config.recorded % 2:
        raise InputError(
            "--matches and --recorded must be even, half for either side; "
            f"got {config.matches} and {config.recorded}"
        )
    if start is not None and bool(game.done(start)):
        raise InputError("--opening ends the game; fewer moves are needed")
    if game != TIC_TAC_TOE:  # of which all positions are asked; others are solved in Python
        require("--empty", config.empty, below=17)
    require("--batch", config.batch, below=config.games * config.plies + 1)
    require("--openings", config.openings, below=game.cells)
    with Study(NAME, ["S49"], config) as run:
        solved = solve.solved(game) if game == TIC_TAC_TOE else None
        key = jax.random.key(_selfplay.EXAM)
        exam = _selfplay.exam(game, key, config.late, config.empty, solved)
        net = BoardNet(game.actions, config.channels, config.blocks)
        judge = Judge(game, net, exam, start, config.played, config.rival)
        own = taught(run, judge, "self-play")
        players = {"": risk.params_of(own.run.state)}
        fits = {"self-play": own}
        if config.recorded:
            players[", imitation"] = first = imitated(run, judge)
            fits["imitation, then self-play"] = later = taught(run, judge, "later", first)
            players[", imitation first"] = risk.params_of(later.run.state)
        goal = (0.8, "our goal, of 200 games against 1,000 random games a move")
        asked = config.game, config.rival, config.matches, config.played, config.opening
        known = asked == ("connect-four", 1000, 200, 32, ())
        drawn = {}
        for who, params in players.items():
            _selfplay.solve_all(run, judge, params, solved, who, judged=not who)
            hoped = goal if known and not who else None
            _selfplay.leave(run, judge, params, who)
            drawn[who] = _selfplay.play_all(run, judge, params, config.matches, who, hoped)
        _selfplay.beside(run, judge)
        if own.rate:  # none where a finished run is resumed
            moves = config.games * config.plies * config.seeds
            run.metric("moves of self-play a second", [own.rate * moves])
        title = f"{config.game}: {config.seeds} players, {config.simulations} simulations a move"
        records = {name: each.records for name, each in fits.items()}
        run.figure("strength.png", _selfplay_figures.draw_strength, records, title)
        run.figure("game.gif", _selfplay_figures.draw_game, game, *drawn[""])
    return run.result


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
