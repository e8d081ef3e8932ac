"""Rendered letters: symmetries, and what each variation does to the picture, in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.data import letters
from dljax.data.letters import HALF, LETTERS, SIDE, Letter, Strength

draw = jax.jit(letters.draw)
sample = jax.jit(letters.sample, static_argnums=2)


def picture(name, shift=(0.0, 0.0), scale=1.0, turn=0.0, bend=0.0, width=1.0) -> np.ndarray:
    bend = np.broadcast_to(np.float32(bend), (3, 3, 2))
    given = Letter(LETTERS.index(name), np.float32(shift), scale, turn, bend, width)
    return np.asarray(draw(jax.tree.map(jnp.asarray, given)))[..., 0]


def test_an_x_at_rest_is_the_lectures_and_the_letters_have_their_symmetries():
    x, o, plus, k, y = map(picture, LETTERS)
    box = x[SIDE // 2 - HALF : SIDE // 2 + HALF + 1, SIDE // 2 - HALF : SIDE // 2 + HALF + 1]
    assert np.array_equal(box > 0.999, np.eye(9) + np.eye(9)[::-1] > 0)
    assert box[box <= 0.999].max() < 0.3 and x.sum() == pytest.approx(box.sum())
    for each in (x, o, plus):
        np.testing.assert_allclose(each, each[::-1], atol=1e-5)
        np.testing.assert_allclose(each, each[:, ::-1], atol=1e-5)
        np.testing.assert_allclose(each, each.T, atol=1e-5)
    np.testing.assert_allclose(y, y[:, ::-1], atol=1e-5)
    np.testing.assert_allclose(k, k[::-1], atol=1e-5)
    assert np.abs(y - y[::-1]).max() == np.abs(k - k[:, ::-1]).max() == 1
    np.testing.assert_allclose(y[: SIDE // 2], x[: SIDE // 2], atol=1e-5)


def test_a_ring_is_as_dark_as_its_circle_is_long():
    for scale, width in ((1.0, 1.0), (0.6, 1.0), (1.0, 1.2)):
        ink = picture("O", scale=scale, width=width).sum()
        assert ink == pytest.approx(2 * np.pi * HALF * scale * width, rel=0.03)  # of 24 sides


def test_turned_by_an_eighth_and_shrunk_an_x_is_a_plus():
    turned = picture("X", scale=2**-0.5, turn=np.pi / 4)
    np.testing.assert_allclose(turned, picture("+"), atol=1e-5)


def test_each_variation_does_what_it_says():
    for name in LETTERS:
        rest = picture(name)
        np.testing.assert_allclose(
            picture(name, shift=(2, -1)), np.roll(rest, (-1, 2), (0, 1)), atol=1e-5
        )
        quarter = np.rot90(rest, -1)  # clockwise
        np.testing.assert_allclose(picture(name, turn=np.pi / 2), quarter, atol=1e-4)
        moved = picture(name, bend=np.array([2, -1]))  # all nine points alike: a shift
        np.testing.assert_allclose(moved, picture(name, shift=(2, -1)), atol=1e-5)
    # points that move away from the middle, and those that move down where x is greater
    grid = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), -1)
    np.testing.assert_allclose(
        picture("K", bend=-HALF / 2 * grid), picture("K", scale=0.5), atol=1e-5
    )
    lower = np.abs(picture("K", bend=grid[..., :1] * np.array([0, 1])) - picture("K"))
    assert lower[:, SIDE // 2 - HALF + 2 :].max() > 0.5


def test_variations_are_drawn_uniformly_within_their_strength():
    by, n = Strength(3, 0.4, 15, 1, 0.2), 4000
    drawn = sample(jax.random.key(0), jnp.arange(n) % 5, by)
    limits = (-3, 3), (0.6, 1), (-np.pi / 12, np.pi / 12), (-1, 1), (0.8, 1.2)
    for values, (low, high) in zip(drawn[1:], limits, strict=True):
        assert len(values) == n
        middle, sd = np.mean(values), np.std(values)
        assert low - 1e-6 <= values.min() and values.max() <= high + 1e-6
        assert abs(middle - (low + high) / 2) < 5 * sd / np.sqrt(n)
        assert sd == pytest.approx((high - low) / np.sqrt(12), rel=0.03)
    rest = sample(jax.random.key(0), jnp.zeros(2, int), Strength())
    images = np.asarray(jax.jit(letters.render)(rest))
    assert images.shape == (2, SIDE, SIDE, 1) and np.array_equal(images[0], images[1])


@pytest.mark.parametrize("wrong", [Strength(shift=-1), Strength(shrink=1), Strength(thick=1)])
def test_strengths_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError, match="strengths"):
        letters.sample(jax.random.key(0), jnp.zeros(1, int), wrong)
