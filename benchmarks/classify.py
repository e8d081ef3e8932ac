"""The MNIST CNN's step and epoch beside torch and plain Flax; many seeds; memory; import time.

Every side trains the same network, conv 3x3 32, pool, conv 3x3 64, pool, dense 1024, dense 10, by
Adam on batches of 128 in float32, with its own batches drawn from pixels in its device's memory.
The share of the peak counts the products of direct convolution, though ours spends fewer.
"""

import functools
import importlib.util
import json
import sys
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.measure import (
    child,
    compiled,
    interleaved,
    lower,
    peak_memory,
    per,
    row,
    seeds_curve,
)
from dljax import Batch, Learner, advance, start
from dljax.data import load
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.nets import CNN

BATCH, CHUNK, EPOCH, EXAMPLES, REPEATS = 128, 20, 468, 60_000, 9
SEEDS = (1, 2, 4, 8, 16, 32, 64)
AT_ONCE = 4  # of a device's seeds: what its cache holds


def gflop_per_step() -> float:
    """Two operations a product; forward, and a gradient for each weight and each input but x."""
    conv1, conv2 = 28 * 28 * 9 * 1 * 32, 14 * 14 * 9 * 32 * 64
    dense = 7 * 7 * 64 * 1024 + 1024 * 10
    return 2e-9 * BATCH * (2 * conv1 + 3 * conv2 + 3 * dense)


def pixels(examples: int = EXAMPLES) -> Batch:
    """Noise in MNIST's shape: the time does not depend on what is drawn."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (examples, 28, 28, 1), dtype=np.uint8)
    return Batch(x, rng.integers(0, 10, examples).astype(np.int32))


Trainer = Callable[[int], functools.partial]
"""From a number of steps to a function that trains for so many."""


def ours(dtype: str) -> Trainer:
    net = CNN(dtype=jnp.dtype(dtype))
    learner = classify.make(net, optimizer("adam", 1e-3), pixels(), batch=BATCH)
    run = start(learner, jax.random.key(0))
    return lambda steps: functools.partial(advance, learner, run, steps)


class PlainCNN(nn.Module):
    """The same network, written as Flax's documentation does."""

    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for features in (32, 64):
            x = nn.max_pool(nn.relu(nn.Conv(features, (3, 3), dtype=self.dtype)(x)), (2, 2), (2, 2))
        x = nn.relu(nn.Dense(1024, dtype=self.dtype)(x.reshape(len(x), -1)))
        return nn.Dense(10, dtype=self.dtype)(x).astype(jnp.float32)


def plain_flax(dtype: str) -> Trainer:
    """A Python loop of jitted steps over permuted batches."""
    data, net, tx = pixels(), PlainCNN(dtype), optax.adam(1e-3)
    x, y = jnp.asarray(data.x, jnp.float32) / 255, jnp.asarray(data.y)

    @jax.jit
    def step(params, opt, x, y):
        def loss(params):
            logits: Any = net.apply({"params": params}, x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        value, grads = jax.value_and_grad(loss)(params)
        updates, opt = tx.update(grads, opt)
        return optax.apply_updates(params, updates), opt, value

    def train(steps: int) -> Any:
        params = net.init(jax.random.key(0), x[:1])["params"]
        opt, value = tx.init(params), None
        order = np.random.default_rng(0).permutation(len(y))[: steps * BATCH].reshape(steps, -1)
        for rows in order:
            params, opt, value = step(params, opt, x[rows], y[rows])
        return value

    return lambda steps: functools.partial(train, steps)


def torch_trainer(dtype: str, channels_last: bool = False, compile: bool = False) -> Trainer:
    """In bfloat16 by torch's autocast, which keeps the weights in float32 as our networks do."""
    import torch
    from torch.nn import functional

    device = "cuda" if torch.cuda.is_available() else "cpu"
    layers: Any = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(32, 64, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(3136, 1024),
        torch.nn.ReLU(),
        torch.nn.Linear(1024, 10),
    ).to(device)
    data = pixels()
    x = torch.tensor(data.x).permute(0, 3, 1, 2).to(device, torch.float32) / 255
    y = torch.tensor(data.y).to(device, torch.int64)
    if channels_last:
        layers = layers.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    tx = torch.optim.Adam(layers.parameters(), 1e-3, fused=True)

    def loss(x: Any, y: Any) -> Any:
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
            return functional.cross_entropy(layers(x), y)

    objective = torch.compile(loss) if compile else loss

    def train(steps: int) -> float:
        order = torch.randperm(len(y), device=device)[: steps * BATCH].reshape(steps, -1)
        for rows in order:
            value: Any = objective(x[rows], y[rows])
            tx.zero_grad()
            value.backward()
            tx.step()
        return value.item()  # waits for the device

    return lambda steps: functools.partial(train, steps)


TRAINERS: dict[str, Callable[[str], Trainer]] = {
    "dljax": ours,
    "plain Flax": plain_flax,
    "torch eager": torch_trainer,
    "torch channels-last": functools.partial(torch_trainer, channels_last=True),
    "torch compiled": functools.partial(torch_trainer, channels_last=True, compile=True),
}


def available() -> dict[str, Callable[[str], Trainer]]:
    """All of `TRAINERS` but those whose library is not installed."""
    found = importlib.util.find_spec("torch") is not None
    return {k: make for k, make in TRAINERS.items() if found or not k.startswith("torch")}


def step_and_epoch(peak: float, dtype: str = "float32") -> list[dict[str, Any]]:
    trainers = {name: make(dtype) for name, make in available().items()}
    _, costs = compiled(advance, *trainers["dljax"](CHUNK).args, static=(0, 2))
    step_times = interleaved({k: make(CHUNK) for k, make in trainers.items()}, REPEATS)
    step_times = per(step_times, CHUNK)
    fastest = min(step_times.keys() - {"dljax"}, key=lambda name: step_times[name]["median_ms"])
    whole = {name: trainers[name](EPOCH) for name in ("dljax", "plain Flax", fastest)}
    jax.block_until_ready(whole["dljax"]())  # compiles for the epoch's length
    epoch_times = interleaved(whole, 2, warmups=0)
    step, gflop = functools.partial(row, ours="dljax", peak=peak), gflop_per_step()
    fastest_ours = step_times["dljax"]["median_ms"]
    ratios = {
        name: round(times["median_ms"] / fastest_ours, 3) for name, times in step_times.items()
    }
    end = "" if dtype == "float32" else f", {dtype}"
    return [
        step(f"MNIST CNN step{end}", step_times, gflop=gflop, costs=costs, times_ours=ratios),
        step(f"MNIST epoch of {EPOCH} steps{end}", epoch_times, gflop=gflop * EPOCH),
    ]


def digits() -> Learner:
    net, tx = CNN((32, 64), (128, 10)), optimizer("adam", 1e-3)
    return classify.make(net, tx, load("digits").train, batch=64)


def import_time() -> list[dict[str, Any]]:
    """The seconds that `import dljax` adds to `import jax, flax.linen, optax`."""
    program = (
        "import time, json; a = time.perf_counter(); import jax, flax.linen, optax;"
        "b = time.perf_counter(); import dljax; c = time.perf_counter();"
        "print(json.dumps([1e3 * (c - b), 1e3 * (b - a)]))"
    )
    pairs = np.array([child("-c", program) for _ in range(7)])
    quartiles = np.percentile(pairs, (25, 50, 75), axis=0).round(2).T.tolist()
    names = ("dljax", "jax, flax.linen, optax")
    times = {
        name: {"q1_ms": q1, "median_ms": median, "q3_ms": q3}
        for name, (q1, median, q3) in zip(names, quartiles, strict=True)
    }
    return [row("import, after that of jax, flax.linen and optax", times, ours="dljax")]


def memory() -> dict[str, float]:
    """The most host memory, in MiB, of a process that trains for 20 steps, imports included."""
    return {name: child("-m", "benchmarks.classify", name)["mebibytes"] for name in available()}


def main(peak: float) -> list[dict[str, Any]]:
    step, epoch = step_and_epoch(peak)
    curve = seeds_curve("digits CNN", digits(), SEEDS, CHUNK, REPEATS, AT_ONCE)
    rows = [step | {"peak_host_memory_mib": memory()}, epoch, *curve, *import_time()]
    return rows + [each for dtype in lower() for each in step_and_epoch(*dtype)]


if __name__ == "__main__":
    jax.block_until_ready(TRAINERS[sys.argv[1]]("float32")(CHUNK)())
    print(json.dumps({"mebibytes": peak_memory()}))
