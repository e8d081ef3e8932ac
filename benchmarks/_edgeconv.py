"""A training step of EdgeConv, with its nearest neighbours found as it runs, beside torch.

Three layers of 32, 64 and 64 features on 32 clouds of 256 points and 8 neighbours each, the first
layer's in place and the others' in features, maxima over each layer's points, dense layers of 128
and 10, cross-entropy and Adam, in float32 from random starts. Every side makes one product a point
and takes only the maximum per edge; torch's written with its own index and maximum over it, and
with the edges' features made as Wang et al. write them. The share of the peak counts the products
of points and of distances, forward and backward, and no maximum.
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import interleaved, per, row, training
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.learner import Learner
from dljax.nets.points import PointNet
from dljax.typing import Batch

CLOUDS, BATCH, POINTS, NEAR, CHUNK, REPEATS = 512, 32, 256, 8, 8, 7
WIDTHS, HEAD, CLASSES, RATE = (32, 64, 64), 128, 10, 1e-3


def gflop() -> float:
    """Two operations a product: three times that of the layers, once that of the distances."""
    inputs = (2, *WIDTHS[:-1])
    layers = sum(2 * 2 * a * b for a, b in zip(inputs, WIDTHS, strict=True))
    apart = sum(2 * POINTS * a for a in inputs)
    head = 2 * (sum(WIDTHS) * HEAD + HEAD * CLASSES)
    return 1e-9 * BATCH * (POINTS * (3 * layers + apart) + 3 * head)


def clouds() -> Batch:
    """Noise: the time does not depend on what is drawn."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (CLOUDS, POINTS, 2)).astype(np.float32)
    return Batch(x, rng.integers(0, CLASSES, CLOUDS).astype(np.int32))


def learner() -> Learner:
    net = PointNet(CLASSES, WIDTHS, (HEAD,), neighbours=NEAR)
    return classify.make(net, optimizer("adam", RATE), clouds(), batch=BATCH)


def by_torch(edges: bool = False, compile: bool = False) -> Callable[[], Any]:
    """`CHUNK` steps; with `edges` a feature a product and edge, `h(x_i, x_j - x_i)`."""
    import torch
    from torch import nn
    from torch.nn import functional

    device = "cuda" if torch.cuda.is_available() else "cpu"
    data = clouds()
    x, y = torch.tensor(data.x).to(device), torch.tensor(data.y).to(device, torch.int64)

    def gathered(z: Any, near: Any) -> Any:
        b, n, f = z.shape
        at = (near + n * torch.arange(b, device=z.device)[:, None, None]).reshape(-1)
        return z.reshape(b * n, f).index_select(0, at).reshape(b, n, NEAR, f)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            pairs = [*zip((2, *WIDTHS[:-1]), WIDTHS, strict=True)]
            self.own = nn.ModuleList(nn.Linear(a, b) for a, b in pairs)
            self.apart = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairs)
            self.head = nn.Sequential(
                nn.Linear(sum(WIDTHS), HEAD), nn.ReLU(), nn.Linear(HEAD, CLASSES)
            )

        def forward(self, x: Any) -> Any:
            pooled = []
            for own, apart in zip(self.own, self.apart, strict=True):
                with torch.no_grad():
                    far = x.square().sum(-1)[:, None] - 2 * x @ x.transpose(1, 2)
                    near = far.topk(NEAR, dim=-1, largest=False).indices
                if edges:
                    told = apart(gathered(x, near) - x[:, :, None]).amax(2)
                else:
                    z = apart(x)
                    told = gathered(z, near).max(2).values - z
                x = functional.relu(told + own(x))
                pooled.append(x.amax(1))
            return self.head(torch.cat(pooled, -1))

    net = Net().to(device)
    tx = torch.optim.Adam(net.parameters(), RATE, fused=True)

    def loss(x: Any, y: Any) -> Any:
        return functional.cross_entropy(net(x), y)

    goal = torch.compile(loss) if compile else loss

    def run() -> Any:
        for _ in range(CHUNK):
            rows = torch.randint(CLOUDS, (BATCH,), device=device)
            tx.zero_grad()
            goal(x[rows], y[rows]).backward()
            tx.step()
        return next(net.parameters()).detach().cpu()  # waits for the device

    return run


TORCH: dict[str, Callable[[], Callable[[], Any]]] = {
    "torch": by_torch,
    "torch, products of edges": functools.partial(by_torch, edges=True),
    "torch compiled": functools.partial(by_torch, compile=True),
}


def convolution(peak: float) -> dict[str, Any]:
    """The step of `nets.points.PointNet` with neighbours beside torch's."""
    more, devices = training(learner(), CHUNK)
    known = TORCH if importlib.util.find_spec("torch") else {}
    each = {"dljax": more} | {name: make() for name, make in known.items()}
    times = per(interleaved(each, REPEATS), CHUNK)
    work = f"EdgeConv step, {BATCH} clouds of {POINTS} points"
    return row(work, times, ours="dljax", gflop=gflop(), peak=peak, devices={"ours": devices})
