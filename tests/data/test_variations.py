"""The six variations: none at strength 0, shapes and range kept, each what its name says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from dljax.data import load
from dljax.data.variations import KINDS, VARIATIONS, vary

KEY = jax.random.key(3)
RAMP = np.linspace(0, 1, 7, dtype=np.float32)


@pytest.fixture(scope="module")
def images():
    """Digits on a wider canvas: not square, with a dark border; the last one is empty."""
    digits = load("digits").train.x[:40]
    digits[-1] = 0
    return np.pad(digits, ((0, 0), (3, 3), (4, 5), (0, 0)))


@pytest.fixture(scope="module")
def varied(images):
    """Every kind alone at every strength of RAMP, under one key: [S, B, h, w, c] of each."""
    strengths = np.einsum("kl,s->ksl", np.eye(len(KINDS)), RAMP)
    found = jax.jit(lambda s: jax.lax.map(lambda s: vary(KEY, images, s), s))(
        strengths.reshape(-1, len(KINDS))
    )
    shape = len(KINDS), len(RAMP), *images.shape
    return dict(zip(KINDS, np.asarray(found).reshape(shape), strict=True))


@pytest.mark.parametrize("name", KINDS)
def test_no_strength_is_no_change_and_more_strength_is_more(name, images, varied):
    found = varied[name]
    np.testing.assert_array_equal(found[0], images)
    assert found.min() > -1e-6 and found.max() < 1 + 1e-6
    change = np.sqrt(((found - found[0]) ** 2).mean((1, 2, 3, 4)))
    assert change[1] > 0.01 and change[-1] > 2 * change[1]
    assert (np.diff(change) > -0.1 * change[-1]).all()


@pytest.mark.parametrize("name", KINDS)
def test_what_moves_places_adds_nothing_to_an_empty_image(name, varied):
    empty = varied[name][-1, -1]
    assert (empty.max() == 0) if KINDS[name].moves else (empty.max() > 0.1)


def test_scale_halves_or_doubles_what_is_seen(images, varied):
    share = varied["scale"][-1, :-1].sum((1, 2, 3)) / images[:-1].sum((1, 2, 3))
    # beyond the canvas what is doubled is cut off
    assert ((np.abs(share - 0.25) < 0.06) | (share > 1.8)).all()
    assert 0.2 < (share < 1).mean() < 0.8


def test_the_square_hides_at_most_its_share_and_clutter_spares_the_figure(images, varied):
    for strength, found in zip(RAMP, varied["occlusion"], strict=True):
        assert ((found != images).mean((1, 2, 3)) < 0.5 * strength + 0.15).all()
    np.testing.assert_array_equal(varied["clutter"][-1][images == 1], 1)
    assert (varied["clutter"] >= images).all()


def test_each_image_its_strength_and_each_key_its_draws(images):
    scale, some = jax.jit(VARIATIONS["scale"]), images[:6]
    own = jnp.array([0, 0, 0, 1, 1, 1.0])
    found = np.asarray(scale(KEY, some, own))
    np.testing.assert_array_equal(found[:3], some[:3])
    assert (found[3:] != some[3:]).any((1, 2, 3)).all()
    np.testing.assert_array_equal(found, scale(KEY, some, own))
    assert (found != scale(jax.random.key(4), some, own)).any()


def test_what_cannot_be_is_named(images):
    with pytest.raises(InputError, match=r"occlusion must be from 0 to 1; got 1\.5"):
        VARIATIONS["occlusion"](KEY, images, 1.5)
    with pytest.raises(InputError, match=r"images \[B, h, w, c\]; got \[14, 17, 1\]"):
        VARIATIONS["scale"](KEY, images[0], 0.5)
