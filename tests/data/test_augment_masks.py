"""Images and masks are changed together: whatever an image shows, its mask shows at one place."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.data.augment_masks import bend, crop, turn
from dljax.errors import InputError
from dljax.typing import Batch

KEY = jax.random.key(0)


def numbered(b=6, side=8):
    """Images whose pixels all differ, and masks that tell which pixel each is."""
    y = np.arange(b * side * side).reshape(b, side, side).astype(np.int32)
    return Batch(jnp.asarray(y[..., None] / np.float32(y.max())), jnp.asarray(y))


def assert_together(found, most):
    np.testing.assert_allclose(found.x[..., 0] * most, found.y, rtol=1e-5, atol=1e-3)


def test_crops_are_squares_of_their_images_anywhere():
    batch = numbered(400, 5)
    found = jax.jit(functools.partial(crop, side=3))(KEY, batch)
    assert_together(found, batch.y.max())
    corners = np.asarray(found.y[:, 0, 0]) - 25 * np.arange(400)
    np.testing.assert_array_equal(np.unique(corners), [0, 1, 2, 5, 6, 7, 10, 11, 12])
    lines = found.y - found.y[:, :1, :1]
    np.testing.assert_array_equal(
        lines, np.broadcast_to([[0, 1, 2], [5, 6, 7], [10, 11, 12]], (400, 3, 3))
    )


def test_turns_are_the_eight_of_the_square():
    side = 3
    batch = Batch(
        *(jnp.tile(each[:1], (400, *[1] * (each.ndim - 1))) for each in numbered(2, side))
    )
    found = jax.jit(turn)(KEY, batch)
    assert_together(found, numbered(2, side).y.max())
    plain = np.arange(side * side).reshape(side, side)
    ways = {np.rot90(each, k).tobytes() for each in (plain, plain.T) for k in range(4)}
    counts = dict.fromkeys(ways, 0)
    for each in np.asarray(found.y):
        counts[each.astype(plain.dtype).tobytes()] += 1
    assert len(counts) == 8
    assert min(counts.values()) > 25  # of 50 each


def test_no_angle_and_no_noise_change_nothing():
    batch = numbered()
    found = bend(KEY, batch, 0.0, 0.0)
    np.testing.assert_allclose(found.x, batch.x, atol=1e-6)
    np.testing.assert_array_equal(found.y, batch.y)
    assert found.y.dtype == batch.y.dtype


def test_a_bent_mask_follows_its_image():
    """A smooth blob whose mask is where it is bright stays so, whatever bends it."""
    rows, columns = np.indices((32, 32))
    blob = np.exp(-((rows - 12) ** 2 / 60 + (columns - 18) ** 2 / 30)).astype(np.float32)
    x = jnp.tile(jnp.asarray(blob)[None, ..., None], (8, 1, 1, 1))
    found = jax.jit(functools.partial(bend, angle=30.0, sd=2.0))(
        KEY, Batch(x, (x[..., 0] > 0.5).astype(jnp.int8))
    )
    assert np.abs(found.x - x).max() > 0.2
    agree = (found.x[..., 0] > 0.5) == found.y
    assert agree.mean() > 0.97
    assert agree[np.abs(found.x[..., 0] - 0.5) > 0.15].all()


def test_vmap_over_keys_equals_a_loop():
    keys, batch = jax.random.split(KEY, 3), numbered(2)

    def change(key):
        return bend(key, turn(key, crop(key, batch, 6)), 10.0, 1.0)

    together = jax.jit(jax.vmap(change))(keys)
    one = jax.jit(change)
    for i, key in enumerate(keys):
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, atol=1e-5), together, one(key)
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda batch: crop(KEY, batch, 9), "a crop's side must be from 1 to 8"),
        (lambda batch: crop(KEY, batch, 0), "a crop's side must be from 1 to 8"),
        (lambda batch: turn(KEY, Batch(batch.x[:, :5], batch.y[:, :5])), "only squares turn"),
        (lambda batch: bend(KEY, batch, -1.0, 0.0), "bend needs angle >= 0"),
        (lambda batch: bend(KEY, batch, 1.0, 0.0, 1), "bend needs angle >= 0"),
    ],
)
def test_what_cannot_be_is_refused(change, said):
    with pytest.raises(InputError, match=said):
        change(numbered())
