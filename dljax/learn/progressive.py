"""A GAN whose networks grow while they learn (S44): each level doubles the images' sides.

Karras et al. 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation".
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dljax.data.stream import Stream
from dljax.errors import InputError, check_count
from dljax.learn import gan
from dljax.learn.gan import GAN
from dljax.learner import Learner
from dljax.nets.progressive import double, faded, halve
from dljax.typing import Array, Key, Metrics

Networks = Callable[[int, Any], GAN]
"""`(level, fade) -> the networks of that level`, all of one tree of parameters."""


class State(NamedTuple):
    """The game, and how many steps of it are done."""

    game: gan.State
    done: Array


def stage(begins: Sequence[int], fade: int, done: Any) -> tuple[Any, Any]:
    """The level after `done` steps, and how far it has faded in, in [0, 1].

    A level that begins at step 0 was never without.
    """
    starts = jnp.asarray(begins)
    level = jnp.sum(done >= starts) - 1
    since = (done - starts[level]).astype(jnp.float32)
    return level, jnp.where(starts[level] == 0, 1, jnp.clip(since / fade, 0, 1))


def shown(x: Array, level: int, fade: Any, levels: int) -> Array:
    """Real images x [B, h, w, c] as level `level` of `levels` sees them, faded as its networks."""
    for _ in range(levels - 1 - level):
        x = halve(x)
    return faded(fade, x, double(halve(x))) if level else x


def make(
    networks: Networks,
    game: Callable[[GAN, Stream], Learner],
    stream: Stream,
    *,
    begins: Sequence[int],
    fade: int,
) -> Learner:
    """A `game`, which is `gan.make`'s, at level i from step `begins[i]` on, faded in over `fade`.

    `begins` all 0 is the fixed network of the last level. Adam's memories of what rested are empty
    when it wakes, and its first steps longer: with (.5, .9) by .7. Raises InputError if the steps
    in `begins` do not rise from 0, for `fade` below 1, and as the game does.
    """
    check_count(fade=fade)
    begins, levels = tuple(begins), len(begins)
    if not begins or begins[0] != 0 or list(begins) != sorted(begins):
        raise InputError(f"levels must begin at step 0 and then one after another; got {begins}")

    def at(level: int, share: Any) -> Learner:
        def draw(position: Any) -> tuple[Any, Any]:
            position, drawn = stream.next(position)
            return position, drawn._replace(x=shown(drawn.x, level, share, levels))

        return game(networks(level, share), Stream(stream.init, draw))

    whole = at(levels - 1, 1.0)

    def init(key: Key) -> State:
        return State(whole.init(key), jnp.int32(0))

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        level, share = stage(begins, fade, state.done)
        told = jax.eval_shape(whole.step, key, state.game)[1]
        metrics = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), told)
        turn = state.game, metrics, jnp.bool_(True)
        for i, (start, end) in enumerate(zip(begins, (*begins[1:], None), strict=True)):
            if start != end:
                turn = once(level == i, lambda turn, i=i: play(i, share, key, turn[0]), turn)
        return State(turn[0], state.done + 1), turn[1]

    def play(level: int, share: Any, key: Key, state: gan.State):
        state, metrics = at(level, share).step(key, state)
        return state, metrics, jnp.bool_(False)

    return Learner(init, step)


def once(mine: Array, play: Callable[[Any], Any], turn: Any) -> Any:
    """`play(turn)` where the turn is `mine` and not yet taken.

    A loop of one step at most: a `cond` would under `vmap` compute every level for all, and a loop
    ends at once where it is nobody's turn.
    """
    return jax.lax.while_loop(lambda turn: mine & turn[2], play, turn)
