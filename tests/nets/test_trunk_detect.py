"""The trunk and its heads: cells of the width that is said, at any size, each image by itself."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.nets.trunk import (
    Classify,
    Climb,
    Detect,
    GroupNorm,
    Regress,
    Segment,
    Trunk,
    Vision,
    depth_to_space,
    space_to_depth,
)


def test_squares_of_pixels_become_channels_and_come_back():
    x = jnp.arange(2 * 4 * 6 * 3.0).reshape(2, 4, 6, 3)
    deep = space_to_depth(x, 2)
    assert deep.shape == (2, 2, 3, 12)
    np.testing.assert_array_equal(deep[1, 1, 2].reshape(2, 2, 3), x[1, 2:, 4:])
    np.testing.assert_array_equal(depth_to_space(deep, 2), x)
    ragged = space_to_depth(x[:, :3, :5], 2)
    np.testing.assert_array_equal(depth_to_space(ragged, 2)[:, :3, :5], x[:, :3, :5])


@pytest.mark.parametrize("groups", [1, 3, 6])
def test_normal_groups_and_their_gradients_equal_flaxs(groups):
    x, g = 3 + 2 * jax.random.normal(jax.random.key(0), (2, 2, 5, 4, 6))
    weights = dict(
        zip(("scale", "bias"), jax.random.normal(jax.random.key(1), (2, 6)), strict=True)
    )

    def of(net):
        def f(x, weights):
            return net.apply({"params": weights}, x)

        return jax.jit(lambda: (*jax.vjp(f, x, weights)[1](g), f(x, weights)))()

    ours, expected = of(GroupNorm(groups)), of(nn.GroupNorm(groups))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), ours, expected
    )


@pytest.mark.parametrize(("patch", "level", "sides"), [(2, 1, (16, 24)), (4, 0, (13, 18))])
def test_a_cell_is_as_wide_as_patch_and_level_say(patch, level, sides):
    net = Vision(Trunk((8, 8), patch=patch), Detect(3, level))
    x = jnp.zeros((1, *sides, 1))
    found = jax.eval_shape(lambda: net.init_with_output(jax.random.key(0), x)[0])
    grid = tuple(-(-side // (patch << level)) for side in sides)
    assert found.heat.shape == (1, *grid, 3)
    assert found.size.shape == found.offset.shape == (1, *grid, 2)


HEADS = {
    "classify": lambda residual: Classify((5,)),
    "regress": lambda residual: Regress((5,)),
    "segment": lambda residual: Segment(3, residual),
    "detect": lambda residual: Detect(3, 1, residual),
}


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_what_is_said_of_an_image_of_any_size_is_its_own_and_hears_of_every_pixel(head, residual):
    net = Vision(Trunk((8, 16, 16), residual), HEADS[head](residual))
    x = jax.random.uniform(jax.random.key(0), (2, 9, 13, 1))
    params = jax.jit(net.init)(jax.random.key(1), x)

    @jax.jit
    def both(x):
        def total(one):
            return sum((leaf**2).sum() for leaf in jax.tree.leaves(net.apply(params, one)))

        return net.apply(params, x), net.apply(params, x[:1]), jax.grad(total)(x[:1])

    together, alone, slopes = both(x)
    for many, one in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(many[0], one[0], rtol=1e-4, atol=1e-5)
    assert (slopes != 0).all()


def test_a_finer_map_reaches_the_head_beside_the_coarser():
    """The way up joins both: with either blank, what is said is other."""
    climb, key = Climb(), jax.random.key(0)
    maps = [jax.random.normal(key, (1, 8, 6, 8)), jax.random.normal(key, (1, 4, 3, 16))]
    params = jax.jit(climb.init)(key, maps)
    say = jax.jit(lambda *maps: climb.apply(params, maps))
    whole = say(*maps)
    assert whole.shape == (1, 8, 6, 8)
    for blank in range(2):
        other = say(*(0 * each if i == blank else each for i, each in enumerate(maps)))
        assert not np.allclose(whole, other, atol=1e-3)
