"""Digits as points: each pixel gets its due. Shapes: points lie where their part is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.data import load
from dljax.data import points as clouds
from dljax.data.points import KINDS, PARTS, box, drawn, frustum, handle, strokes, thinned, wobbled

N = 200


def test_each_pixel_gets_its_share_of_the_points():
    images = np.concatenate([load("digits").train.x[:5], np.zeros((1, 8, 8, 1), np.float32)])
    x = np.asarray(jax.jit(strokes, static_argnums=2)(jax.random.key(0), images, N))
    assert np.isnan(x[5]).all()
    for image, own in zip(images[:5, ..., 0], x, strict=False):
        column, row = np.floor((own + 1) * 4).astype(int).T
        counts = np.zeros((8, 8))
        np.add.at(counts, (7 - row, column), 1)
        assert np.abs(counts - N * image / image.sum()).max() < 1.001
        within = (own + 1) * 4 % 1
        assert 0.4 < within.mean() < 0.6 and within.std() > 0.25
    with pytest.raises(InputError, match=r"images \[B, h, w, 1\]; got \[2, 8, 8\]"):
        strokes(jax.random.key(0), jnp.zeros((2, 8, 8)))


def test_points_are_turned_stretched_and_thinned():
    x = jax.random.normal(jax.random.key(0), (3, 30, 3))
    turned = clouds.turned(x, jnp.full(3, np.pi / 2), (1, 2))
    np.testing.assert_allclose(turned, jnp.stack([x[..., 0], -x[..., 2], x[..., 1]], -1), atol=1e-6)
    wobbly = wobbled(jax.random.key(1), x, np.pi)
    np.testing.assert_allclose(*(jnp.linalg.norm(e, axis=-1) for e in (wobbly, x)), rtol=1e-5)
    np.testing.assert_allclose(wobbly[..., 2], x[..., 2])
    assert np.abs(wobbly - x).max() > 0.1
    sizes = wobbled(jax.random.key(1), x, 0.0, 0.3) / x
    assert 0.7 <= sizes.min() < sizes.max() <= 1.3 and np.ptp(sizes, 1).max() < 1e-5
    few = np.asarray(thinned(jax.random.key(2), x, 11))
    assert (np.isfinite(few).all(-1).sum(1) == 11).all()
    assert ((few == x) | np.isnan(few)).all()


def test_patches_are_the_surfaces_that_they_say():
    """A cut cone's points are on it, and equally many an area; a box's are on its faces."""
    r, top, high = (jnp.float32(v) for v in (0.9, 0.3, 1.2))
    x, _ = drawn(jax.random.key(0), frustum(0, (1.0, 2.0, 3.0), high, r, top), 4000)
    z = x[:, 2] - 3
    out = jnp.hypot(x[:, 0] - 1, x[:, 1] - 2)
    np.testing.assert_allclose(out, r + (top - r) * z / high, atol=1e-5)
    # the share below half the height is the share of the area there
    assert abs(np.mean(z < high / 2) - (0.9 + 0.6) / (0.9 + 0.6 + 0.6 + 0.3)) < 0.03
    x, _ = drawn(jax.random.key(0), frustum(0, (0.0, 0.0, 1.0), 0.0, jnp.zeros(()), r), 4000)
    assert (x[:, 2] == 1).all()
    assert abs(np.mean(jnp.hypot(x[:, 0], x[:, 1]) < r / 2) - 0.25) < 0.03  # a disc
    x, _ = drawn(jax.random.key(0), box(0, (0, 0, 0), (1.0, 2.0, 3.0)), 2200)
    ends = [[np.abs(x[:, c] - end) < 1e-6 for end in (0, c + 1)] for c in range(3)]
    faces = np.mean(ends, -1)
    np.testing.assert_allclose(faces, np.repeat([[6 / 22], [3 / 22], [2 / 22]], 2, 1), atol=2e-3)
    x, _ = drawn(jax.random.key(0), handle(0, (0.0, 0.0, 0.0), r, top / 3), 500)
    tube = jnp.hypot(jnp.hypot(x[:, 0], x[:, 2]) - r, x[:, 1])
    np.testing.assert_allclose(tube, top / 3, atol=1e-5)
    assert x[:, 0].min() > -1e-5
    x, _ = drawn(jax.random.key(0), handle(0, (0.0, 0.0, 0.0), r, r / 2), 4000)
    share = np.mean(jnp.hypot(x[:, 0], x[:, 2]) > r)
    assert abs(share - (0.5 + 0.5 / np.pi)) < 0.03  # there is more area outside


def test_shapes_have_all_parts_of_their_kind():
    made = jax.jit(clouds.shapes, static_argnums=(1, 2))(jax.random.key(0), 23, 96)
    assert made.x.shape == (23, 96, 3) and made.x.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(made.x, axis=-1).max(1), 1, rtol=1e-5)
    own = {}
    for part, kind in zip(np.asarray(made.part), np.asarray(made.kind), strict=True):
        own.setdefault(int(kind), set()).add(frozenset(part.tolist()))
    assert len(own) == len(KINDS) and all(len(sets) == 1 for sets in own.values())
    found = [part for sets in own.values() for part in next(iter(sets))]
    assert sorted(found) == list(range(len(PARTS)))  # each of one kind
    legs, top = (np.asarray(made.x[0])[np.asarray(made.part[0]) == part] for part in (1, 0))
    assert legs[:, 2].mean() < top[:, 2].mean()
