"""Training steps of a graph convolution, of Cora's size, and of EdgeConv, beside torch.

Every side trains the same network by Adam in float32: two layers, 1,433-64-7, dropout .5 before
each, cross-entropy of 140 nodes, on a random graph of 2,708 nodes, 10,556 edges and one of each
node to itself, and features of which 1.3 % are not 0. Torch takes these dense, sparse (CSR), as
bags of embeddings, or added up by index, and hears neighbours by a sparse product or by index. The
share of the peak counts products with what is not 0, forward and backward. EdgeConv's own words
are in `_edgeconv`.
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.experimental.sparse import BCOO

from benchmarks import _edgeconv
from benchmarks.measure import interleaved, per, row, training
from dljax.data.citations import undirected
from dljax.learn import node_classify
from dljax.learn.optimizers import optimizer
from dljax.nets.graph import GCN, symmetric
from dljax.typing import Graph

NODES, WORDS, CLASSES, PAIRS, EACH, KNOWN = 2708, 1433, 7, 5278, 18, 140
WIDTH, DROPOUT, RATE, CHUNK, REPEATS = 64, 0.5, 0.01, 10, 9


@functools.cache
def papers() -> tuple[Graph, np.ndarray, np.ndarray]:
    """A random graph of Cora's size, prepared, its labels, and which are known."""
    rng = np.random.default_rng(0)
    x = np.zeros((NODES, WORDS), np.float32)
    for node in x:
        node[rng.permutation(WORDS)[:EACH]] = 1 / EACH
    edges = undirected(NODES, rng.integers(0, NODES, (PAIRS, 2)))
    graph = symmetric(Graph(BCOO.fromdense(jnp.asarray(x)), *edges))
    return graph, np.arange(NODES, dtype=np.int32) % CLASSES, np.arange(NODES) < KNOWN


def gflop() -> float:
    """Two operations a product: words and edges forward and back, the dense layer three times."""
    graph, _, _ = papers()
    edges, words = len(graph.senders), graph.x.nse
    return 2e-9 * (2 * words * WIDTH + 2 * edges * (WIDTH + CLASSES) + 3 * NODES * WIDTH * CLASSES)


def ours() -> Callable[[], Any]:
    graph, labels, known = papers()
    net, tx = GCN(CLASSES, 2, WIDTH, DROPOUT), optimizer("adam", RATE)
    return training(node_classify.make(net, tx, graph, labels, known), CHUNK)[0]


def by_torch(features: str, hears: str, compile: bool = False) -> Callable[[], Any]:
    import torch
    from torch.nn import functional

    device = "cuda" if torch.cuda.is_available() else "cpu"
    graph, labels, _ = papers()

    def tensor(array: Any, kind: Any = None) -> Any:
        return torch.tensor(np.asarray(array), device=device, dtype=kind)

    values, (node, word) = tensor(graph.x.data), tensor(graph.x.indices, torch.int64).T.contiguous()
    dense = tensor(graph.x.todense())
    senders, receivers = (tensor(each, torch.int64) for each in (graph.senders, graph.receivers))
    weights, y = tensor(graph.edges), tensor(labels, torch.int64)[:KNOWN]
    starts = torch.searchsorted(node, torch.arange(NODES + 1, device=device))
    ends = torch.stack([receivers, senders])
    p = torch.sparse_coo_tensor(ends, weights, (NODES, NODES)).coalesce().to_sparse_csr()

    def words(w: Any) -> Any:
        if features == "dense":
            return functional.dropout(dense, DROPOUT) @ w
        kept = functional.dropout(values, DROPOUT)
        if features == "sparse":
            return torch.sparse_csr_tensor(starts, word, kept, (NODES, WORDS)) @ w
        if features == "bags":
            return functional.embedding_bag(
                word, w, starts[:-1], mode="sum", per_sample_weights=kept
            )
        return w.new_zeros(NODES, WIDTH).index_add(0, node, kept[:, None] * w[word])

    def hear(h: Any) -> Any:
        if hears == "sparse":
            return p @ h
        return torch.zeros_like(h).index_add(0, receivers, weights[:, None] * h[senders])

    def made(*shape: int) -> Any:
        return torch.empty(*shape, device=device)

    w1, w2 = (
        torch.nn.init.xavier_uniform_(made(*shape)).requires_grad_()
        for shape in ((WORDS, WIDTH), (WIDTH, CLASSES))
    )
    b1, b2 = (made(width).zero_().requires_grad_() for width in (WIDTH, CLASSES))
    tx = torch.optim.Adam([w1, w2, b1, b2], RATE, fused=True)

    def loss() -> Any:
        h = functional.dropout(torch.relu(hear(words(w1)) + b1), DROPOUT)
        return functional.cross_entropy((hear(h @ w2) + b2)[:KNOWN], y)

    goal = torch.compile(loss) if compile else loss

    def train() -> float:
        found = torch.zeros(())
        for _ in range(CHUNK):
            tx.zero_grad()
            found = goal()
            found.backward()
            tx.step()
        return found.item()

    return train


TORCH: dict[str, Callable[[], Callable[[], Any]]] = {
    "torch dense, sparse product": functools.partial(by_torch, "dense", "sparse"),
    "torch sparse": functools.partial(by_torch, "sparse", "sparse"),
    "torch bags, sparse product": functools.partial(by_torch, "bags", "sparse"),
    "torch index_add": functools.partial(by_torch, "index", "index"),
    "torch compiled index_add": functools.partial(by_torch, "index", "index", compile=True),
    "torch compiled dense": functools.partial(by_torch, "dense", "index", compile=True),
}


def convolution(peak: float) -> dict[str, Any]:
    """The step of `nets.graph.GCN` beside torch's."""
    known = TORCH if importlib.util.find_spec("torch") else {}
    sides = {"dljax": ours()} | {name: make() for name, make in known.items()}
    times = per(interleaved(sides, REPEATS), CHUNK)
    work = f"graph convolution, a step on {NODES} nodes"
    return row(work, times, ours="dljax", gflop=gflop(), peak=peak, devices={"ours": 1})


def main(peak: float) -> list[dict[str, Any]]:
    return [convolution(peak), _edgeconv.convolution(peak)]
