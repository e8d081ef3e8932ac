"""Descent against closed forms: the race against lone runs, the noise, the quadratic's edge."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import Batch, advance, grid, start, sweep
from dljax.learn import classify, descent
from dljax.learn.optimizers import OPTIMIZERS, optimizer
from dljax.nets import MLP

NET = MLP((5, 3))
RATES = (0.01, 0.1)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 6)).astype(np.float32)
    return Batch(x, rng.integers(0, 3, 24).astype(np.int32))


@pytest.fixture(scope="module")
def params(data):
    return NET.init(jax.random.key(0), data.x)["params"]


def test_every_racer_does_what_its_own_classifier_does(data):
    makers = {name: functools.partial(optimizer, name) for name in OPTIMIZERS}
    seeds = jnp.array([3, 8])
    racers = sweep(
        lambda rates: descent.race(NET, makers, rates, data, batch=7),
        jnp.tile(jnp.array(RATES), (2, 1)),
        seeds,
    )
    run, metrics = advance(racers, start(racers, jax.random.key(0)), 6)
    axes = grid(seed=seeds, rate=jnp.array(RATES))
    for name in ("sgd", "adadelta"):
        alone = sweep(
            lambda h, name=name: classify.make(NET, optimizer(name, h["rate"]), data, batch=7),
            axes,
            axes["seed"],
        )
        other, lone = advance(alone, start(alone, jax.random.key(0)), 6)
        assert metrics[f"{name}/loss"].shape == (6, 2, 2)
        np.testing.assert_allclose(
            metrics[f"{name}/loss"].reshape(6, 4), lone["loss"], rtol=1e-5, atol=1e-6
        )
        raced = jax.tree.leaves(run.state.run.state.fits[name].params)
        for ours, theirs in zip(
            raced, jax.tree.leaves(other.state.run.state.fit.params), strict=True
        ):
            np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, rtol=1e-4, atol=1e-6)


def test_a_batch_gradient_is_the_mean_of_its_examples_gradients(data, params):
    each = descent.example_gradients(NET, params, data)
    assert each.shape == (24, 6 * 5 + 5 + 5 * 3 + 3)
    for rows in (slice(0, 1), slice(3, 10), slice(None)):
        batch = descent.gradient(NET, params, Batch(data.x[rows], data.y[rows]))
        np.testing.assert_allclose(batch, each[rows].mean(0), rtol=1e-4, atol=1e-6)


def test_an_example_gradient_is_a_finite_difference(data, params):
    def loss(shift):
        moved = jax.tree.map(lambda leaf: leaf + shift, params)
        logits = NET.apply({"params": moved}, data.x[4:5])
        return float(-jax.nn.log_softmax(logits)[0, data.y[4]])  # pyright: ignore

    slope = (loss(1e-3) - loss(-1e-3)) / 2e-3
    np.testing.assert_allclose(
        descent.example_gradients(NET, params, data)[4].sum(), slope, rtol=1e-2
    )


def test_stochastic_gradients_are_unbiased_and_their_noise_has_its_closed_form(data, params):
    each = np.asarray(descent.example_gradients(NET, params, data), np.float64)
    drawn = each[
        np.random.default_rng(1).permuted(np.tile(np.arange(24), (40000, 1)), axis=1)[:, :4]
    ]
    means = drawn.mean(1)
    noise = ((means - each.mean(0)) ** 2).sum(1)
    np.testing.assert_allclose(means.mean(0), each.mean(0), atol=5 * means.std() / 200)
    np.testing.assert_allclose(noise.mean(), descent.exact_noise(jnp.array(each), 4), rtol=0.02)


@pytest.mark.parametrize("size", [1, 4, 12])
def test_the_stream_gives_that_noise(data, params, size):
    each = descent.example_gradients(NET, params, data)
    measured = descent.measured_noise(jax.random.key(2), NET, params, data, batch=size, draws=600)
    np.testing.assert_allclose(measured, descent.exact_noise(each, size), rtol=0.1)


def test_the_full_batch_has_no_noise(data, params):
    each = descent.example_gradients(NET, params, data)
    assert descent.exact_noise(each, 24) == descent.exact_noise(each[:1], 1) == 0
    measured = descent.measured_noise(jax.random.key(2), NET, params, data, batch=24, draws=3)
    assert measured < 1e-10


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_quadratic_converges_exactly_below_its_threshold(momentum):
    curvatures = jnp.array([8.0, 3.0, 0.5])
    factors = jnp.array([0.5, 0.9, 0.99, 1.01, 1.1])
    learner = sweep(
        lambda rate: descent.quadratic(curvatures, optax.sgd(rate, momentum)),
        factors * 2 * (1 + momentum) / 8.0,
        jnp.arange(5),
    )
    _, metrics = advance(learner, start(learner, jax.random.key(0)), 1500)
    shrunk = metrics["loss"][-1] / metrics["loss"][0]
    np.testing.assert_array_equal(shrunk < 1e-3, factors < 1)
    assert not np.any(shrunk[factors > 1] < 1e3)


def test_descent_on_the_quadratic_has_its_closed_form():
    curvatures = np.array([8.0, 3.0, 0.5])
    learner = descent.quadratic(jnp.array(curvatures), optax.sgd(0.2))
    _, metrics = advance(learner, start(learner, jax.random.key(0)), 30)
    powers = (1 - 0.2 * curvatures) ** (2 * np.arange(30)[:, None])
    np.testing.assert_allclose(metrics["loss"], 0.5 * (curvatures * powers).sum(1), rtol=1e-4)


def test_at_the_threshold_it_neither_shrinks_nor_grows():
    learner = descent.quadratic(jnp.array([8.0]), optax.sgd(0.25))
    _, metrics = advance(learner, start(learner, jax.random.key(0)), 100)
    np.testing.assert_array_equal(metrics["loss"], np.full(100, 4.0))


def test_only_a_rate_above_2_over_its_curvature_leaves_a_local_minimum():
    np.testing.assert_allclose(descent.two_minima(jnp.array([-4.0, 1.5]), 8.0), [2, 1.5])
    factors = jnp.array([0.01, 0.5, 0.9, 0.99, 1.01, 1.1, 1.5, 3.0])
    learner = sweep(
        lambda rate: descent.minimise(
            functools.partial(descent.two_minima, sharp=8.0), jnp.float32(1.2), optax.sgd(rate)
        ),
        factors * 2 / 8.0,
        jnp.arange(8),
    )
    run, metrics = advance(learner, start(learner, jax.random.key(0)), 1000)
    ends = np.where(factors < 1, 1.0, -2.0)
    np.testing.assert_allclose(run.state.run.state.params, ends, atol=1e-3)
    np.testing.assert_allclose(metrics["loss"][-1], np.where(factors < 1, 0.5, 0), atol=1e-3)


def test_adaptive_steps_do_not_see_the_scale_of_a_loss_along_its_axes():
    """Each coordinate goes one way for any curvature, but for SGD's; with the axes turned, none."""
    axes = grid(turn=jnp.array([0.0, 0.7]), scale=jnp.array([1.0, 1e3]))

    def ends(name):
        def make(member):
            curvatures = jnp.stack([1.0, member["scale"]])
            loss = functools.partial(
                descent.turned_quadratic, curvatures=curvatures, turn=member["turn"]
            )
            begin = descent.turned(jnp.ones(2), -member["turn"])
            return descent.minimise(loss, begin, optimizer(name, 1e-4 if name == "sgd" else 0.02))

        learner = sweep(make, axes, jnp.zeros(4, int))
        run, _ = advance(learner, start(learner, jax.random.key(0)), 20)
        along = jax.vmap(descent.turned)(run.state.run.state.params, axes["turn"])
        return np.asarray(along).reshape(2, 2, 2)  # [turn, scale, coordinate]

    for name in ("adagrad", "rmsprop"):
        found = ends(name)
        assert found[0].max() < 0.95  # they have moved
        np.testing.assert_allclose(found[0, 1], found[0, 0], atol=0.01)
        assert abs(found[1, 1] - found[1, 0]).max() > 0.03
    found = ends("sgd")
    assert abs(found[0, 1] - found[0, 0]).max() > 0.03
