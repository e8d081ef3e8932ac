"""A conditional GAN for each small set of labelled images, and what it draws."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Batch, Learner, sweep
from dljax.data import ImageData
from dljax.data.stream import epochs, unit_scale
from dljax.host.experiment import Study
from dljax.host.function import Function, Input
from dljax.learn import gan
from dljax.typing import Array, Key, PyTree
from experiments.generative._augment import keys_of

RATE, AVERAGE = 2e-3, 0.99  # of both Adams at their highest, and of the generator's running average


def learner(
    net: gan.GAN, data: ImageData, rows: Array, *, steps: int, batch: int, penalty: float
) -> Learner:
    """The game over the training images `rows` [n], with R1; its rates fall in the second half."""
    x, y = jnp.asarray(data.train.x), jax.nn.one_hot(data.train.y, len(data.classes))
    places = epochs(rows, batch)

    def following(position: PyTree) -> tuple[PyTree, Batch]:
        position, taken = places.next(position)
        return position, Batch(unit_scale(x[taken]), y[taken])

    fall = optax.linear_schedule(-RATE, 0.0, steps - steps // 2, steps // 2)
    # with the usual momentum of 0.9 the game swings (Radford et al. 2015)
    tx = optax.chain(optax.scale_by_adam(0.5, 0.9), optax.scale_by_schedule(fall))
    stream, cost = places._replace(next=following), gan.r1(penalty)
    return gan.make(net, tx, tx, stream, penalty=cost, average=AVERAGE, conditional=True)


def play(
    run: Study,
    net: gan.GAN,
    data: ImageData,
    rows: np.ndarray,
    names: Sequence[str],
    steps: int,
    batch: int,
    penalty: float,
) -> PyTree:
    """Generators [T * S] of labelled images, rows [T, S, n], each of which sees its own alone."""
    known = jnp.asarray(rows.reshape(-1, rows.shape[-1]), jnp.int32)
    options = {"steps": steps, "batch": batch, "penalty": penalty}
    fitted = run.fit(
        sweep(
            lambda own: learner(net, data, own, **options),
            known,
            jnp.asarray(run.seeds * len(rows)),
        ),
        steps,
        part="generator",
        names=names,
        shown=("train/value",),
        saves=steps,
    )
    params, classes = gan.best(fitted.run.state.run.state.generator), len(data.classes)

    def sample(params: PyTree, seeds: Array) -> Array:
        z = jax.vmap(lambda seed: jax.random.normal(jax.random.key(seed), (net.latent,)))(seeds)
        return gan.generate(net, params, z, jax.nn.one_hot(seeds % classes, classes))

    asked = (Input((), "int32", "seed"),)  # whose last digit is the label, where there are ten
    run.model(params, {"sample": Function(sample, asked)}, part="generator", names=names)
    return params


def draw(run: Study, net: gan.GAN, params: PyTree, y: Array) -> Array:
    """Images of labels y [N, n, K], by the generator of each of N sets."""

    def one(params: PyTree, key: Key, y: Array) -> Array:
        return gan.generate(net, params, jax.random.normal(key, (len(y), net.latent)), y)

    keys = keys_of(jax.random.key(1), run.seeds, len(y) // len(run.seeds))
    return jnp.asarray(run.each(one, params, keys, y))
