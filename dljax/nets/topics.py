"""Topics of documents (S35): ProdLDA, a variational autoencoder of counts of words."""

import functools
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.nets.coders import Gaussian
from dljax.nets.dropout import Dropout
from dljax.typing import Array


class TopicNet(nn.Module):
    """`p(w | theta) = softmax(norm(theta W))`, a document's shares of the topics `theta [B, K]`.

    Counts of words x [B, V] are encoded to z [B, K], and `theta = softmax(z / sqrt(a))`. The prior
    z ~ N(0, I) is then Laplace's approximation of Dirichlet(a, ..., a) in the softmax basis: the
    paper's variance is `(1 - 1 / K) / a` with covariances of `-1 / (K a)`, which it leaves out;
    with `1 / a` and none, all differences, and so theta, are as with both. `norm` is over the
    batch: without it in encoder and decoder every posterior collapses onto the prior. Srivastava
    and Sutton 2017, sections 3.2 to 4.
    """

    words: int
    topics: int
    hidden: Sequence[int] = (100, 100)
    dropout: float | Array = 0.2
    alpha: float | Array = 1.0

    def setup(self):
        dense = functools.partial(nn.Dense, dtype=jnp.float32)
        # without a scale, by which a unit of the code could be turned off
        norm = functools.partial(nn.BatchNorm, use_scale=False, dtype=jnp.float32)
        self.layers = [dense(size) for size in self.hidden]
        self.posterior = [dense(self.topics) for _ in range(2)]
        self.norms = [norm() for _ in range(3)]
        self.drop = Dropout(self.dropout)
        self.logits = dense(self.words, use_bias=False)

    def encode(self, x: Array, *, train: bool = False) -> Gaussian:
        x = jnp.log1p(x.astype(jnp.float32))  # else the longest documents alone are seen
        for layer in self.layers:
            x = jax.nn.softplus(layer(x))
        x = self.drop(x, train=train)
        both = zip(self.posterior, self.norms[:2], strict=True)
        return Gaussian(*(norm(head(x), use_running_average=not train) for head, norm in both))

    def shares(self, z: Array) -> Array:
        """Codes z [B, K] -> theta [B, K]."""
        return jax.nn.softmax(z / jnp.sqrt(self.alpha))

    def theta(self, x: Array) -> Array:
        """Counts of words [B, V] -> the shares of the topics at the posterior's mean [B, K]."""
        return self.shares(self.encode(x).mean)

    def of_topics(self) -> Array:
        """`p(w | theta)` of documents of one topic alone, [K, V]."""
        return jax.nn.softmax(self.logits_of(jnp.eye(self.topics), False))

    def logits_of(self, theta: Array, train: bool) -> Array:
        return self.norms[2](self.logits(theta), use_running_average=not train)

    def decode(self, z: Array, *, train: bool = False) -> Array:
        return self.logits_of(self.drop(self.shares(z), train=train), train)

    def __call__(self, x: Array, *, train: bool = False) -> Array:
        return self.decode(self.encode(x, train=train).mean, train=train)
