"""What the notes print wrong, each shown failing beside the right one; control has its own file."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.neighbors import KNeighborsClassifier

from dljax import Learner
from dljax.data import load
from dljax.host.fit import Selection, Watch, fit
from dljax.learn import gan, vae
from dljax.nets import MLP
from dljax.nets.adversarial import Discriminator, Generator
from dljax.nets.coders import Gaussian
from dljax.ops.backprop import delta_rule, half_squared_error
from dljax.ops.recurrence import CELLS, recur
from experiments.foundations import random_labels
from experiments.vision import _detectors

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


def test_s9_the_second_table_errs_where_x_is_1():
    """S9's second table prints an error of 2 and a square of 4 for W = 3 at x = 1, and the output 3
    for W = 2. By its own y = W x against 2 x they are 1, 1 and 2, and only these agree with the
    sums 5 and 0 of its first table, and with the slope of the delta rule.
    """
    x = np.arange(3.0)
    squares, exact = (3 * x - 2 * x) ** 2, (2 * x - 2 * x) ** 2
    assert squares[1] == 2 * half_squared_error(jnp.array([3.0]), jnp.array([2.0])) == 1
    printed = np.where(x == 1, 4, squares)
    assert (printed.sum(), squares.sum()) == (8, 5)
    output_as_printed = np.where(x == 1, 3, 2 * x)
    assert ((output_as_printed - 2 * x) ** 2).sum() == 1  # and not 0, as for W = 2
    assert exact.sum() == 0
    w, rate = jnp.array([3.0]), 0.1
    moved = (w - delta_rule(w, jnp.ones(1), jnp.float32(2), rate))[0] / rate
    assert moved == pytest.approx(1)  # the error at x = 1; one of 2 would move W twice as far


def test_s13_dropout_cuts_no_computational_time():
    """S13 says that dropout "cuts down the computational time": its masked units are computed like
    all others, and the mask has to be drawn.
    """
    x, y = jax.random.normal(jax.random.key(0), (64, 64)), jnp.zeros(64, int)

    def operations(rate):
        net = MLP((512, 10), dropout=rate)
        params = net.init(jax.random.key(1), x)["params"]

        def loss(params, key):
            z = net.apply({"params": params}, x, train=True, rngs={"dropout": key})
            return optax.softmax_cross_entropy_with_integer_labels(z, y).mean()

        step = jax.jit(jax.grad(loss)).lower(params, jax.random.key(2))
        return step.cost_analysis()["flops"]

    assert operations(0.5) > operations(0.0)


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
        watch = Watch(
            lambda state: dict(zip(("validation", "test"), state, strict=True)),
            1,
            Selection(metric, keep=lambda state: state[1], lowest=True),
        )
        selected = fit(learner, jax.random.key(0), steps, watch)
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


def log_normal(x, mean, variance):
    return -0.5 * ((x - mean) ** 2 / variance + jnp.log(2 * jnp.pi * variance))


def elbo(q, x, kl):
    """Of `x = z + N(0, 1)` under the prior N(0, 1), in closed form."""
    return log_normal(x, q.mean, 1) - jnp.exp(q.log_var) / 2 - kl(q)


def test_s36_the_kl_as_printed_is_none():
    """S36 prints `-1/2 (s + m^2 - 1 - log s)`: of the wrong sign, and with s where s^2 belongs.

    At the true posterior N(x / 2, 1 / 2) the bound is log p(x) under the right divergence alone.
    """
    x = jnp.linspace(-3, 3, 7)
    posterior = Gaussian(x / 2, jnp.full(7, jnp.log(0.5)))

    def half(s, m):
        return (s + m**2 - 1 - jnp.log(s)) / 2

    def printed(q):
        return -half(jnp.exp(q.log_var / 2), q.mean)

    def with_its_sign_mended(q):
        return half(jnp.exp(q.log_var / 2), q.mean)

    def with_its_square_mended(q):
        return -half(jnp.exp(q.log_var), q.mean)

    known = log_normal(x, 0, 2)
    np.testing.assert_allclose(elbo(posterior, x, vae.kl), known, rtol=1e-5)
    for wrong in (printed, with_its_sign_mended, with_its_square_mended):
        assert jnp.abs(elbo(posterior, x, wrong) - known).min() > 0.05
    assert (printed(posterior) < 0).all()  # as no divergence can be
    # lowered, it drives the mean away from the prior's for ever
    assert jax.grad(lambda m: printed(Gaussian(m, jnp.zeros(()))))(10.0) == -10


def test_s36_with_p_and_q_swapped_the_bound_is_none():
    """With KL(p(z) || q(z | x)) in place of KL(q || p) some q promise more than log p(x)."""
    m, log_var = jnp.meshgrid(jnp.linspace(-1, 7, 81), jnp.linspace(-3, 3, 61))
    every, x = Gaussian(m, log_var), 6.0

    def swapped(q):
        return ((1 + q.mean**2) / jnp.exp(q.log_var) - 1 + q.log_var) / 2

    known = log_normal(x, 0, 2)
    assert known - 0.01 < elbo(every, x, vae.kl).max() <= known + 1e-4
    assert elbo(every, x, swapped).max() > known + 0.5


def test_s39_the_elbo_is_raised_and_so_is_no_loss():
    """S39 calls the ELBO a loss: lowered, it has no end; its negative ends at -log p(x)."""
    x = 1.0

    def descended(loss):
        tx = optax.adam(0.05)

        def step(carry, _):
            q, state = carry
            updates, state = tx.update(jax.grad(loss)(q), state)
            return (optax.apply_updates(q, updates), state), None

        q = Gaussian(jnp.ones(()), jnp.zeros(()))
        (q, _), _ = jax.lax.scan(step, (q, tx.init(q)), None, length=1000)
        return elbo(q, x, vae.kl)

    assert descended(lambda q: elbo(q, x, vae.kl)) < -1000
    right = descended(lambda q: -elbo(q, x, vae.kl))
    assert float(right) == pytest.approx(float(log_normal(x, 0, 2)), abs=1e-4)


def test_s42_d_as_the_chance_of_real_or_of_fake_is_one_game():
    """S42's notes differ: D is P(real) in one and P(fake) in the other. Both are one game, unmixed.

    Negating the last layer turns the one D into the other, under which each note's own formula has
    the same value and the same gradients. One note's D in the other's formula is no game: its
    generator climbs where it should descend.
    """
    net = gan.GAN(Generator((2,), (8,)), Discriminator((8,)), 3)
    x, z = jax.random.normal(jax.random.key(0), (2, 16, 3))
    x = x[:, :2]
    own = net.generator.init(jax.random.key(1), z)["params"]
    params = net.discriminator.init(jax.random.key(2), x)["params"]

    def mirrored(params):
        return params | {"Dense_1": jax.tree.map(jnp.negative, params["Dense_1"])}

    def chance(params, x):
        return jax.nn.sigmoid(net.discriminator.apply({"params": params}, x))

    def of_real(params, own):
        d_x, d_g = chance(params, x), chance(params, gan.generate(net, own, z))
        return jnp.mean(jnp.log(d_x)) + jnp.mean(jnp.log(1 - d_g))

    def of_fake(params, own):
        d_x, d_g = chance(params, x), chance(params, gan.generate(net, own, z))
        return jnp.mean(jnp.log(1 - d_x)) + jnp.mean(jnp.log(d_g))

    assert of_fake(mirrored(params), own) == pytest.approx(float(of_real(params, own)), rel=1e-6)
    by_params, by_own = jax.grad(of_real, (0, 1))(params, own)
    other_params, other_own = jax.grad(of_fake, (0, 1))(mirrored(params), own)
    for a, b in ((by_own, other_own), (by_params, mirrored(other_params))):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), a, b)
    # the package's own learner plays it: D = sigmoid(logit) is the chance of real
    fake = gan.generate(net, own, z)
    on_real, on_fake = (net.discriminator.apply({"params": params}, v) for v in (x, fake))
    assert gan.value(on_real, on_fake) == pytest.approx(float(of_real(params, own)), rel=1e-5)
    mixed = jax.grad(of_fake, 1)(params, own)
    dots = jax.tree.map(lambda a, b: jnp.sum(a * b), mixed, by_own)
    assert sum(jax.tree.leaves(dots)) < 0


def kept(name, w, x, state):
    """A state after 50 steps of a cell whose gate that keeps is open, whatever x and w are."""
    gates = {"lstm": [-1, 1, 0, 0], "gru": [0, 1, 0], "tanh": [1]}[name]
    bias = 30.0 * jnp.repeat(jnp.array(gates, jnp.float32), 4)
    return recur(CELLS[name], x, w, bias, state)[1][-1]


def test_s22_the_second_gating_unit_is_the_gru_and_not_the_rnn():
    """S22 lists "LSTM, RNN": a GRU's gate, like an LSTM's, keeps a state; an RNN has none."""
    state = jnp.full((1, 4), 2.0)
    for name, gates in (("lstm", 4), ("gru", 3)):
        x = jax.random.normal(jax.random.key(0), (50, 1, gates * 4))
        w = jax.random.normal(jax.random.key(1), (4, gates * 4))
        held = (jnp.zeros((1, 4)), state) if name == "lstm" else (state,)
        np.testing.assert_allclose(kept(name, w, x, held), state, rtol=1e-5)
        slope = jax.jacobian(functools.partial(kept, name, w, x))(held)[-1]
        np.testing.assert_allclose(slope[0, :, 0], np.eye(4), atol=1e-5)
    # all that one step of an RNN can give lies within (-1, 1): its product is its only "gate"
    assert CELLS["tanh"].gates == 1
    for scale in (0.1, 1.0, 10.0):
        w = scale * jax.random.normal(jax.random.key(1), (4, 4))
        after = recur(CELLS["tanh"], 0 * state[None], w, 0 * state[0], (state,))[1][0]
        assert (jnp.abs(after) <= 1).all()


def test_s22_backpropagation_through_time_sums_the_gradients_and_averages_nothing():
    """S22 says that BPTT averages the weights: each step's own gradient is added, none divided."""
    steps, size, rate = 5, 3, 0.1
    x = jax.random.normal(jax.random.key(0), (steps, 1, size))
    w = jax.random.normal(jax.random.key(1), (size, size)) / 2
    begin, none = (jnp.zeros((1, size)),), jnp.zeros(size)

    def shared(w):
        return jnp.sum(recur(CELLS["tanh"], x, w, none, begin)[0] ** 2)

    def of_copies(copies):
        """The same, step t with a copy of its own."""
        state, loss = begin, 0.0
        for t in range(steps):
            _, state = recur(CELLS["tanh"], x[t : t + 1], copies[t], none, state)
            loss += jnp.sum(state[0] ** 2)
        return loss

    copies = jnp.stack([w] * steps)
    assert shared(w) == pytest.approx(float(of_copies(copies)), rel=1e-5)
    each = jax.grad(of_copies)(copies)
    right = jax.grad(shared)(w)
    np.testing.assert_allclose(each.sum(0), right, rtol=1e-4, atol=1e-6)
    printed = jnp.mean(copies - rate * each, 0)  # every copy moved, then averaged
    assert jnp.abs(printed - (w - rate * right)).max() > 0.1 * rate * jnp.abs(right).max()
    np.testing.assert_allclose(printed, w - rate / steps * right, rtol=1e-4, atol=1e-6)


def test_s27_a_mis_copied_9x9_x_is_told_by_its_symmetry_and_its_parts():
    """S27's printed 9x9 X is mis-copied: the lecture's has ink, 1, on both diagonals within a
    border of paper, -1, and is its own mirror image both ways. A copy with any one entry wrong is
    not, but for the middle one; and there the crossing no longer matches.
    """
    right = _detectors.CLASSIC

    def symmetric(image):
        return np.array_equal(image, image[::-1]) and np.array_equal(image, image[:, ::-1])

    def parts(image):
        """How many places match each feature wholly: one diagonal, the crossing, the other."""
        found = _detectors.matches(jnp.asarray(image)[None, ..., None])
        return (found > 1 - 1e-6).sum((0, 1, 2)).tolist()

    assert symmetric(right) and right.sum() == 13 - (81 - 13)
    assert parts(right) == [4, 1, 4]
    for row, column in np.ndindex(right.shape):
        copied = right.copy()
        copied[row, column] *= -1
        assert symmetric(copied) == (row == column == 4)
    copied = right.copy()
    copied[4, 4] = -1
    assert parts(copied)[1] == 0
