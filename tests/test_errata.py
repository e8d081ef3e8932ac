"""Formulas that the notes print wrong, each shown failing beside the right one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

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

    At each of 50 steps a network guesses 100 coin flips, so on fresh data any step is wrong half
    of the time. The lowest test error of a run is far below; at the step of the lowest validation
    error the test error is a half again.
    """
    runs, steps, n = 400, 50, 100
    rng = np.random.default_rng(0)
    guess = rng.integers(2, size=(2, runs, steps, n))  # on the validation and the test examples
    truth = rng.integers(2, size=(2, runs, 1, n))
    validation, test = (guess != truth).mean(-1)
    printed = test.min(1)
    right = np.take_along_axis(test, validation.argmin(1)[:, None], 1)[:, 0]
    error = np.sqrt(0.25 / n / runs)
    assert printed.mean() < 0.5 - 0.09  # two standard deviations of one error rate are 0.1
    assert abs(right.mean() - 0.5) < 4 * error


@pytest.mark.parametrize("classes", [2, 10])
def test_s51_random_labels_leave_chance_on_test_not_0(classes):
    """S51 says that the test accuracy tends to 0: a learner by heart keeps 1/K."""
    rng = np.random.default_rng(classes)
    n, tests = 300, 3000
    x, y = rng.normal(size=(n, 8)), rng.integers(classes, size=n)
    new, truth = rng.normal(size=(tests, 8)), rng.integers(classes, size=tests)

    def nearest(points):
        return y[((points[:, None] - x) ** 2).sum(-1).argmin(1)]

    assert (nearest(x) == y).all()
    chance = 1 / classes
    error = np.sqrt(chance * (1 - chance) / tests)
    assert abs(np.mean(nearest(new) == truth) - chance) < 4 * error
