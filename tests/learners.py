"""Every learner of the package, tiny, by name; a new one joins the contract test by a line here."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Batch, Learner, sweep
from dljax.data import shift
from dljax.data.stream import epochs
from dljax.envs import tabular
from dljax.learn import by_hand, classify, debias, descent, dqn, gan, landscape, q_learning, risk
from dljax.learn.optimizers import optimizer
from dljax.nets import CNN, MLP
from dljax.nets.adversarial import Discriminator, Generator
from dljax.nets.coders import DenseDecoder
from dljax.nets.q_network import QNetwork
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


def gan_dense(penalty: jax.typing.ArrayLike = 0.3) -> Learner:
    net = gan.GAN(Generator((6, 6, 1), (8,)), Discriminator((8,), spectral=True), 3)
    tx, cost = optax.adam(1e-2, b1=0.5), gan.r1(jnp.asarray(penalty))
    stream = epochs(images(), 8)
    return gan.make(net, tx, tx, stream, penalty=cost, rounds=2, average=0.9)


def gan_conv() -> Learner:
    net = gan.GAN(Generator((6, 6, 1), (), (3, 2), jax.nn.sigmoid), Discriminator((), (2, 3)), 3)
    tx, goal = optax.adam(1e-2), gan.minimax
    return gan.make(net, tx, tx, epochs(images(), 8), goal=goal)


def debiased() -> Learner:
    nets = debias.Nets(MLP((8, 3 + 2 * 2)), DenseDecoder((6, 6, 1), (8,)), 3, 2)
    tx, rows = optimizer("adam", 1e-2), jnp.arange(37)
    return debias.make(nets, tx, images(), rows, batch=8, alpha=0.1, weight=1e-2)


def dqn_of_three_steps() -> Learner:
    mdp = tabular.random_mdp(jax.random.key(0), 6, 3, ends=1)
    return dqn.make(
        tabular.environment(mdp, limit=9), QNetwork(3, (8,), dueling=True), optax.adam(1e-2),
        actors=2, iterations=4, period=2, updates=2, capacity=40, warmup=20, batch=8, n=3,
        double=True, epsilon=optax.linear_schedule(1.0, 0.1, 60),
    )  # fmt: skip


def q_table(gamma: jax.typing.ArrayLike = 0.9) -> Learner:
    env = tabular.environment(tabular.random_mdp(jax.random.key(0), 6, 3, ends=1), limit=9)
    rate = q_learning.decay(1.0, 0.8)
    return q_learning.make(env, rate, gamma=gamma, epsilon=0.3, actors=3, length=4)


LEARNERS = {
    "q_table": q_table,
    "dqn": dqn_of_three_steps,
    "gan_dense": gan_dense,
    "gan_conv": gan_conv,
    "recorded": recorded,
    "classify_mlp": classify_mlp,
    "classify_cnn": classify_cnn,
    "risk_mlp": risk_mlp,
    "trained_by_hand": trained_by_hand,
    "race": race,
    "sweep": sweep_of_rates,
    "debiased": debiased,
}
