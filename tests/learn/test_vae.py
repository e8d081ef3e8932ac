"""The variational autoencoder against numpyro, and where log p(x) is known in closed form."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import gammaln
from scipy.stats import multivariate_normal
from scipy.stats import norm as normal

from dljax import Batch, InputError, advance, start, sweep
from dljax.data import load
from dljax.learn import vae
from dljax.learn.optimizers import optimizer
from dljax.nets.coders import Gaussian, dense
from dljax.nets.topics import TopicNet

KEY = jax.random.key(0)
SCALE = 0.5  # of the noise on x
PIXELS, LATENT = 6, 2


@pytest.fixture(scope="module")
def q():
    k_mean, k_var = jax.random.split(KEY)
    return Gaussian(jax.random.normal(k_mean, (7, 3)), jax.random.normal(k_var, (7, 3)))


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_kl_is_numpyros(q):
    theirs = dist.kl_divergence(dist.Normal(q.mean, jnp.exp(q.log_var / 2)), dist.Normal(0, 1))
    np.testing.assert_allclose(vae.kl(q), theirs, rtol=1e-5, atol=1e-6)


def test_kl_is_positive_but_at_the_prior():
    assert float(vae.kl(Gaussian(jnp.zeros(()), jnp.zeros(())))) == 0
    grid = jnp.linspace(-3, 3, 60)  # which leaves 0 out
    assert (vae.kl(Gaussian(grid, jnp.zeros(60))) > 0).all()
    assert (vae.kl(Gaussian(jnp.zeros(60), grid)) > 0).all()


def test_likelihoods_are_numpyros():
    outputs = 3 * jax.random.normal(KEY, (5, 2, 2, 1))
    x = jax.random.bernoulli(jax.random.key(1), 0.5, outputs.shape).astype(jnp.float32)
    pairs = [
        (vae.BERNOULLI, dist.Bernoulli(logits=outputs)),
        (vae.gaussian(0.3), dist.Normal(outputs, 0.3)),
    ]
    for ours, theirs in pairs:
        expected = theirs.log_prob(x).sum((1, 2, 3))
        np.testing.assert_allclose(ours.log_prob(outputs, x), expected, rtol=1e-5)
        np.testing.assert_allclose(ours.mean(outputs), theirs.mean, atol=1e-6)
        drawn = jax.vmap(lambda key, ours=ours: ours.sample(key, outputs))(
            jax.random.split(KEY, 4000)
        )
        np.testing.assert_allclose(drawn.mean(0), theirs.mean, atol=0.04)
        np.testing.assert_allclose(drawn.var(0), theirs.variance, atol=0.02)


def test_the_likelihood_of_counts_is_numpyros_but_for_their_orders():
    logits, k_draw = jax.random.normal(KEY, (4, 6)), jax.random.key(1)
    x = jnp.array([[3, 0, 1, 2, 0, 0], [0, 0, 0, 0, 0, 5], [1, 1, 1, 1, 1, 1], [0, 0, 2, 0, 0, 0]])
    orders = gammaln(x.sum(1) + 1) - gammaln(x + 1).sum(1)
    theirs = dist.MultinomialLogits(logits, x.sum(1)).log_prob(x)
    found = vae.MULTINOMIAL.log_prob(logits, x.astype(jnp.int16))
    np.testing.assert_allclose(found, theirs - orders, rtol=1e-5, atol=1e-5)
    drawn = vae.MULTINOMIAL.sample(k_draw, jnp.tile(logits[:1], (4000, 1)))
    np.testing.assert_array_equal(drawn.sum(1), 1)
    np.testing.assert_allclose(drawn.mean(0), vae.MULTINOMIAL.mean(logits[0]), atol=0.03)


def test_what_is_learnt_without_a_gradient_is_kept_and_measured_with():
    x = np.random.default_rng(0).integers(0, 4, (12, 5)).astype(np.int16)
    net, rule = TopicNet(5, 3, (4,), 0.2), vae.MULTINOMIAL
    learner = vae.make(net, optimizer("sgd", 0.1), x, batch=6, likelihood=rule)
    begun = start(learner, KEY)
    after, _ = advance(learner, begun, 2)
    params, extra, _ = after.state.fit
    norms = [run.state.fit.extra["batch_stats"] for run in (begun, after)]
    assert len(norms[0]) == 3
    for name in norms[0]:
        assert (norms[0][name]["mean"] != norms[1][name]["mean"]).any()
    weights = {"params": params, **extra}
    q = net.apply(weights, x, method="encode")
    found = vae.bound(net, params, rule, KEY, jnp.asarray(x), extra)
    logits = net.apply(weights, found.code, method="decode")
    np.testing.assert_allclose(found.distortion, -rule.log_prob(logits, x), rtol=1e-5)
    np.testing.assert_allclose(found.rate, vae.kl(q), rtol=1e-5)
    means = vae.evaluate(net, params, rule, KEY, x, extra=extra)
    np.testing.assert_allclose(means["validation/rate"], vae.kl(q).sum(1).mean(), rtol=1e-5)


def test_draws_have_the_moments_and_their_derivatives(q):
    keys = jax.random.split(KEY, 20_000)

    @jax.jit
    def second_moment(q):
        return (jax.vmap(lambda key: vae.draw(key, q))(keys) ** 2).mean(0).sum()

    # E z^2 = m^2 + s^2
    expected = q.mean**2 + jnp.exp(q.log_var)
    np.testing.assert_allclose(second_moment(q), expected.sum(), rtol=0.02)
    slope = jax.grad(second_moment)(q)
    np.testing.assert_allclose(slope.mean, 2 * q.mean, atol=0.15)
    np.testing.assert_allclose(slope.log_var, jnp.exp(q.log_var), rtol=0.1, atol=0.15)


@pytest.fixture(scope="module")
def linear():
    """`x = W z + b + N(0, SCALE^2)` with W's columns at right angles, so that p(z | x) is diagonal.

    A linear network with that posterior, parameters where it is wrong, data, and log p(x).
    """
    rng = np.random.default_rng(0)
    w = np.linalg.qr(rng.normal(size=(PIXELS, LATENT)))[0] * [2.0, 0.7]
    b = rng.normal(size=PIXELS)
    x = rng.normal(size=(8, LATENT)) @ w.T + b + SCALE * rng.normal(size=(8, PIXELS))
    known = multivariate_normal(b, w @ w.T + SCALE**2 * np.eye(PIXELS)).logpdf(x)
    precision = 1 + (w**2).sum(0) / SCALE**2
    up = w / SCALE**2 / precision
    kernel = np.concatenate([up, np.zeros_like(up)], 1)
    exact = np.concatenate([-b @ up, -np.log(precision)])
    wrong = exact + np.array([0.3, -0.2, 0.4, -0.3])

    def params(bias):
        encoder = {"Dense_0": {"kernel": kernel, "bias": bias}}
        decoder = {"mlp": {"Dense_0": {"kernel": w.T, "bias": b}}}
        tree = {"encoder": encoder, "decoder": decoder}
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), tree)

    net = dense((PIXELS,), LATENT, (), variational=True)
    # KL(q || p(z | x)) of the wrong one, the same for every x
    s = np.exp([0.4, -0.3])
    gap = 0.5 * (s + np.array([0.3, -0.2]) ** 2 * precision - 1 - np.log(s)).sum()
    return net, params(exact), params(wrong), x.astype(np.float32), known, gap


def test_with_the_true_posterior_every_estimate_is_log_p_of_x(linear):
    net, exact, _, x, known, _ = linear
    for samples, chunk in ((1, 1), (6, 4), (6, 100)):
        found = vae.log_likelihood(net, exact, vae.gaussian(SCALE), KEY, x, samples, chunk)
        np.testing.assert_allclose(found, known, atol=2e-4)


def test_with_another_the_bound_is_below_by_its_divergence_and_more_samples_close_it(linear):
    net, _, wrong, x, known, gap = linear
    likelihood, keys = vae.gaussian(SCALE), jax.random.split(KEY, 4000)
    estimate = functools.partial(vae.log_likelihood, net, wrong, likelihood)
    many = jax.jit(jax.vmap(lambda key: vae.bounds(net, wrong, likelihood, key, x)))(keys)
    elbo = -(many.distortion + many.rate.sum(-1)).mean(0)
    np.testing.assert_allclose(elbo, known - gap, atol=0.06)
    few = jax.jit(jax.vmap(lambda key: estimate(key, x, 5)))(keys[:1000]).mean(0)
    assert (elbo + 0.02 < few).all() and (few < known - 0.001).all()
    np.testing.assert_allclose(estimate(KEY, x, 20_000), known, atol=0.03)


def test_it_is_measured_where_jax_has_64_bits_too(linear):
    net, _, wrong, x, *_ = linear
    likelihood = vae.gaussian(SCALE)
    with jax.enable_x64(True):
        key = jax.random.key(0)
        sampled = functools.partial(vae.log_likelihood, net, wrong, likelihood, key, x, 6, 2)
        assert jax.eval_shape(sampled).shape == x.shape[:1]
        codes, values = jnp.zeros(2, jnp.float32), jnp.linspace(-1.0, 1.0, 3)
        assert jax.eval_shape(vae.traverse, codes, 1, values).dtype == codes.dtype
        bounds = jax.eval_shape(lambda: vae.evaluate(net, wrong, likelihood, key, x))
        assert bounds["validation/negative_elbo"].shape == ()


def test_evaluation_is_the_mean_of_the_bounds_in_any_chunks(linear):
    net, _, wrong, x, *_ = linear
    parts = vae.bounds(net, wrong, vae.gaussian(SCALE), KEY, x)
    found = vae.evaluate(net, wrong, vae.gaussian(SCALE), KEY, x, "test", chunk=3)
    expected = parts.distortion.mean() + parts.rate.sum(-1).mean()
    np.testing.assert_allclose(found["test/negative_elbo"], expected, rtol=1e-5)
    np.testing.assert_allclose(found["test/rate"], parts.rate.sum(-1).mean(), rtol=1e-5)
    assert found["test/active_units"] == 2


def test_the_objective_weighs_the_rate_by_beta_and_spares_the_free_bits(linear):
    net, _, wrong, x, *_ = linear
    batch, likelihood = Batch(x, jnp.float32(0.5)), vae.gaussian(SCALE)
    parts = vae.bound(net, wrong, likelihood, KEY, jnp.asarray(x))
    distortion, rate = parts.distortion.mean(), np.asarray(parts.rate.mean(0))
    least = float(rate.mean())  # between the two units' rates
    for beta, free, charged in ((1, 0, rate), (3, 0, rate), (3, least, rate.clip(least))):
        goal = vae.objective(net, likelihood, beta, free)
        (loss, (_, metrics)), slope = jax.value_and_grad(goal, has_aux=True)(wrong, {}, batch, KEY)
        np.testing.assert_allclose(loss, distortion + beta * 0.5 * charged.sum(), rtol=1e-5)
        np.testing.assert_allclose(metrics["rate"], rate.sum(), rtol=1e-5)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_a_capacity_draws_the_rate_to_the_warmed_up_nats(linear):
    net, _, wrong, x, *_ = linear
    batch, likelihood = Batch(x, jnp.float32(0.5)), vae.gaussian(SCALE)
    parts = vae.bound(net, wrong, likelihood, KEY, jnp.asarray(x))
    distortion, rate = parts.distortion.mean(), parts.rate.sum(-1).mean()
    for nats, sign in ((0.0, 1), (100.0, -1)):
        goal = vae.objective(net, likelihood, 3.0, capacity=nats)
        loss, _ = goal(wrong, {}, batch, KEY)
        expected = distortion + 3 * sign * (rate - 0.5 * nats)
        np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_total_correlation_is_that_of_a_loop_over_samples_and_posteriors(q):
    code, n = vae.draw(KEY, q), 50
    mean, s = np.asarray(q.mean, float), np.exp(np.asarray(q.log_var, float) / 2)
    found = []
    for z in np.asarray(code, float):
        each = normal.pdf(z[None], mean, s)  # of each posterior and unit
        weight = 1 / (n * len(code))
        found.append(np.log(weight * each.prod(1).sum()) - np.log(weight * each.sum(0)).sum())
    np.testing.assert_allclose(vae.total_correlation(code, q, n), np.mean(found), rtol=1e-4)


def test_total_correlation_is_greater_for_units_that_say_the_same():
    """And the objective charges its weight, halved by the warm-up."""
    k_mean, k_other = jax.random.split(KEY)
    mean = jax.random.normal(k_mean, (400, 2))
    log_var = jnp.full((400, 2), -4.0)
    apart, same = (Gaussian(m, log_var) for m in (mean, mean.at[:, 1].set(mean[:, 0])))
    found = [float(vae.total_correlation(vae.draw(k_other, q), q, 400)) for q in (apart, same)]
    assert found[1] > found[0] + 1
    # as many examples as the batch has: no less than the truth, 0 nats, by much
    assert abs(found[0] - np.log(400)) < 1.5


def test_the_objective_charges_total_correlation(linear):
    net, _, wrong, x, *_ = linear
    batch, likelihood = Batch(x, jnp.float32(0.5)), vae.gaussian(SCALE)
    plain, _ = vae.objective(net, likelihood)(wrong, {}, batch, KEY)
    charged, (_, metrics) = vae.objective(net, likelihood, correlation=4.0, n=8)(
        wrong, {}, batch, KEY
    )
    parts = vae.bound(net, wrong, likelihood, KEY, jnp.asarray(x))
    found = vae.total_correlation(parts.code, parts.posterior, 8)
    np.testing.assert_allclose(metrics["total_correlation"], found, rtol=1e-5)
    np.testing.assert_allclose(charged, plain + 2 * found, rtol=1e-5)


def learner(digits, beta=1.0, *, latent=3, **options):
    net = dense((8, 8, 1), latent, (24,), variational=True)
    tx, augment = optimizer("adam", 5e-3), vae.binarise
    return net, vae.make(net, tx, digits.train.x, batch=64, beta=beta, augment=augment, **options)


def test_the_warm_up_raises_the_rates_weight_by_the_step(digits):
    _, warm = learner(digits, 4.0, warmup=5)
    _, metrics = advance(warm, start(warm, KEY), 8)
    weight = (metrics["loss"] - metrics["distortion"]) / metrics["rate"]
    np.testing.assert_allclose(weight, 4 * np.minimum(np.arange(1, 9) / 5, 1), rtol=1e-3)


def test_beta_may_differ_among_the_members_of_a_sweep(digits):
    """A heavy rate makes every unit silent; a light one lets all speak."""
    net, _ = learner(digits)
    betas = jnp.array([0.2, 50.0])
    both = sweep(lambda beta: learner(digits, beta)[1], betas, jnp.zeros(2, int))
    run, _ = advance(both, start(both, KEY), 400)
    params = run.state.run.state.fit.params
    x = vae.binarise(KEY, digits.validation.x)
    found = jax.vmap(lambda p: vae.evaluate(net, p, vae.BERNOULLI, KEY, x))(params)
    assert found["validation/active_units"].tolist() == [3, 0]
    assert found["validation/rate"][1] < 0.1 < found["validation/rate"][0]


def test_it_learns_digits_beyond_independent_pixels(digits):
    net, plain = learner(digits, latent=8)
    run, _ = advance(plain, start(plain, KEY), 600)
    x = np.asarray(vae.binarise(jax.random.key(1), digits.validation.x))
    params = run.state.fit.params
    found = vae.evaluate(net, params, vae.BERNOULLI, KEY, x)
    p = digits.train.x.mean(0).clip(1e-3, 1 - 1e-3)
    independent = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum((1, 2, 3)).mean()
    assert found["validation/negative_elbo"] < independent - 2
    closer = vae.log_likelihood(net, params, vae.BERNOULLI, KEY, x, 50)
    assert -closer.mean() < found["validation/negative_elbo"] - 0.2
    images = jax.nn.sigmoid(vae.sample(net, params, KEY, 200, 8))
    assert images.shape == (200, 8, 8, 1)
    assert abs(float(images.mean()) - digits.train.x.mean()) < 0.03
    assert float(jnp.abs(images.mean(0) - digits.train.x.mean(0)).max()) < 0.2


def test_active_units_are_those_whose_mean_moves():
    means = np.random.default_rng(0).normal(size=(5000, 3)) * [1, 0.2, 0.05] + [0, 0, 9]
    assert vae.active(jnp.asarray(means)).tolist() == [True, True, False]


def test_binarised_pixels_are_bits_with_the_pixels_mean():
    x = jnp.array([0.0, 0.25, 1.0])
    drawn = jax.vmap(lambda key: vae.binarise(key, x))(jax.random.split(KEY, 4000))
    assert set(np.unique(drawn)) == {0, 1}
    np.testing.assert_allclose(drawn.mean(0), x, atol=0.03)


def test_a_traversal_changes_one_unit():
    a = jnp.array([0.0, 2.0, -1.0])
    moved = vae.traverse(a, 1, jnp.array([-3.0, 0.0, 3.0]))
    assert moved[:, 1].tolist() == [-3, 0, 3]
    np.testing.assert_array_equal(np.asarray(moved)[:, [0, 2]], np.tile([0, -1], (3, 1)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"beta": -1.0}, "beta must be zero or positive; got -1.0"),
        ({"free_bits": -0.1}, "free_bits"),
        ({"warmup": -1}, "warmup"),
        ({"capacity": -2.0}, "capacity must be zero or positive; got -2.0"),
        ({"correlation": -1.0}, "correlation must be zero or positive; got -1.0"),
        ({"x": np.full((70, 8, 8, 1), 2, np.float32)}, r"pixels must be in \[0, 1\]; got 2 to 2"),
        ({"x": np.zeros((7, 8, 8, 1), np.float32)}, "batch must be from 1 to the 7"),
    ],
)
def test_what_cannot_be_learnt_is_said_in_one_line(options, said):
    net = dense((8, 8, 1), 2, variational=True)
    x = options.pop("x", np.zeros((70, 8, 8, 1), np.float32))
    with pytest.raises(InputError, match=said):
        vae.make(net, optimizer("adam", 1e-3), x, batch=64, **options)


def test_no_samples_are_no_estimate(linear):
    net, exact, _, x, *_ = linear
    with pytest.raises(InputError, match="samples must be at least 1; got 0"):
        vae.log_likelihood(net, exact, vae.gaussian(SCALE), KEY, x, 0)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.ones(3)])
def test_a_scale_is_one_positive_number(scale):
    with pytest.raises(InputError, match="scale must be one positive number"):
        vae.gaussian(scale)


def test_the_network_is_made_for_what_it_sees():
    """An `augment` that changes shapes: a crop to 2 of 6 pixels."""
    x = np.random.default_rng(0).random((8, PIXELS), np.float32)
    net = dense((2,), LATENT, (4,), variational=True)
    learner = vae.make(net, optimizer("sgd", 0.1), x, batch=4, augment=lambda _, x: x[:, 1:3])
    run = jax.eval_shape(learner.init, KEY)
    assert run.fit.params["encoder"]["Dense_0"]["kernel"].shape == (2, 4)
    after, _ = jax.eval_shape(learner.step, KEY, run)
    assert after.fit.params["encoder"]["Dense_0"]["kernel"].shape == (2, 4)
    with pytest.raises(InputError, match="gives 2 numbers; x has 6 numbers"):
        vae.make(net, optimizer("sgd", 0.1), x, batch=4)
