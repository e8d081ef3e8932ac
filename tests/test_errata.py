"""Formulas that the notes print wrong, each shown failing beside the right one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.neighbors import KNeighborsClassifier

from dljax import Learner
from dljax.data import load
from dljax.host.fit import Selection, fit
from experiments.foundations import random_labels

Z = jnp.linspace(-4, 4, 81)  # holds 0


def slope(f, z=Z):
    return jax.vmap(jax.grad(f))(z)


def test_s2_the_slopes_of_sigmoid_and_tanh_are_not_both_below_1():
    """S2 prints "below 1" for both: tanh' reaches 1, and sigmoid' never passes 1/4."""
    assert not (slope(jnp.tanh) < 1).all()
    assert slope(jnp.tanh).max() == slope(jnp.tanh)[40] == 1
    assert slope(jax.nn.sigmoid).max() == slope(jax.nn.sigmoid)[40] == 0.25


def test_s6_softmax_cross_entropy_of_one_logit_is_no_bce():
    """S6 calls it BCE: over one logit softmax is 1, so loss and gradient are 0 everywhere."""

    def printed(z, y):
        return optax.softmax_cross_entropy(z[None], y[None])

    for y in (jnp.zeros(()), jnp.ones(())):
        loss, by_z = jax.vmap(jax.value_and_grad(printed), (0, None))(Z, y)
        assert not loss.any() and not by_z.any()
        right = jax.value_and_grad(optax.sigmoid_binary_cross_entropy)
        loss, by_z = jax.vmap(right, (0, None))(Z, y)
        assert (loss > 0).all()
        np.testing.assert_allclose(by_z, jax.nn.sigmoid(Z) - y, atol=1e-6)


def test_s6_a_softmax_layer_under_a_softmax_loss_cannot_be_right():
    """S6 applies softmax twice: K = 10 logits in [0, 1] leave a loss of log(1 + 9/e) at best."""
    k, label = 10, jax.nn.one_hot(3, 10)

    def printed(z):
        return optax.softmax_cross_entropy(jax.nn.softmax(z), label)

    def right(z):
        return optax.softmax_cross_entropy(z, label)

    z = jax.random.normal(jax.random.key(0), (k,))
    assert abs(printed(z) - right(z)) > 0.1
    assert jnp.abs(jax.grad(printed)(z) - jax.grad(right)(z)).max() > 0.1
    sure = 100 * label  # as sure of the right class as can be
    assert right(sure) == pytest.approx(0, abs=1e-6)
    assert printed(sure) == pytest.approx(np.log1p((k - 1) / np.e), rel=1e-5)
    # and when surely wrong it has nothing to learn from
    wrong = 100 * jax.nn.one_hot(4, k)
    assert jnp.abs(jax.grad(printed)(wrong)).max() < 1e-6
    assert jnp.abs(jax.grad(right)(wrong)).max() > 0.9


def descended(update, w=1.0, steps=50, curvature=3.0):
    """The loss `c w^2 / 2` before and after `steps` updates `w <- update(w, c w)`."""
    for _ in range(steps):
        w = update(w, curvature * w)
    return curvature / 2, curvature * w**2 / 2


def test_s7_the_update_subtracts_the_gradient_times_the_rate():
    """S7 is printed with a plus, and without the rate: on a quadratic both diverge."""
    rate = 0.1
    before, plus = descended(lambda w, g: w + rate * g)
    _, no_rate = descended(lambda w, g: w - g)
    _, right = descended(lambda w, g: w - rate * g)
    assert plus > 1e4 * before
    assert no_rate > 1e4 * before  # |1 - c| = 2 > 1: it overshoots, ever further
    assert right < 1e-4 * before


def test_s14_the_test_loss_at_the_best_test_step_flatters():
    """S14 stops where the test loss is lowest, and so reports luck: here nothing can be learnt.

    At each of 50 steps every network guesses 100 coin flips, so on fresh data it is wrong half of
    the time. The lowest test error of a run is far below; at the step that `Selection` takes by the
    lowest validation error, the test error is a half again.
    """
    runs, steps, n = 400, 50, 100

    def guess(key):
        return jax.random.bernoulli(key, 0.5, (2, n, runs)).mean(1)

    learner = Learner(guess, lambda key, _: (guess(key), {}))

    def at_best(metric):
        selected = fit(
            learner,
            jax.random.key(0),
            steps,
            evaluate=lambda state: dict(zip(("validation", "test"), state, strict=True)),
            every=1,
            select=Selection(metric, keep=lambda state: state[1], lowest=True),
        )
        return np.asarray(selected.kept), selected.records

    printed, records = at_best("test")
    right, _ = at_best("validation")
    np.testing.assert_allclose(printed, np.min([record["test"] for record in records], 0))
    assert printed.mean() < 0.5 - 0.09  # two standard deviations of one error rate are 0.1
    assert abs(right.mean() - 0.5) < 4 * np.sqrt(0.25 / n / runs)


def test_s51_random_labels_leave_chance_on_test_not_0():
    """S51 says that the test accuracy tends to 0: a learner by heart keeps 1/K.

    The nearest neighbour learns by heart: on true labels it tests well, and on the random ones of
    the experiment at chance.
    """
    data, config = load("digits"), random_labels.Config()
    found = {"true labels": [], "random labels": []}
    for seed in range(5):
        sets = random_labels.noisy(seed, config, data)
        for (own, test), accuracies in zip(sets, found.values(), strict=False):
            nearest = KNeighborsClassifier(1).fit(own.x, own.y)
            assert nearest.score(own.x, own.y) == 1
            accuracies.append(nearest.score(test, data.test.y))
    assert min(found["true labels"]) > 0.95
    error = np.sqrt(0.1 * 0.9 / len(data.test.y) / 5)
    assert abs(np.mean(found["random labels"]) - 0.1) < 4 * error
