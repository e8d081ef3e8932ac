"""An attack by projected gradient descent, and a deep ensemble, beside torch.

The attack: 40 steps on each of 1,000 images. Every side climbs the cross-entropy of the same
network, two 4x4 convolutions of stride 2 with 32 and 64 maps and dense layers of 256 and 10, in
float32 from random starts: sign of the gradient, step, cut to the ball and to the pixels. None
stops early; each takes 250 images at a time, as our library does. The share of the peak counts the
products of direct convolution, forward and for the inputs. On a GPU, torch's convolutions and
ours are of TF32 and its dense layers are not: each library's defaults.

The ensemble: 10 networks 13-64-64-2 as of `experiments.frontiers.uncertainty`, 500 steps of Adam on
64 of 455 rows, whole runs with their starts. Peers: the 10 as a loop of jitted runs, as a loop of
torch's eager ones, and stacked by hand in torch, whose Adam is the same for all.
"""

import functools
import importlib.util
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import compiled, interleaved, row
from dljax import advance, start
from dljax.learn import attack, risk, uncertainty
from dljax.learn.optimizers import optimizer
from dljax.learner import Learner
from dljax.nets import MLP
from dljax.nets.coders import ConvEncoder
from dljax.typing import Array, Batch, Key

IMAGES, PIECE, STEPS, EPSILON, STRIDE, REPEATS = 1000, 250, 40, 0.3, 0.01, 7
CHANNELS, HIDDEN = (32, 64), 256
MEMBERS, WIDTHS, ROWS, BATCH, TRAINED, RATE = 10, (13, 64, 64, 2), 455, 64, 500, 2e-3


def gflop() -> float:
    """Two operations a product, forward and for the gradient of each layer's input."""
    first, second = 14 * 14 * 16 * CHANNELS[0], 7 * 7 * 16 * CHANNELS[0] * CHANNELS[1]
    dense = 7 * 7 * CHANNELS[1] * HIDDEN + HIDDEN * 10
    return 4e-9 * IMAGES * STEPS * (first + second + dense)


def images() -> Batch:
    """Noise in MNIST's shape: the time does not depend on what is drawn."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(IMAGES, 28, 28, 1)).astype(np.float32)
    return Batch(x, rng.integers(0, 10, IMAGES).astype(np.int32))


def ours() -> tuple[Callable[[], Any], dict[str, float]]:
    data, net = images(), ConvEncoder((HIDDEN, 10), CHANNELS)
    weights = net.init(jax.random.key(0), jnp.asarray(data.x[:1]))["params"], {}
    each, aim = attack.climb(EPSILON, STRIDE, STEPS), attack.away(data.y)

    def run(weights: Any, key: Key, x: Array) -> Array:
        return attack.examples(each, key, attack.network(net, weights), aim, x, PIECE)

    given = weights, jax.random.key(1), jnp.asarray(data.x)
    executable, costs = compiled(jax.jit(run), *given)
    return functools.partial(executable, *given), costs


def by_torch(channels_last: bool = False, compile: bool = False) -> Callable[[], Any]:
    import torch
    from torch import nn
    from torch.nn import functional

    device = "cuda" if torch.cuda.is_available() else "cpu"
    layers: Any = nn.Sequential(
        nn.Conv2d(1, CHANNELS[0], 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(*CHANNELS, 4, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(7 * 7 * CHANNELS[1], HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, 10),
    ).to(device)
    for weights in layers.parameters():
        weights.requires_grad_(False)
    data = images()
    x = torch.tensor(data.x).permute(0, 3, 1, 2).to(device)
    y = torch.tensor(data.y).to(device, torch.int64)
    if channels_last:
        layers = layers.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)

    def loss(moved: Any, y: Any) -> Any:
        return functional.cross_entropy(layers(moved), y, reduction="sum")

    goal = torch.compile(loss) if compile else loss

    def climb(x: Any, y: Any) -> Any:
        moved = x + EPSILON * (2 * torch.rand_like(x) - 1)
        for _ in range(STEPS):
            moved.requires_grad_(True)
            (slope,) = torch.autograd.grad(goal(moved, y), moved)
            with torch.no_grad():
                moved = moved + STRIDE * slope.sign()
                moved = torch.clamp(x + torch.clamp(moved - x, -EPSILON, EPSILON), 0, 1)
        return moved

    def run() -> Any:
        pieces = zip(x.split(PIECE), y.split(PIECE), strict=True)
        return torch.cat([climb(*piece) for piece in pieces]).cpu()  # waits for the device

    return run


TORCH: dict[str, Callable[[], Callable[[], Any]]] = {
    "torch eager": by_torch,
    "torch channels-last": functools.partial(by_torch, channels_last=True),
    "torch compiled": functools.partial(by_torch, channels_last=True, compile=True),
}


def attacked(peak: float) -> dict[str, Any]:
    mine, costs = ours()
    known = TORCH if importlib.util.find_spec("torch") else {}
    times = interleaved({"dljax": mine} | {k: make() for k, make in known.items()}, REPEATS)
    work = f"PGD of {STEPS} steps on {IMAGES} images"
    return row(work, times, ours="dljax", gflop=gflop(), peak=peak, costs=costs)


def table() -> Batch:
    """Noise in the shape of Boston's training part."""
    rng = np.random.default_rng(0)
    return Batch(*(rng.normal(size=s).astype(np.float32) for s in ((ROWS, WIDTHS[0]), (ROWS,))))


def stacked(members: int, compile: bool = False) -> Callable[[], Any]:
    """Networks in torch whose weights lie side by side; of one, plain training."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_default_device(device)
    x, y = map(torch.tensor, table())

    def loss(params: list[Any], x: Any, y: Any) -> Any:
        for w, b in zip(params[:-2:2], params[1:-2:2], strict=True):
            x = torch.relu(torch.baddbmm(b, x, w))
        mean, raw = torch.baddbmm(params[-1], x, params[-2]).unbind(-1)
        variance = torch.nn.functional.softplus(raw) + uncertainty.LEAST
        nll = 0.5 * ((y - mean) ** 2 / variance + variance.log())
        return nll.mean(1).sum()

    goal = torch.compile(loss) if compile else loss

    def run() -> None:
        params = []
        for shape in itertools.pairwise(WIDTHS):
            params += [torch.randn(members, *shape) * shape[0] ** -0.5]
            params += [torch.zeros(members, 1, shape[1])]
        for each in params:
            each.requires_grad_(True)
        tx = torch.optim.Adam(params, RATE, fused=True)
        for step in range(TRAINED):
            at = step % (ROWS // BATCH)
            if at == 0:
                orders = torch.stack([torch.randperm(ROWS) for _ in range(members)])
            rows = orders[:, at * BATCH : (at + 1) * BATCH]
            tx.zero_grad()
            goal(params, x[rows], y[rows]).backward()
            tx.step()
        params[0].detach().cpu()  # waits for the device

    return run


def ensembled(peak: float) -> dict[str, Any]:
    net, tx, data = MLP(WIDTHS[1:]), optimizer("adam", RATE), table()
    single = risk.make(net, tx, data, uncertainty.gaussian_loss, batch=BATCH)
    many = uncertainty.ensemble(single, MEMBERS)
    keys = list(jax.random.split(jax.random.key(0), MEMBERS))

    def whole(learner: Learner) -> tuple[Callable[[Key], Any], dict[str, float]]:
        return compiled(
            jax.jit(lambda key: advance(learner, start(learner, key), TRAINED)), keys[0]
        )

    (one, _), (all_at_once, costs) = whole(single), whole(many)
    calls: dict[str, Callable[[], Any]] = {
        "dljax": lambda: all_at_once(keys[0]),
        "loop of jitted runs": lambda: [one(key) for key in keys],
    }
    if importlib.util.find_spec("torch"):
        alone = stacked(1)
        calls |= {
            "torch eager, in a loop": lambda: [alone() for _ in keys],
            "torch stacked": stacked(MEMBERS),
            "torch stacked, compiled": stacked(MEMBERS, compile=True),
        }
    times = interleaved(calls, REPEATS)
    work = f"ensemble of {MEMBERS}, {TRAINED} steps"
    products = sum(a * b for a, b in itertools.pairwise(WIDTHS))
    needed = 6e-9 * (products - WIDTHS[0] * WIDTHS[1] / 3) * BATCH * TRAINED * MEMBERS
    rates = {k: round(1e3 * MEMBERS / t["median_ms"], 1) for k, t in times.items()}
    more = {"trainings_per_second": rates, **costs}
    return row(work, times, ours="dljax", gflop=needed, peak=peak, **more)


def main(peak: float) -> list[dict[str, Any]]:
    return [attacked(peak), ensembled(peak)]
