"""Monte Carlo tree search without a network: UCT with random games, for many boards at once (S49).

Kocsis and Szepesvari 2006. The opponent that a learnt player must beat, as it knows nothing but the
rules.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dljax.envs.boards import Board, Game, mover
from dljax.errors import check_count
from dljax.ops.pick import pick
from dljax.typing import Array, Key

C = 0.5
"""How much search explores: of .35, .5, .7, 1 and 1.41 the strongest in Connect Four at 1,000
random games a move (a slow test plays them)."""


class Tree(NamedTuple):
    """Edges of the trees of B boards, each of M nodes: node n of board b is row b M + n."""

    visits: Array  # [B M, A]
    worth: Array  # [B M, A], summed, in [0, 1] for the player who moves
    child: Array  # [B M, A], int32: the node behind, 0 where there is none yet


class Descent(NamedTuple):
    """A way down from the root."""

    row: Array  # of the node now, [B]
    board: Board
    going: Array  # bool [B]
    path: Array  # edges taken, [D, B], row A + a, beyond all edges where none was
    depth: Array


def search(game: Game, key: Key, boards: Board, simulations: int, c: float | Array = C) -> Array:
    """How often each action of boards [B] was tried in `simulations`, [B, A]: the more, the better.

    Down the tree `argmax_a W_a / N_a + c sqrt(ln N / N_a)`, those untried first, W counting wins as
    1 and draws as 1/2; one new node a simulation, from which a random game is played to its end.
    Exact in the limit. Raises InputError for no simulation.
    """
    check_count(simulations=simulations)
    size, edges = len(boards.count), game.actions
    nodes, deepest = simulations + 1, min(game.cells, simulations)
    base = nodes * jnp.arange(size, dtype=jnp.int32)
    none = jnp.int32(size * nodes * edges)  # no edge: writes there are dropped
    first = jax.vmap(mover)(boards)
    over, legal = jax.vmap(game.done), jax.vmap(game.legal)
    move, finish = jax.vmap(game.move), jax.vmap(game.finish)

    def best(tree: Tree, row: Array, board: Board, ties: Array) -> Array:
        tried, worth = tree.visits[row], tree.worth[row]
        total = tried.sum(1, keepdims=True)
        known = jnp.maximum(tried, 1)
        score = worth / known + c * jnp.sqrt(jnp.log(jnp.maximum(total, 1)) / known)
        score = jnp.where(tried > 0, score, 1e3 + ties)  # chance among the untried
        return jnp.where(legal(board), score, -1.0).argmax(1).astype(jnp.int32)

    def simulate(number: Array, tree: Tree) -> Tree:
        k_ties, k_finish = jax.random.split(jax.random.fold_in(key, number))
        ties = jax.random.uniform(k_ties, (size, edges))

        def down(at: Descent) -> Descent:
            action = best(tree, at.row, at.board, ties)
            edge = at.row * edges + action
            board = pick(at.going, move(at.board, action), at.board)
            path = at.path.at[at.depth].set(jnp.where(at.going, edge, none))
            child = tree.child.reshape(-1)[edge]
            going = at.going & (child > 0) & ~over(board)
            return Descent(jnp.where(going, base + child, at.row), board, going, path, at.depth + 1)

        path = jnp.full((deepest, size), none)
        begun = Descent(base, boards, ~over(boards), path, jnp.int32(0))
        leaf = jax.lax.while_loop(lambda at: at.going.any() & (at.depth < deepest), down, begun)
        noise = jax.random.exponential(k_finish, boards.cells.shape)
        winner = finish(leaf.board, noise)
        # the players of a path alternate, and the first of it is the root's
        turn = 1 - 2 * (jnp.arange(deepest) % 2)
        worth = (1 + (winner * first)[None] * turn[:, None]) / 2
        last = jnp.max(jnp.where(leaf.path < none, jnp.arange(deepest)[:, None], 0), 0)
        edge = jnp.take_along_axis(leaf.path, last[None], 0)[0]

        visits = tree.visits.reshape(-1).at[leaf.path].add(1.0, mode="drop")
        summed = tree.worth.reshape(-1).at[leaf.path].add(worth, mode="drop")
        child = tree.child.reshape(-1).at[edge].set(number + 1, mode="drop")
        return Tree(*(x.reshape(-1, edges) for x in (visits, summed, child)))

    empty = jnp.zeros((size * nodes, edges))
    tree = jax.lax.fori_loop(0, simulations, simulate, Tree(empty, empty, empty.astype(jnp.int32)))
    return tree.visits[base]
