"""The next token of a text (S16, S17, S18, S23): tracks read side by side, scored as one stream.

`J = -1/T sum_t log p(x_{t+1} | x_1 .. x_t)` in nats a token. A recurrent network's state goes on
from window to window and only its gradient is cut there: truncated backpropagation through time,
Williams and Peng 1990.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from dljax.errors import InputError, check_count
from dljax.learn import shapes
from dljax.learner import Fit, Learner, Objective, gradient_step
from dljax.ops.sampling import draw
from dljax.typing import Array, Key, Metrics, PyTree


class State(NamedTuple):
    """What descent carries, and how many windows were read. `fit.extra` is the network's memory."""

    fit: Fit
    key: Key  # of the offsets at which the tracks of each epoch begin
    windows: Array


def objective(net: nn.Module) -> Objective:
    """The mean loss of windows [B, T + 1], the memory being what was learnt without a gradient."""

    def mean(params: PyTree, memory: PyTree, tokens: Array, key: Key):
        options = {"train": True, "rngs": {"dropout": key}}
        found: Any = net.apply({"params": params}, tokens[:, :-1], memory, **options)
        logits, memory = found
        return losses(logits, tokens[:, 1:]).mean(), (memory, {})

    return mean


def losses(logits: Array, tokens: Array) -> Array:
    """`-log softmax(logits)_token`: [..., V], [...] -> [...], in nats."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, tokens)


def make(
    net: nn.Module, tx: optax.GradientTransformation, tokens: Any, *, batch: int, length: int
) -> Learner:
    """A learner of a text, tokens [N], by windows of `length` on `batch` tracks side by side.

    `net(tokens [B, T], memory, train=) -> logits [B, T, V], memory`. Each epoch begins at another
    offset, with an empty memory, and once in it each track forgets, one after the other: a network
    that seldom begins anew can get stuck where it does. Raises InputError if the text is too short
    for one window a track, or has tokens beyond the network's V.
    """
    check_count(batch=batch, length=length)
    given, tokens = tokens, jnp.asarray(tokens, jnp.int32)
    per_epoch = (len(tokens) - 1) // (batch * length)
    if per_epoch < 1:
        need = batch * length + 1
        raise InputError(f"{batch} windows of {length} need {need} tokens; got {len(tokens)}")
    # as they were given: in a sweep's program what is on the device is no more known
    shapes.check_labels(shapes.given(net, lambda: tokens[None, :1], None)[0], given[:, None])
    slack = len(tokens) - batch * length * per_epoch  # at least 1: the last target
    starts = jnp.arange(batch) * length * per_epoch
    forgets = jnp.arange(batch) * per_epoch // batch  # each track's window
    one_step = gradient_step(objective(net), tx)

    def init(key: Key) -> State:
        k_net, k_tracks = jax.random.split(key)
        params = net.init(k_net, tokens[None, :1])["params"]
        memory = empty(net, params, batch)
        return State(Fit(params, memory, tx.init(params)), k_tracks, jnp.int32(0))

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        epoch, window = state.windows // per_epoch, state.windows % per_epoch
        offset = jax.random.randint(jax.random.fold_in(state.key, epoch), (), 0, slack)
        at = (offset + window * length + starts)[:, None] + jnp.arange(length + 1)[None]
        anew = ((window == 0) | (window == forgets))[:, None]
        memory = jax.tree.map(lambda m: jnp.where(anew, 0, m), state.fit.extra)
        fit, metrics = one_step(key, state.fit._replace(extra=memory), tokens[at])
        return State(fit, state.key, state.windows + 1), metrics

    return Learner(init, step)


def empty(net: nn.Module, params: PyTree, batch: int) -> PyTree:
    """The network's memory before it has read anything: zeros."""
    found: Any = jax.eval_shape(
        lambda: net.apply({"params": params}, jnp.zeros((batch, 1), jnp.int32))
    )
    return jax.tree.map(lambda each: jnp.zeros(each.shape, each.dtype), found[1])


def score(
    net: nn.Module,
    params: PyTree,
    tokens: Any,
    counted: Any = None,
    *,
    length: int,
    tracks: int = 1,
) -> Array:
    """Mean nats of tokens [N] after the first, read as `tracks` streams with the memory carried.

    One stream is exact. More are faster, begin with an empty memory each, and are of one length,
    so that the last `(N - 1) % tracks` tokens are not told. Windows of `length` bound what is in
    memory; of a network that keeps nothing they are all that it sees. Where only some tokens are
    `counted` [N], the mean is theirs; all are read.
    Raises InputError if there are fewer than two tokens a track, or for a number below 1.
    """
    check_count(length=length, tracks=tracks)
    tokens = jnp.asarray(tokens, jnp.int32)
    each = (len(tokens) - 1) // tracks
    if each < 1:
        raise InputError(f"scoring {tracks} streams needs {tracks + 1} tokens; got {len(tokens)}")
    at = jnp.arange(tracks)[:, None] * each + jnp.arange(-(-each // length) * length)[None]
    real = jnp.broadcast_to(jnp.arange(at.shape[1]) < each, at.shape)

    def windows(x: Array) -> Array:
        return jnp.moveaxis(x.reshape(*x.shape[:-1], -1, length), -2, 0)

    def read(memory: PyTree, given: Any) -> tuple[PyTree, Array]:
        x, y, real = given
        found: Any = net.apply({"params": params}, x, memory)
        return found[1], jnp.where(real, losses(found[0], y), 0).sum()

    x, y = tokens.at[at].get(mode="clip"), tokens.at[at + 1].get(mode="clip")
    if counted is not None:
        real = real & jnp.asarray(counted, bool).at[at + 1].get(mode="clip")
    _, sums = jax.lax.scan(
        read, empty(net, params, tracks), (windows(x), windows(y), windows(real))
    )
    return sums.sum() / real.sum()


def generate(
    net: nn.Module,
    params: PyTree,
    key: Key,
    prompt: Array,
    count: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    share: float = 1.0,
) -> Array:
    """`count` tokens after each of prompts [B, P >= 1], in one loop: [B, count].

    A network that keeps nothing is given its `window` of last tokens anew at each step.
    Raises InputError for an empty prompt, and as `dljax.ops.sampling.draw` does.
    """
    prompt = jnp.asarray(prompt, jnp.int32)
    if prompt.shape[1] < 1:
        raise InputError("a prompt must not be empty")
    keys = jax.random.split(key, count)

    apply: Any = functools.partial(net.apply, {"params": params})
    next_token = functools.partial(drawn, temperature=temperature, top_k=top_k, share=share)

    window = getattr(net, "window", None)
    if window is None:
        logits, memory = apply(prompt)
        if not jax.tree.leaves(memory):
            raise InputError(f"{type(net).__name__} keeps nothing and has no window of last tokens")

        def go_on(carry: Any, key: Key) -> tuple[Any, Array]:
            logits, memory = carry
            token = next_token(key, logits)
            logits, memory = apply(token[:, None], memory)
            return (logits[:, -1], memory), token

        return jax.lax.scan(go_on, (logits[:, -1], memory), keys)[1].T

    seen = prompt[:, -window:]
    held = jnp.pad(seen, ((0, 0), (0, window - seen.shape[1])))
    return look_again(apply, next_token, held, jnp.int32(seen.shape[1]), keys)


def drawn(key: Key, logits: Array, temperature: float, top_k: int | None, share: float) -> Array:
    return draw(key, logits, temperature, top_k, share).astype(jnp.int32)


def look_again(
    apply: Callable[..., Any],
    next_token: Callable[[Key, Array], Array],
    held: Array,
    length: Array,
    keys: Array,
) -> Array:
    """A token for each key, by a network that sees the last ones anew: held [B, window], of which
    the first `length` are real -> [B, count]."""
    window = held.shape[1]

    def one(carry: Any, key: Key) -> tuple[Any, Array]:
        held, length = carry
        token = next_token(key, apply(held)[0][:, length - 1])
        full = length == window  # then the oldest leaves
        held = jnp.where(full, jnp.roll(held, -1, 1), held)
        held = held.at[:, jnp.minimum(length, window - 1)].set(token)
        return (held, jnp.minimum(length + 1, window)), token

    return jax.lax.scan(one, (held, length), keys)[1].T


def go_on(
    net: nn.Module,
    params: PyTree,
    key: Key,
    prompt: Array,
    length: Array,
    count: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    share: float = 1.0,
) -> Array:
    """What `generate` writes after the first `length` >= 1 tokens of one prompt [W]: [count].

    The length need not be known when this is compiled. A network with a window needs W to be it.
    """
    keys = jax.random.split(key, count)

    apply: Any = functools.partial(net.apply, {"params": params})
    next_token = functools.partial(drawn, temperature=temperature, top_k=top_k, share=share)

    if getattr(net, "window", None) is not None:
        return look_again(apply, next_token, prompt[None], length, keys)[0]

    def step(carry: Any, place: Array) -> tuple[Any, Array]:
        token, memory = carry
        logits, memory = apply(token, memory)
        chosen = next_token(keys[jnp.maximum(place - length, 0)], logits[:, -1])
        given = prompt[jnp.minimum(place, len(prompt) - 1)]
        token = jnp.where(place < length, given, chosen)
        return (token[:, None], memory), token[0]

    places = jnp.arange(1, len(prompt) + count)
    begun = (prompt[None, :1], empty(net, params, 1))
    tokens = jax.lax.scan(step, begun, places)[1]
    return jax.lax.dynamic_slice(tokens, (length - 1,), (count,))
