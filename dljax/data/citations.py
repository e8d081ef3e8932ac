"""Papers that cite each other, to be told apart by a few whose topic is known (S56)."""

import functools
import io
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dljax.data.files import open_npz
from dljax.data.store import fetch, is_path
from dljax.errors import InputError, brief, unknown
from dljax.typing import Graph

NAMES = ("communities", "cora")
PARTS = ("tx", "allx", "y", "ty", "ally", "graph", "test.index")
TOPICS = (
    "theory",
    "reinforcement learning",
    "genetic algorithms",
    "neural networks",
    "probabilistic methods",
    "case-based",
    "rule learning",
)


class Split(NamedTuple):
    """Which nodes are learnt from, chosen on and tested on: rows, int32, of any lengths."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


class Sizes(NamedTuple):
    """Of a split: nodes of each class to learn from, and nodes to choose and to test on."""

    per_class: int
    validation: int
    test: int


@dataclass(frozen=True, eq=False)
class Papers:
    """Nodes with features and a class each, and who cites whom, in both directions.

    graph: x float32 [n, d], rows that sum to 1 or 0; edges as `undirected` gives them. y int32 [n].
    `public` is the split that all who use the data compare on, or else a random one, of seed 0.
    """

    name: str
    graph: Graph
    y: np.ndarray
    classes: tuple[str, ...]
    sizes: Sizes
    public: Split


def load(name: str) -> Papers:
    """`cora`, `communities`, or the path of an .npz file with x [n, d], y [n] and edges [e, 2].

    Raises InputError for another name, and for what is not as it should be.
    """
    if name == "communities":
        return communities()
    if name == "cora":
        return cora()
    if is_path(name):
        return from_file(Path(name).expanduser())
    raise unknown("data set", name, NAMES)


def undirected(n: int, pairs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Senders and receivers, int32 [e], of pairs [p, 2] in both directions, by receiver.

    An edge given twice, or once each way, counts once, and one of a node with itself not at all.
    Raises InputError for an edge to a node that is not one of the n.
    """
    pairs = np.asarray(pairs).reshape(-1, 2)
    if pairs.size and not np.issubdtype(pairs.dtype, np.integer):
        raise InputError(f"edges must be pairs of integers; got {pairs.dtype}")
    pairs = pairs.astype(np.int64)
    wrong = np.flatnonzero(((pairs < 0) | (pairs >= n)).any(1))
    if len(wrong):
        a, b = pairs[wrong[0]].tolist()
        raise InputError(f"edge {wrong[0]} is ({a}, {b}), but the nodes are 0 to {n - 1}")
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    both = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    return both[:, 1].astype(np.int32), both[:, 0].astype(np.int32)


def random_split(y: np.ndarray, sizes: Sizes, seed: int) -> Split:
    """`per_class` nodes of each class of y [n], then of all others those to choose and to test on.

    Shchur et al. 2018, with Planetoid's sizes. Raises InputError where a class has too few nodes,
    or the rest is too small.
    """
    # the legacy generator: NumPy promises that its numbers never change
    order = np.random.RandomState(seed).permutation(len(y)).astype(np.int32)
    each = [order[y[order] == k][: sizes.per_class] for k in range(y.max() + 1)]
    for k, rows in enumerate(each):
        if len(rows) < sizes.per_class:
            raise InputError(f"class {k} has {len(rows)} nodes; a split needs {sizes.per_class}")
    train = np.concatenate(each)
    rest = order[~np.isin(order, train)]
    if len(rest) < sizes.validation + sizes.test:
        raise InputError(
            f"{len(rest)} nodes are left to choose and to test on; "
            f"{sizes.validation} and {sizes.test} are needed"
        )
    return Split(train, *np.split(rest[: sizes.validation + sizes.test], [sizes.validation]))


def communities(
    n: int = 600, classes: int = 4, words: int = 120, known: int = 5, seed: int = 0
) -> Papers:
    """A stochastic block model with noisy words, made on the spot: a stand-in, no data.

    A node has about 4 neighbours, 8 in 10 of its own class, and about 8 of the words, of which
    those of its class are 2.5 times as likely as others. Holland et al. 1983.
    """
    rng = np.random.RandomState(seed)
    y = np.arange(n, dtype=np.int32) % classes
    same = y[:, None] == y
    own, other = 4 * 0.8 / (n / classes), 4 * 0.2 / (n - n / classes)
    pairs = np.argwhere(np.triu(rng.rand(n, n) < np.where(same, own, other), 1))
    likely = np.where(np.arange(words) % classes == y[:, None], 2.5, 1.0)
    x = rng.rand(n, words) < likely * 8 / likely.sum(1, keepdims=True)
    names = tuple(f"community {k}" for k in range(classes))
    graph, sizes = Graph(shares(x), *undirected(n, pairs)), Sizes(known, n // 6, n // 2)
    return Papers("communities", graph, y, names, sizes, random_split(y, sizes, 0))


def shares(x: np.ndarray) -> np.ndarray:
    """Rows of features not below 0 [n, d], each divided by its sum; one without any stays 0."""
    x = np.asarray(x, np.float32)
    return x / np.maximum(x.sum(1, keepdims=True), 1e-12)


def from_file(path: Path) -> Papers:
    """A graph of one's own, whose splits learn from up to 20 nodes of each class."""
    keys = "x", "y", "edges"
    arrays = named(path, open_npz, path, keys, NAMES)
    if missing := [key for key in keys if key not in arrays]:
        raise InputError(f"{path} has no array {missing[0]}; x, y and edges are needed")
    return named(path, functools.partial(from_arrays, path.stem), **arrays)


def from_arrays(name: str, x: np.ndarray, y: np.ndarray, edges: np.ndarray) -> Papers:
    """Features [n, d] not below 0, labels [n] from 0 on and pairs [e, 2] of nodes."""
    if x.ndim != 2 or x.dtype.kind not in "iufb" or not np.isfinite(x).all() or (x < 0).any():
        raise InputError(f"x must be finite numbers [n, d] not below 0; got {x.dtype} {[*x.shape]}")
    if y.shape != x.shape[:1] or y.dtype.kind not in "iu" or y.min(initial=0) < 0:
        raise InputError(f"y must be labels [{len(x)}] from 0 on; got {y.dtype} {[*y.shape]}")
    if edges.size and edges.shape[1:] != (2,):
        raise InputError(f"edges must be [e, 2]; got {[*edges.shape]}")
    if (classes := int(y.max(initial=0)) + 1) < 2 or classes > len(y):
        raise InputError(f"two classes or more, numbered from 0 on, are needed; got {classes}")
    y = y.astype(np.int32)
    few = max(1, min(20, np.bincount(y).min() // 3))
    sizes = Sizes(few, *(max(1, min(most, len(y) // k)) for most, k in ((500, 5), (1000, 3))))
    names = tuple(f"class {k}" for k in range(classes))
    graph = Graph(shares(x), *undirected(len(x), edges))
    return Papers(name, graph, y, names, sizes, random_split(y, sizes, 0))


def cora() -> Papers:
    """Cora: 2,708 papers on machine learning, 1,433 words, 7 topics, 5,278 pairs that cite.

    With the public split of Yang et al. 2016 (Planetoid): 20 papers a topic to learn from, 500 to
    choose on, 1,000 to test on. Raises InputError for files that are not as they should be.
    """
    paths = {part: fetch(f"cora/ind.cora.{part}") for part in PARTS}
    return planetoid(paths, TOPICS, Sizes(20, 500, 1000))


def planetoid(paths: dict[str, Path], classes: Sequence[str], sizes: Sizes) -> Papers:
    """The seven files of Planetoid put together: known papers first, those of the test last."""

    def words(part: str) -> np.ndarray:
        return named(paths[part], dense, unpickled(paths[part]))

    def labels(part: str) -> np.ndarray:
        return named(paths[part], one_hot, unpickled(paths[part]), len(classes))

    def numbers() -> np.ndarray:
        return np.array([*map(int, paths["test.index"].read_text("ascii").split())])

    test = named(paths["test.index"], numbers)
    x, y, late, late_y = words("allx"), labels("ally"), words("tx"), labels("ty")
    known, n = len(labels("y")), len(x) + len(test)
    if sorted(test.tolist()) != [*range(len(x), n)]:
        raise InputError(f"{paths['test.index']}: rows {len(x)} to {n - 1} are needed, each once")
    if (len(y), len(late), len(late_y)) != (len(x), len(test), len(test)):
        raise InputError(f"{paths['allx'].parent}: features and labels are of other nodes")
    rows = np.argsort(test)
    x, y = np.concatenate([x, late[rows]]), np.concatenate([y, late_y[rows]])
    neighbours = named(paths["graph"], pairs_of, unpickled(paths["graph"]))
    edges = named(paths["graph"], functools.partial(undirected, n), neighbours)
    choose = np.arange(known, known + sizes.validation, dtype=np.int32)
    public = Split(np.arange(known, dtype=np.int32), choose, test.astype(np.int32))
    return Papers("cora", Graph(shares(x), *edges), y, tuple(classes), sizes, public)


class Saved:
    """Stands in for scipy's matrix, so that its pickle may set nothing but these fields."""

    data: Any
    indices: Any
    indptr: Any
    _shape: Any

    def __setstate__(self, state: Any) -> None:
        for name in ("data", "indices", "indptr", "_shape"):
            setattr(self, name, state[name])


def empty_array(*_: Any) -> np.ndarray:
    """What NumPy's pickles build on; the real one would take any shape, and its memory."""
    return np.empty(0)


ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): empty_array,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("scipy.sparse.csr", "csr_matrix"): Saved,
    ("collections", "defaultdict"): lambda *_: {},
    ("__builtin__", "list"): list,
}


class Unpickler(pickle.Unpickler):
    """Gives what Planetoid's pickles name, and nothing else: a pickle may call what it gets."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise InputError(f"it names {module}.{name}, which is not allowed")
        return ALLOWED[module, name]


def unpickled(path: Path) -> Any:
    """What a pickle holds, of `ALLOWED` alone. Raises InputError for anything else."""
    content = io.BytesIO(path.read_bytes())
    return named(path, lambda: Unpickler(content, encoding="latin1").load())


def named(path: Path, read: Callable[..., Any], *given: Any, **more: Any) -> Any:
    """`read(*given, **more)`. Raises InputError that names the file where that fails."""
    try:
        return read(*given, **more)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        said = brief(error)
        raise InputError(f"{path} is not as it should be: {said}") from error


def dense(saved: Saved) -> np.ndarray:
    """A sparse matrix [n, d] written out."""
    from scipy.sparse import csr_matrix

    parts = saved.data, saved.indices, saved.indptr
    made: Any = csr_matrix(parts, shape=saved._shape)
    made.check_format(full_check=True)
    return made.toarray()


def one_hot(rows: np.ndarray, classes: int) -> np.ndarray:
    """The class of each row [n, classes] of zeros and one 1."""
    if rows.ndim != 2 or rows.shape[1] != classes or (rows.sum(1) != 1).any() or rows.min() < 0:
        raise InputError(f"rows [n, {classes}] with a single 1 are needed")
    return rows.argmax(1).astype(np.int32)


def pairs_of(neighbours: dict[int, list[int]]) -> np.ndarray:
    """All pairs (i, j) of lists of neighbours."""
    return np.array([(i, j) for i, each in neighbours.items() for j in each])
