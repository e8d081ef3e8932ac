"""Networks over sets of points (S58): PointNet, and EdgeConv over a graph found as it runs.

A cloud is [B, N, d]; a point whose coordinates are NaN is absent, and is as if it had never been.
Nothing depends on the order of the points: each is treated alike, and all are joined by maxima.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from dljax.errors import InputError
from dljax.nets.mlp import MLP
from dljax.ops.neighbours import farthest, largest, nearest
from dljax.typing import Array


class Dense(nn.Dense):
    """`nn.Dense` of flat rows, [..., c] -> [..., features]: on a CPU it learns 3.7 times as fast.

    XLA:CPU's gradient by weights of a product [B, N, c] does not reach its fast kernels.
    """

    def __call__(self, inputs: Array) -> Array:
        rows = super().__call__(inputs.reshape(-1, inputs.shape[-1]))
        return rows.reshape(*inputs.shape[:-1], self.features)


class EdgeConv(nn.Module):
    """`y_i = max_{j in N(i)} W (x_j - x_i) + V x_i + b`, linear. Wang et al. 2019, eqs. 7 and 8.

    `max_j W x_j - W x_i` is the same, so that products are one a point and only the maximum one an
    edge. x [B, N, c], neighbours [B, M, k] and own [B, M, c], those who hear, by default x.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array, neighbours: Array, own: Array | None = None) -> Array:
        apart = Dense(self.features, use_bias=False, name="apart")
        told = apart(x)
        here = told if own is None else apart(own)
        own = x if own is None else own
        return largest(told, neighbours) - here + Dense(self.features, name="own")(own)


class PointNet(nn.Module):
    """Features of each point, their maxima over the cloud, and a head: logits [B, classes].

    Without `neighbours` a feature is of its point alone (Qi et al. 2017a, without its T-nets, and
    with maxima of every layer, so that only whom a point hears tells the two apart).
    With k of them layers are `EdgeConv`s over the k points nearest in place, and from layer number
    `dynamic` on, counted from 0, over the k nearest in features (Wang et al. 2019, where that is
    1). With `keep` the first layer leaves so many points, far from each other, for the rest. With
    `each` the logits are of every point, [B, N, classes], which knows the maxima too. Raises
    InputError for fewer points than k or `keep`, and for `keep` with `each`.
    """

    classes: int
    widths: Sequence[int] = (64, 128)
    head: Sequence[int] = (128,)
    neighbours: int = 0
    dynamic: int | None = 1
    keep: int | None = None
    each: bool = False

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        if self.keep is not None and self.each:
            raise InputError("points that are not kept have no logits: keep none, or ask for one")
        real = ~jnp.isnan(x).any(-1)
        x = jnp.where(real[..., None], x, 0)  # what a product makes of NaN has a NaN for gradient
        seen = self.local(x, real) if self.neighbours else self.alone(x, real)
        pooled = jnp.concatenate([features.max(1) for features in seen], -1)
        if not self.each:
            return MLP((*self.head, self.classes))(pooled)
        own = jnp.concatenate(seen, -1)
        # the cloud's part of the first product once, not once a point
        y = Dense(self.head[0])(own) + Dense(self.head[0], use_bias=False)(pooled)[:, None]
        for width in (*self.head[1:], self.classes):
            y = Dense(width)(jax.nn.relu(y))
        return y

    def alone(self, x: Array, real: Array) -> list[Array]:
        """Features of each layer [B, N, c], at least 0, and 0 where absent."""
        seen = []
        for width in self.widths:
            x = jax.nn.relu(Dense(width)(x)) * real[..., None]
            seen.append(x)
        return seen

    def local(self, x: Array, real: Array) -> list[Array]:
        """The same over graphs; of the points kept, [B, keep, c]."""
        own, seen = None, []
        if self.keep is not None:
            at = farthest(x, self.keep, real)
            own, kept = largest(x, at[..., None]), jnp.take_along_axis(real, at, 1)
            self.sow("intermediates", "kept", at)
        near = nearest(x, self.neighbours, own, real)
        for i, width in enumerate(self.widths):
            if i and self.dynamic is not None and i >= self.dynamic:
                near = nearest(x, self.neighbours, None, real)
            self.sow("intermediates", "neighbours", near)
            x = jax.nn.relu(EdgeConv(width)(x, near, own))
            if own is not None:
                near, real = nearest(own, self.neighbours, None, kept), kept
                own = None
            x = x * real[..., None]
            seen.append(x)
        return seen
