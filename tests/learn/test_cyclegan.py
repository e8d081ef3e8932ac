"""Two GANs in a cycle: the loss written out, the step in the paper's order, the pool, the end."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import Batch, InputError, advance, gradient_step, start, take_step
from dljax.data.stream import Position, Stream, epochs
from dljax.learn import cyclegan, gan
from dljax.learn.cyclegan import Both, Given, Pool


class Affine(nn.Module):
    """a x + b, of as many numbers as x has."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(x.shape[-1])(x)


class Quadratic(nn.Module):
    """Holds what tells two Gaussians apart: a parabola."""

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(1)(jnp.concatenate([x, x**2], 1))[:, 0]


NETS = cyclegan.CycleGAN(Affine(), Affine(), Quadratic(), Quadratic())
SGD = optax.sgd(0.1)


def normal(mean, sd, batch=128):
    """Fresh draws of N(mean, sd^2)."""

    def draw(position):
        key = jax.random.fold_in(position.key, position.drawn)
        x = mean + sd * jax.random.normal(key, (batch, 1))
        return Position(position.key, position.drawn + 1), Batch(x, x)

    return Stream(lambda key: Position(key, jnp.int32(0)), draw)


def close(a, b, rtol=1e-5, atol=1e-6):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), a, b)


def affine(params, x):
    layer = params["Dense_0"]
    return np.asarray(x) @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])


def logit(params, x):
    return affine(params, np.concatenate([x, x**2], 1))[:, 0]


def test_the_loss_is_the_formula_and_knows_which_way_is_which():
    learner = cyclegan.make(NETS, SGD, SGD, normal(0, 1), normal(3, 2), identity=0.7)
    state = start(learner, jax.random.key(0)).state
    x, y = normal(0, 1, 8), normal(3, 2, 8)
    x, y = (each.next(each.init(jax.random.key(1)))[1].x for each in (x, y))
    given = Given(x, y, state.critic_x, state.critic_y)
    both = state.translators.params
    found, (fake, _) = cyclegan.objective(NETS, gan.squared, 3.0, 0.7)(
        both, (), given, jax.random.key(0)
    )
    to_y, to_x = (lambda x, p=p: affine(p, np.asarray(x)) for p in both)
    wanted = ((logit(state.critic_y.params, to_y(x)) - 1) ** 2).mean() / 2
    wanted += ((logit(state.critic_x.params, to_x(y)) - 1) ** 2).mean() / 2
    wanted += 3.0 * (np.abs(to_x(to_y(x)) - x).mean() + np.abs(to_y(to_x(y)) - y).mean())
    wanted += 0.7 * (np.abs(to_y(y) - y).mean() + np.abs(to_x(x) - x).mean())
    assert float(found) == pytest.approx(float(wanted), rel=1e-5)
    close(fake, Both(to_y(x), to_x(y)))


def test_a_step_is_the_translators_and_then_each_critic():
    """Zhu's algorithm written plainly: critics see what was made before the translators moved."""
    tx, other, cost = optax.adam(0.02, b1=0.5), optax.sgd(0.05), gan.r1(0.3)
    x, y = normal(0, 1, 8), normal(3, 2, 8)
    options = {"penalty": cost, "pool": 0, "average": 0.9, "cycle": 2.0}
    learner = cyclegan.make(NETS, tx, other, x, y, **options)
    run = start(learner, jax.random.key(0))
    after, metrics = take_step(learner, run)
    state = run.state
    real_x, real_y = (each.next(at)[1].x for each, at in zip((x, y), state.stream, strict=True))
    given = Given(real_x, real_y, state.critic_x, state.critic_y)
    objective = cyclegan.objective(NETS, gan.squared, 2.0, 0.0)
    own, key = state.translators.params, run.key
    (loss, (fake, _)), slope = jax.value_and_grad(objective, has_aux=True)(own, (), given, key)
    moved = optax.apply_updates(own, tx.update(slope, state.translators.opt, own)[0])
    close(after.state.translators.params, moved)
    average = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, own, moved)
    close(gan.best(after.state.translators), average)
    for net, before, now, real, made in (
        (NETS.critic_x, state.critic_x, after.state.critic_x, real_x, fake.backward),
        (NETS.critic_y, state.critic_y, after.state.critic_y, real_y, fake.forward),
    ):
        judge = gradient_step(gan.discriminate(net, cost, gan.least_squares), other)
        close(now.params, judge(key, before, Batch(real, made))[0].params)
    assert metrics["loss"] == pytest.approx(float(loss), rel=1e-5)


def test_the_pool_fills_first_and_then_gives_an_older_one_for_half():
    pool = Pool(jnp.zeros((8, 1)), jnp.int32(0))
    shown = []
    for i in range(60):
        fakes = 1 + 4 * i + jnp.arange(4.0)[:, None]
        before = np.concatenate([pool.kept[: int(pool.seen)], fakes])
        pool, given = cyclegan.exchanged(jax.random.key(i), pool, fakes)
        if i < 2:
            close(given, fakes)
            close(pool.kept[4 * i : 4 * i + 4], fakes)
        else:  # nothing is lost or made up
            np.testing.assert_array_equal(
                np.sort(before[:, 0]), np.sort(np.concatenate([given, pool.kept])[:, 0])
            )
            shown.append(np.asarray(given != fakes).mean())
    assert int(pool.seen) == 8
    assert 0.4 < np.mean(shown) < 0.6


def test_the_game_ends_with_the_distribution_and_a_closed_cycle():
    """N(0, 1) and N(3, 2^2): y = 3 + 2 x or 3 - 2 x, and the way back is the inverse."""
    steps = 2000
    tx = optax.adam(optax.cosine_decay_schedule(0.02, steps), b1=0.5)
    x, y = normal(0, 1), normal(3, 2)
    game = {"goal": gan.non_saturating, "contest": gan.cross_entropy, "penalty": gan.r1(0.3)}
    learner = cyclegan.make(NETS, tx, tx, x, y, cycle=0.3, pool=2, **game)
    run, _ = advance(learner, start(learner, jax.random.key(0)), steps)
    there, back = (each["Dense_0"] for each in run.state.translators.params)
    assert abs(float(there["kernel"][0, 0])) == pytest.approx(2, abs=0.2)
    assert float(there["bias"][0]) == pytest.approx(3, abs=0.2)
    assert float((there["kernel"] * back["kernel"])[0, 0]) == pytest.approx(1, abs=0.1)
    assert float((back["bias"] + back["kernel"][0] * there["bias"])[0]) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pool": -1}, "pool, in batches, must be at least 0; got -1"),
        ({"average": 2.0}, "average must be from 0 to 1; got 2.0"),
    ],
)
def test_bad_options_are_named(options, says):
    with pytest.raises(InputError, match=says):
        cyclegan.make(NETS, SGD, SGD, normal(0, 1), normal(3, 2), **options)


def test_streams_and_networks_that_do_not_fit_are_named():
    with pytest.raises(InputError, match="batches of one size; got 128 and 64"):
        cyclegan.make(NETS, SGD, SGD, normal(0, 1), normal(3, 2, 64))
    grey, colour = (epochs(Batch(np.zeros((9, 4, c)), np.zeros(9)), 2) for c in (1, 3))
    with pytest.raises(InputError, match="4 x 1 numbers; y has 4 x 3"):
        cyclegan.make(NETS, SGD, SGD, grey, colour, pool=0)
