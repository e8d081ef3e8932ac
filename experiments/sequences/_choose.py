"""All rates and seeds of a learner at once, and the rate that validation prefers."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Learner, grid, start, sweep
from dljax.host.experiment import Study
from dljax.host.figures import curve
from dljax.host.fit import Selection, Watch
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import params_of
from dljax.typing import Array, PyTree


class Chosen(NamedTuple):
    """Every seed's weights [S, ...] under the rate whose mean validation loss is least."""

    rate: float
    first: PyTree  # at the start
    weights: PyTree  # at the step of the least validation loss
    norms: np.ndarray  # of the gradient: the greatest mean over 50 steps of training, [S]


def choose(
    run: Study,
    part: str,
    make: Callable[[Array], Learner],
    loss: Callable[[PyTree], Array],
    rates: Sequence[float],
    steps: int,
) -> Chosen:
    """Train `make(rate)` for each rate and seed; `loss(params)` is of validation.

    A rate may be so large that members diverge; a seed is the same run under every rate.
    """
    seeds = jnp.arange(run.config.seeds) + run.config.seed
    axes, shape = grid(rate=jnp.array(rates), seed=seeds), (len(rates), len(seeds))
    learner = sweep(lambda hparams: make(hparams["rate"]), axes, axes["seed"])
    fitted = run.fit(
        learner,
        steps,
        Watch(
            lambda member: {"validation/loss": loss(params_of(member))},
            max(1, steps // 10),
            Selection("validation/loss", params_of, lowest=True),
        ),
        part=part.replace(",", "").replace(" ", "-"),
        names=run.named(f"rate {rate:g}" for rate in rates),
        shown=("train/loss", "validation/loss"),
        chunk=50,
        saves=steps,
        may_diverge=True,
    )
    means = np.asarray(run.each(loss, fitted.kept)).reshape(shape).mean(1)
    best = int(np.nan_to_num(means, nan=np.inf).argmin())

    def of_best(tree: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:])[best], tree)

    first = params_of(start(learner, jax.random.key(0)).state)
    norms = of_best(curve(fitted.records, "train/grad_norm")[1].T).max(-1)
    return Chosen(float(rates[best]), of_best(first), of_best(fitted.kept), norms)


def by_adam(
    run: Study,
    config: Any,
    part: str,
    make: Callable[[optax.GradientTransformation], Learner],
    loss: Callable[[PyTree], Array],
) -> PyTree:
    """The weights that `choose` keeps, by clipped Adam at `config.rates` in `config.steps`."""

    def learner(rate: Array) -> Learner:
        rule = optimizer("adam", rate, steps=config.steps, schedule="cosine")
        return make(optax.chain(optax.clip_by_global_norm(1.0), rule))

    return choose(run, part, learner, loss, config.rates, config.steps).weights
