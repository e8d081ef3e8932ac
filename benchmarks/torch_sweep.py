"""The peers of the sweep in torch: eager trainings, and all 300 stacked by hand."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks._sizes import BATCH, HIDDEN, RATES, SEEDS, STEPS
from dljax.data import ImageData

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SAMPLE = (1e-2,)  # the rates at which torch's eager trainings are timed, one seed each
EAGER: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "momentum": lambda params, lr: torch.optim.SGD(params, lr, momentum=0.9, fused=True),
    "adam": lambda params, lr: torch.optim.Adam(params, lr, fused=True),
    "adadelta": torch.optim.Adadelta,
    "adagrad": lambda params, lr: torch.optim.Adagrad(params, lr, fused=True),
    "rmsprop": torch.optim.RMSprop,
}


def threads(count: int, function: Callable[[], Any]) -> None:
    torch.set_num_threads(count)
    with torch.device(DEVICE):
        function()
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def tensors(data: ImageData) -> tuple[Tensor, Tensor]:
    x = torch.from_numpy(data.train.x.reshape(len(data.train.y), -1))
    return x.to(DEVICE), torch.from_numpy(data.train.y).long().to(DEVICE)


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


def momentum(g: Tensor, m: Tensor, _: Tensor, t: int) -> Tensor:
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


UPDATES = (momentum, adam, adadelta, adagrad, rmsprop)
