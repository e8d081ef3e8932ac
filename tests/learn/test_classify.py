"""Classification against closed forms, scikit-learn, and a task that must be learnt."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import Batch, InputError, advance, start
from dljax.data.stream import epochs, permute
from dljax.learn import classify
from dljax.learn.optimizers import OPTIMIZERS, SCHEDULES, optimizer
from dljax.nets import MLP


@pytest.fixture(scope="module")
def blobs():
    """Three separable clouds in the plane."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90).astype(np.int32)
    centres = np.array([[0, 2], [2, -1], [-2, -1]])
    return Batch((centres[y] + 0.3 * rng.normal(size=(90, 2))).astype(np.float32), y)


def test_loss_is_scikit_learns(blobs):
    from sklearn.metrics import accuracy_score, log_loss

    net = MLP((3,))
    params = net.init(jax.random.key(0), blobs.x)["params"]
    weights = (params, {})
    found = classify.evaluate(net, weights, blobs)
    logits = np.asarray(classify.predict(net, weights, blobs.x), np.float64)
    chances = np.asarray(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(found["validation/loss"], log_loss(blobs.y, chances), rtol=1e-5)
    accuracy = accuracy_score(blobs.y, chances.argmax(-1))
    np.testing.assert_allclose(found["validation/accuracy"], accuracy, rtol=1e-6)
    objective = classify.objective(net)
    loss, (_, metrics) = objective(params, {}, blobs, jax.random.key(0))
    np.testing.assert_allclose(loss, found["validation/loss"], rtol=1e-5)
    np.testing.assert_allclose(metrics["accuracy"], accuracy, rtol=1e-6)


def test_smoothing_mixes_in_the_uniform_cross_entropy(blobs):
    net, s = MLP((3,)), 0.3
    params = net.init(jax.random.key(0), blobs.x)["params"]
    smooth, _ = classify.objective(net, smoothing=s)(params, {}, blobs, jax.random.key(0))
    plain, _ = classify.objective(net)(params, {}, blobs, jax.random.key(0))
    uniform = -jax.nn.log_softmax(net.apply({"params": params}, blobs.x)).mean()
    np.testing.assert_allclose(smooth, (1 - s) * plain + s * uniform, rtol=1e-5)


def test_predictions_do_not_depend_on_the_chunk(blobs):
    net = MLP((4, 3), batch_norm=True)
    variables = dict(net.init(jax.random.key(0), blobs.x))
    weights = (variables.pop("params"), variables)
    whole = classify.predict(net, weights, blobs.x, chunk=90)
    np.testing.assert_allclose(whole, classify.predict(net, weights, blobs.x, 32), rtol=1e-5)


@pytest.mark.parametrize(("steps", "peak"), [(1, 1), (10, 1), (40, 4)])
def test_a_tenth_of_the_steps_warms_up(steps, peak):
    factor = SCHEDULES["warmup-cosine"](steps)
    assert [float(factor(step)) for step in (0, peak)] == [0, 1]
    assert float(factor(max(2, steps))) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns_the_clouds(blobs, name):
    rate = {"sgd": 0.3, "momentum": 0.1, "adadelta": 10.0, "adagrad": 0.3}.get(name, 0.03)
    learner = classify.make(MLP((8, 3)), optimizer(name, rate), blobs, batch=30)
    run, _ = advance(learner, start(learner, jax.random.key(0)), 60)
    found = classify.evaluate(MLP((8, 3)), (run.state.fit.params, {}), blobs)
    assert found["validation/accuracy"] > 0.97


def test_calibration_error_of_known_bins():
    # one bin at confidence 0.8, right in 1 of 2; one at 0.6, right in 2 of 2
    chances = jnp.array([[0.8, 0.2], [0.2, 0.8], [0.6, 0.4], [0.6, 0.4]])
    labels = jnp.array([0, 0, 0, 0])
    wanted = 0.5 * abs(0.5 - 0.8) + 0.5 * abs(1 - 0.6)
    np.testing.assert_allclose(classify.calibration_error(chances, labels), wanted, rtol=1e-6)


def test_a_calibrated_guesser_has_no_calibration_error():
    confidence = jax.random.uniform(jax.random.key(0), (200_000,), minval=0.5, maxval=1)
    right = jax.random.uniform(jax.random.key(1), (200_000,)) < confidence
    chances = jnp.stack([confidence, 1 - confidence], -1)
    error = classify.calibration_error(chances, jnp.where(right, 0, 1))
    assert error < 0.005


@pytest.mark.parametrize("n", [1, 2, 7, 64, 1257])
def test_permute_is_a_permutation(n):
    shuffled = permute(jax.random.key(0), jnp.arange(n), n)
    assert sorted(np.asarray(shuffled)) == list(range(n))


def test_permute_is_fair():
    """Each item comes first equally often, and neighbours part: chi-square within 5 sigma."""
    n, draws = 12, 6000
    keys = jax.random.split(jax.random.key(0), draws)
    tables = np.asarray(jax.vmap(lambda key: permute(key, jnp.arange(n), n))(keys))
    counts = np.stack([(tables == item).sum(0) for item in range(n)])
    chi2, freedom = ((counts - draws / n) ** 2 / (draws / n)).sum(), (n - 1) ** 2
    assert abs(chi2 - freedom) < 5 * np.sqrt(2 * freedom)
    followed = (tables[:, 1:] - tables[:, :-1] == 1).mean()
    assert abs(followed - 1 / n) < 5 * np.sqrt(1 / n / (draws * (n - 1)))


def test_an_epoch_draws_each_example_once_in_another_order_each_time():
    stream = epochs(Batch(np.arange(10, dtype=np.float32), np.arange(10)), 3)
    position, drawn = stream.init(jax.random.key(0)), []
    for _ in range(6):
        position, batch = stream.next(position)
        np.testing.assert_array_equal(batch.x, batch.y)
        drawn.append(np.asarray(batch.y))
    first, second = np.concatenate(drawn[:3]), np.concatenate(drawn[3:])
    assert len(set(first)) == len(set(second)) == 9
    assert list(first) != list(second)


def test_bytes_come_out_between_0_and_1_but_labels_as_they_are():
    stream = epochs(Batch(np.array([[0], [255]], np.uint8), np.array([3, 2], np.uint8)), 2)
    _, batch = stream.next(stream.init(jax.random.key(0)))
    assert sorted(batch.x.reshape(-1).tolist()) == [0, 1]
    assert sorted(batch.y.tolist()) == [2, 3]


def test_labels_of_any_integers_give_one_loss(blobs):
    losses = []
    for kind in (np.uint8, np.int64):
        data = blobs._replace(y=blobs.y.astype(kind))
        learner = classify.make(MLP((3,)), optimizer("adam", 0.1), data, batch=8)
        _, metrics = advance(learner, start(learner, jax.random.key(0)), 2)
        losses.append(metrics["loss"])
    np.testing.assert_array_equal(*losses)


@pytest.mark.parametrize("weights", [[1.0, 2.0], [1.0, 2.0, 3.0, 4.0], 2.0])
def test_weights_are_one_a_class(blobs, weights):
    with pytest.raises(InputError, match=r"weights must be \[3\], one a class; got \["):
        classify.make(MLP((3,)), optax.sgd(0.1), blobs, batch=30, weights=weights)


@pytest.mark.usefixtures("misused")
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda b: classify.make(MLP((3,)), optimizer("sgd", 1.0), b, batch=91), "1 to the 90"),
        (lambda b: classify.make(MLP((3,)), optimizer("sgd", 1.0), b, batch=0), "got 0"),
        (lambda b: classify.make(MLP((3,)), optax.sgd(1.0), b, batch=9, smoothing=1), "smoothing"),
        (lambda b: optimizer("adm", 1.0), "did you mean adam"),
        (lambda b: optimizer("sgd", 0.0), "rate must be a positive number; got 0.0"),
        (lambda b: optimizer("sgd", float("nan")), "got nan"),
        (lambda b: optimizer("sgd", 1.0, schedule="cosin"), "cosine"),
        (lambda b: optimizer("sgd", 1.0, weight_decay=-1), "got -1"),
    ],
)
def test_bad_input_is_named(blobs, make, says):
    with pytest.raises(InputError, match=says) as error:
        make(blobs)
    assert "\n" not in str(error.value)


def test_weight_decay_shrinks_kernels_and_spares_biases():
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    tx = optimizer("adam", 0.1, weight_decay=0.5)
    zero = jax.tree.map(jnp.zeros_like, params)
    updates, _ = tx.update(zero, tx.init(params), params)
    np.testing.assert_allclose(updates["kernel"], -0.05 * np.ones((2, 2)), rtol=1e-6)
    np.testing.assert_array_equal(updates["bias"], [0, 0])
