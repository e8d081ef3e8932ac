"""Every learner of the package, tiny, by name. A new learner joins the contract test by a line here."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from dljax import Batch, Learner, sweep
from dljax.data import shift
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.nets import CNN, MLP


def images() -> Batch:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (37, 6, 6, 1), dtype=np.uint8)
    return Batch(x, rng.integers(0, 3, 37).astype(np.int32))


def classify_mlp(rate: jax.typing.ArrayLike = 1e-2) -> Learner:
    net = MLP((8, 3), dropout=0.2, batch_norm=True)
    return classify.make(net, optimizer("adam", rate), images(), batch=8, smoothing=0.1)


def classify_cnn() -> Learner:
    tx = optimizer("sgd", 1e-2, steps=9, schedule="warmup-cosine", weight_decay=1e-3)
    augment = functools.partial(shift, by=1)
    return classify.make(CNN((2, 3), (8, 3), 0.2), tx, images(), batch=8, augment=augment)


def sweep_of_rates() -> Learner:
    return sweep(classify_mlp, jnp.array([1e-3, 1e-2]), jnp.array([0, 1]))


LEARNERS = {
    "classify_mlp": classify_mlp,
    "classify_cnn": classify_cnn,
    "sweep": sweep_of_rates,
}
