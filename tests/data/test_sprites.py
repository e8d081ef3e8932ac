"""Rendered sprites: what each factor does to the picture, in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.data import sprites
from dljax.data.sprites import SHAPES, SIDE, SIZES, Sprite

draw = jax.jit(sprites.draw, static_argnums=1)
render = jax.jit(sprites.render, static_argnums=1)
every_shape = pytest.mark.parametrize("shape", range(len(SHAPES)))
CENTRES = (np.arange(SIDE) + 0.5) / SIDE


def picture(shape, scale=0.3, rotation=0.4, x=0.47, y=0.52, side=SIDE) -> np.ndarray:
    return np.asarray(draw(Sprite(shape, scale, rotation, x, y), side), float)[..., 0]


def centre(image: np.ndarray) -> np.ndarray:
    """The centre of mass: x from the left and y from the top."""
    return np.array([image.sum(0) @ CENTRES, image.sum(1) @ CENTRES]) / image.sum()


def spread(image: np.ndarray) -> np.ndarray:
    """The second central moments of x and y, [2, 2]."""
    centres = (np.arange(len(image)) + 0.5) / len(image)
    x, y = np.meshgrid(centres, centres)
    return np.cov(np.stack([x.ravel(), y.ravel()]), aweights=image.ravel(), ddof=0)


@every_shape
@pytest.mark.parametrize("scale", [0.15, 0.22, 0.35])
@pytest.mark.parametrize("rotation", [0, 0.5, 1.3])
def test_the_area_is_the_square_of_the_scale(shape, scale, rotation):
    area = picture(shape, scale, rotation).mean()
    assert area == pytest.approx(scale**2, rel=0.025)  # the least is 5 pixels wide
    assert picture(shape, scale, rotation, side=128).mean() == pytest.approx(scale**2, rel=0.004)


@every_shape
def test_the_centre_of_mass_is_x_and_y_and_moves_with_them(shape):
    for x, y in ((0.3, 0.7), (0.43, 0.56), (0.7, 0.3)):
        np.testing.assert_allclose(centre(picture(shape, x=x, y=y)), [x, y], atol=1e-3)
    left, right = picture(shape, x=0.4), picture(shape, x=0.4 + 5 / SIDE)
    np.testing.assert_allclose(np.roll(left, 5, 1), right, atol=1e-4)
    above, below = picture(shape, y=0.4), picture(shape, y=0.4 + 3 / SIDE)
    np.testing.assert_allclose(np.roll(above, 3, 0), below, atol=1e-4)


@every_shape
def test_a_quarter_turn_of_the_factor_is_a_quarter_turn_of_the_picture(shape):
    at = {"x": 0.5, "y": 0.5}
    before, after = picture(shape, **at), picture(shape, rotation=0.4 + np.pi / 2, **at)
    np.testing.assert_allclose(np.rot90(before, -1), after, atol=1e-4)  # clockwise
    same = np.abs(before - after).max() < 1e-3
    assert same == (SHAPES[shape] == "square")


def test_the_ellipse_is_twice_as_wide_as_high_and_points_where_it_is_turned():
    angle = 0.7
    values, vectors = np.linalg.eigh(
        spread(picture(SHAPES.index("ellipse"), rotation=angle, side=128))
    )
    along = vectors[:, 1] * np.sign(vectors[0, 1])
    np.testing.assert_allclose(along, [np.cos(angle), np.sin(angle)], atol=0.01)  # y points down
    # half axes a and b have second moments a^2 / 4 and b^2 / 4, and pi a b is the area
    np.testing.assert_allclose(values, 0.3**2 / np.pi / 4 * np.array([0.5, 2]), rtol=0.005)


def test_the_square_is_as_wide_as_it_is_high_and_the_heart_points_downwards():
    side = 0.3
    moments = spread(picture(SHAPES.index("square"), side=128))
    np.testing.assert_allclose(moments, side**2 / 12 * np.eye(2), atol=4e-5)
    heart = picture(SHAPES.index("heart"), rotation=0, x=0.5, y=0.5)
    np.testing.assert_allclose(heart, heart[:, ::-1], atol=1e-4)
    rows = np.flatnonzero(heart.sum(1) > 0.5)
    widths = heart.sum(1)[rows]
    assert widths[:3].min() > 2.5 and widths[-1] < 1.5  # two lobes above, a tip below
    notch = np.asarray(heart[rows[0], SIDE // 2 - 1 : SIDE // 2 + 1])
    assert notch.max() < heart[rows[0]].max() / 2


def test_the_grid_holds_every_point_once_and_its_values_are_evenly_spaced():
    points = np.asarray(sprites.factors())
    assert points.shape == (np.prod(SIZES), 5) and points.dtype == np.int32
    assert len(np.unique(points, axis=0)) == len(points)
    assert tuple(points.min(0)) == (0,) * 5 and tuple(points.max(0) + 1) == SIZES
    values = sprites.values(points)
    for n, (low, high), column in zip(
        SIZES[1:],
        ((0.15, 0.35), (0, 0.45 * np.pi), (0.3, 0.7), (0.3, 0.7)),
        values[1:],
        strict=True,
    ):
        found = np.unique(np.asarray(column))
        np.testing.assert_allclose(found, np.linspace(low, high, n), atol=1e-6)


def test_no_two_points_look_alike_and_none_is_cut_off():
    points = np.asarray(sprites.factors())
    some = points[(points[:, 3] % 5 == 0) & (points[:, 4] % 5 == 0)]
    images = np.asarray(render(some, SIDE))[..., 0]
    assert images.min() == 0 and images.max() == 1
    areas = (0.15 + 0.04 * some[:, 1]) ** 2
    np.testing.assert_allclose(images.mean((1, 2)), areas, rtol=0.04)
    flat = images.reshape(len(images), -1)
    squares = (flat**2).sum(1)
    distances = squares[:, None] + squares[None] - 2 * flat @ flat.T + 1e9 * np.eye(len(flat))
    assert distances.min() > 0.1


def test_points_are_drawn_uniformly_and_by_the_key():
    drawn = np.asarray(sprites.sample(jax.random.key(0), 20_000))
    for column, n in zip(drawn.T, SIZES, strict=True):
        counts = np.bincount(column, minlength=n)
        assert len(counts) == n
        expected = len(drawn) / n
        assert np.sum((counts - expected) ** 2 / expected) < n + 5 * np.sqrt(2 * n)  # chi squared
    assert np.array_equal(drawn, sprites.sample(jax.random.key(0), 20_000))
    assert not np.array_equal(drawn, sprites.sample(jax.random.key(1), 20_000))


def test_pairs_agree_in_the_fixed_factor_and_else_by_chance_only():
    fixed = jnp.tile(jnp.arange(5), 40)
    first, second = map(np.asarray, sprites.pairs(jax.random.key(0), fixed, 50))
    assert first.shape == second.shape == (200, 50, 5)
    same = (first == second).reshape(40, 5, 50, 5).mean((0, 2))  # [fixed, factor]
    np.testing.assert_array_equal(np.diag(same), 1)
    chance = np.broadcast_to(1 / np.array(SIZES), (5, 5))
    np.testing.assert_allclose(
        same[~np.eye(5, dtype=bool)], chance[~np.eye(5, dtype=bool)], atol=0.05
    )


def test_a_group_agrees_in_the_fixed_factor_alone():
    fixed = jnp.tile(jnp.arange(5), 4)
    points = np.asarray(sprites.alike(jax.random.key(0), fixed, 60))
    varied = np.stack([[len(np.unique(column)) for column in group.T] for group in points])
    assert ((varied == 1) == np.eye(5, dtype=bool)[fixed]).all()
    assert (points.min((0, 1)) == 0).all() and (points.max((0, 1)) + 1 == SIZES).all()


def test_the_picture_has_a_finite_slope_in_every_factor_but_the_shape():
    def ink(scale, rotation, x, y):
        return sum(sprites.draw(Sprite(s, scale, rotation, x, y))[:16].sum() for s in range(3))

    slopes = jax.grad(ink, (0, 1, 2, 3))(0.3, 0.0, 0.5 + 0.5 / SIDE, 0.5 + 0.5 / SIDE)
    assert np.isfinite(slopes).all()
    # the upper half loses ink as the sprite moves down
    assert slopes[3] < -10 < 10 < slopes[0]


def test_labelled_sprites_are_a_data_set_like_any_other():
    data = sprites.labelled(1000)
    assert data.train.x.shape == (800, SIDE, SIDE, 1) and data.train.x.dtype == np.uint8
    assert len(data.validation.y) == len(data.test.y) == 100
    assert data.classes == SHAPES and set(data.train.y) == {0, 1, 2}
    again = sprites.labelled(1000)
    assert np.array_equal(data.train.x, again.train.x)


@pytest.mark.parametrize("wrong", [lambda: sprites.labelled(50), lambda: sprites.labelled(10**6)])
def test_too_few_and_too_many_are_refused(wrong):
    with pytest.raises(InputError, match="46080"):
        wrong()


def test_too_small_a_picture_is_refused():
    with pytest.raises(InputError, match="side"):
        sprites.render(sprites.factors()[:2], 4)
