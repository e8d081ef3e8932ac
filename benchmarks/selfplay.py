"""Moves of Connect Four by Gumbel search with a network, beside pgx's rules in mctx's tree.

Both sides search 16 positions a move with the same residual network and weights, and put a fresh
game in place of one that is over; nobody learns. The peer is arranged as pgx's public AlphaZero
example, whose tree is mctx's too: rules and what surrounds them differ. Equal shares of the games
are on every device of either side, on a CPU one a core. UCT with random games, which asks no
network, is timed beside them.
"""

import importlib.util
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mctx

from benchmarks.measure import everywhere, interleaved, row
from dljax.envs.boards import CONNECT_FOUR, repeated
from dljax.host.devices import local
from dljax.learn import alphazero, uct
from dljax.learn.policy_gradient import heads
from dljax.nets.alphazero import BoardNet
from dljax.ops.pick import pick
from dljax.typing import PyTree

GAMES, MOVES, SIMULATIONS, ROLLOUTS, REPEATS = 64, 8, 16, 1000, 7
NET = BoardNet(CONNECT_FOUR.actions)


def ours(params: PyTree, games: int) -> tuple[Callable, PyTree]:
    """What a device plays, `(key, boards) -> boards`, and where it begins."""
    game = CONNECT_FOUR
    find = alphazero.search(game, NET, simulations=SIMULATIONS)
    empty = repeated(game.init(), games)

    def move(key, boards):
        after = jax.vmap(game.move)(boards, find(params, key, boards).action)
        return pick(jax.vmap(game.done)(after), empty, after)

    return move, empty


def by_pgx(params: PyTree, games: int) -> tuple[Callable, PyTree]:
    import pgx  # pyright: ignore[reportMissingImports]
    from pgx.experimental import auto_reset  # pyright: ignore[reportMissingImports]

    env = pgx.make("connect_four")
    step = jax.vmap(auto_reset(env.step, env.init))
    rows, policy = jnp.arange(games), mctx.gumbel_muzero_policy
    output: Any = mctx.RecurrentFnOutput

    def told(state):
        logits, value = heads(NET, params, state.observation.astype(jnp.float32))
        return jnp.where(state.legal_action_mask, logits, -1e9), value

    def recurrent(params, key, action, state):
        player = state.current_player
        state = jax.vmap(env.step)(state, action)
        logits, value = told(state)
        value = jnp.where(state.terminated, 0.0, value)
        discount = jnp.where(state.terminated, 0.0, -1.0)
        reward = state.rewards[rows, player]
        return output(reward=reward, discount=discount, prior_logits=logits, value=value), state

    def move(key, state):
        logits, value = told(state)
        root: Any = mctx.RootFnOutput
        root = root(prior_logits=logits, value=value, embedding=state)
        k_search, k_reset = jax.random.split(key)
        found = policy(
            params, k_search, root, recurrent, SIMULATIONS,  # pyright: ignore
            invalid_actions=~state.legal_action_mask,
        )  # fmt: skip
        return step(state, found.action, jax.random.split(k_reset, games))

    return move, jax.jit(jax.vmap(env.init))(jax.random.split(jax.random.key(0), games))


def random_games(games: int) -> tuple[Callable, PyTree]:
    """UCT's moves, of the rules alone."""
    game = CONNECT_FOUR
    empty = repeated(game.init(), games)

    def move(key, boards):
        action = uct.search(game, key, boards, ROLLOUTS).argmax(1)
        after = jax.vmap(game.move)(boards, action)
        return pick(jax.vmap(game.done)(after), empty, after)

    return move, empty


def playing(move: Callable, begun: PyTree, moves: int) -> Callable[[], Any]:
    """A call in which every device makes so many moves of its games."""
    count = len(local())

    def play(key, state):
        keys = jax.random.split(key, moves)
        return jax.lax.scan(lambda state, key: (move(key, state), None), state, keys)[0]

    state = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), begun)
    return everywhere(play, jax.random.split(jax.random.key(1), count), state)


def main(peak: float, games: int = GAMES, moves: int = MOVES) -> list[dict[str, Any]]:
    del peak
    params = NET.init(jax.random.key(2), jnp.zeros((1, 6, 7, 2)))["params"]
    sides = {"ours": playing(*ours(params, games), moves)}
    if importlib.util.find_spec("pgx"):
        sides["pgx and mctx"] = playing(*by_pgx(params, games), moves)
    else:
        print("pgx is not installed, and not measured; pip install -e '.[bench]' brings it")
    times = interleaved(sides, REPEATS)
    count = len(local())
    total = count * games * moves
    rate = {name: round(1e3 * total / each["median_ms"]) for name, each in times.items()}
    work = f"{moves} moves of {count * games} games of Connect Four, {SIMULATIONS} positions each"
    found = [row(work, times, ours="ours", moves_a_second=rate, devices={"ours": count})]
    alone = interleaved({"ours": playing(*random_games(games), 1)}, REPEATS)
    work = f"a move of {count * games} games by UCT, {ROLLOUTS} random games each"
    rate = round(1e3 * count * games / alone["ours"]["median_ms"])
    return [*found, row(work, alone, ours="ours", moves_a_second=rate, devices={"ours": count})]
