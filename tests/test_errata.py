"""Formulas that the notes print wrong, each shown failing beside the right one."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.neighbors import KNeighborsClassifier

from dljax import Learner
from dljax.data import load
from dljax.host.fit import Selection, Watch, fit
from dljax.learn import gan, policy_gradient, vae
from dljax.nets.adversarial import Discriminator, Generator
from dljax.nets.coders import Gaussian
from dljax.ops.policies import categorical, gaussian
from dljax.ops.returns import discounted_return
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


def test_s46_the_discount_counts_from_now_not_from_the_start():
    """S46 prints `sum_{i >= t} gamma^i r_i`, which obeys no Bellman equation: it is gamma^(i-t)."""
    gamma, reward = 0.9, np.array([1.0, -2.0, 0.5, 3.0, 1.5])
    steps = range(len(reward))

    def bellman_error(returns):
        """The largest `|G_t - (r_t + gamma G_{t+1})|`; nothing is earned after the end."""
        return np.abs(returns - reward - gamma * np.append(returns[1:], 0)).max()

    printed = np.array([sum(gamma**i * reward[i] for i in steps[t:]) for t in steps])
    right = np.array([sum(gamma ** (i - t) * reward[i] for i in steps[t:]) for t in steps])
    assert printed[0] == right[0]  # at t = 0 alone
    assert bellman_error(printed) > 0.4
    assert bellman_error(right) < 1e-12
    nothing = jnp.zeros(5)
    end, never = jnp.arange(5) == 4, nothing.astype(bool)
    ours = discounted_return(jnp.asarray(reward), end, never, nothing, gamma)
    np.testing.assert_allclose(ours, right, rtol=1e-6)


class Arms(nn.Module):
    """A policy of two arms that sees nothing, and values nothing."""

    @nn.compact
    def __call__(self, x):
        logits = self.param("logits", nn.initializers.zeros, (2,))
        return jnp.broadcast_to(logits, (len(x), 2)), jnp.zeros(len(x))


def expected_loss(logits, reward, minus=-1.0):
    """`-sum_a pi(a) R(a) log pi(a)`, pi the sampling policy (held fixed) and pi the learnt one."""
    chance = jax.lax.stop_gradient(jax.nn.softmax(logits))
    return minus * (chance * reward * jax.nn.log_softmax(logits)).sum()


def test_s48_the_loss_of_a_policy_has_a_minus():
    """S48 prints `log pi(a|s) R` as the loss: descent on it leads to the worse of two arms."""
    reward, logits = jnp.array([1.0, 0.2]), jnp.array([0.3, -0.4])
    ascent = jax.grad(lambda logits: jax.nn.softmax(logits) @ reward)(logits)
    printed = jax.grad(expected_loss)(logits, reward, minus=1.0)
    right = jax.grad(expected_loss)(logits, reward)
    np.testing.assert_allclose(-right, ascent, rtol=1e-5)
    np.testing.assert_allclose(-printed, -ascent, rtol=1e-5)  # away from the return
    for minus, best_arm in ((1.0, 0.0), (-1.0, 1.0)):
        step = jax.jit(lambda x, m=minus: x - 0.5 * jax.grad(expected_loss)(x, reward, m))
        learnt = logits
        for _ in range(200):
            learnt = step(learnt)
        assert jax.nn.softmax(learnt)[0] == pytest.approx(best_arm, abs=0.05)
    # the package's own objective, over both arms as often as the policy takes them
    sample = policy_gradient.Sample(
        jnp.zeros((2, 1)), jnp.arange(2), jnp.zeros(2), reward, jax.nn.softmax(logits)
    )
    ours = policy_gradient.objective(Arms(), categorical(2), value=0.0)
    by_logits = jax.grad(lambda x: ours({"logits": x}, {}, sample, jax.random.key(0))[0])(logits)
    np.testing.assert_allclose(-by_logits, ascent, rtol=1e-5)


def test_s48_without_a_rate_the_first_arm_tried_is_kept_for_ever():
    """S48 prints the update without its rate: under returns of 100 and 50 a step of the whole
    gradient makes the first arm certain, and that is the better one by a coin; a rate explores.
    """
    reward = jnp.array([100.0, 50.0])

    @functools.partial(jax.vmap, in_axes=(0, None))
    def share_of_the_better(key, rate):
        def step(logits, key):
            arm = jax.random.categorical(key, logits)
            gradient = jax.grad(lambda x: -jax.nn.log_softmax(x)[arm] * reward[arm])(logits)
            return logits - rate * gradient, None

        logits, _ = jax.lax.scan(step, jnp.zeros(2), jax.random.split(key, 2000))
        return jax.nn.softmax(logits)[0]

    keys = jax.random.split(jax.random.key(0), 400)
    printed, right = (share_of_the_better(keys, rate) for rate in (1.0, 1e-3))
    assert abs(printed.mean() - 0.5) < 4 * np.sqrt(0.25 / 400)
    assert set(np.round(printed, 3).tolist()) == {0, 1}
    assert right.mean() > 0.9


def test_s48_the_likelier_an_action_the_smaller_its_loss():
    """S48's numbers hold, its reading is inverted: of two actions of return 1, the one of
    probability .01 costs 4.6 and that of .1 costs 2.3, so descent makes each likelier, and neither
    number says how good its action was.
    """
    rare, likely = -np.log(0.01), -np.log(0.1)
    assert (round(rare, 1), round(likely, 1)) == (4.6, 2.3)
    assert np.all(np.diff(-np.log(np.linspace(0.01, 1, 50))) < 0)
    for chance in (0.01, 0.1):
        logits = jnp.log(jnp.array([chance, 1 - chance]))
        for ret, sign in ((1.0, 1), (-1.0, -1)):
            slope = jax.grad(lambda x, r=ret: -r * jax.nn.log_softmax(x)[0])(logits)[0]
            assert sign * -slope == pytest.approx(1 - chance, rel=1e-5)
    # the value of the loss is 0 under the best policy and under the worst
    reward = jnp.array([1.0, 0.0])
    for sure in ([40.0, 0.0], [0.0, 40.0]):
        assert expected_loss(jnp.array(sure), reward) == pytest.approx(0, abs=1e-6)


def test_s48_a_gaussian_policy_of_mean_minus_1_and_variance_a_half():
    """S48's example: its density is .5642 at -1 and .5421 at -.8; .5 is s^2, not s."""
    policy = gaussian(jnp.array([-1.0]), jnp.array([1.0]))  # a box that changes no scale
    outputs = jnp.array([-1.0, 0.5 * jnp.log(0.5)])  # the mean, and log s

    def density(action):
        return jnp.exp(policy.log_prob(outputs, jnp.array([action])))

    assert density(-1.0) == pytest.approx(0.5642, abs=5e-5)
    assert density(-0.8) == pytest.approx(0.5421, abs=5e-5)
    mistaken = policy.log_prob(jnp.array([-1.0, jnp.log(0.5)]), jnp.array([-1.0]))
    assert jnp.exp(mistaken) == pytest.approx(0.7979, abs=5e-5)
    noise = policy.noise(jax.random.key(0), (50_000,))
    drawn = policy.sample(noise, jnp.broadcast_to(outputs, (50_000, 2)))
    assert drawn.mean() == pytest.approx(-1, abs=0.015)
    assert drawn.var() == pytest.approx(0.5, abs=0.015)
    assert (drawn < 0).mean() == pytest.approx(0.9214, abs=0.005)  # Phi(1 / sqrt(.5))


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
