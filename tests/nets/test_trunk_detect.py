"""The detector's grid: cells of the width that is said, at any size, and no more than they see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.nets.trunk import Detect, Trunk, Vision, depth_to_space, space_to_depth


def test_squares_of_pixels_become_channels_and_come_back():
    x = jnp.arange(2 * 4 * 6 * 3.0).reshape(2, 4, 6, 3)
    deep = space_to_depth(x, 2)
    assert deep.shape == (2, 2, 3, 12)
    np.testing.assert_array_equal(deep[1, 1, 2].reshape(2, 2, 3), x[1, 2:, 4:])
    np.testing.assert_array_equal(depth_to_space(deep, 2), x)
    ragged = space_to_depth(x[:, :3, :5], 2)
    np.testing.assert_array_equal(depth_to_space(ragged, 2)[:, :3, :5], x[:, :3, :5])


@pytest.mark.parametrize(("patch", "level", "sides"), [(2, 1, (16, 24)), (4, 0, (13, 18))])
def test_a_cell_is_as_wide_as_patch_and_level_say(patch, level, sides):
    net = Vision(Trunk((8, 8), patch=patch), Detect(3, level))
    x = jnp.zeros((1, *sides, 1))
    found = jax.eval_shape(lambda: net.init_with_output(jax.random.key(0), x)[0])
    grid = tuple(-(-side // (patch << level)) for side in sides)
    assert found.heat.shape == (1, *grid, 3)
    assert found.size.shape == found.offset.shape == (1, *grid, 2)
