"""The MNIST CNN fed from the host by grain, beside the same network on the device's own stream.

Both by `fit` in chunks of 20 steps on batches of 128: the fed one's images are read one by one,
batched and moved to the device while the chunk before is computed.
"""

import os
import time
from typing import Any

import grain
import jax
import numpy as np

from benchmarks.classify import BATCH, CHUNK, gflop_per_step, pixels
from benchmarks.measure import quartiles, row
from dljax import Batch
from dljax.host.fit import fit
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.nets import CNN

STEPS, ROUNDS = 60, 5


class Pixels:
    """Images and labels by number, as a file on a disk would give them."""

    def __init__(self):
        self.data = pixels()

    def __len__(self) -> int:
        return len(self.data.y)

    def __getitem__(self, i: int) -> Batch:
        return Batch(self.data.x[i], self.data.y[i])


def feed(source: Any) -> Any:
    """A grain pipeline: shuffled epochs without end, in batches."""
    # by default 500 batches are read ahead, which a short run never learns from
    ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=CHUNK)
    rows = grain.MapDataset.source(source).shuffle(0).repeat()
    return iter(rows.batch(BATCH).to_iter_dataset(ahead))


def reading(source: Any, batches: int = 50) -> float:
    """Seconds that grain takes for a batch, while nothing else is done."""
    given = feed(source)
    next(given)
    begun = time.perf_counter()
    for _ in range(batches):
        next(given)
    return (time.perf_counter() - begun) / batches


def main(peak: float) -> list[dict[str, Any]]:
    net, tx, source = CNN(), optimizer("adam", 1e-3), Pixels()
    resident = classify.make(net, tx, source.data, batch=BATCH)
    fed = classify.fed(net, tx, source.data)
    key, seconds = jax.random.key(0), {"fed by grain": [], "on the device": []}
    for turn in range(ROUNDS + 1):  # the first compiles
        for name, learner in (("fed by grain", fed), ("on the device", resident)):
            given = feed(source) if name == "fed by grain" else None
            rate = fit(learner, key, STEPS, chunk=CHUNK, feed=given, devices=1).rate
            if turn and rate:
                seconds[name].append(1 / rate)
    times = {name: quartiles(values) for name, values in seconds.items()}
    share = np.median(seconds["on the device"]) / np.median(seconds["fed by grain"])
    alone = round(1e3 * reading(source), 3)
    return [
        row("MNIST CNN step, by fit", times, ours="fed by grain", peak=peak, gflop=gflop_per_step())
        | {
            "throughput_share": round(float(share), 4),
            "grain_ms_a_batch": alone,
            "load": os.getloadavg()[0],
        }
    ]
