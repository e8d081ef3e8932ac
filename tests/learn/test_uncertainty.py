"""Uncertainty: variances that add up, posteriors against closed forms, and what more data does."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import integrate, optimize, stats

from dljax import Batch, InputError, advance, start
from dljax.learn import risk, uncertainty
from dljax.learn.uncertainty import Told
from dljax.nets import MLP, bayesian
from dljax.nets.bayesian import BayesianMLP
from dljax.ops.likelihoods import Evidence


@pytest.fixture
def rng():
    """Each test's own, so that it sees the same numbers whatever ran before."""
    return np.random.default_rng(0)


def test_a_mixtures_variance_is_that_of_draws(rng):
    means, variances = rng.normal(size=(4, 3)), rng.uniform(0.1, 2, (4, 3))
    told = uncertainty.mixture(jnp.float32(means), jnp.float32(variances))
    which = rng.integers(4, size=200_000)
    draws = rng.normal(means[which], np.sqrt(variances[which]))
    np.testing.assert_allclose(told.mean, draws.mean(0), atol=0.02)
    np.testing.assert_allclose(told.sd**2, draws.var(0), rtol=0.02)
    np.testing.assert_allclose(told.epistemic, means.var(0), rtol=1e-5)


def test_a_labels_variance_is_cut_in_two(rng):
    p = jnp.asarray(rng.dirichlet(np.ones(4), (5, 3)), jnp.float32)
    told = uncertainty.chances(p)
    whole = 1 - jnp.square(told.mean).sum(-1)
    np.testing.assert_allclose(told.aleatoric + told.epistemic, whole, rtol=1e-5)
    assert (told.epistemic > 0).all()
    agreed = uncertainty.chances(jnp.stack([p[0], p[0]]))
    np.testing.assert_allclose(agreed.epistemic, 0, atol=1e-7)


@pytest.mark.parametrize("f", [uncertainty.chances, lambda p: uncertainty.mixture(p, p)])
def test_one_member_knows_no_epistemic_variance(f):
    with pytest.raises(InputError, match="2 members or draws are the least"):
        f(jnp.ones((1, 3, 2)))


def test_a_beliefs_variances_are_moments_of_its_density():
    outputs = jnp.array([0.4, 0.9, 1.8, -0.3])
    belief, told = uncertainty.evidence(outputs), uncertainty.believed(outputs)
    variance = stats.invgamma(float(belief.shape), scale=float(belief.scale))
    assert float(told.aleatoric) == pytest.approx(variance.mean(), rel=1e-4)
    assert float(told.epistemic) == pytest.approx(variance.mean() / float(belief.pairs), rel=1e-4)
    wrong = uncertainty.evidential_loss(outputs, jnp.float32(2.0), 0.5)
    right = uncertainty.evidential_loss(outputs, jnp.float32(2.0), 0.0)
    assert isinstance(belief, Evidence)
    expected = 0.5 * 1.6 * float(2 * belief.pairs + belief.shape)
    assert float(wrong - right) == pytest.approx(expected, rel=1e-4)


def test_a_dirichlets_moments_and_loss_are_those_of_draws(rng):
    outputs = jnp.array([[1.3, -0.4, 2.0]])
    told = uncertainty.of_dirichlet(outputs)
    p = rng.dirichlet(np.asarray(uncertainty.dirichlet(outputs))[0], 200_000)
    np.testing.assert_allclose(told.mean[0], p.mean(0), atol=3e-3)
    assert float(told.epistemic[0]) == pytest.approx(p.var(0).sum(), rel=0.02)
    assert float(told.aleatoric[0]) == pytest.approx((p * (1 - p)).sum(1).mean(), rel=0.02)
    loss = uncertainty.dirichlet_loss(outputs, jnp.array([2]), 0.0)
    expected = np.square(np.eye(3)[2] - p).sum(1).mean()
    assert float(loss[0]) == pytest.approx(expected, rel=0.02)
    more = uncertainty.dirichlet_loss(outputs, jnp.array([2]), 1.0) - loss
    b = float(uncertainty.dirichlet(outputs[0, :1])[0])  # of two classes, the other one's
    two = [uncertainty.dirichlet_loss(outputs[:, :2], jnp.array([1]), r) for r in (0.0, 2.0)]
    assert float((two[1] - two[0])[0]) == pytest.approx(2 * (np.log(b) + 1 / b - 1), rel=1e-4)
    assert float(more[0]) > 0, "evidence for the other labels costs"


def test_the_divergence_of_weights_is_an_integral():
    params = {"a": {"kernel": jnp.array([0.7]), "kernel_spread": jnp.array([-0.2])}}
    s = float(jax.nn.softplus(-0.2))

    def density(w):
        q = stats.norm(0.7, s)
        return q.pdf(w) * (q.logpdf(w) - stats.norm.logpdf(w, 0, 0.5))

    expected = integrate.quad(density, 0.7 - 9 * s, 0.7 + 9 * s)[0]
    assert float(bayesian.kl(params, 0.5)) == pytest.approx(expected, rel=1e-4)


def test_the_prior_counts_by_the_temperature(rng):
    data = Batch(*(np.float32(rng.normal(size=shape)) for shape in ((8, 3), (8,))))
    net, tx = BayesianMLP((4, 2)), optax.sgd(0.0)
    options = {"batch": 4, "prior": 0.3}
    found = []
    for temperature in (0.0, 0.5, 1.0):
        learner = uncertainty.variational(
            net, tx, data, uncertainty.gaussian_loss, temperature=temperature, **options
        )
        found.append(advance(learner, start(learner, jax.random.key(0)), 1)[1])
    divergence = float(found[0]["kl"][0]) / 8
    assert divergence > 1
    gained = np.diff([float(each["loss"][0]) for each in found])
    np.testing.assert_allclose(gained, divergence / 2, rtol=1e-4)


def test_drawn_outputs_have_the_moments_of_drawn_weights(rng):
    """The local reparameterisation, of one layer: `N(x m + b, x^2 s^2 + s_b^2)`."""
    net, x = BayesianMLP((2,)), jnp.asarray(rng.normal(size=(3, 4)), jnp.float32)
    params = net.init(jax.random.key(0), x)["params"]
    params = jax.tree.map(
        lambda leaf: leaf + 0.5 * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), params
    )
    found = uncertainty.draws(net, params, x, jax.random.key(1), 20_000)
    own = params["BayesianDense_0"]
    spread = {k: jax.nn.softplus(own[f"{k}_spread"]) for k in ("kernel", "bias")}
    np.testing.assert_allclose(found.mean(0), x @ own["kernel"] + own["bias"][None], atol=0.06)
    variance = x**2 @ spread["kernel"] ** 2 + spread["bias"][None] ** 2
    np.testing.assert_allclose(found.var(0), variance, rtol=0.06)
    np.testing.assert_allclose(
        net.apply({"params": params}, x), x @ own["kernel"] + own["bias"][None], rtol=1e-5
    )


def test_laplace_of_a_linear_model_is_bayesian_regression(rng):
    """`Var f(x) = x' (X' X / s^2 + t I)^-1 x` in closed form, the variance being constant."""
    net, fit, x = MLP((2,)), rng.normal(size=(30, 3)), rng.normal(size=(5, 3)) * 3
    kernel = jnp.asarray(np.c_[rng.normal(size=3), np.zeros(3)], jnp.float32)
    params = {"Dense_0": {"kernel": kernel, "bias": jnp.array([0.2, 0.5])}}
    told = uncertainty.laplace(net, params, "Dense_0", jnp.float32(fit), jnp.float32(x), 0.7)
    noise = float(jax.nn.softplus(0.5)) + uncertainty.LEAST
    design, there = (np.c_[each, np.ones(len(each))] for each in (fit, x))
    hessian = design.T @ design / noise + 0.7 * np.eye(4)
    np.testing.assert_allclose(
        told.epistemic, np.diag(there @ np.linalg.solve(hessian, there.T)), rtol=1e-4
    )
    np.testing.assert_allclose(told.aleatoric, noise, rtol=1e-6)
    np.testing.assert_allclose(told.mean, x @ np.asarray(kernel)[:, 0] + 0.2, rtol=1e-4, atol=1e-5)


def test_temperature_and_stretch_are_the_most_likely(rng):
    logits = jnp.asarray(rng.normal(size=(400, 3)) * 4, jnp.float32)
    labels = jnp.asarray([rng.choice(3, p=p) for p in np.asarray(jax.nn.softmax(logits / 2.5))])

    def loss(t):
        return float(optax.softmax_cross_entropy_with_integer_labels(logits / t, labels).mean())

    expected = optimize.minimize_scalar(loss, bounds=(0.3, 9), method="bounded").x
    assert float(uncertainty.temperature(logits, labels)) == pytest.approx(expected, rel=0.02)
    told = Told(jnp.zeros(300), jnp.full(300, 0.3), jnp.full(300, 0.2))
    y = jnp.asarray(rng.normal(size=300) * 1.3, jnp.float32)
    factor = uncertainty.stretch(told, y)

    def nll(by):
        return uncertainty.scores(Told(told.mean, by * told.aleatoric, by * told.epistemic), y)[
            "NLL"
        ]

    assert nll(factor) < min(nll(0.9 * factor), nll(1.1 * factor))
    wanted = {"RMSE", "NLL", "CRPS", "coverage"}
    assert uncertainty.scores(told, y).keys() == wanted


def noisy(n):
    """`y = sin 3x + e`, e of deviation .1 left of 0 and .4 right of it, seen in [-1, 1]."""
    rng = np.random.default_rng(n)  # its own: tests run in any order
    x = rng.uniform(-1, 1, (n, 1)).astype(np.float32)
    y = np.sin(3 * x[:, 0]) + rng.normal(size=n) * np.where(x[:, 0] < 0, 0.1, 0.4)
    return Batch(x, y.astype(np.float32))


@functools.cache
def told_after(n):
    """What an ensemble that learnt from n examples tells at -.5, .5, and 3, which it never saw."""
    net = MLP((24, 24, 2))
    # at a rate that does not fall, members would differ by their last steps
    tx = optax.adam(optax.cosine_decay_schedule(1e-2, 1500))
    learner = risk.make(net, tx, noisy(n), uncertainty.gaussian_loss, batch=20)
    many = uncertainty.ensemble(learner, 4)
    run, metrics = advance(many, start(many, jax.random.key(0)), 1500)
    assert metrics["loss"].shape == (1500,)
    params = risk.params_of(run.state.members)
    outputs = jax.vmap(lambda own: net.apply({"params": own}, jnp.array([[-0.5], [0.5], [3.0]])))(
        params
    )
    return uncertainty.mixture(*uncertainty.gaussian(outputs))


def test_noise_is_found_and_what_is_not_known_grows_outside_and_falls_with_data():
    many = told_after(2000)
    np.testing.assert_allclose(jnp.sqrt(many.aleatoric[:2]), [0.1, 0.4], rtol=0.25)
    assert many.epistemic[2] > 10 * many.epistemic[:2].max()
    assert told_after(20).epistemic[:2].mean() > 2 * many.epistemic[:2].mean()


def test_an_ensemble_has_two_members_at_least():
    learner = risk.make(MLP((2,)), optax.sgd(0.1), noisy(20), uncertainty.gaussian_loss, batch=5)
    with pytest.raises(InputError, match="got 1"):
        uncertainty.ensemble(learner, 1)
    with pytest.raises(InputError, match="got 1"):
        uncertainty.draws(MLP((2,), dropout=0.5), {}, jnp.ones((2, 1)), jax.random.key(0), 1)
