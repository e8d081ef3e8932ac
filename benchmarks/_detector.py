"""The detector's training step beside torch: one network, one loss, pictures of 320 x 240 pixels.

`Vision(Trunk((32, 64, 128, 128), patch=4), Detect(3, 1))` of `experiments.vision.detect`, without
augmentation: every side draws its batches of 8 from 64 pictures in memory, makes its maps of heat
from the same boxes, and descends by Adam in float32. The share of the peak counts the products of
its convolutions, forward and for both gradients, and none of the first layer's input.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.measure import compiled, interleaved, per, row
from dljax import Batch, advance, start
from dljax.learn import detect
from dljax.learn.optimizers import optimizer
from dljax.nets.trunk import Detect, Trunk, Vision
from dljax.typing import Boxes

BATCH, HIGH, WIDE, PATCH, CELL = 8, 240, 320, 4, 8
CHANNELS, CLASSES, GROUPS = (32, 64, 128, 128), 3, 8
EXAMPLES, OBJECTS = 64, 30
CHUNK, REPEATS = 5, 5


def gflop_per_step() -> float:
    """Two operations a product; a gradient for each weight and, but at the first, each input."""
    places = [(HIGH // PATCH >> i) * (WIDE // PATCH >> i) for i in range(4)]
    places[3] = 8 * 10  # of 15 rows, rounded up
    products, before = 0.0, 3 * PATCH**2
    for i, (n, width) in enumerate(zip(places, CHANNELS, strict=True)):
        products += n * 9 * width * (before * (2 / 3 if i == 0 else 1) + width)
        before = width
    for n, width in ((places[2], CHANNELS[2]), (places[1], CHANNELS[1])):
        products += 4 * n * before * width + n * 9 * width * 3 * width
        before = width
    return 6e-9 * BATCH * (products + places[1] * CHANNELS[1] * (CLASSES + 4))


def pictures() -> Batch:
    """Noise with boxes: the time does not depend on what is shown."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (EXAMPLES, HIGH, WIDE, 3), dtype=np.uint8)
    corner = rng.uniform(0, 180, (EXAMPLES, OBJECTS, 2))
    box = np.concatenate([corner, corner + rng.uniform(20, 60, corner.shape)], -1)
    label = rng.integers(0, CLASSES, (EXAMPLES, OBJECTS)).astype(np.int32)
    return Batch(x, Boxes(box.astype(np.float32), label))


def ours() -> functools.partial:
    net = Vision(Trunk(CHANNELS, patch=PATCH), Detect(CLASSES, 1))
    learner = detect.make(net, optimizer("adam", 1e-3), pictures(), batch=BATCH, cell=CELL)
    run = start(learner, jax.random.key(0))
    return functools.partial(advance, learner, run, CHUNK)


def torch_network() -> Any:
    """The same layers: blocks of two convolutions, each normalised over groups of channels."""
    import torch
    from torch import nn
    from torch.nn import functional

    def block(before: int, width: int, stride: int = 1) -> Any:
        return nn.Sequential(
            nn.Conv2d(before, width, 3, stride, 1, bias=False),
            nn.GroupNorm(GROUPS, width, eps=1e-6),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.GroupNorm(GROUPS, width, eps=1e-6),
            nn.ReLU(),
        )

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            widths = (3 * PATCH**2, *CHANNELS)
            self.down = nn.ModuleList(
                block(a, b, 2 if i else 1) for i, (a, b) in enumerate(itertools.pairwise(widths))
            )
            ups = list(zip(CHANNELS[:0:-1], CHANNELS[-2:0:-1], strict=False))
            # two rows to be cut where 15 became 8
            self.climb = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in ups)
            self.join = nn.ModuleList(block(2 * b, b) for _, b in ups)
            self.heat = nn.Conv2d(CHANNELS[1], CLASSES, 1)
            self.place = nn.Conv2d(CHANNELS[1], 4, 1)

        def forward(self, x: Any) -> Any:
            x, maps = functional.pixel_unshuffle(x, PATCH), []
            for each in self.down:
                x = each(x)
                maps.append(x)
            for climb, join, skip in zip(self.climb, self.join, maps[-2:0:-1], strict=True):
                x = climb(x)[..., : skip.shape[2], : skip.shape[3]]
                x = join(torch.cat([skip, x], 1))
            return self.heat(x), self.place(x)

    return Network()


def torch_loss(told: Any, box: Any, label: Any) -> Any:
    """`detect.objective`, of boxes [B, M, 4] none of which is padding."""
    import torch
    from torch.nn import functional

    heat, place = told
    low, high = box[..., :2] / CELL, box[..., 2:] / CELL
    centre, size = (low + high) / 2, torch.log(high - low)
    at = centre.floor().long()
    grid = heat.shape[2:]
    bumps = [
        torch.exp(
            -0.5 * ((torch.arange(n) - at[..., a, None]) / (0.09 * size[..., a, None].exp())) ** 2
        )
        for a, n in enumerate(grid)
    ]
    bump = bumps[0][..., :, None] * bumps[1][..., None, :]
    kinds = [torch.where((label == k)[..., None, None], bump, 0).amax(1) for k in range(CLASSES)]
    wanted = torch.stack(kinds, 1)
    p = torch.sigmoid(heat)
    there = -((1 - p) ** 2) * functional.logsigmoid(heat)
    elsewhere = -((1 - wanted) ** 4) * p**2 * functional.logsigmoid(-heat)
    rows = torch.arange(len(box))[:, None].expand(label.shape)
    seen = place[rows, :, at[..., 0], at[..., 1]]
    right = torch.cat([size, centre - at], -1)
    missed = torch.where(wanted == 1, there, elsewhere).sum() + (seen - right).abs().sum()
    return missed / label.numel()


def torch_trainer(channels_last: bool = False, compile: bool = False) -> Callable[[], float]:
    import torch

    net, data = torch_network(), pictures()
    x = torch.tensor(data.x).permute(0, 3, 1, 2).float() / 255
    box, label = torch.tensor(data.y.box), torch.tensor(data.y.label)
    if channels_last:
        net = net.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    tx = torch.optim.Adam(net.parameters(), 1e-3, fused=True)

    def loss(x: Any, box: Any, label: Any) -> Any:
        return torch_loss(net(x), box, label)

    objective = torch.compile(loss) if compile else loss

    def train() -> float:
        order = torch.randperm(len(x))[: CHUNK * BATCH].reshape(CHUNK, -1)
        for rows in order:
            value: Any = objective(x[rows], box[rows], label[rows])
            tx.zero_grad()
            value.backward()
            tx.step()
        return value.item()

    return train


def step(peak: float, peers: bool = True) -> list[dict[str, Any]]:
    """The row of `python -m benchmarks vision`; `peers` where torch is installed."""
    train = ours()
    _, costs = compiled(advance, *train.args, static=(0, 2))
    sides: dict[str, Callable[[], Any]] = {"dljax": train}
    if peers:
        sides |= {
            "torch eager": torch_trainer(),
            "torch channels-last": torch_trainer(channels_last=True),
            "torch compiled": torch_trainer(channels_last=True, compile=True),
        }
    times = per(interleaved(sides, REPEATS), CHUNK)
    work = f"detector step, {BATCH} pictures of {WIDE} x {HIGH}"
    return [row(work, times, ours="dljax", gflop=gflop_per_step(), peak=peak, costs=costs)]
