"""Players of a game against each other, many games at once (S49)."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.envs.boards import Board, Game, mover
from dljax.errors import InputError
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


def searcher(game: Game, simulations: int, c: float | Array = uct.C) -> Player:
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

    Both move at once, each in its half of the games, and then change places, so that nobody ever
    waits. Raises InputError for an odd number of games.
    """
    size, half = len(boards.count), len(boards.count) // 2
    if size % 2:
        raise InputError(f"an even number of games is needed, half for either side; got {size}")
    move, over = jax.vmap(game.move), jax.vmap(game.done)

    def one(act: Player, key: Key, there: Board) -> tuple[Board, Array]:
        action = jnp.where(over(there), -1, act(key, there)).astype(jnp.int32)
        return move(there, action), action

    def turn(at: tuple) -> tuple:
        t, mine, other, moves = at
        k_mine, k_other = jax.random.split(jax.random.fold_in(key, t))
        mine, first = one(player, k_mine, mine)
        other, second = one(rival, k_other, other)
        return t + 1, other, mine, moves.at[t].set(jnp.concatenate([first, second]))

    def goes_on(at: tuple) -> Array:
        return ~(over(at[1]).all() & over(at[2]).all())

    halves = (Board(*(x[:half] for x in boards)), Board(*(x[half:] for x in boards)))
    moves = jnp.full((game.cells, size), -1, jnp.int32)
    t, *halves, moves = jax.lax.while_loop(goes_on, turn, (jnp.int32(0), *halves, moves))
    odd = (jnp.arange(game.cells) % 2 == 1)[:, None]
    moves = jnp.where(odd, jnp.roll(moves, half, 1), moves)
    winner = jnp.concatenate([each.winner for each in halves])
    winner = jnp.where(t % 2 == 1, jnp.roll(winner, half), winner)
    player_is = jax.vmap(mover)(boards) * jnp.where(jnp.arange(size) < half, 1, -1)
    return Match((winner * player_is).astype(jnp.int8), moves)


def score(match: Match) -> Array:
    """Wins and half of the draws, as a share of all games."""
    return ((1 + match.result) / 2).mean()
