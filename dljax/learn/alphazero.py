"""Learning a game by playing oneself: AlphaZero with Gumbel search (S49).

The search improves on the network's policy, the network learns what the search found and how the
games ended, and so the next search begins better. The rules are known (`dljax.envs.boards`), and
the tree is mctx's. Silver et al. 2018; Danihelka et al. 2022.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import mctx
import optax

from dljax.envs.boards import Board, Game, mover
from dljax.errors import InputError, check_count, check_unit
from dljax.learn import risk, shapes
from dljax.learn.policy_gradient import heads
from dljax.learn.replay import Replay, places, ring
from dljax.learner import Fit, Learner, Objective, gradient_step
from dljax.ops import returns
from dljax.ops.pick import pick
from dljax.typing import Array, Batch, Key, Metrics, PyTree

gumbel_policy: Any = mctx.gumbel_muzero_policy  # its annotations are chex's
LOW = -1e9  # the logit of what is illegal; finite, since a search subtracts logits


class Sample(NamedTuple):
    """What is learnt from, [B, ...]."""

    observation: Array  # bool [R, C, 2]
    policy: Array  # what the search would do, [A]
    value: Array  # the end of the game for the player to move, or its estimate


class State(NamedTuple):
    fit: Fit
    boards: Board  # the games in play, [B]
    replay: Replay
    games: Array  # finished, int32


class Found(NamedTuple):
    """What a search found on boards [B]."""

    action: Array  # [B], int32
    policy: Array  # the improved policy, [B, A]
    value: Array  # of the root, for the player to move, [B]


Search = Callable[[PyTree, Key, Board], Found]
"""`(params, key, boards [B]) -> Found`."""


def told(game: Game, net: nn.Module, params: PyTree, boards: Board) -> tuple[Array, Array]:
    """The network's logits [B, A], illegal actions masked, and value [B] for the player to move."""
    seen = jax.vmap(game.observe)(boards).astype(jnp.float32)
    logits, value = heads(net, params, seen)
    return jnp.where(jax.vmap(game.legal)(boards), logits, LOW), value


def search(
    game: Game, net: nn.Module, *, simulations: int, considered: int = 16, gumbel: float = 1.0
) -> Search:
    """Gumbel search over the true game: at the root, sequential halving of `considered` actions.

    `pi' = softmax(logits + sigma(q))`, q the searched values, completed by the network's where an
    action was not visited. `gumbel` 0 plays without chance. A game that is over is left as it is.
    Danihelka et al. 2022, sections 3 and 4.
    """
    check_count(simulations=simulations, considered=considered)

    def recurrent(params: PyTree, key: Key, action: Array, boards: Board) -> tuple[Any, Board]:
        del key
        player, over = jax.vmap(mover)(boards), jax.vmap(game.done)(boards)
        after = jax.vmap(game.move)(boards, action)
        logits, value = told(game, net, params, after)
        # what an end is worth is the move's reward; what follows is the other player's
        reward = jnp.where(over, 0, after.winner * player).astype(value.dtype)
        discount = jnp.where(jax.vmap(game.done)(after), 0, -1).astype(value.dtype)
        output: Any = mctx.RecurrentFnOutput  # whose type checkers do not see its arguments
        return output(reward=reward, discount=discount, prior_logits=logits, value=value), after

    def find(params: PyTree, key: Key, boards: Board) -> Found:
        logits, value = told(game, net, params, boards)
        root: Any = mctx.RootFnOutput
        root = root(prior_logits=logits, value=value, embedding=boards)
        with jax.numpy_rank_promotion("allow"):  # mctx's own
            output = gumbel_policy(
                params,
                key,
                root,
                recurrent,
                simulations,
                invalid_actions=~jax.vmap(game.legal)(boards),
                max_num_considered_actions=considered,
                gumbel_scale=gumbel,
            )
        worth = output.search_tree.node_values[:, 0]
        return Found(output.action.astype(jnp.int32), output.action_weights, worth)

    return find


def targets(reward: Array, over: Array, searched: Array, last: Array, lam: float | Array) -> Array:
    """What each position turned out to be worth for its player: [T, B], from [T, B] and last [B].

    `z_t = r_t` where move t ends the game, else `-((1 - lam) q_{t+1} + lam z_{t+1})`, q what the
    search found and `z_T = q_T = last`: a lambda-return of discount -1, since the other player is
    next. With lam 1 it is the end of the game, for games that end within T moves.
    """
    following = jnp.concatenate([searched[1:], last[None]])
    back = jax.vmap(returns.lambda_return, (1, 1, 1, 1, None, None), 1)
    return back(reward, over, jnp.zeros_like(over), following, -1.0, lam)


def objective(net: nn.Module, value_weight: float | Array = 1.0) -> Objective:
    """`J = mean[-pi' . log pi(s) + value_weight (v(s) - z)^2]` over a Sample."""

    def mean(params: PyTree, extra: PyTree, sample: Sample, key: Key):
        del key
        logits, value = heads(net, params, sample.observation)
        policy = optax.softmax_cross_entropy(logits, sample.policy).mean()
        error = ((value - sample.value) ** 2).mean()
        metrics = {"policy_loss": policy, "value_loss": error}
        return policy + value_weight * error, (extra, metrics)

    return mean


def turned(game: Game, sample: Sample, which: Array) -> Sample:
    """Positions [B] and what is known of them, each under the symmetry `which` [B] of the rules."""
    cells, actions = (jnp.asarray(each)[which] for each in game.symmetries())
    flat = sample.observation.reshape(len(which), game.cells, 2)
    flat = jnp.take_along_axis(flat, cells[..., None], 1)
    policy = jnp.take_along_axis(sample.policy, actions, 1)
    return Sample(flat.reshape(sample.observation.shape), policy, sample.value)


def imitate(
    game: Game, net: nn.Module, tx: optax.GradientTransformation, record: Sample, *, batch: int
) -> Learner:
    """Descent on recorded positions [n]: what was played there, and how those games ended.

    Its parameters are where `make` may `begin`: first games of others, then one's own, as Silver et
    al. 2016 did. Raises InputError if `batch` exceeds n.
    """
    goal, count = objective(net), len(game.symmetries().cells)
    data = Batch(record.observation.astype(jnp.float32), (record.policy, record.value))

    def mean(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        return goal(params, extra, Sample(batch.x, *batch.y), key)

    def turn(key: Key, batch: Batch) -> Batch:
        which = jax.random.randint(key, (len(batch.x),), 0, count)
        seen, policy, value = turned(game, Sample(batch.x, *batch.y), which)
        return Batch(seen, (policy, value))

    return risk.descend(net, mean, tx, data, batch=batch, augment=turn)


def recorded(game: Game, opening: Board, moves: Array) -> tuple[Sample, Array]:
    """What was seen and played in games, and who won them, [T, B]: and where a game still went on.

    opening: boards [B]; moves [T, B], -1 after the end, as of `match.play`.
    """

    def one(boards: Board, action: Array) -> tuple[Board, tuple]:
        after = pick(action >= 0, jax.vmap(game.move)(boards, action), boards)
        seen = jax.vmap(game.observe)(boards), jax.vmap(mover)(boards)
        return after, (*seen, jax.nn.one_hot(action, game.actions))

    last, (observation, player, policy) = jax.lax.scan(one, opening, moves)
    value = (player * last.winner[None]).astype(jnp.float32)
    return Sample(observation, policy, value), moves >= 0


def make(
    game: Game,
    net: nn.Module,
    tx: optax.GradientTransformation,
    *,
    games: int,
    plies: int,
    simulations: int,
    capacity: int,
    batch: int,
    updates: int,
    openings: int = 0,
    lam: float | Array = 1.0,
    value_weight: float | Array = 1.0,
    considered: int = 16,
    begin: PyTree | None = None,
) -> Learner:
    """A step plays `plies` moves of `games` games at once by search, then descends `updates` times.

    A finished game is followed by one that begins with up to `openings` random moves, which are not
    learnt from. Batches come from the last `capacity` positions, each turned or reflected by chance
    as the rules allow. Targets are those of `targets`. The network starts as `begin`, if given.

    Raises InputError where capacity is no multiple of what a step plays, a batch is more than that,
    or the network does not fit the game.
    """
    check_count(games=games, plies=plies, capacity=capacity, batch=batch, updates=updates)
    check_unit(lam=lam)
    seen = (game.rows, game.columns, 2)
    logits, value = shapes.given(net, lambda: jnp.zeros((1, *seen)), 2)
    shapes.check(logits, (game.actions,), "the game's actions need")
    shapes.check(value, (), "a value is")
    if not 0 <= openings < game.cells:
        raise InputError(f"openings must be from 0 to {game.cells - 1} moves; got {openings}")
    if capacity % (games * plies) or batch > games * plies:
        raise InputError(
            "batch <= games x plies, which divides capacity, is needed; "
            f"got {batch}, {games} x {plies} and {capacity}"
        )
    find = search(game, net, simulations=simulations, considered=considered)
    descend = gradient_step(objective(net, value_weight), tx)
    like = Sample(jnp.zeros(seen, bool), jnp.zeros(game.actions), jnp.zeros(()))
    memory = ring(like, capacity)

    def begun(key: Key, shape: tuple[int, ...]) -> Board:
        k_count, k_move = jax.random.split(key)
        count = jax.random.randint(k_count, shape, 0, openings + 1, jnp.int32)
        return game.opened(k_move, count, openings)

    def init(key: Key) -> State:
        k_net, k_open = jax.random.split(key)
        params = net.init(k_net, jnp.zeros((1, *seen)))["params"] if begin is None else begin
        boards = begun(k_open, (games,))
        return State(Fit(params, {}, tx.init(params)), boards, memory.init(), jnp.int32(0))

    def play(params: PyTree, boards: Board, drawn: tuple[Key, Board]):
        key, fresh = drawn
        found = find(params, key, boards)
        observation, player = jax.vmap(game.observe)(boards), jax.vmap(mover)(boards)
        after = jax.vmap(game.move)(boards, found.action)
        over = jax.vmap(game.done)(after)
        reward = (after.winner * player).astype(jnp.float32)
        seen = observation, found.policy, found.value, reward, over
        return pick(over, fresh, after), seen

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        k_search, k_open, k_batch, k_turn, k_descend = jax.random.split(key, 5)
        keys = jax.random.split(k_search, plies)
        fresh = begun(k_open, (plies, games))
        params = state.fit.params
        boards, seen = jax.lax.scan(
            lambda boards, drawn: play(params, boards, drawn), state.boards, (keys, fresh)
        )
        observation, policy, searched, reward, over = seen
        z = targets(reward, over, searched, told(game, net, params, boards)[1], lam)
        rows = Sample(observation, policy, z)
        rows = jax.tree.map(lambda leaf: leaf.reshape(games * plies, *leaf.shape[2:]), rows)
        replay = memory.add(state.replay, rows)
        shares = jax.random.uniform(k_batch, (updates, batch + 1))
        which = jax.random.randint(k_turn, (updates, batch), 0, len(game.symmetries().cells))

        def learn(fit: Fit, drawn: tuple[Array, Array, Key]) -> tuple[Fit, Metrics]:
            shares, which, key = drawn
            found = memory.take(replay, places(shares, replay.written, capacity, capacity))
            sample = turned(game, found, which)
            seen = sample.observation.astype(jnp.float32)
            return descend(key, fit, sample._replace(observation=seen))

        drawn = shares, which, jax.random.split(k_descend, updates)
        fit, metrics = jax.lax.scan(learn, state.fit, drawn)
        metrics = {name: each.mean() for name, each in metrics.items()}
        finished = state.games + over.sum(dtype=jnp.int32)
        metrics |= {
            "games": finished.astype(jnp.float32),
            "entropy": -(policy * jnp.log(jnp.maximum(policy, 1e-9))).sum(-1).mean(),
            "drawn": (over & (reward == 0)).sum() / jnp.maximum(over.sum(), 1),
        }
        return State(fit, boards, replay, finished), metrics

    return Learner(init, step)
