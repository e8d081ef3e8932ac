"""Neighbours against a tree's and loops, and the maximum's derivative against a gather's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from dljax import InputError
from dljax.ops.neighbours import farthest, largest, nearest

B, N, K, F = 2, 24, 4, 5
TWO_DEVICES = """
import jax, jax.numpy as jnp
from dljax.host.devices import each_member
from dljax.ops.neighbours import nearest
x = jax.random.normal(jax.random.key(0), (2, 1, 32, 2))
found = each_member(lambda x: nearest(x, 3, None, jnp.isfinite(x[..., 0])), x, count=2, at_once=1)
assert (found == jax.vmap(lambda x: nearest(x, 3))(x)).all() and jax.device_count() == 2
"""


@pytest.fixture(scope="module")
def clouds():
    return {d: np.random.default_rng(d).normal(size=(B, N, d)).astype(np.float32) for d in (2, 6)}


@pytest.mark.parametrize("d", [2, 6])
def test_the_nearest_are_a_trees(clouds, d):
    x, real = clouds[d], np.arange(N)[None] >= np.array([[0], [9]])
    found = np.asarray(jax.jit(nearest, static_argnums=1)(x, K, x[:, :7], real))
    for cloud, here, own in zip(x, real, found, strict=True):
        wanted = np.flatnonzero(here)[cKDTree(cloud[here]).query(cloud[:7], K)[1]]
        np.testing.assert_array_equal(own, wanted)
    few = np.asarray(nearest(x, K, real=np.arange(N)[None] < np.array([[2], [K]])))
    assert few[0].max() == 1 and (few[0, :, 2:] == few[0, :, :1]).all()  # the nearest again
    assert (np.sort(few[1]) == np.arange(K)).all()


def test_points_in_the_plane_may_be_far_from_the_origin(clouds):
    """Where squares of coordinates have lost their distances to rounding."""
    x = np.concatenate([np.round(clouds[2] * 64) / 64] * 3)
    np.testing.assert_array_equal(nearest(x + np.float32(8192), K), nearest(x, K))


def test_the_nearest_point_is_itself(clouds):
    np.testing.assert_array_equal(nearest(clouds[2], 1)[..., 0], np.arange(N)[None].repeat(B, 0))


def test_those_kept_are_each_as_far_as_can_be(clouds):
    x, m = clouds[2], 6
    far = jax.jit(farthest, static_argnums=1)
    found = np.asarray(far(x, m))
    for cloud, own in zip(x, found, strict=True):
        middle = (cloud.min(0) + cloud.max(0)) / 2
        wanted = [int(np.linalg.norm(cloud - middle, axis=1).argmax())]
        while len(wanted) < m:
            apart = np.linalg.norm(cloud[:, None] - cloud[wanted], axis=-1).min(1)
            wanted.append(int(apart.argmax()))
        assert own.tolist() == wanted
    order = np.random.default_rng(1).permutation(N)
    np.testing.assert_array_equal(order[np.asarray(far(x[:, order], m))], found)
    some = np.asarray(farthest(x, m, np.arange(N)[None] < np.array([[3], [9]])))
    assert set(some[0]) == {0, 1, 2} and some[1].max() < 9 and len(set(some[1])) == m


def test_the_maximum_and_its_derivative_are_a_gathers(clouds):
    rng = np.random.default_rng(0)
    told = rng.normal(size=(3, B, N, F)).astype(np.float32)
    near = rng.integers(0, N, (B, 9, K))
    near[..., -1] = near[..., 0]  # the same again
    weight = rng.normal(size=(3, B, 9, F)).astype(np.float32)

    def plain(told, near):
        return jax.vmap(lambda told, near: told[near].max(1))(told, near)

    def slope(function):
        def total(told, weight):
            return (function(told, near) * weight).sum()

        return jax.jit(jax.vmap(jax.value_and_grad(total)))(told, weight)

    for ours, theirs in zip(slope(largest), slope(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_of_equals_the_nearest_gets_the_gradient():
    told, near = jnp.zeros((1, 3, 1)), np.array([[[2, 0, 1]]])
    found = jax.grad(lambda told: largest(told, near).sum())(told)
    assert found.ravel().tolist() == [0, 0, 1]


def test_fewer_points_than_are_asked_for(clouds):
    with pytest.raises(InputError, match="neighbours must be from 1 to the 24 points; got 25"):
        nearest(clouds[2], 25)
    with pytest.raises(InputError, match="points have 2 coordinates, those asked for 6"):
        getattr(nearest, "__wrapped__", nearest)(clouds[2], 3, clouds[6])  # its types say so too
    with pytest.raises(InputError, match="points to keep must be from 1 to the 24 points; got 0"):
        farthest(clouds[2], 0)


def test_they_compile_for_two_devices_too(python):
    """XLA once died of it, and took the process along."""
    done = python("-W", "error", "-c", TWO_DEVICES, devices=2)
    assert done.returncode == 0, done.stderr
