"""One to many (S17): what an image shows, said word by word. Vinyals et al. 2015.

`J = -1/N sum_i sum_t log p(w_t | w_1 .. w_{t-1}, x_i)` over the real words of each caption; words
of 0 are padding, and a caption begins with a word of its own.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from dljax.learn import risk
from dljax.learner import Learner, Objective
from dljax.typing import Array, Batch, Key, PyTree


def objective(net: nn.Module) -> Objective:
    """Of batches of images x [B, ...] and captions y [B, L]."""

    def mean(params: PyTree, extra: PyTree, batch: Batch, key: Key):
        options = {"train": True, "rngs": {"dropout": key}}
        found: Any = net.apply({"params": params}, batch.x, batch.y[:, :-1], **options)
        return losses(found[0], batch.y[:, 1:]).mean(), (extra, {})

    return mean


def losses(logits: Array, words: Array) -> Array:
    """`-sum_t log softmax(logits_t)_w` of [B, L, V] and [B, L] over the real words, [B]."""
    each = optax.softmax_cross_entropy_with_integer_labels(logits, words)
    return jnp.where(words > 0, each, 0).sum(1)


def make(net: nn.Module, tx: optax.GradientTransformation, data: Batch, *, batch: int) -> Learner:
    """A learner of images x [n, ...] and their captions y [n, L], in epochs of batches.

    `net(images, words [B, L], states) -> logits [B, L, V], states`; where the states are given it
    looks at no image. Raises InputError if `batch` exceeds n.
    """
    return risk.descend(net, objective(net), tx, data, batch=batch)


def describe(net: nn.Module, params: PyTree, images: Array, begin: int, length: int) -> Array:
    """The likeliest word after each other, in one loop: [B, length]."""

    def apply(*given: Any) -> Any:
        return net.apply({"params": params}, *given)

    def go_on(carry: tuple[Array, PyTree], _: None) -> tuple[Any, Array]:
        word, states = carry
        logits, states = apply(None, word[:, None], states)
        word = logits[:, -1].argmax(-1).astype(jnp.int32)
        return (word, states), word

    first = jnp.full(len(images), begin, jnp.int32)
    logits, states = apply(images, first[:, None])
    word = logits[:, -1].argmax(-1).astype(jnp.int32)
    _, rest = jax.lax.scan(go_on, (word, states), None, length=length - 1)
    return jnp.concatenate([word[None], rest]).T
