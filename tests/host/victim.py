"""A run to be killed: a small sweep, checkpointed at every second step. `victim.py OUT`."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp

from dljax import Learner, sweep
from dljax.host.fit import Interrupted, Keep, Selection, Watch, fit
from dljax.host.result import fingerprint

STEPS = 200


def walk(scale):
    """A random walk in 64 dimensions: any step lost, repeated or drawn anew shows in all after."""

    def init(key):
        return {"at": jax.random.normal(key, (64,)), "key": key}

    def step(key, state):
        at = 0.9 * state["at"] + scale * jax.random.normal(key, (64,))
        return state | {"at": at}, {"loss": jnp.sum(at**2)}

    return Learner(init, step)


def evaluate(member):
    return {"validation/accuracy": -jnp.abs(member.run.state["at"]).max()}


def main(out: Path) -> None:
    try:
        fitted = fit(
            sweep(walk, jnp.array([1e-3, 1e-2]), jnp.arange(2)),
            jax.random.key(0),
            STEPS,
            Watch(evaluate, 4, Selection("validation/accuracy", lambda member: member.run.state)),
            chunk=2,
            keep=Keep(out, 2, resume=True),
        )
    except Interrupted as stop:
        print(stop)
        sys.exit(128 + stop.number)
    print(fingerprint((fitted.run, fitted.kept)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
