"""Numbers and chances of whole graphs (S57): several tasks at once, where some labels are missing.

`J = 1/M sum_{i, k measured} L(f_k(G_i), y_ik)`, M the labels of the batch that were measured; one
that was not is nan. A batch is the union of its graphs, put together in the compiled loop.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from dljax.errors import InputError
from dljax.learn import risk, shapes
from dljax.learner import Learner
from dljax.ops import unions
from dljax.ops.unions import Shelf, Size
from dljax.typing import Array, Batch, Key


class Graphs(NamedTuple):
    """n graphs, and what is told of each as a whole: of rows [B], float32 [B, d]; d may be 0."""

    shelf: Shelf
    whole: Callable[[Array], Array] = lambda rows: jnp.zeros((len(rows), 0), jnp.float32)


def masked(loss: risk.Loss) -> risk.Loss:
    """A loss [B, K] whose mean is that over what was measured: where y is nan it is 0."""

    def measured(outputs: Array, y: Array) -> Array:
        real = jnp.isfinite(y)
        # put right before the loss too: the slope of what is thrown away would be nan
        each = jnp.where(real, loss(outputs, jnp.where(real, y, 0)), 0)
        return each * (y.size / jnp.maximum(real.sum(), 1))

    return measured


def make(
    net: nn.Module,
    tx: optax.GradientTransformation,
    graphs: Graphs,
    data: Batch,
    loss: risk.Loss = optax.squared_error,
    *,
    batch: int,
    size: Size,
) -> Learner:
    """Descent over data: x [m], which of the graphs, and y float32 [m, K], nan where not measured.

    `size` is the room of a batch (`unions.roomy`); graphs beyond it are left out of that step, as
    if not measured. Raises InputError if one would not fit alone, for a row x of no graph, if
    `batch` exceeds m, or if the network's outputs are not K.
    """
    unions.check_room(graphs.shelf, size)
    if not isinstance(data.x, Tracer):
        rows, count = np.asarray(data.x), len(graphs.shelf)
        if len(wrong := np.flatnonzero((rows < 0) | (rows >= count))):
            at = wrong[0]
            raise InputError(f"row {at} is graph {rows[at]}, but graphs are 0 to {count - 1}")

    def united(_: Key, drawn: Batch) -> Batch:
        rows = drawn.x
        union, fits = unions.unite(graphs.shelf, rows, size, graphs.whole(rows))
        return Batch(union, jnp.where(fits[:, None], drawn.y, jnp.nan))

    goal = risk.objective(net, masked(loss))
    learner = risk.descend(net, goal, tx, data, batch=batch, augment=united)
    outputs = shapes.given(net, lambda: (united(jax.random.key(0), risk.first(data)).x,))
    shapes.check(outputs, np.shape(data.y)[1:], "the targets are")
    return learner


def predict(net: nn.Module, weights: risk.Weights, graphs: Graphs, chunk: int = 64) -> Array:
    """Outputs [n, K] of all graphs, `chunk` of them at a time, of all sizes."""
    params, extra = weights
    count = len(graphs.shelf)
    order = np.argsort(np.diff(graphs.shelf.nodes), kind="stable")
    # graphs of all sizes in each chunk, so that all have about equally many nodes
    chunks = -(-count // chunk)
    padded = np.concatenate([order, np.repeat(order[:1], chunks * chunk - count)])
    rows = padded.reshape(chunk, chunks).T
    size = unions.exact(graphs.shelf, rows)

    def some(rows: Array) -> Array:
        union, _ = unions.unite(graphs.shelf, rows, size, graphs.whole(rows))
        return net.apply({"params": params, **extra}, union)  # pyright: ignore

    found = jax.lax.map(some, jnp.asarray(rows))
    found = found.swapaxes(0, 1).reshape(chunks * chunk, -1)[:count]
    return found[np.argsort(order)]
