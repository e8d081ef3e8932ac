"""A run to be killed: a small sweep, checkpointed at every second step. `victim.py OUT`."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
from learners import classify_mlp

from dljax import sweep
from dljax.host.fit import Interrupted, Keep, Selection, Watch, fit
from dljax.host.result import fingerprint
from dljax.learn import classify
from dljax.nets import MLP

STEPS = 200


def evaluate(member):
    from learners import images

    fit = member.run.state.fit
    net = MLP((8, 3), dropout=0.2, batch_norm=True)
    return classify.evaluate(net, (fit.params, fit.extra), images())


def main(out: Path) -> None:
    try:
        fitted = fit(
            sweep(classify_mlp, jnp.array([1e-3, 1e-2]), jnp.arange(2)),
            jax.random.key(0),
            STEPS,
            Watch(
                evaluate,
                4,
                Selection("validation/accuracy", lambda member: member.run.state.fit.params),
            ),
            chunk=2,
            keep=Keep(out, 2, resume=True),
        )
    except Interrupted as stop:
        print(stop)
        sys.exit(128 + stop.number)
    print(fingerprint((fitted.run, fitted.kept)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
