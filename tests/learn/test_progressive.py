"""Networks that grow: at 0 and 1 they are the two that are faded between; who rests, rests."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dljax import Batch, InputError, start, take_step
from dljax.data.stream import epochs
from dljax.learn import gan, progressive
from dljax.nets.progressive import Growing, Shrinking, double, halve

SHAPE, CHANNELS = (8, 8, 2), (5, 4, 3)


def networks(level, share):
    return gan.GAN(
        Growing(SHAPE, CHANNELS, level, share, jax.nn.sigmoid),
        Shrinking(CHANNELS, level, share),
        3,
    )


def game(net, stream):
    tx = optax.adam(0.01, b1=0.5, b2=0.9)
    return gan.make(net, tx, tx, stream, average=0.5)


@pytest.fixture(scope="module")
def begun():
    """All parameters of both networks, not at 0 where they start so, and latents and images."""
    net = networks(2, 1.0)
    x = jax.random.uniform(jax.random.key(0), (4, *SHAPE))
    z = jax.random.normal(jax.random.key(1), (4, 3))
    both = (
        jax.jit(net.generator.init)(jax.random.key(2), z),
        jax.jit(net.discriminator.init)(jax.random.key(3), x),
    )
    noisy = functools.partial(
        jax.tree.map, lambda leaf: leaf + 0.1 * jnp.cos(jnp.arange(leaf.size).reshape(leaf.shape))
    )
    return *map(noisy, both), z, x


@pytest.mark.parametrize("level", [1, 2])
def test_fade_in_at_0_and_1_is_the_two_networks_to_the_bit(begun, level):
    """`1 a + 0 b` is a, and images doubled after the pixels' layer are those of the level below."""
    maker, judge, z, x = begun
    x = progressive.shown(x, level, 1.0, 3)

    def images(level, share):
        return networks(level, share).generator.apply(maker, z)

    def logits(level, share, x):
        return networks(level, share).discriminator.apply(judge, x)

    np.testing.assert_array_equal(images(level, 0.0), double(images(level - 1, 1.0)))
    np.testing.assert_array_equal(logits(level, 0.0, x), logits(level - 1, 1.0, halve(x)))
    # at 1 the level below has no say: its layer to pixels may hold anything
    for own, name in ((maker, f"image_{level - 1}"), (judge, f"image_{level - 1}")):
        other = jax.tree.map(lambda leaf: leaf, own)
        other["params"][name] = jax.tree.map(lambda leaf: leaf + 7, own["params"][name])
        net = networks(level, 1.0)
        net, seen = (net.generator, z) if own is maker else (net.discriminator, x)
        np.testing.assert_array_equal(net.apply(own, seen), net.apply(other, seen))
        net = networks(level, 0.5)
        net = net.generator if own is maker else net.discriminator
        assert (net.apply(own, seen) != net.apply(other, seen)).any()


def test_halving_undoes_doubling_and_real_images_fade_likewise(begun):
    x = begun[-1]
    np.testing.assert_array_equal(halve(double(x)), x)
    assert progressive.shown(x, 0, 1.0, 3).shape == (4, 2, 2, 2)
    np.testing.assert_array_equal(progressive.shown(x, 2, 1.0, 3), x)
    np.testing.assert_array_equal(
        progressive.shown(x, 2, 0.0, 3), double(progressive.shown(x, 1, 1.0, 3))
    )


def test_the_stage_is_told_by_the_steps():
    of = lambda done: tuple(map(float, progressive.stage((0, 4, 10), 2, done)))  # noqa: E731
    assert [of(done) for done in (0, 3, 4, 5, 6, 9, 10, 11, 99)] == [
        (0, 1), (0, 1), (1, 0), (1, 0.5), (1, 1), (1, 1), (2, 0), (2, 0.5), (2, 1)
    ]  # fmt: skip
    assert tuple(map(float, progressive.stage((0, 0, 0), 2, 1))) == (2, 1)


def data():
    x = np.random.default_rng(0).integers(0, 256, (12, *SHAPE), np.uint8)
    return epochs(Batch(x, np.zeros(12)), 4)


def test_a_step_is_the_games_at_its_level_and_what_is_above_rests():
    learner = progressive.make(networks, game, data(), begins=(0, 2, 4), fade=2)
    run = start(learner, jax.random.key(0))
    begun = run.state.game
    one_step = jax.jit(lambda run: take_step(learner, run))
    for _ in range(4):  # at step 3 the second level is half in
        before, (run, metrics) = run, one_step(run)
    stream = data()

    def draw(position):
        position, drawn = stream.next(position)
        return position, drawn._replace(x=progressive.shown(drawn.x, 1, 0.5, 3))

    alone = game(networks(1, 0.5), stream._replace(next=draw))
    wanted, told = jax.jit(alone.step)(jax.random.fold_in(run.key, 3), before.state.game)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, run.state.game.generator.params, wanted.generator.params)
    jax.tree.map(close, run.state.game.discriminator.params, wanted.discriminator.params)
    close(metrics["generator_loss"], told["generator_loss"])
    for now, first, above in (
        (run.state.game.generator, begun.generator, ("up_2", "image_2")),
        (run.state.game.discriminator, begun.discriminator, ("down_2", "image_2")),
    ):
        for name in now.params:
            same = jax.tree.map(np.array_equal, now.params[name], first.params[name])
            assert all(jax.tree.leaves(same)) == (name in above), name


def test_all_levels_from_the_start_is_the_game_itself():
    learner = progressive.make(networks, game, data(), begins=(0, 0, 0), fade=5)
    alone = game(networks(2, 1.0), data())
    runs = (start(each, jax.random.key(0)) for each in (learner, alone))
    grown, fixed = (
        jax.jit(functools.partial(take_step, each))(run)[0].state
        for each, run in zip((learner, alone), runs, strict=True)
    )
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, grown.game.generator.params, fixed.generator.params)


@pytest.mark.parametrize("begins", [(), (1, 2, 3), (0, 5, 3)])
def test_levels_out_of_order_are_refused(begins):
    with pytest.raises(InputError, match="levels must begin at step 0"):
        progressive.make(networks, game, data(), begins=begins, fade=2)
    with pytest.raises(InputError, match="fade"):
        progressive.make(networks, game, data(), begins=(0, 1, 2), fade=0)
