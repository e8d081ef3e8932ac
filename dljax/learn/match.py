"""Players of a game against each other, many games at once (S48)."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.envs.boards import Board, Game, mover
from dljax.learn import alphazero, uct
from dljax.typing import Array, Key, PyTree

Player = Callable[[Key, Board], Array]
"""`(key, boards [B]) -> actions [B]`; what it says of a finished game is not heard."""


class Match(NamedTuple):
    """What came of games [B]."""

    result: Array  # 1 the player won, -1 the rival, 0 a draw; int8
    moves: Array  # actions in order, [T, B], int32; -1 after the end


def chance(game: Game) -> Player:
    """Any legal action, each as likely."""

    def act(key: Key, boards: Board) -> Array:
        legal = jax.vmap(game.legal)(boards)
        return jnp.where(legal, jax.random.uniform(key, legal.shape), -1).argmax(1)

    return act


def searcher(game: Game, simulations: int, c: float = 1.0) -> Player:
    """UCT with random games: the action tried most."""

    def act(key: Key, boards: Board) -> Array:
        return uct.search(game, key, boards, simulations, c).argmax(1)

    return act


def learnt(game: Game, net: nn.Module, params: PyTree, simulations: int) -> Player:
    """What Gumbel search without noise chooses by a network; with 0 simulations, its policy."""
    find = alphazero.search(game, net, simulations=simulations, gumbel=0.0) if simulations else None

    def act(key: Key, boards: Board) -> Array:
        if find is None:
            return alphazero.told(game, net, params, boards)[0].argmax(1)
        return find(params, key, boards).action

    return act


def play(game: Game, player: Player, rival: Player, boards: Board, key: Key) -> Match:
    """Games from boards [B], all of as many moves; the player is to move in the first half of them.

    Both move at once, each in its half of the games, so that nobody ever waits.
    """
    size, half = len(boards.count), len(boards.count) // 2
    move, over = jax.vmap(game.move), jax.vmap(game.done)

    def one(key: Key, there: Board, act: Player) -> tuple[Board, Array]:
        action = jnp.where(over(there), -1, act(key, there)).astype(jnp.int32)
        return move(there, action), action

    def both(at: tuple) -> tuple:
        """A move of each side, so that who moves where is known when compiled."""
        t, ours, theirs, moves = at
        keys = jax.random.split(jax.random.fold_in(key, t), 4)
        for k, (here, there) in enumerate(((player, rival), (rival, player))):
            ours, first = one(keys[2 * k], ours, here)
            theirs, second = one(keys[2 * k + 1], theirs, there)
            moves = moves.at[t + k].set(jnp.concatenate([first, second]))
        return t + 2, ours, theirs, moves

    def goes_on(at: tuple) -> Array:
        return ~(over(at[1]).all() & over(at[2]).all())

    halves = (Board(*(x[:half] for x in boards)), Board(*(x[half:] for x in boards)))
    moves = jnp.full((game.cells + game.cells % 2, size), -1, jnp.int32)
    _, ours, theirs, moves = jax.lax.while_loop(goes_on, both, (jnp.int32(0), *halves, moves))
    player_is = jax.vmap(mover)(boards) * jnp.where(jnp.arange(size) < half, 1, -1)
    winner = jnp.concatenate([ours.winner, theirs.winner])
    return Match((winner * player_is).astype(jnp.int8), moves)


def score(match: Match) -> Array:
    """Wins and half of the draws, as a share of all games."""
    return ((1 + match.result) / 2).mean()
