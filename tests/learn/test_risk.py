"""Empirical risk: its formula, its mini-batches, and the losses of S6."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import Batch, advance, start
from dljax.errors import InputError
from dljax.learn import risk
from dljax.learn.optimizers import optimizer
from dljax.nets import MLP

KEY = jax.random.key(0)
X = np.asarray(jax.random.normal(KEY, (12, 3)))
NET = MLP((4, 1), jnp.tanh)


@pytest.fixture(scope="module")
def params():
    return NET.init(KEY, X)["params"]


@pytest.mark.parametrize("loss", [optax.sigmoid_binary_cross_entropy, optax.squared_error])
def test_the_risk_is_the_mean_of_the_losses_written_out(params, loss):
    y = (X[:, 0] > 0).astype(np.float32)
    found, _ = risk.objective(NET, loss)(params, {}, Batch(X, y), KEY)
    hidden = np.tanh(X @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"][None])
    z = np.asarray(hidden @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"][None])[:, 0]
    p = 1 / (1 + np.exp(-z))
    bce = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    expected = bce if loss is optax.sigmoid_binary_cross_entropy else (z - y) ** 2
    assert float(found) == pytest.approx(expected.mean(), rel=1e-5)


def test_accuracy_is_the_share_of_greatest_logits():
    logits = jnp.array([[0.1, 0.9, 0.2], [3, 1, 2], [0, 1, 2], [5, 4, 3]])
    assert risk.accuracy(logits, jnp.array([1, 0, 0, 2]))["accuracy"] == 0.5


def test_a_batchs_gradient_is_the_mean_of_its_examples(params):
    y = X[:, 1]

    @jax.jit
    def slopes(x, y):
        mean = lambda p, x, y: risk.objective(NET, optax.squared_error)(p, {}, Batch(x, y), KEY)[0]  # noqa: E731
        each = jax.vmap(jax.grad(mean), (None, 0, 0))(params, x[:, None], y[:, None])
        return jax.grad(mean)(params, x, y), each

    whole, each = slopes(X, y)
    jax.tree.map(lambda w, e: np.testing.assert_allclose(w, e.mean(0), atol=1e-6), whole, each)


def test_a_linear_network_finds_least_squares():
    y = (X @ np.array([[1.0], [-2.0], [0.5]], np.float32))[:, 0] + 3
    learner = risk.make(
        MLP((1,)), optimizer("adam", 0.1), Batch(X, y), optax.squared_error, batch=6
    )
    run, metrics = advance(learner, start(learner, KEY), 600)
    found = run.state.fit.params["Dense_0"]
    np.testing.assert_allclose(found["kernel"][:, 0], [1, -2, 0.5], atol=1e-3)
    np.testing.assert_allclose(found["bias"], [3], atol=1e-3)
    assert metrics["loss"][-1] < 1e-5 < metrics["loss"][0]


def test_what_is_drawn_for_inputs_and_for_dropout_is_drawn_apart():
    """Each of the two reports the first number of its key."""

    def augment(key, batch):
        return batch._replace(x=jnp.full_like(batch.x, jax.random.uniform(key)))

    def objective(params, extra, batch, key):
        drawn = {"inputs": batch.x.mean(), "dropout": jax.random.uniform(key)}
        return batch.x.mean(), (extra, drawn)

    data = Batch(X, X[:, 0])
    learner = risk.descend(NET, objective, optax.sgd(0.1), data, batch=6, augment=augment)
    _, metrics = advance(learner, start(learner, KEY), 3)
    drawn = np.concatenate([metrics["inputs"], metrics["dropout"]])
    assert np.diff(np.sort(drawn)).min() > 1e-4


def test_a_batch_beyond_the_data_is_refused():
    with pytest.raises(InputError, match="batch must be from 1 to the 12"):
        risk.make(NET, optimizer("adam", 0.1), Batch(X, X), optax.squared_error, batch=13)


def test_what_is_explained_is_what_scikit_learn_says(params):
    from sklearn.metrics import r2_score, root_mean_squared_error

    net, rng = MLP((4, 2)), np.random.default_rng(0)
    weights = net.init(KEY, X)["params"], {}
    y = rng.normal(size=(12, 2)) * [1, 3]
    outputs = risk.predict(net, weights, X)
    found = risk.evaluate(net, weights, Batch(X, y), "test")
    wanted = r2_score(y, outputs, multioutput="variance_weighted")
    assert float(found["test/explained"]) == pytest.approx(wanted, rel=1e-4)
    assert float(found["test/RMSE"]) == pytest.approx(
        np.sqrt(((y - outputs) ** 2).mean()), rel=1e-4
    )
    one = risk.evaluate(NET, (params, {}), Batch(X, X[:, 0]), "test")  # one output faces y [n]
    rest = root_mean_squared_error(X[:, 0], risk.apply(NET, params, X))
    assert float(one["test/RMSE"]) == pytest.approx(rest, rel=1e-4)
