"""Every learner of the package, tiny, by name; a new one joins the contract test by a line here."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Batch, Learner, sweep
from dljax.data import shift
from dljax.learn import by_hand, classify, descent, landscape, risk
from dljax.learn.optimizers import optimizer
from dljax.nets import CNN, MLP
from dljax.ops.backprop import ACTIVATIONS


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


def risk_mlp() -> Learner:
    data = images()
    net, tx = MLP((8, 1), dropout=0.2), optimizer("adam", 1e-2)
    data = Batch(data.x.astype(np.float32) / 255, data.y.astype(np.float32))
    return risk.make(net, tx, data, optax.squared_error, batch=8)


def trained_by_hand() -> Learner:
    data = images()
    x = data.x.reshape(len(data.x), -1).astype(np.float32) / 255
    return by_hand.make((36, 5, 1), ACTIVATIONS["tanh"], Batch(x, data.y[:, None] / 3.0), 0.1)


def race() -> Learner:
    entrants = {name: functools.partial(optimizer, name) for name in ("sgd", "adadelta")}
    return descent.race(MLP((8, 3)), entrants, jnp.array([1e-2, 1e-1]), images(), batch=8)


def sweep_of_rates() -> Learner:
    return sweep(classify_mlp, jnp.array([1e-3, 1e-2]), jnp.array([0, 1]))


def recorded() -> Learner:
    return landscape.record(classify_mlp(), lambda state: state.fit.params, 3, 4)


LEARNERS = {
    "recorded": recorded,
    "classify_mlp": classify_mlp,
    "classify_cnn": classify_cnn,
    "risk_mlp": risk_mlp,
    "trained_by_hand": trained_by_hand,
    "race": race,
    "sweep": sweep_of_rates,
}
