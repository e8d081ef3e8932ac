"""The bilinear warp against SciPy's, and what its maps must keep."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.ndimage import map_coordinates

from dljax.ops import warp as ops

H, W, C = 7, 5, 2
warp = jax.jit(ops.warp)  # of one shape: to compile is all the time that these tests take
bent = jax.jit(lambda noise: ops.bent(noise, H, W))
mirror = jax.jit(lambda places: ops.mirror(places, H, W))


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An image, and places in it and around it."""
    rng = np.random.default_rng(seed)
    return rng.random((H, W, C), np.float32), rng.uniform(-20, 25, (2, H, W)).astype(np.float32)


def test_warp_equals_scipy_also_where_places_lie_beyond_the_image():
    image, places = drawn(0)
    places = places / 4 + 3
    found = warp(image, places)
    for c in range(C):
        # SciPy's grid-constant lets the border fade into zeros, as here; its constant cuts it off
        wanted = map_coordinates(image[..., c], places, order=1, mode="grid-constant")
        np.testing.assert_allclose(found[..., c], wanted, atol=1e-5)


def test_mirrored_places_see_the_image_folded_as_scipy_folds_it():
    image, places = drawn(1)
    found = warp(image, mirror(places))
    wanted = map_coordinates(image[..., 0], places, order=1, mode="mirror")
    np.testing.assert_allclose(found[..., 0], wanted, atol=1e-4)
    np.testing.assert_array_equal(ops.mirror(jnp.full((2, 1, 1), 3.7), 1, 1), 0)


def test_whole_places_are_exact_and_labels_stay_unmixed():
    image, _ = drawn(2)
    own = np.asarray(ops.grid(H, W))
    np.testing.assert_array_equal(warp(image, own), image)
    np.testing.assert_array_equal(warp(image, own[:, ::-1]), image[::-1])
    assert warp(image, np.full_like(own, 1e30)).max() == 0
    labels = np.random.default_rng(2).integers(1, 6, (H, W, C)).astype(np.float32)
    moved = np.round(bent(3 * jax.random.normal(jax.random.key(0), (2, 3, 3))))
    found = np.asarray(warp(labels, moved))
    assert set(np.unique(found)) <= set(range(6)) and (found != labels).any()


def test_bending_is_smooth_and_of_the_size_of_its_noise():
    own = ops.grid(H, W)
    np.testing.assert_allclose(bent(jnp.full((2, 3, 3), 2.0)), own + 2, atol=1e-5)
    noise = jax.random.normal(jax.random.key(1), (2, 3, 3))
    moved = np.asarray(bent(noise) - own)
    steps = np.abs(np.diff(moved, axis=1)).max()
    assert 0.5 < np.abs(moved).max() < 4 and steps < 2 * np.abs(np.diff(noise, axis=1)).max() / 2
