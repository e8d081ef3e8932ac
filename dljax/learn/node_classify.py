"""Classes of all nodes of a graph, learnt from the few whose class is known (S56)."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from dljax.errors import InputError
from dljax.learn import classify, shapes
from dljax.learner import Fit, Learner, Objective, gradient_step
from dljax.ops import segments
from dljax.typing import Array, Graph, Key, Metrics, PyTree


class State(NamedTuple):
    """A network in training: every step sees the whole graph, so there is no epoch to keep."""

    fit: Fit


class Known(NamedTuple):
    """What there is to learn from: labels int32 [n], read only where `mask` [n] is true.

    A label below 0 is not known.
    """

    graph: Graph
    labels: Array
    mask: Array


def objective(
    net: nn.Module, *, views: int = 1, agreement: float | Array = 0.0, sharpness: float = 2.0
) -> Objective:
    """Cross-entropy of known nodes, and how far `views` of every node, drawn anew, lie apart.

    `J = mean_{s, i known} -log p_si[y_i] + agreement mean_{s, i} |p_si - q_i|^2`, where s counts
    passes that drop otherwise, and `q_i = m_i^sharpness / sum_k m_ik^sharpness` of their mean m is
    taken as given: unknown nodes teach the network to be sure, and of one mind. Feng et al. 2020,
    eqs. 5 to 7. The metric `accuracy` is that of known nodes while features are dropped.
    """

    def loss(params: PyTree, extra: PyTree, known: Known, key: Key):
        def view(key: Key) -> Array:
            return net.apply({"params": params}, known.graph, train=True, rngs={"dropout": key})  # pyright: ignore

        # one after another: XLA:CPU scatters what two say together in twice the time
        logits = jax.lax.map(view, jax.random.split(key, views))
        labels = jnp.broadcast_to(known.labels, logits.shape[:2])
        each = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        right = logits.argmax(-1) == labels
        cross, accuracy = (jnp.mean(a, where=known.mask[None]) for a in (each, right))
        if views > 1:
            cross += agreement * apart(jax.nn.softmax(logits), sharpness, known.graph.real)
        return cross, (extra, {"accuracy": accuracy})

    return loss


def apart(chances: Array, sharpness: float, real: Array | None = None) -> Array:
    """`mean_{s, i} |p_si - q_i|^2` of p [S, n, K]; q is the sharpened mean over S, and is given.

    The mean is over nodes that are `real` [n].
    """
    powers = chances.mean(0) ** sharpness
    agreed = jax.lax.stop_gradient(powers / powers.sum(-1, keepdims=True))
    far = jnp.square(chances - agreed[None]).sum(-1)
    return jnp.mean(far, where=None if real is None else real[None])


def make(
    net: nn.Module,
    tx: optax.GradientTransformation,
    graph: Graph,
    labels: Any,
    mask: Any,
    *,
    views: int = 1,
    agreement: float | Array = 0.0,
) -> Learner:
    """Descent on all of `graph` at once, from the labels [n] of nodes in `mask` (bool [n]) alone.

    See `objective`; the mask may be traced, so that a sweep learns from many splits. A label below
    0 is not known. Raises InputError for an edge to a node that does not exist, labels or a mask
    that do not fit the nodes, a node to learn from without a label, and a class without one.
    """
    labels, mask = np.asarray(labels), mask if isinstance(mask, Tracer) else np.asarray(mask)
    check(graph, labels, mask)
    shapes.check_labels(shapes.given(net, lambda: (graph,)), np.maximum(labels, 0))
    known = Known(jax.tree.map(jnp.asarray, graph), jnp.asarray(labels), jnp.asarray(mask))
    one_step = gradient_step(objective(net, views=views, agreement=agreement), tx)

    def init(key: Key) -> State:
        params = net.init(key, known.graph)["params"]
        return State(Fit(params, {}, tx.init(params)))

    def step(key: Key, state: State) -> tuple[State, Metrics]:
        fit, metrics = one_step(key, state.fit, known)
        return State(fit), metrics

    return Learner(init, step)


def check(graph: Graph, labels: Any, mask: Any) -> None:
    """Raises InputError, in one line, for what `make` does not accept; a traced mask may be any."""
    n = graph.x.shape[0]
    segments.check_edges(graph, n)
    if np.shape(labels) != (n,) or np.shape(mask) != (n,) or mask.dtype != bool:
        raise InputError(
            f"{n} nodes need as many labels and a mask of as many booleans; got labels "
            f"{[*np.shape(labels)]} and a mask {[*np.shape(mask)]} of {mask.dtype}"
        )
    if isinstance(mask, Tracer):
        return
    if not mask.any():
        raise InputError("no node is to learn from: the mask is false everywhere")
    if len(unknown := np.flatnonzero(mask & (labels < 0))):
        raise InputError(f"node {unknown[0]} is to learn from, but has no label")
    missing = np.setdiff1d(labels[labels >= 0], labels[mask])
    if len(missing):
        raise InputError(f"class {missing[0]} has no node to learn from")


def predict(net: nn.Module, params: PyTree, graph: Graph) -> Array:
    """Logits [n, K] of all nodes."""
    return net.apply({"params": params}, graph)  # pyright: ignore[reportReturnType]


def evaluate(
    net: nn.Module,
    params: PyTree,
    graph: Graph,
    labels: Array,
    rows: Array,
    split: str = "validation",
) -> Metrics:
    """`classify.scores` of the nodes `rows` [m], named `split/...`."""
    found = classify.scores(predict(net, params, graph)[rows], labels[rows])
    return {f"{split}/{name}": value for name, value in found.items()}
