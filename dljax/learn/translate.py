"""Translation and captions (S17, S23): a sequence written token by token, of another or an image.

`J = -1/N sum_n log p(y_n | y_1 .. y_{n-1}, x)` in nats a token, over the N that are no padding.
Sutskever et al. 2014; Bahdanau et al. 2015; Vaswani et al. 2017; of images, Vinyals et al. 2015.
The networks are those of `dljax.nets.translator` and `dljax.nets.caption`.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax.data.stream import permute, take_rows
from dljax.data.text import BOS, EOS, PAD
from dljax.errors import InputError, check_count
from dljax.learn import shapes
from dljax.learner import Fit, Learner, Objective, gradient_step
from dljax.typing import Array, Batch, Key, Metrics, PyTree


class State(NamedTuple):
    """What descent carries, and how many batches were drawn."""

    fit: Fit
    key: Key  # of the order of each epoch
    drawn: Array


def losses(logits: Array, tokens: Array, smoothing: float = 0.0) -> tuple[Array, Array]:
    """`-sum_k q_k log softmax(z)_k`, q = (1 - s) onehot(y) + s / V, and whether y is no padding.

    [..., V], [...] -> [...], [...]. Label smoothing: Szegedy et al. 2016.
    """
    whole = jax.nn.logsumexp(logits, -1)
    own = jnp.take_along_axis(logits, tokens[..., None], -1)[..., 0]
    smooth = own if smoothing == 0 else (1 - smoothing) * own + smoothing * logits.mean(-1)
    real = tokens != PAD
    return jnp.where(real, whole - smooth, 0), real


def objective(net: nn.Module, smoothing: float = 0.0) -> Objective:
    """The mean loss of a batch's real tokens, each told from the true ones before it."""

    def mean(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        options = {"train": True, "rngs": {"dropout": key}}
        logits: Any = net.apply({"params": params}, batch.x, batch.y[:, :-1], **options)
        each, real = losses(logits, batch.y[:, 1:], smoothing)
        return each.sum() / jnp.maximum(real.sum(), 1), (extra, {})

    return mean


def make(
    net: nn.Module,
    tx: optax.GradientTransformation,
    buckets: Sequence[Batch],
    *,
    tokens: int,
    smoothing: float = 0.0,
) -> Learner:
    """A learner of pairs x [n, ...] and y [n, T], in buckets of like lengths, padded by 0.

    Targets begin with BOS and end with EOS. A step takes as many pairs of one bucket as have
    `tokens` target tokens, padding counted; the buckets alternate as drawn, and an epoch takes each
    pair at most once. Under `vmap` every step would compute all buckets: use one there. Raises
    InputError for a `smoothing` outside [0, 1), no bucket, an empty one, too few `tokens`, or
    targets beyond the network's V.
    """
    check_count(tokens=tokens)
    if not 0 <= smoothing < 1:
        raise InputError(f"smoothing must be in [0, 1); got {smoothing}")
    if not buckets or not all(len(each.x) == len(each.y) > 0 for each in buckets):
        raise InputError("every bucket needs as many sources as targets, and at least one")
    for each in buckets:  # before they are on the device, and in a sweep's program no more known
        first = jnp.asarray(each.x[:1]), jnp.asarray(each.y[:1, :-1])
        logits = shapes.given(net, lambda first=first: first)
        shapes.check_labels(logits, each.y[:, 1:])
    buckets = [Batch(jnp.asarray(each.x), jnp.asarray(each.y)) for each in buckets]
    sizes = sizes_of(buckets, tokens)
    ends = np.cumsum([len(each.y) // size for each, size in zip(buckets, sizes, strict=True)])
    per_epoch = int(ends[-1])
    one_step = gradient_step(objective(net, smoothing), tx)

    def init(key: Key) -> State:
        k_net, k_order = jax.random.split(key)
        params = net.init(k_net, buckets[0].x[:1], buckets[0].y[:1, :-1])["params"]
        return State(Fit(params, {}, tx.init(params)), k_order, jnp.int32(0))

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        epoch, turn = state.drawn // per_epoch, state.drawn % per_epoch
        k_turn, k_rows = jax.random.split(jax.random.fold_in(state.key, epoch))
        place = permute(k_turn, turn[None], per_epoch)[0]

        def within(which: int) -> Any:
            bucket, size = buckets[which], sizes[which]
            begin = int(ends[which - 1]) if which else 0

            def descend(fit: Fit) -> tuple[Fit, Metrics]:
                wanted = (place - begin) * size + jnp.arange(size)
                key_of_rows = jax.random.fold_in(k_rows, which)
                # the barrier: see `dljax.data.stream.epochs`
                rows = jax.lax.optimization_barrier(permute(key_of_rows, wanted, len(bucket.y)))
                return one_step(key, fit, jax.tree.map(lambda x: take_rows(x, rows), bucket))

            return descend

        which = jnp.searchsorted(jnp.asarray(ends), place, side="right")
        fit, metrics = jax.lax.switch(which, [*map(within, range(len(buckets)))], state.fit)
        return State(fit, state.key, state.drawn + 1), metrics

    return Learner(init, step)


def sizes_of(buckets: Sequence[Batch], tokens: int) -> list[int]:
    """How many pairs of each bucket a step takes. Raises InputError if `tokens` are too few."""
    if (longest := max(each.y.shape[1] - 1 for each in buckets)) > tokens:
        raise InputError(f"a step must take the {longest} tokens of a target; got {tokens}")
    return [min(len(each.y), tokens // (each.y.shape[1] - 1)) for each in buckets]


def epoch_of(buckets: Sequence[Batch], tokens: int) -> int:
    """How many steps of `make` are an epoch."""
    sizes = sizes_of(buckets, tokens)
    return sum(len(each.y) // size for each, size in zip(buckets, sizes, strict=True))


def evaluate(
    net: nn.Module, params: PyTree, data: Batch, split: str = "validation", chunk: int = 100
) -> Metrics:
    """`split/nats`: mean nats of each real token given the true ones before it."""

    def one(pair: Batch) -> tuple[Array, Array]:
        logits: Any = net.apply({"params": params}, pair.x[None], pair.y[None, :-1])
        each, real = losses(logits, pair.y[None, 1:])
        return each.sum(), real.sum()

    pairs = Batch(jnp.asarray(data.x), jnp.asarray(data.y))
    sums, counts = jax.lax.map(one, pairs, batch_size=chunk)
    return {f"{split}/nats": sums.sum() / counts.sum()}


class Search(NamedTuple):
    """Where a beam search stands: R sources, K beams each."""

    at: Array
    tokens: Array  # [R, K, most + 1], from BOS
    totals: Array  # [R, K], log-probabilities
    done: Array  # [R, K], whether EOS is written
    state: PyTree  # the decoder's, [R K, ...]


def translate(
    net: nn.Module,
    params: PyTree,
    source: Array,
    *,
    most: int,
    beams: int = 1,
    power: Array | float = 1.0,
) -> Array:
    """The likeliest targets found of sources [R, ...], at most `most` tokens each: [R, most].

    Of `beams` beginnings that are likeliest so far, each is gone on from by every token; one beam
    is greedy. At the end the greatest `log p / length^power` counts, EOS being part of the length.
    With as many beams as there are beginnings the search is exhaustive. Raises InputError for a
    number below 1. Graves 2012; Wu et al. 2016, eq. 14, for the length.
    """
    check_count(most=most, beams=beams)
    rows = len(source)
    apply: Any = functools.partial(net.apply, {"params": params})
    memory = apply(source, method="encode")
    memory = jax.tree.map(lambda leaf: jnp.repeat(leaf, beams, 0), memory)
    first = Search(
        jnp.int32(0),
        jnp.full((rows, beams, most + 1), PAD).at[:, :, 0].set(BOS),
        # all beams begin alike: one of them counts
        jnp.broadcast_to(jnp.where(jnp.arange(beams) == 0, 0, -jnp.inf), (rows, beams)),
        jnp.zeros((rows, beams), bool),
        apply(memory, most, method="begin"),
    )

    def going(now: Search) -> Array:
        return (now.at < most) & ~now.done.all()

    def go_on(now: Search) -> Search:
        last = now.tokens[:, :, now.at].reshape(-1, 1)
        logits, state = apply(memory, last, now.state, now.at, method="decode")
        gains = jax.nn.log_softmax(logits[:, 0]).reshape(rows, beams, -1)
        gains = gains.at[:, :, jnp.array([PAD, BOS])].set(-jnp.inf)
        kinds = gains.shape[-1]
        over = jnp.where(jnp.arange(kinds) == PAD, 0, -jnp.inf)  # what is done stays as it is
        gains = jnp.where(now.done[..., None], over[None, None], gains)
        sums = (now.totals[..., None] + gains).reshape(rows, -1)
        totals, best = jax.lax.top_k(sums, beams)
        parent, token = best // kinds, best % kinds

        def chosen(leaf: Array) -> Array:
            each = leaf.reshape(rows, beams, *leaf.shape[1:])
            return jax.vmap(lambda own, p: own[p])(each, parent).reshape(leaf.shape)

        tokens = jnp.take_along_axis(now.tokens, parent[..., None], 1)
        done = jnp.take_along_axis(now.done, parent, 1) | (token == EOS)
        tokens = tokens.at[:, :, now.at + 1].set(token)
        return Search(now.at + 1, tokens, totals, done, jax.tree.map(chosen, state))

    found = jax.lax.while_loop(going, go_on, first)
    lengths = (found.tokens[..., 1:] != PAD).sum(-1)
    best = (found.totals / jnp.maximum(lengths, 1) ** power).argmax(-1)
    return jnp.take_along_axis(found.tokens, best[:, None, None], 1)[:, 0, 1:]


def translate_all(
    net: nn.Module, params: PyTree, source: np.ndarray, *, chunk: int = 50, **options: Any
) -> np.ndarray:
    """`translate` of any number of sources [n, S], `chunk` of like lengths at a time."""
    check_count(chunk=chunk)
    order = np.argsort((source != PAD).sum(1), kind="stable")
    spare = -len(source) % chunk
    sorted_ = np.pad(source[order], ((0, spare), (0, 0)), mode="edge")
    groups = jnp.asarray(sorted_.reshape(-1, chunk, source.shape[1]))
    search = functools.partial(translate, net, **options)
    found = jax.jit(lambda params, x: jax.lax.map(lambda each: search(params, each), x))
    rows = np.asarray(found(params, groups)).reshape(len(sorted_), -1)[: len(source)]
    return rows[np.argsort(order, kind="stable")]


def bleu(written: Sequence[str], references: Sequence[str]) -> float:
    """Corpus BLEU of texts against one reference each, from 0 to 100, with case, by sacrebleu.

    Papineni et al. 2002; Post 2018 (tokenised as `13a`).
    """
    import sacrebleu

    # force: no warning of texts whose words stand apart, as those of a table of words do
    return float(sacrebleu.corpus_bleu(list(written), [list(references)], force=True).score)
