"""DB-VAE: how examples are drawn, against slow loops; what is kept of them; that it debiases."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import Batch, InputError, advance, start
from dljax.data.groups import Grouped
from dljax.learn import debias
from dljax.nets import MLP
from dljax.nets.coders import DenseDecoder

N, CLASSES, LATENTS, BINS = 60, 2, 3, 6
NETS = debias.Nets(MLP((8, CLASSES + 2 * LATENTS)), DenseDecoder((2, 6, 1), (8,)), CLASSES, LATENTS)
chances = jax.jit(debias.chances, static_argnums=(2, 5))


@pytest.fixture(scope="module")
def codes():
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(N, LATENTS)).astype(np.float32)
    return jnp.array(latents), jnp.array(np.repeat([0, 1], (40, 20)).astype(np.int32))


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (N, 2, 6, 1), dtype=np.uint8)
    return Batch(x, rng.integers(0, CLASSES, N).astype(np.int32))


def slow(latents, y, alpha) -> np.ndarray:
    """Literally: each class's histograms by numpy, their product, and each class's own share."""
    p = np.zeros(len(y))
    for c in range(CLASSES):
        mine = np.flatnonzero(y == c)
        weights = np.ones(len(mine))
        for j in range(latents.shape[1]):
            z = latents[mine, j].astype(float)
            counts, edges = np.histogram(z, BINS)
            place = np.clip(np.searchsorted(edges, z, side="right") - 1, 0, BINS - 1)
            weights *= 1 / (counts[place] / len(mine) + alpha)
        p[mine] = weights / weights.sum() * len(mine) / len(y)
    return p


@pytest.mark.parametrize("alpha", [1e-3, 0.1, 2.0])
def test_examples_are_drawn_by_the_product_of_their_rarities(codes, alpha):
    latents, y = codes
    found = chances(latents, y, CLASSES, alpha, 0.0, BINS)
    np.testing.assert_allclose(found, slow(*map(np.asarray, codes), alpha), rtol=1e-4)
    assert found.sum() == pytest.approx(1, abs=1e-5)


def test_an_infinite_alpha_draws_uniformly(codes):
    found = chances(*codes, CLASSES, jnp.inf, 0.0, BINS)
    np.testing.assert_allclose(found, 1 / N, rtol=1e-5)


def test_the_scale_and_the_origin_of_a_latent_do_not_count(codes):
    latents, y = codes
    moved = latents * jnp.array([[0.25, 2.0, -4.0]]) + 8
    found = chances(moved, y, CLASSES, 0.1, 0.0, BINS)
    np.testing.assert_allclose(found, chances(*codes, CLASSES, 0.1, 0.0, BINS), rtol=1e-4)


def test_a_lonely_code_is_drawn_more_and_a_constant_latent_tells_nothing():
    latents = jnp.zeros((100, 2)).at[:5, 0].set(1)  # five are far from the others
    found = chances(latents, jnp.zeros(100, jnp.int32), CLASSES, 1e-6, 0.0, 10)
    np.testing.assert_allclose(found[:5].sum(), 0.5, rtol=1e-3)  # each occupied bin the same


def test_a_class_without_examples_is_no_trouble(codes):
    latents, y = codes
    found = chances(latents, y, 3, 0.1, 0.0, BINS)
    np.testing.assert_allclose(found, chances(latents, y, CLASSES, 0.1, 0.0, BINS), rtol=1e-6)


def test_given_weights_balance_the_groups_and_keep_the_classes(codes):
    latents, y = codes
    group = jnp.array(np.repeat([0, 1, 2], (35, 5, 20)))
    known = -jnp.log(jnp.array([35.0, 5, 20]))[group]
    found = chances(latents, y, CLASSES, jnp.inf, known, BINS)
    shares = [float(found[group == g].sum()) for g in range(3)]
    np.testing.assert_allclose(shares, [1 / 3, 1 / 3, 1 / 3], rtol=1e-5)
    both = chances(latents, y, CLASSES, 0.01, known, BINS)
    assert both[y == 0].sum() == pytest.approx(40 / 60, rel=1e-5)


def test_the_objective_of_a_network_that_knows_nothing(data):
    """Zero weights: logits and pixels 0, posterior N(0, 1), and so closed forms for every term."""
    learner = learn(data)
    params = jax.tree.map(jnp.zeros_like, learner.init(jax.random.key(0)).fit.params)
    batch = Batch(jnp.asarray(data.x[:9]) / 255, jnp.asarray(data.y[:9]))
    loss, (_, found) = debias.objective(NETS, 0.1)(params, {}, batch, jax.random.key(1))
    assert found["cross_entropy"] == pytest.approx(np.log(2), rel=1e-5)
    assert found["bound"] == pytest.approx(12 * np.log(2), rel=1e-5)
    assert loss == pytest.approx(np.log(2) * 2.2, rel=1e-5)
    # means of 2 and variances of e: KL 1/2 (4 + e - 1 - 1) for each of the latents
    bias = jnp.array([0.0, 0, *[2] * LATENTS, *[1] * LATENTS])
    params["encoder"]["Dense_1"]["bias"] = bias
    _, (_, found) = debias.objective(NETS, 0.1)(params, {}, batch, jax.random.key(1))
    expected = 12 * np.log(2) + LATENTS * (2 + np.e) / 2
    assert found["bound"] == pytest.approx(expected, rel=1e-5)


def learn(data, tx=None, batch=8, alpha=0.1, weight=1e-2, rows=None, known=0.0):
    rows = jnp.arange(N) if rows is None else rows
    tx = tx or optax.adam(1e-2)
    return debias.make(NETS, tx, data, rows, batch=batch, alpha=alpha, weight=weight, known=known)


def test_every_latent_is_known_anew_after_an_epoch(data):
    rows = jnp.arange(N)[::-1][:50]
    learner = learn(data, tx=optax.set_to_zero(), rows=rows)
    run, _ = advance(learner, start(learner, jax.random.key(0)), 6)
    _, means = debias.predict(NETS, run.state.fit.params, data.x[rows])
    np.testing.assert_allclose(run.state.latents[:48], means[:48], rtol=1e-5, atol=1e-6)
    assert not run.state.latents[48:].any()
    run, _ = advance(learner, run, 6)
    np.testing.assert_allclose(run.state.latents, means, rtol=1e-5, atol=1e-6)


def test_only_what_has_a_chance_is_drawn(data):
    """All of one class, and all but example 3 impossible: the loss is that of example 3."""
    data = Batch(data.x, np.zeros(N, np.int32))
    known = jnp.where(jnp.arange(N) == 3, 0.0, -1e9)
    learner = learn(data, tx=optax.set_to_zero(), known=known)
    run, metrics = advance(learner, start(learner, jax.random.key(0)), 12)
    logits, _ = debias.predict(NETS, run.state.fit.params, data.x[3:4])
    np.testing.assert_allclose(
        metrics["cross_entropy"], -jax.nn.log_softmax(logits)[0, 0], rtol=1e-5
    )
    np.testing.assert_allclose(metrics["effective"], 1 / N, rtol=1e-5)


def test_the_first_epoch_is_drawn_uniformly(data):
    learner = learn(data, alpha=1e-3)
    _, metrics = advance(learner, start(learner, jax.random.key(0)), 12)
    np.testing.assert_allclose(metrics["effective"][:8], 1, rtol=1e-5)
    assert (metrics["effective"][8:] < 0.9).all()


def test_prediction_is_the_encoders_however_it_is_cut(data):
    params = learn(data).init(jax.random.key(0)).fit.params
    logits, (means, _) = NETS.encode(params, jnp.asarray(data.x) / 255)
    for chunk in (7, 500):
        found = debias.predict(NETS, params, data.x, chunk)
        np.testing.assert_allclose(found[0], logits, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found[1], means, rtol=1e-5, atol=1e-6)


def test_evaluation_names_the_worst_group(data):
    params = learn(data).init(jax.random.key(0)).fit.params
    group = np.random.default_rng(2).integers(0, 4, N)
    found = debias.evaluate(NETS, params, Grouped(data.x, data.y, group), "test")
    logits, _ = debias.predict(NETS, params, data.x)
    right = np.asarray(logits.argmax(-1)) == data.y
    assert found["test/accuracy"] == pytest.approx(right.mean(), abs=1e-6)
    worst = min(right[group == g].mean() for g in range(4))
    assert found["test/worst_group"] == pytest.approx(worst, abs=1e-6)


def test_a_group_that_looks_unlike_its_class_is_drawn_more_after_training():
    """Bright upper halves, and 3 of 60 with a bright lower half: found without being told."""
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 0.2, (N, 2, 6, 1)).astype(np.float32)
    x[3:, 0] += 0.7
    x[:3, 1] += 0.7
    learner = learn(Batch(x, np.zeros(N, np.int32)), alpha=0.02, weight=1.0)
    run, _ = advance(learner, start(learner, jax.random.key(0)), 400)
    found = debias.chances(run.state.latents, jnp.zeros(N, jnp.int32), CLASSES, 0.02)
    assert found[:3].sum() > 4 * 3 / N


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"batch": 0}, "batch"),
        ({"batch": N + 1}, "batch"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": float("nan")}, "alpha"),
        ({"weight": -1.0}, "weight"),
        ({"weight": float("inf")}, "weight"),
    ],
)
def test_bad_hyperparameters_are_named(data, flags, said):
    with pytest.raises(InputError, match=said):
        learn(data, **flags)


def test_pixels_that_are_no_chances_are_refused(data):
    with pytest.raises(InputError, match="pixels"):
        learn(Batch(data.x / 100, data.y))
