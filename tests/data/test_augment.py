"""The random shift against a slow loop, and the properties that define it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.data import augment, shift
from dljax.errors import InputError
from dljax.typing import Batch, Boxes

KEY = jax.random.key(0)


def offsets(key, batch, by, size=9):
    """The offsets [B, 2] that `shift` draws, read off images with one bright pixel."""
    x = jnp.zeros((batch, size, size, 1)).at[:, size // 2, size // 2].set(1.0)
    where = np.argwhere(np.asarray(shift(key, x, by)))
    assert len(where) == batch
    return where[:, 1:3] - size // 2


def slow_shift(x, moves):
    out = np.zeros_like(x)
    for b, (down, right) in enumerate(moves):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                if 0 <= i - down < x.shape[1] and 0 <= j - right < x.shape[2]:
                    out[b, i, j] = x[b, i - down, j - right]
    return out


@pytest.mark.parametrize(("by", "dtype"), [(1, np.float32), (3, np.float32), (3, np.uint8)])
def test_it_equals_a_slow_loop(by, dtype):
    x = np.random.default_rng(0).integers(0, 255, (20, 6, 9, 3)).astype(dtype)
    moved = shift(KEY, jnp.asarray(x), by)
    assert moved.dtype == dtype
    np.testing.assert_array_equal(moved, slow_shift(x, offsets(KEY, 20, by)))


def test_mass_away_from_the_border_is_conserved():
    inner = np.random.default_rng(0).integers(0, 9, (50, 4, 4, 2)).astype(np.float32)
    x = np.pad(inner, ((0, 0), (3, 3), (3, 3), (0, 0)))
    np.testing.assert_array_equal(shift(KEY, jnp.asarray(x), 3).sum((1, 2)), x.sum((1, 2)))


def test_offsets_are_uniform_and_the_axes_independent():
    moves = offsets(KEY, 10_000, by=2)
    counts = np.histogram2d(*moves.T, bins=np.arange(-2.5, 3))[0]
    assert counts.sum() == 10_000
    chi_square = ((counts - 400) ** 2 / 400).sum()
    assert chi_square < 60  # 24 degrees of freedom: once in 15 000 keys by chance


def test_no_shift_is_the_identity_and_another_key_another_shift():
    x = jax.random.uniform(KEY, (20, 5, 5, 1))
    assert shift(KEY, x, 0) is x
    other = offsets(jax.random.key(1), 20, 2)
    assert not np.array_equal(offsets(KEY, 20, 2), other)


def test_vmap_over_seeds_equals_a_loop():
    keys = jax.random.split(KEY, 3)
    x = jax.random.uniform(KEY, (8, 6, 6, 1))
    together = jax.jit(jax.vmap(lambda key: shift(key, x, 2)))(keys)
    np.testing.assert_array_equal(together, [shift(key, x, 2) for key in keys])


@pytest.mark.parametrize(("shape", "by"), [((8, 64), 1), ((8, 4, 4, 1), -1), ((8, 4, 9, 1), 4)])
def test_tables_and_impossible_shifts_are_refused(shape, by):
    with pytest.raises(InputError, match="shift needs images"):
        shift(KEY, jnp.zeros(shape), by)


def painted(n=6, h=20, w=28):
    """Pictures with one bright box each, and the box."""
    rng = np.random.default_rng(0)
    x, box = np.zeros((n, h, w, 1), np.float32), np.zeros((n, 2, 4), np.float32)
    for image, (own, _) in zip(x, box, strict=True):
        top, left = rng.integers(0, h - 10), rng.integers(0, w - 12)
        own[:] = top, left, top + 8, left + 10
        image[top : top + 8, left : left + 10] = 1
    return Batch(jnp.asarray(x), Boxes(jnp.asarray(box), jnp.array([[2, -1]] * n)))


def bounds(image):
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


def test_flipped_boxes_stay_on_what_they_show():
    data = painted(32)
    x, (box, label) = jax.jit(augment.flip)(jax.random.key(0), data)
    for image, own in zip(np.asarray(x[..., 0]), np.asarray(box[:, 0]), strict=True):
        np.testing.assert_allclose(bounds(image > 0.5), own)
    same = (np.asarray(box[:, 0]) == np.asarray(data.y.box[:, 0])).all(1)
    assert 1 <= same.sum() <= 20 and (label == data.y.label).all()


def test_rescaled_boxes_stay_on_what_they_show():
    data = painted(32)
    x, (box, label) = jax.jit(augment.rescale, static_argnums=2)(jax.random.key(0), data, 1.5)
    assert x.shape == data.x.shape and (np.asarray(label[:, 1]) == -1).all()
    kept = np.flatnonzero(label[:, 0] == 2)
    assert len(kept) > 20
    for i in kept:
        near = np.asarray(x[i, ..., 0]) > 0.5
        np.testing.assert_allclose(bounds(near), box[i, 0], atol=0.75)
    sizes = np.asarray((box[..., 2:] - box[..., :2])[:, 0].max(-1))
    assert sizes.min() < 9 and sizes.max() > 12


def test_a_scale_of_one_changes_nothing_and_lines_are_interpolated():
    data = painted()
    rescale = jax.jit(augment.rescale, static_argnums=2)
    x, (box, _) = rescale(jax.random.key(0), data, 1.0)
    np.testing.assert_allclose(x, data.x, atol=1e-6)
    np.testing.assert_allclose(box, data.y.box)
    ramp = jnp.broadcast_to(jnp.arange(20.0)[None, :, None], (1, 20, 3))
    seen = jax.jit(augment.stretched)(ramp, jnp.array([2.0]), jnp.array([-8.0]))
    np.testing.assert_allclose(seen[0, :, 0], (np.arange(20) + 0.5 + 8) / 2 - 0.5, rtol=1e-6)


def test_what_is_mostly_cut_off_is_no_object():
    """The share of the area that is left decides."""
    data = painted(200)
    rescale = jax.jit(augment.rescale, static_argnums=(2, 3))
    _, (box, label) = rescale(jax.random.key(1), data, 4.0, 0.5)
    lost = np.asarray(label[:, 0] == -1)
    assert 5 < lost.sum() < 195
    sides = np.asarray(box[:, 0, 2:] - box[:, 0, :2])
    assert (sides[~lost] > 0).all()


def test_colours_change_within_their_range():
    x = jax.random.uniform(jax.random.key(0), (64, 5, 5, 3))
    y = augment.recolour(jax.random.key(1), x, 0.2)
    assert y.min() >= 0 and y.max() <= 1 and not np.allclose(x, y)
    np.testing.assert_allclose(augment.recolour(jax.random.key(1), x, 0.0), x, atol=1e-6)
    gains = np.asarray(y.mean((1, 2)) / x.mean((1, 2)))
    assert 0.75 < gains.min() < 0.9 and 1.1 < gains.max() < 1.25


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: augment.rescale(jax.random.key(0), painted(), 0.5), "at least 1; got 0.5"),
        (lambda: augment.recolour(jax.random.key(0), painted().x, 1.0), "below 1; got 1.0"),
    ],
)
def test_an_augmentation_that_cannot_be_is_refused(change, said):
    with pytest.raises(InputError, match=said):
        change()


def test_mixup_mixes_inputs_and_shares_alike():
    x = jnp.arange(6.0).reshape(6, 1, 1, 1) * jnp.ones((1, 2, 3, 1))
    found = augment.mixup(jax.random.key(0), Batch(x, jnp.eye(6)), 0.8)
    wanted = jnp.einsum("bk,k...->b...", found.y, x)  # y says how much there is of each
    np.testing.assert_allclose(found.x, wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.y.sum(1), 1, rtol=1e-6)
    assert ((found.y > 0).sum(1) <= 2).all() and len(np.unique(np.diag(found.y))) > 3


@pytest.mark.parametrize("alpha", [0.0, -1.0])
def test_mixup_names_what_it_cannot_do(alpha):
    with pytest.raises(InputError, match=f"alpha must be positive; got {alpha}"):
        augment.mixup(jax.random.key(0), Batch(jnp.ones((2, 3)), jnp.eye(2)), alpha)
    with pytest.raises(InputError, match="shares of classes"):
        augment.mixup(jax.random.key(0), Batch(jnp.ones((2, 3)), jnp.arange(2)), 1.0)
