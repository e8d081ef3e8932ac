"""Judging who has learnt a game, by the exact solver and against opponents: for `selfplay`."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from dljax import Member
from dljax.envs.boards import Board, Game, repeated
from dljax.envs.solve import Solved, Solver
from dljax.errors import InputError
from dljax.host.experiment import Study
from dljax.host.function import Function, Input
from dljax.learn import alphazero, match, risk
from dljax.learn.alphazero import Sample
from dljax.learn.match import Match, Player
from dljax.typing import Array, Key, Metrics, PyTree

VALIDATION, TEST, EXAM, RECORD = range(1, 5)  # root keys: no two purposes share one, nor training's
GAMES = 40  # against a weak opponent, while it learns
SHARES = {"won": 1, "drawn": 0, "lost": -1}


class Exam(NamedTuple):
    """Positions [N] in which some moves are better than others, and what each move is worth."""

    boards: Board
    action: Array  # int8 [N, A]: 1, 0, -1 for who moves, -2 where it is illegal

    def marks(self, chosen: Array) -> dict[str, Array]:
        """The share of moves [N] that are the best there are, and of those that lose needlessly."""
        best, got = self.action.max(1), jnp.take_along_axis(self.action, chosen[:, None], 1)[:, 0]
        return {"optimal": (got == best).mean(), "lost": ((got < 0) & (best >= 0)).mean()}


class Judge(NamedTuple):
    """What is played by whom: a search of so many positions, against one of so many games."""

    game: Game
    net: nn.Module
    exam: Exam
    start: Board | None  # where test games begin; None: after two random moves
    simulations: int
    rival: int

    def player(self, params: PyTree, *, searching: bool = True) -> Player:
        """The learnt one."""
        return match.learnt(self.game, self.net, params, self.simulations if searching else 0)

    def against(self, player: Player, rival: Player, key: Key, count: int) -> tuple[Board, Match]:
        """Where `count` games begin, each opening once for either side, and what comes of them."""
        k_open, k_play = jax.random.split(key)
        half = jnp.full(count // 2, 2, jnp.int32)
        if self.start is None:
            first = self.game.opened(k_open, half, 2)
        else:
            first = repeated(self.start, len(half))
        begun = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), first)
        return begun, match.play(self.game, player, rival, begun, k_play)

    def validated(self, member: Member) -> Metrics:
        """Each time other games against a weak opponent, and the policy without a search."""
        params = risk.params_of(member)
        key = jax.random.fold_in(jax.random.key(VALIDATION), member.run.step)
        weak = match.searcher(self.game, max(1, self.rival // 10))
        _, played = self.against(self.player(params), weak, key, GAMES)
        chosen = self.player(params, searching=False)(key, self.exam.boards)
        optimal = self.exam.marks(chosen)["optimal"]
        return {"validation/score": match.score(played), "validation/optimal": optimal}


def board(game: Game, cells: Array) -> Board:
    """The position of stones [R, C]: 1 those of who is to move, -1 the other's."""
    count = (cells != 0).sum(dtype=jnp.int32)
    player = jnp.where(count % 2 == 0, 1, -1)  # whose stones are 1 in a Board
    lost = game.rows_of(cells == -1).any()
    winner = jnp.where(lost, -player, 0).astype(jnp.int8)
    return Board((cells * player).astype(jnp.int8), count, winner)


def leave(run: Study, judge: Judge, params: PyTree, who: str) -> None:
    """The run's model, asked of boards [R, C] as `board` has them.

    `move` is what a match plays, 1 for that action, `policy` the network's without a search.
    """
    game, size = judge.game, judge.simulations
    see = jax.vmap(functools.partial(board, game))

    def policy(own: PyTree, cells: Array) -> Array:
        return alphazero.told(game, judge.net, own, see(cells))[0]

    def move(own: PyTree, cells: Array) -> Array:
        chosen = match.learnt(game, judge.net, own, size)(jax.random.key(0), see(cells))
        return jax.nn.one_hot(chosen, game.actions)

    read = (Input((game.rows, game.columns), "int32", "board"),)
    names = tuple(map(str, range(game.actions)))
    asked = {"move": Function(move, read, "scores", names)}
    asked |= {"policy": Function(policy, read, "logits", names)}
    run.model(params, asked, part=who.strip(", ") or "self-play")


def recorded(game: Game, count: int, simulations: int, openings: int) -> Sample:
    """Positions of some `count` games that UCT played with itself.

    As in self-play they begin after up to `openings` random moves, as many games after each number.
    """
    uct, size = match.searcher(game, simulations), 2 * max(1, count // (2 * openings + 2))

    @jax.jit
    def played(moves: Array) -> tuple[Sample, Array]:
        k_open, k_play = jax.random.split(jax.random.fold_in(jax.random.key(RECORD), moves))
        begun = game.opened(k_open, jnp.full(size, moves), openings)
        return alphazero.recorded(game, begun, match.play(game, uct, uct, begun, k_play).moves)

    found = []
    for moves in range(openings + 1):
        rows, there = jax.tree.map(np.asarray, played(jnp.int32(moves)))
        found.append(jax.tree.map(lambda leaf, there=there: leaf[there], rows))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *found)


def solve_all(
    run: Study, judge: Judge, params: PyTree, solved: Solved | None, who: str, *, judged: bool
) -> None:
    """Every player's moves in solved positions, with its search and without; `judged` by goals."""
    exam = judge.exam
    asked = exam.boards if solved is None else jax.tree.map(jnp.asarray, solved.boards)
    for searching, name in ((True, who), (False, f"{who}, no search")):

        def chosen(params: PyTree, searching: bool = searching) -> Array:
            return judge.player(params, searching=searching)(jax.random.key(TEST), asked)

        actions = np.asarray(run.each(chosen, params))
        if solved is not None:
            lost = [losses(solved, each) for each in actions]
            goal = (0, "our goal") if searching and judged else None
            run.metric(f"losses to the perfect player{name}", lost, "lower", goal)
            actions = actions[:, differ(solved.action)]
        marks = [exam.marks(jnp.asarray(each)) for each in actions]
        goal = (0.95, "our goal") if solved is None and searching and judged else None
        values = [float(each["optimal"]) for each in marks]
        run.metric(f"optimal moves{name}", values, goal=goal, positions=len(exam.action))
        run.metric(f"needless losses{name}", [float(each["lost"]) for each in marks], "lower")


def beside(run: Study, judge: Judge) -> None:
    """What those play in the exam's positions who learn nothing."""
    exam, rival = judge.exam, match.searcher(judge.game, judge.rival)
    marks = exam.marks(jax.jit(rival)(jax.random.key(TEST), exam.boards))
    run.baseline(f"UCT-{judge.rival}", "optimal moves", marks["optimal"])
    legal = (exam.action > -2).sum(1)
    best = (exam.action == exam.action.max(1, keepdims=True)).sum(1)
    run.baseline("any legal move", "optimal moves", (best / legal).mean())


def play_all(
    run: Study, judge: Judge, params: PyTree, count: int, who: str, goal: tuple[float, str] | None
) -> tuple[Board, np.ndarray, Callable[[Board], tuple[Array, Array]]]:
    """Every player's `count` games against chance and against UCT, whose score has the goal.

    And whether its first move is in the middle. What is drawn: where the first game of the first
    player began, its moves, and the network.
    """

    def games(rival: Player) -> Any:
        def one(params: PyTree, seed: Array) -> tuple[Board, Match]:
            key = jax.random.fold_in(jax.random.key(TEST), seed)
            return judge.against(judge.player(params), rival, key, count)

        return run.each(one, params, jnp.array(run.seeds))

    def told(name: str, found: Match, goal: tuple[float, str] | None = None) -> None:
        scores = [float(((1 + each) / 2).mean()) for each in np.asarray(found.result, float)]
        shares: dict[str, Any] = {
            word: float((found.result == k).mean()) for word, k in SHARES.items()
        }
        run.metric(f"score against {name}{who}", scores, goal=goal, **shares)

    def opens(params: PyTree) -> Array:
        empty = jax.tree.map(lambda leaf: leaf[None], judge.game.init())
        return judge.player(params)(jax.random.key(TEST), empty)[0]

    middle = np.asarray(run.each(opens, params)) == judge.game.actions // 2
    run.metric(f"first move in the middle{who}", middle.astype(float))
    told("a random player", games(match.chance(judge.game))[1])
    begun, found = games(match.searcher(judge.game, judge.rival))
    told(f"UCT-{judge.rival}", found, goal)
    one = jax.tree.map(lambda leaf: leaf[0], params)
    net = functools.partial(alphazero.told, judge.game, judge.net, one)
    return jax.tree.map(lambda leaf: leaf[0, 0], begun), np.asarray(found.moves)[0, :, 0], net


def exam(game: Game, key: Key, count: int, empty: int, solved: Solved | None) -> Exam:
    """At most `count` positions of `empty` cells or less that random play reaches, solved here.

    Of a solved game it is all positions, whatever their number. Only those are asked in which a
    legal move is worse than another.
    """
    if solved is not None:
        rows = np.flatnonzero(differ(solved.action))
        found, action = jax.tree.map(lambda leaf: leaf[rows], solved.boards), solved.action[rows]
        return Exam(jax.tree.map(jnp.asarray, found), jnp.asarray(action))
    filled = game.cells - empty
    k_count, k_move = jax.random.split(key)
    # of few random games so many moves are played before somebody has won
    length = jax.random.randint(k_count, (128 * count,), filled, game.cells, jnp.int32)
    boards = jax.jit(game.opened, static_argnums=2)(k_move, length, game.cells)
    cells = np.unique(np.asarray(boards.cells)[np.asarray(boards.count) >= filled], axis=0)
    solver, rows, actions = Solver(game), [], []
    for i in np.random.default_rng(0).permutation(len(cells)):
        if len(rows) == count:
            break
        values = solver.actions(solver.position(cells[i]))
        if differ(values[None])[0]:
            rows.append(i)
            actions.append(values)
    if not rows:
        raise InputError(
            f"random play reached no such position of {empty} empty cells; --empty more"
        )
    found = jnp.asarray(cells[rows])
    moves = (found != 0).sum((1, 2), dtype=jnp.int32)
    return Exam(Board(found, moves, jnp.zeros(len(rows), jnp.int8)), jnp.asarray(np.stack(actions)))


def differ(action: np.ndarray) -> np.ndarray:
    """Where legal moves are not all worth the same: values [N, A], -2 where illegal -> bool [N]."""
    worst = np.where(action > -2, action, 2).min(1)
    return (action.max(1) > worst) & (worst < 2)


def losses(solved: Solved, chosen: np.ndarray) -> int:
    """Positions not lost yet, from which who moves as `chosen` [S] loses to a perfect opponent.

    The opponent knows what will be chosen, and tries every way through the whole tree:
    `a(s) = b(s after chosen[s])` where it is the player's turn, `b(s) = min_m a(s after m)`.
    """
    ours, theirs = solved.value.copy(), -solved.value  # right where a game is over
    for s in reversed(range(len(chosen))):
        follow = solved.child[s]
        if (follow >= 0).any():
            ours[s] = theirs[follow[chosen[s]]]
            theirs[s] = ours[follow[follow >= 0]].min()
    return int(((ours < 0) & (solved.value >= 0) & ~solved.over).sum())
