"""300 trainings of a small network: one compiled sweep, a loop of jitted runs, torch.

Five optimisers, 12 rates and 5 seeds, as in experiments/foundations/optimizers.py. Peers: the same
300 as a Python loop of whole runs, compiled once an optimiser with the rate an argument; torch's
own optimisers in eager mode, of which a few trainings stand for all, on one thread and on all; and
the 300 stacked by hand in torch, with updates of our own, since its optimisers take one rate.
Every whole run, initialisation included, is timed; compilation is not.
"""

import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.measure import compiled, interleaved, row
from dljax import advance, start
from dljax.data import ImageData, load
from dljax.learn import classify
from dljax.learn.optimizers import OPTIMIZERS, optimizer
from dljax.nets import MLP
from experiments.foundations.optimizers import contest

STEPS, BATCH, HIDDEN, SEEDS, REPEATS = 400, 32, 32, 5, 5
RATES = np.geomspace(1e-4, 10**1.5, 12)
SAMPLE = (1e-2,)  # the rates at which torch's eager trainings are timed, one seed each
EAGER: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda params, lr: torch.optim.SGD(params, lr, momentum=0.9, fused=True),
    "adam": lambda params, lr: torch.optim.Adam(params, lr, fused=True),
    "adadelta": torch.optim.Adadelta,
    "adagrad": lambda params, lr: torch.optim.Adagrad(params, lr, fused=True),
    "rmsprop": torch.optim.RMSprop,
}


def main(peak: float) -> list[dict[str, Any]]:
    data, net = load("digits"), MLP((HIDDEN, 10))
    learner = contest(net, RATES, data, BATCH, list(range(SEEDS)))
    key = jax.random.key(0)
    executable, costs = compiled(advance, learner, start(learner, key), STEPS, static=(0, 2))
    eager = trainings(data)
    count = len(OPTIMIZERS) * len(RATES) * SEEDS
    times = interleaved(
        {
            "dljax": lambda: executable(start(learner, key)),
            "loop of jitted runs": loop(net, data),
            "torch eager, 1 thread": lambda: threads(1, eager),
            "torch eager, all threads": lambda: threads(os.cpu_count() or 1, eager),
            "torch stacked, 1 thread": lambda: threads(1, lambda: stacked(data)),
            "torch stacked, all threads": lambda: threads(
                os.cpu_count() or 1, lambda: stacked(data)
            ),
        },
        REPEATS,
    )
    timed = len(EAGER) * len(SAMPLE)
    for name in times:
        if "eager" in name:
            times[name] = {k: round(v * count / timed, 3) for k, v in times[name].items()}
    weights = BATCH * (64 * HIDDEN * 4 + HIDDEN * 10 * 6)  # no gradient of the pixels
    return [
        row(
            f"{count} trainings of {STEPS} steps",
            times,
            ours="dljax",
            gflop=1e-9 * weights * STEPS * count,
            peak=peak,
            **costs,
            trainings_per_second={
                k: round(1e3 * count / t["median_ms"], 1) for k, t in times.items()
            },
            extrapolated=f"torch eager: {timed} of {count} trainings timed, one an optimiser",
        )
    ]


def loop(net: MLP, data: ImageData) -> Callable[[], Any]:
    """The 300 one after the other, each a compiled whole run."""

    def whole(name: str) -> Callable:
        def run(key: jax.Array, rate: jax.Array):
            learner = classify.make(net, optimizer(name, rate), data.train, batch=BATCH)
            return advance(learner, start(learner, key), STEPS)

        return jax.jit(run)

    runs = [whole(name) for name in OPTIMIZERS]
    keys = [jax.random.key(seed) for seed in range(SEEDS)]
    return lambda: [run(key, rate) for run in runs for rate in RATES for key in keys]


def threads(count: int, function: Callable[[], Any]) -> None:
    torch.set_num_threads(count)
    function()


def tensors(data: ImageData) -> tuple[Tensor, Tensor]:
    x = torch.from_numpy(data.train.x.reshape(len(data.train.y), -1))
    return x, torch.from_numpy(data.train.y).long()


def trainings(data: ImageData) -> Callable[[], Any]:
    """One eager training of each optimiser at each sampled rate."""
    x, y = tensors(data)

    def train(make: Callable[..., torch.optim.Optimizer], rate: float) -> None:
        net = torch.nn.Sequential(
            torch.nn.Linear(x.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 10)
        )
        tx = make(net.parameters(), lr=rate)
        order = torch.randperm(len(y))
        for step in range(STEPS):
            at = step % (len(y) // BATCH)
            if at == 0:
                order = torch.randperm(len(y))
            rows = order[at * BATCH : (at + 1) * BATCH]
            tx.zero_grad()
            cross_entropy(net(x[rows]), y[rows]).backward()
            tx.step()

    return lambda: [train(make, rate) for make in EAGER.values() for rate in SAMPLE]


def stacked(data: ImageData) -> Tensor:
    """All 300 in batched matmuls [seeds, optimisers x rates, ...]; gives the last losses."""
    x, y = tensors(data)
    members = len(EAGER) * len(RATES)
    shapes = [(x.shape[1], HIDDEN), (1, HIDDEN), (HIDDEN, 10), (1, 10)]
    params = []
    for shape in shapes:
        drawn = torch.randn(SEEDS, 1, *shape) * (shape[0] ** -0.5 if shape[0] > 1 else 0)
        params.append(drawn.repeat(1, members, 1, 1).requires_grad_())
    rates = torch.tensor(RATES, dtype=torch.float32).reshape(1, -1, 1, 1)
    memory = [[torch.zeros_like(p) for p in params] for _ in range(2)]
    orders, loss = torch.empty(0), torch.empty(0)
    per_epoch, each = len(y) // BATCH, len(RATES)
    for step in range(STEPS):
        at = step % per_epoch
        if at == 0:
            orders = torch.stack([torch.randperm(len(y)) for _ in range(SEEDS)])
        rows = orders[:, at * BATCH : (at + 1) * BATCH]
        w, b, v, c = params
        hidden = torch.relu(x[rows][:, None] @ w + b)
        logits = (hidden @ v + c).movedim(-1, 1)
        labels = y[rows][:, None].expand(-1, members, -1)
        loss = cross_entropy(logits, labels, reduction="none").mean(-1)
        grads = torch.autograd.grad(loss.sum(), params)
        with torch.no_grad():
            for p, g, one, two in zip(params, grads, *memory, strict=True):
                for i, update in enumerate(UPDATES):
                    part = slice(i * each, (i + 1) * each)
                    p[:, part] -= rates * update(g[:, part], one[:, part], two[:, part], step + 1)
    return loss


def sgd(g: Tensor, m: Tensor, _: Tensor, t: int) -> Tensor:
    return m.mul_(0.9).add_(g)


def adam(g: Tensor, m: Tensor, v: Tensor, t: int) -> Tensor:
    m.lerp_(g, 0.1)
    v.mul_(0.999).addcmul_(g, g, value=0.001)
    return (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt_().add_(1e-8))


def adadelta(g: Tensor, v: Tensor, u: Tensor, t: int) -> Tensor:
    v.mul_(0.9).addcmul_(g, g, value=0.1)
    step = (u + 1e-6).sqrt_().div_((v + 1e-6).sqrt_()).mul_(g)
    u.mul_(0.9).addcmul_(step, step, value=0.1)
    return step


def adagrad(g: Tensor, v: Tensor, _: Tensor, t: int) -> Tensor:
    return g / v.addcmul_(g, g).add(1e-10).sqrt_()


def rmsprop(g: Tensor, v: Tensor, _: Tensor, t: int) -> Tensor:
    return g / v.mul_(0.9).addcmul_(g, g, value=0.1).add(1e-8).sqrt_()


UPDATES = (sgd, adam, adadelta, adagrad, rmsprop)
