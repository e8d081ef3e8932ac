"""A sweep, then a fed run, of one process or of two. `together.py OUT [PORT PROCESS]`."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from victim import evaluate, walk

from dljax import Batch, Learner, sweep
from dljax.host import devices, processes
from dljax.host.experiment import fail
from dljax.host.fit import Interrupted, Keep, Selection, Watch, fit
from dljax.learn import classify
from dljax.nets import MLP

ROWS, BATCH, STEPS = 64, 8, 12


class Rows:
    """Batches of made-up rows, in an order of the position's own: this process's share of each."""

    def __init__(self):
        x = np.random.default_rng(0).normal(size=(ROWS, 5)).astype(np.float32)
        self.data = Batch(x, (x[:, 0] > 0).astype(np.int32))
        self.at = 0

    def __next__(self):
        rows = np.random.default_rng(self.at).permutation(ROWS)[:BATCH]
        self.at += 1
        share = BATCH // jax.process_count()
        mine = rows[jax.process_index() * share :][:share]
        return jax.tree.map(lambda leaf: leaf[mine], self.data)

    def get_state(self):
        return {"at": self.at}

    def set_state(self, state):
        self.at = state["at"]


def learner(way: str) -> Learner:
    if way == "sweep":
        return sweep(walk, jnp.geomspace(1e-3, 1e-2, 6), jnp.arange(6))
    net = MLP((8, 2), dropout=0.2)
    return classify.fed(net, optax.adam(1e-2), Rows().data)


def run(way: str, out: Path, steps: int):
    keep = Keep(out, 2, resume=True)
    if way == "sweep":
        watch = Watch(evaluate, 4, Selection("validation/accuracy", lambda each: each.run.state))
        return fit(learner(way), jax.random.key(0), steps, watch, keep=keep, chunk=2)
    return fit(learner(way), jax.random.key(0), steps, keep=keep, chunk=2, feed=Rows())


def main(out: str, port: str = "", process: str = "") -> None:
    devices.claim(2 if port else 4)
    try:
        if port:
            processes.join(f"localhost:{port}", 2, int(process))
        found = [run(way, Path(out) / way, STEPS) for way in ("sweep", "fed")]
    except Interrupted as stop:
        fail(str(stop), 128 + stop.number)
    for way, fitted in zip(("sweep", "fed"), found, strict=True):
        leaves = jax.tree.leaves((fitted.run, fitted.kept))
        np.savez(f"{out}/{way}-{process or 'alone'}.npz", *map(numbers, leaves))


def numbers(leaf: jax.Array) -> np.ndarray:
    key = jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if key else leaf)


if __name__ == "__main__":
    main(*sys.argv[1:])
