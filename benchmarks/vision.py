"""The U-Net's and the detector's steps beside torch, and a slice of 512 x 512 pixels outlined.

Every side trains the same network on the same number of random squares of images in its device's
memory, by Adam in float32: blocks of two 3x3 convolutions with group norms, halved by strides and
doubled by 4x4 transposed convolutions with skips. The network of experiments.vision.segment takes
patches of 2 x 2 pixels; beside it one of a full-resolution level. The share of the peak counts the
products of direct convolution.
"""

import functools
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from benchmarks import _detector
from benchmarks.measure import interleaved, per, row
from dljax import Batch, Learner, advance, start
from dljax.data.augment_masks import crop
from dljax.data.stream import epochs
from dljax.host.mesh import line, shard_map_step
from dljax.learn import segment
from dljax.learn.optimizers import optimizer
from dljax.nets.trunk import Segment, Trunk, Vision
from dljax.typing import Key, PyTree

BATCH, SIDE, SLICES, FULL, CHUNK, REPEATS = 8, 128, 20, 512, 2, 7
NETS = {"32-64-128 on patches of 2": ((32, 64, 128), 2), "16-32-64": ((16, 32, 64), 1)}


def slices() -> Batch:
    """Noise in the shape of ISBI's: the time does not depend on what is drawn."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (SLICES, FULL, FULL, 1), dtype=np.uint8)
    return Batch(x, rng.integers(0, 2, x.shape[:3]).astype(np.int8))


def network(channels: Sequence[int], patch: int) -> Vision:
    return Vision(Trunk(channels, patch=patch), Segment(2, patch=patch))


def learner(channels: Sequence[int], patch: int) -> Learner:
    net, tx = network(channels, patch), optimizer("adam", 1e-3)
    return segment.make(net, tx, slices(), batch=BATCH, side=SIDE)


def spread(channels: Sequence[int], patch: int) -> Callable[[], Any]:
    """The learner's step, its batch cut over all devices: a convolution takes one core of each."""
    data, net, tx = slices(), network(channels, patch), optimizer("adam", 1e-3)
    step = shard_map_step(segment.objective(net), tx, line())
    fit = start(learner(channels, patch), jax.random.key(0)).state.fit
    stream = epochs(data, BATCH)

    @jax.jit
    def draw(key: Key, position: PyTree) -> tuple[PyTree, Batch]:
        position, drawn = stream.next(position)
        return position, crop(key, drawn, SIDE)

    def train() -> Any:
        after, position, metrics = fit, stream.init(jax.random.key(1)), {}
        for key in jax.random.split(jax.random.key(2), CHUNK):
            position, drawn = draw(key, position)
            after, metrics = step(key, after, drawn)
        return metrics

    return train


def gflop_per_pixel(channels: Sequence[int], patch: int) -> float:
    """Two operations a product of the way down and up, for one pixel of the image."""
    total, before = 0.0, patch**2
    for i, c in enumerate(channels):
        share = 1 / (patch << i) ** 2
        total += share * 9 * (before * c + c * c)  # the way down
        if i + 1 < len(channels):  # four taps meet a place; then a block of twice the channels
            total += share * (4 * channels[i + 1] * c + 9 * (2 * c * c + c * c))
        before = c
    return 2e-9 * (total + 2 * channels[0] / patch**2 * patch**2)


class Torch:
    """The same network and step in torch."""

    def __init__(
        self,
        channels: Sequence[int],
        patch: int,
        channels_last: bool = False,
        compile: bool = False,
    ):
        import torch
        from torch import nn

        def block(before: int, c: int, stride: int = 1) -> Any:
            first = nn.Conv2d(before, c, 3, stride, 1, bias=False)
            second = nn.Conv2d(c, c, 3, 1, 1, bias=False)
            norms = nn.GroupNorm(8, c), nn.GroupNorm(8, c)
            return nn.Sequential(first, norms[0], nn.ReLU(), second, norms[1], nn.ReLU())

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                sizes = [patch**2, *channels]
                self.down = nn.ModuleList(
                    block(a, b, 2 if i else 1)
                    for i, (a, b) in enumerate(zip(sizes, channels, strict=False))
                )
                pairs = list(zip(channels[1:], channels, strict=False))[::-1]
                self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in pairs)
                self.join = nn.ModuleList(block(2 * b, b) for _, b in pairs)
                self.last = nn.Conv2d(channels[0], 2 * patch**2, 1)

            def forward(self, x: Any) -> Any:
                x, maps = nn.functional.pixel_unshuffle(x, patch), []
                for layer in self.down:
                    x = layer(x)
                    maps.append(x)
                for up, join, skip in zip(self.up, self.join, maps[-2::-1], strict=True):
                    x = join(torch.cat([skip, up(x)], 1))
                return nn.functional.pixel_shuffle(self.last(x), patch)

        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        data, net = slices(), Net().to(self.device)
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.x = torch.tensor(data.x).permute(0, 3, 1, 2).to(self.device)
        self.y = torch.tensor(data.y).to(self.device)
        net = net.to(memory_format=self.format)  # pyright: ignore[reportCallIssue]
        self.tx = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
        self.net = torch.compile(net, dynamic=False) if compile else net

    def squares(self, rng: np.random.Generator) -> tuple[Any, Any]:
        import torch

        rows = rng.permutation(SLICES)[:BATCH].tolist()
        corners = rng.integers(0, FULL - SIDE + 1, (BATCH, 2)).tolist()
        places = [
            (i, slice(a, a + SIDE), slice(b, b + SIDE))
            for i, (a, b) in zip(rows, corners, strict=True)
        ]
        x = torch.stack([self.x[i, :, a, b] for i, a, b in places]).float() / 255
        y = torch.stack([self.y[place] for place in places]).long()
        return x.contiguous(memory_format=self.format), y

    def train(self, steps: int) -> float:
        import torch

        rng, loss = np.random.default_rng(0), torch.zeros(())
        for _ in range(steps):
            x, y = self.squares(rng)
            self.tx.zero_grad()
            loss = torch.nn.functional.cross_entropy(self.net(x), y)
            loss.backward()
            self.tx.step()
        return loss.item()

    def predict(self) -> Any:
        import torch

        with torch.no_grad():
            x = (self.x[:1].float() / 255).contiguous(memory_format=self.format)
            return self.net(x).cpu()


TORCH: dict[str, Callable[..., Torch]] = {
    "torch eager": Torch,
    "torch channels-last": functools.partial(Torch, channels_last=True),
    "torch compiled": functools.partial(Torch, channels_last=True, compile=True),
}


def main(peak: float) -> list[dict[str, Any]]:
    rows, known = [], importlib.util.find_spec("torch") is not None
    for name, (channels, patch) in NETS.items():
        ours = learner(channels, patch)
        run = start(ours, jax.random.key(0))
        steps = {"dljax": spread(channels, patch)}
        alone = {"one device": functools.partial(advance, ours, run, CHUNK)}
        net, image = network(channels, patch), jax.numpy.asarray(slices().x[:1])
        predict = jax.jit(functools.partial(segment.predict, net))
        slice_of = {"dljax": functools.partial(predict, run.state.fit.params, image)}
        if known:
            peers = {peer: make(channels, patch) for peer, make in TORCH.items()}
            steps |= {peer: functools.partial(each.train, CHUNK) for peer, each in peers.items()}
            slice_of |= {peer: each.predict for peer, each in peers.items()}
        gflop = gflop_per_pixel(channels, patch)
        of = functools.partial(row, ours="dljax", peak=peak)
        times = per(interleaved(steps | alone, REPEATS), CHUNK)
        more = {"one_device": times.pop("one device"), "devices": {"ours": jax.device_count()}}
        rows.append(of(f"U-Net step, {name}", times, gflop=3 * gflop * BATCH * SIDE**2, **more))
        times = interleaved(slice_of, REPEATS)
        rows.append(of(f"one slice of 512 x 512, {name}", times, gflop=gflop * FULL**2))
    return rows + _detector.step(peak, known)
