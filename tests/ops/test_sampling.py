"""Which tokens stay, and how often they are drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dljax.errors import InputError
from dljax.ops.sampling import draw, nucleus, top_k

CHANCES = jnp.array([0.1, 0.4, 0.3, 0.2])
LOGITS = jnp.log(CHANCES)


def kept(logits):
    return np.flatnonzero(np.isfinite(np.asarray(logits))).tolist()


@pytest.mark.parametrize(("k", "right"), [(1, [1]), (2, [1, 2]), (9, [0, 1, 2, 3])])
def test_the_k_largest_stay(k, right):
    assert kept(top_k(LOGITS, k)) == right


@pytest.mark.parametrize(
    ("share", "right"), [(0.3, [1]), (0.5, [1, 2]), (0.75, [1, 2, 3]), (1.0, [0, 1, 2, 3])]
)
def test_the_fewest_that_reach_the_share_stay(share, right):
    assert kept(nucleus(LOGITS, share)) == right


def test_draws_are_as_frequent_as_their_chances():
    many = jnp.broadcast_to(LOGITS, (40_000, 4))
    for temperature in (1.0, 0.5):
        found = np.bincount(draw(jax.random.key(0), many, temperature), minlength=4) / 40_000
        right = CHANCES ** (1 / temperature)
        np.testing.assert_allclose(found, right / right.sum(), atol=0.01)
    assert (draw(jax.random.key(0), many, 0.0) == 1).all()
    assert set(np.unique(draw(jax.random.key(0), many, k=2))) == {1, 2}
    assert set(np.unique(draw(jax.random.key(0), many, share=0.3))) == {1}


def test_bad_settings_are_named():
    for wrong in (
        lambda: draw(jax.random.key(0), LOGITS, -1.0),
        lambda: nucleus(LOGITS, 0.0),
        lambda: top_k(LOGITS, 0),
    ):
        with pytest.raises(InputError, match="got"):
            wrong()
