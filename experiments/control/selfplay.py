"""A network learns a board game from its rules alone, by playing itself, and is judged exactly.

System S48 of the syllabus. Gumbel AlphaZero (Danihelka et al. 2022): search with the network,
learn what the search found and how the games ended, begin again. Tic-tac-toe is judged in every
position that play can reach, against an opponent that knows the whole tree; Connect Four in late
positions that a solver has solved, and in games against UCT with random games, 1,000 to a move.

    python -m experiments.control.selfplay
    python -m experiments.control.selfplay --preset standard
    python -m experiments.control.selfplay --preset standard --opening 3 3 2
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import flax.linen as nn
import jax
from annotated_types import Ge

from dljax import Learner, sweep
from dljax.envs import boards, solve
from dljax.envs.boards import GAMES, TIC_TAC_TOE, Game
from dljax.errors import InputError
from dljax.host import experiment
from dljax.host.config import Common, Count, Number, Positive, Share, require
from dljax.host.experiment import Study
from dljax.host.fit import Watch
from dljax.host.result import Result
from dljax.learn import alphazero
from dljax.learn.optimizers import optimizer
from dljax.nets.alphazero import BoardNet
from experiments.control import _selfplay, _selfplay_figures
from experiments.control._selfplay import Judge

NAME = "control.selfplay"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Learn a board game by self-play, and measure how far that is from perfect."""

    steps: Count = 60
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
    batch: Count = 128
    """Positions in an update."""
    updates: Count = 20
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


PRESETS = {
    "quick": Config(),
    "standard": Config(
        game="connect-four", steps=300, channels=32, games=128, plies=16, openings=8, batch=256,
        updates=24, rate=2e-3,
    ),
}  # fmt: skip


def learner(config: Config, game: Game, net: nn.Module) -> Learner:
    steps = config.steps * config.updates
    per_step = config.games * config.plies
    return alphazero.make(
        game, net, optimizer("adam", config.rate, steps=steps, schedule="cosine"),
        games=config.games, plies=config.plies, simulations=config.simulations,
        openings=config.openings, capacity=config.memory * per_step, batch=config.batch,
        updates=config.updates, lam=config.lam,
    )  # fmt: skip


def main(config: Config) -> Result:
    game = GAMES[config.game]
    start = boards.replay(game, config.opening)[-1] if config.opening else None
    if config.matches % 2:
        raise InputError(f"--matches must be even, half for either side; got {config.matches}")
    require("--empty", config.empty, below=game.cells)
    require("--batch", config.batch, below=config.games * config.plies + 1)
    require("--openings", config.openings, below=game.cells)
    net = BoardNet(game.actions, config.channels, config.blocks)
    learn = learner(config, game, net)
    with Study(NAME, ["S48"], config) as run:
        solved = solve.solved(game) if game == TIC_TAC_TOE else None
        exam = _selfplay.exam(
            game, jax.random.key(_selfplay.EXAM), config.late, config.empty, solved
        )
        judge = Judge(game, net, exam, start, config.played, config.rival)
        every = max(1, config.steps // config.evaluations)
        shown = "train/loss", "validation/score", "validation/optimal"
        watch = Watch(judge.validated, every)
        fitted = run.fit(
            sweep(lambda _: learn, None, run.seeds), config.steps, watch, shown=shown, chunk=every
        )
        params = fitted.run.state.run.state.fit.params
        _selfplay.solve_all(run, judge, params, solved)
        goal = (0.8, "our goal, of 200 games against 1,000 random games a move")
        known = (config.game, config.rival, config.matches) == ("connect-four", 1000, 200)
        drawn = _selfplay.play_all(run, judge, params, config.matches, goal if known else None)
        if fitted.rate:  # none where a finished run is resumed
            moves = config.games * config.plies * config.seeds
            run.metric("moves of self-play a second", [fitted.rate * moves])
        title = f"{config.game}: {config.seeds} players, {config.simulations} simulations a move"
        run.figure("strength.png", _selfplay_figures.draw_strength, fitted.records, title)
        run.figure("game.gif", _selfplay_figures.draw_game, game, *drawn)
    return run.result


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
