"""What two steps of every learner give, to be compared over versions of JAX and machines.

python tests/golden.py      write golden.json anew, after a change that means to change numbers
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from learners import LEARNERS

from dljax import Learner, advance, start

FILE = Path(__file__).with_suffix(".json")
Numbers = dict[str, float | list[float]]


def numbers(learner: Learner) -> Numbers:
    """From key 0: the metrics of each step by itself, and the state's sum of |x| afterwards.

    Not the sum of x: where a gradient is 0 but for rounding, Adam's first step is its sign.
    """
    run, found = start(learner, jax.random.key(0)), {}
    for step in (1, 2):
        run, metrics = advance(learner, run, 1)
        found |= {f"{name} {step}": rounded(value[0]) for name, value in metrics.items()}
    leaves = [x for x in jax.tree.leaves(run.state) if jnp.issubdtype(x.dtype, jnp.floating)]
    return found | {"state": rounded(sum(np.abs(np.asarray(x, float)).sum() for x in leaves))}


def rounded(value) -> float | list[float]:
    """To the seven digits that float32 has, NaN and infinity refused."""
    text = np.vectorize("{:.7g}".format)(np.asarray(value, float)).astype(float)
    assert np.isfinite(text).all()
    return text.tolist()


def read() -> dict[str, Numbers]:
    return json.loads(FILE.read_text())


def write() -> None:
    rows = [f"{json.dumps(name)}: {json.dumps(numbers(make()))}" for name, make in LEARNERS.items()]
    FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    write()
