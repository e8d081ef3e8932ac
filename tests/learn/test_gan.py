"""The game against its theory: gradients of one sum, the best discriminator, where it ends."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import roc_auc_score

from dljax import Batch, Fit, InputError, advance, gradient_step, start, sweep, take_step
from dljax.data import gaussians
from dljax.data.gaussians import Ring
from dljax.data.stream import Position, Stream, epochs
from dljax.learn import gan
from dljax.nets.adversarial import Discriminator, Generator
from dljax.ops.divergences import js

RING = Ring(radius=1.0, sd=0.1)
NET = gan.GAN(Generator((2,), (8,)), Discriminator((8,), spectral=True), 3)
GOALS = {"minimax": gan.minimax, "non-saturating": gan.non_saturating}
CONTESTS = {
    "cross-entropy": (gan.cross_entropy, gan.minimax),
    "hinge": (gan.hinge, gan.linear),
    "least squares": (gan.least_squares, gan.squared),
}
PENALTIES = {"none": gan.none, "r1": gan.r1(0.7)}


@pytest.fixture(scope="module")
def begun():
    """The networks' first state, a batch of the ring and latents."""
    learner = gan.make(NET, optax.sgd(0.1), optax.sgd(0.1), gaussians.fresh(RING, 16))
    state = start(learner, jax.random.key(0)).state
    x = gaussians.sample(jax.random.key(1), RING, 16).x
    return state, x, jax.random.normal(jax.random.key(2), (16, 3))


def close(a, b, rtol=1e-5, atol=1e-6):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), a, b)


def test_the_losses_are_the_formulas_and_the_two_goals_share_their_zero():
    logits = jnp.linspace(-5, 5, 11)
    d = jax.nn.sigmoid(logits)
    close(gan.minimax(logits), jnp.log(1 - d))
    close(gan.non_saturating(logits), -jnp.log(d))
    close(gan.value(logits, logits[::-1]), jnp.mean(jnp.log(d)) + jnp.mean(jnp.log(1 - d)))
    slope = {name: jax.grad(lambda z, f=f: f(z[None])[0]) for name, f in GOALS.items()}
    assert slope["minimax"](-9.0) > -1e-3  # saturated where the discriminator is sure
    assert slope["non-saturating"](-9.0) < -0.999
    assert slope["minimax"](0.0) == slope["non-saturating"](0.0) == -0.5


def test_hinge_and_least_squares_are_the_formulas():
    real, fake = np.array([-2.0, 0.5, 3.0]), np.array([-3.0, -0.5, 2.0])
    close(gan.hinge(real, fake), (3 + 0.5 + 0) / 3 + (0 + 0.5 + 3) / 3)
    close(gan.linear(jnp.asarray(fake)), np.array([3.0, 0.5, -2.0]))
    close(gan.least_squares(real, fake), (9 + 0.25 + 4 + 9 + 0.25 + 4) / 6)
    close(gan.squared(fake), np.array([8.0, 1.125, 0.5]))
    sure = jax.grad(gan.hinge, (0, 1))(jnp.array([1.5]), jnp.array([-1.5]))
    close(sure, (jnp.zeros(1), jnp.zeros(1)))  # beyond the margin nothing is left to gain


@pytest.mark.parametrize("contest", CONTESTS)
def test_the_best_discriminator_of_each_contest_over_outcomes(contest):
    """Of densities p and q over K outcomes: log p / q, the sign of p - q, p / (p + q)."""
    p = jax.nn.softmax(jnp.array([0.3, 2.0, -1.0, 0.0]))
    q = jax.nn.softmax(jnp.array([1.0, -0.5, 0.5, 0.2]))
    wanted = {
        "cross-entropy": jnp.log(p / q),
        "hinge": jnp.sign(p - q),
        "least squares": p / (p + q),
    }[contest]
    judge, zero = CONTESTS[contest][0], jnp.zeros(1)

    def loss(logits):  # the sides add up, so one may be held at 0 while the other is summed
        real = jax.vmap(lambda logit: judge(logit[None], zero))(logits)
        return p @ real + q @ jax.vmap(lambda logit: judge(zero, logit[None]))(logits)

    for key in jax.random.split(jax.random.key(0), 8):
        assert loss(wanted) <= loss(wanted + 0.3 * jax.random.normal(key, (4,)))


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_one_gradient_of_the_sum_is_the_two_gradients(begun, goal, penalty):
    """Stop-gradients let one objective hold both players; each is written out here by itself."""
    state, x, z = begun
    own, judge, key = state.generator.params, state.discriminator, jax.random.key(3)
    cost = PENALTIES[penalty]
    objective = gan.summed(NET, GOALS[goal], cost)
    pair, extra = gan.Pair(own, judge.params), judge.extra
    both = jax.grad(lambda pair: objective(pair, extra, Batch(x, z), key)[0])(pair)

    def logit(params, x):  # train=True renews the estimate of the spectral norm
        variables = {"params": params, **extra}
        return NET.discriminator.apply(variables, x, train=True, mutable=list(extra))[0]

    fake = NET.generator.apply({"params": own}, z)

    def discriminator(params):
        d_real, d_fake = (jax.nn.sigmoid(logit(params, each)) for each in (x, fake))
        found = jnp.mean(jnp.log(d_real)) + jnp.mean(jnp.log(1 - d_fake))
        return -found + cost(lambda x: logit(params, x), x, fake, key).mean()

    def generator(params):
        samples = NET.generator.apply({"params": params}, z)
        d = jax.nn.sigmoid(NET.discriminator.apply({"params": judge.params, **extra}, samples))
        return jnp.mean(jnp.log(1 - d) if goal == "minimax" else -jnp.log(d))

    close(both.discriminator, jax.grad(discriminator)(judge.params), 2e-4, 1e-5)
    close(both.generator, jax.grad(generator)(own), 2e-4, 1e-5)


def test_one_adam_on_the_sum_moves_as_two_adams(begun):
    """Adam scales every parameter by itself, so even its steps are those of two optimisers."""
    state, x, z = begun
    own, judge, tx = state.generator.params, state.discriminator, optax.adam(0.1)
    objective, key = gan.summed(NET), jax.random.key(3)
    pair = gan.Pair(own, judge.params)
    fit = Fit(pair, judge.extra, tx.init(pair))
    for _ in range(3):
        extra = fit.extra
        grads = jax.grad(lambda p, e=extra: objective(p, e, Batch(x, z), key)[0])(fit.params)
        expected = [
            optax.apply_updates(part, tx.update(grad, opt, part)[0])
            for part, grad, opt in (
                (own, grads.generator, part_of(fit.opt, "generator")),
                (judge.params, grads.discriminator, part_of(fit.opt, "discriminator")),
            )
        ]
        fit, metrics = gradient_step(objective, tx)(key, fit, Batch(x, z))
        own, judge = fit.params.generator, judge._replace(params=fit.params.discriminator)
        close([own, judge.params], expected)
    assert jnp.isfinite(metrics["loss"])


def part_of(opt, name):
    """The state of Adam for one of the pair alone."""
    adam, rest = opt
    return (adam._replace(mu=getattr(adam.mu, name), nu=getattr(adam.nu, name)), rest)


@pytest.mark.parametrize("name", ["cross-entropy", "hinge"])
def test_a_step_is_the_rounds_of_the_discriminator_and_then_the_generators(name):
    """The fused step against Goodfellow's algorithm written plainly, with its own batches."""
    tx, other, cost = optax.adam(0.02, b1=0.5), optax.sgd(0.05), gan.r1(0.3)
    stream, (contest, goal) = gaussians.fresh(RING, 16), CONTESTS[name]
    options = {"goal": goal, "penalty": cost, "contest": contest, "rounds": 3, "average": 0.9}
    learner = gan.make(NET, tx, other, stream, **options)
    run = start(learner, jax.random.key(0))
    after, metrics = take_step(learner, run)
    state, position = run.state, run.state.stream
    judge, objective = state.discriminator, gan.discriminate(NET.discriminator, cost, contest)
    for key in jax.random.split(jax.random.fold_in(run.key, 0), 3):
        z = jax.random.normal(jax.random.split(key)[0], (16, 3))
        position, drawn = stream.next(position)
        fake = NET.generator.apply({"params": state.generator.params}, z)
        judge, found = gradient_step(objective, other)(run.key, judge, Batch(drawn.x, fake))

    def loss(params):
        samples = NET.generator.apply({"params": params}, z)
        return goal(gan.logits(NET, judge, samples)).mean()

    own = state.generator.params
    updates, _ = tx.update(jax.grad(loss)(own), state.generator.opt, own)
    moved = optax.apply_updates(own, updates)
    close(after.state.discriminator.params, judge.params, 1e-4, 1e-5)
    close(after.state.discriminator.extra, judge.extra, 1e-4, 1e-5)
    close(after.state.generator.params, moved, 1e-3, 1e-4)
    close(
        gan.best(after.state.generator),
        jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, own, moved),
        1e-3,
        1e-4,
    )
    assert metrics["generator_loss"] == pytest.approx(float(loss(own)), rel=1e-4)
    assert metrics["value"] == pytest.approx(float(found["value"]), rel=1e-4)


def test_a_told_generator_descends_the_game_and_the_error_of_its_own_example():
    """One step of a conditional game, each player written out by itself."""
    data = gaussians.sample(jax.random.key(1), RING, 40)
    data = Batch(data.x, jax.nn.one_hot(jnp.arange(40) % 3, 3))
    net, tx = gan.GAN(Generator((2,), (8,)), Discriminator((8,)), 3), optax.sgd(0.1)
    learner = gan.make(
        net, tx, tx, epochs(data, 16), conditional=True, error=lambda a, b: jnp.abs(a - b)
    )
    run = start(learner, jax.random.key(0))
    after, state = take_step(learner, run)[0].state, run.state
    (x, y), key = epochs(data, 16).next(state.stream)[1], jax.random.fold_in(run.key, 0)
    z = jax.random.normal(jax.random.split(jax.random.split(key, 1)[0])[0], (16, 3))
    own, judge = state.generator.params, state.discriminator.params

    def logit(params, x):
        return net.discriminator.apply({"params": params}, x, y)

    def against(params):
        fake = net.generator.apply({"params": own}, z, y)
        chances = jax.nn.sigmoid(logit(params, x)), jax.nn.sigmoid(logit(params, fake))
        return -jnp.log(chances[0]).mean() - jnp.log(1 - chances[1]).mean()

    judge = jax.tree.map(lambda w, g: w - 0.1 * g, judge, jax.grad(against)(judge))

    def cost(params):
        fake = net.generator.apply({"params": params}, z, y)
        return -jnp.log(jax.nn.sigmoid(logit(judge, fake))).mean() + jnp.abs(fake - x).mean()

    own = jax.tree.map(lambda w, g: w - 0.1 * g, own, jax.grad(cost)(own))
    close(after.discriminator.params, judge, 1e-4, 1e-5)
    close(after.generator.params, own, 1e-4, 1e-5)


def test_the_best_discriminator_is_p_over_p_plus_q_and_worth_twice_js():
    """Over K outcomes: no logits do better, and V there is -log 4 + 2 JS, least where p is q."""
    p = jax.nn.softmax(jnp.array([0.3, 2.0, -1.0, 0.0]))
    q = jax.nn.softmax(jnp.array([1.0, -0.5, 0.5, 0.2]))

    def game(logits, q):
        return -p @ gan.non_saturating(logits) + q @ gan.minimax(logits)

    best = jnp.log(p) - jnp.log(q)
    assert jnp.abs(jax.grad(game)(best, q)).max() < 1e-6
    close(jax.nn.sigmoid(best), p / (p + q))
    expected = -np.log(4) + 2 * np.log(2) * js(p, q)  # js is in bits
    assert game(best, q) == pytest.approx(float(expected), abs=1e-6)
    for key in jax.random.split(jax.random.key(0), 5):
        assert game(best + jax.random.normal(key, (4,)), q) < game(best, q)
    assert game(jnp.zeros(4), p) == pytest.approx(-np.log(4), abs=1e-6)


class Affine(nn.Module):
    """x = a z + b."""

    @nn.compact
    def __call__(self, z, *, train=False):
        return nn.Dense(1)(z)


class Quadratic(nn.Module):
    """Holds the best discriminator of two Gaussians: their log ratio is a parabola."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(1)(jnp.concatenate([x, x**2], 1))[:, 0]


@pytest.mark.parametrize("goal", GOALS)
def test_the_game_ends_at_a_half_and_minus_log_4(goal):
    """Data N(1, 0.7^2): G finds mean and deviation, D = 1/2 everywhere, and V = -log 4."""

    def draw(position):
        key = jax.random.fold_in(position.key, position.drawn)
        x = 1 + 0.7 * jax.random.normal(key, (256, 1))
        return Position(position.key, position.drawn + 1), Batch(x, x)

    net, steps = gan.GAN(Affine(), Quadratic(), 1), 3000
    rate = optax.cosine_decay_schedule(0.02, steps)
    learner = gan.make(
        net,
        optax.adam(rate, b1=0.5),
        optax.adam(rate, b1=0.5),
        Stream(lambda key: Position(key, jnp.int32(0)), draw),
        goal=GOALS[goal],
        penalty=gan.r1(0.3),
    )
    run, metrics = advance(learner, start(learner, jax.random.key(0)), steps)
    layer = run.state.generator.params["Dense_0"]
    assert layer["bias"][0] == pytest.approx(1.0, abs=0.1)
    assert jnp.abs(layer["kernel"][0, 0]) == pytest.approx(0.7, abs=0.1)
    for name, expected in (("value", -np.log(4)), ("real", 0.5), ("fake", 0.5)):
        assert metrics[name][-200:].mean() == pytest.approx(expected, abs=0.02)
    x = jnp.linspace(0, 2, 9)[:, None]
    chances = jax.nn.sigmoid(gan.logits(net, run.state.discriminator, x))
    np.testing.assert_allclose(chances, 0.5, atol=0.05)


def test_penalties_are_the_slopes_of_a_known_function():
    x, y = jnp.array([[1.0, 2.0], [0.0, 3.0]]), jnp.array([[5.0, 5.0], [6.0, 7.0]])

    def logit(x):  # slope (2 x1, 3)
        return x[:, 0] ** 2 + 3 * x[:, 1]

    key = jax.random.key(0)
    close(gan.r1(0.5)(logit, x, y, key), jnp.array([13.0, 9.0]) / 4)


def test_the_discriminator_scores_outliers_of_the_kind_that_it_was_shown():
    """Against a generator that stays at its first noise about 0, it knows the ring from it."""
    net = gan.GAN(Generator((2,), (16,)), Discriminator((16,)), 2)
    learner = gan.make(net, optax.sgd(0.0), optax.adam(1e-2), gaussians.fresh(RING, 64))
    run, _ = advance(learner, start(learner, jax.random.key(0)), 300)
    inside = gan.sample(net, run.state.generator.params, jax.random.key(1), 200)
    points = jnp.concatenate([inside, gaussians.sample(jax.random.key(2), RING, 200).x])
    score = gan.outlier_score(net, run.state.discriminator, points)
    assert roc_auc_score(np.repeat([1, 0], 200), score) > 0.9


def test_arcs_keep_their_ends_and_their_length():
    z, w = jax.random.normal(jax.random.key(0), (2, 3, 5))
    z, w = (5**0.5 * each / jnp.linalg.norm(each, axis=1, keepdims=True) for each in (z, w))
    path = gan.between(z, w, 7)
    close(path[:, 0], z)
    close(path[:, -1], w, 1e-4, 1e-5)
    close(jnp.linalg.norm(path, axis=-1), jnp.full((3, 7), 5**0.5), 1e-4)
    close(gan.between(z, z, 4), jnp.repeat(z[:, None], 4, 1), 1e-3, 1e-3)
    line = jnp.linspace(0, 1, 5)[None, :, None] * w[:, None]
    close(gan.between(0 * z, w, 5), line)
    close(gan.between(w, 0 * z, 5), line[:, ::-1])
    close(gan.between(0 * z, 0 * z, 5), 0 * line)


def test_collapse_is_counted():
    even = jnp.array([10, 10, 10, 10])
    assert gan.covered(even, 40) == 4
    assert gan.covered(jnp.array([35, 3, 2, 0]), 40) == 2  # a quarter of 10 is 2.5
    assert gan.covered(jnp.stack([even, 0 * even]), 40).tolist() == [4, 0]


def test_seeds_and_strengths_train_in_one_program():
    """The strength of the penalty, the mix of goals and Adam's momenta may be a sweep's arrays."""

    def make(h):
        tx = optax.adam(h["rate"], b1=h["b1"])
        goal = lambda z: h["rate"] * gan.minimax(z) + gan.non_saturating(z)  # noqa: E731
        stream = gaussians.fresh(RING, 16)
        return gan.make(NET, tx, tx, stream, goal=goal, penalty=gan.r1(h["b1"]), average=h["b1"])

    hparams = {"rate": jnp.array([0.1, 0.01]), "b1": jnp.array([0.0, 0.5])}
    learner = sweep(make, hparams, jnp.array([0, 1]))
    run, metrics = advance(learner, start(learner, jax.random.key(0)), 5)
    assert metrics["value"].shape == (5, 2)
    assert run.state.run.state.stream.drawn.tolist() == [5, 5]  # one round a step, unless asked
    alone = make(jax.tree.map(lambda leaf: leaf[1], hparams))
    one, _ = advance(alone, start(alone, jax.random.fold_in(member_key(), 1)), 5)
    together = jax.tree.map(lambda leaf: leaf[1], run.state.run.state)
    close(together.generator.params, one.state.generator.params, 1e-3, 1e-4)


def member_key():
    """The key that `start` hands to the sweep."""
    return jax.random.split(jax.random.key(0))[0]


def test_bad_sizes_are_named():
    with pytest.raises(InputError, match="latent"):
        gan.GAN(Generator((2,)), Discriminator(), 0)
    with pytest.raises(InputError, match="conditional"):
        stream = gaussians.fresh(RING, 16)
        gan.make(NET, optax.sgd(0.1), optax.sgd(0.1), stream, error=optax.squared_error)
    with pytest.raises(InputError, match="rounds"):
        gan.make(NET, optax.sgd(0.1), optax.sgd(0.1), gaussians.fresh(RING, 16), rounds=0)
