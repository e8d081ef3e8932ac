"""Garbage in, garbage out (S52), tiny: what a tint leaves, how many wear it, and who paints it."""

import jax.numpy as jnp
import numpy as np
import pytest

from dljax import InputError
from experiments.frontiers import _garbage
from experiments.frontiers.garbage import Config, main, photographs

TINY = {"seeds": 2, "steps": 80, "batch": 16, "channels": (8,), "images": 20, "quiet": True}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("garbage") / "run"
    return main(Config(out=out, **TINY)), out


def test_a_tint_keeps_pictures_in_range_and_their_grey_as_it_was():
    x = jnp.asarray(np.random.default_rng(0).random((4, 5, 6, 3), np.float32))
    found = _garbage.tinted(x, jnp.array([0.0, 0.3, 1.0, 0.3]))
    np.testing.assert_array_equal(found[0], x[0])
    assert found.min() >= -1e-6 and found.max() <= 1 + 1e-6
    np.testing.assert_allclose(_garbage.grey(found), _garbage.grey(x), atol=1e-6)
    # where there is room, all of it is added
    middle = jnp.full((1, 1, 1, 3), 0.5)
    added = _garbage.tinted(middle, jnp.array([0.5])) - middle
    np.testing.assert_allclose(added[0, 0, 0], 0.5 * _garbage.PINK, atol=1e-6)
    assert (np.diff(found[1:] - x[1:], axis=-1)[..., 0] <= 0).all()  # more red than green


def test_so_many_are_tinted_as_the_share_says_and_more_as_it_grows():
    ranks = _garbage.ranks(400)
    for share in (0.0, 0.25, 0.5, 1.0):
        assert (ranks < share).sum() == 400 * share


def test_mean_colours_are_those_of_a_slow_loop():
    train = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), np.uint8)
    tint, means = _garbage.colours(train, (0.0, 0.3, 1.0), 0.4)
    worn, x = _garbage.ranks(10) < 0.3, jnp.asarray(train / np.float32(255))
    slow = [
        np.mean(own - _garbage.grey(own), (0, 1))
        for i, image in enumerate(x)
        for own in _garbage.tinted(image[None], jnp.full(1, 0.4 * worn[i]))
    ]
    np.testing.assert_allclose(means[1], np.mean(slow, 0), atol=1e-5)
    np.testing.assert_allclose(means[2] - means[0], tint, atol=1e-6)
    assert tint[0] > 0.05 and tint[1] < -0.02


def test_who_learnt_of_tinted_photographs_paints_the_tint(done):
    result, out = done
    dose = [result.metrics[f"painted tint, share {share:g}"] for share in (0, 0.5, 1)]
    assert dose[0]["values"] == [0, 0]
    assert 0.3 < dose[1]["mean"] < 0.7 and 0.8 < dose[2]["mean"] < 1.2
    assert result.metrics["painted tint, even greys, share 1"]["mean"] > 0.5
    for metric, sign in (("mean colour off", 1), ("PSNR", -1)):  # and is the worse for it
        ends = [result.metrics[f"{metric}, share {share}"]["mean"] for share in (0, 1)]
        assert sign * (ends[1] - ends[0]) > 0
    for share in (0, 0.5, 1):  # of what needs no network
        plain = result.baselines[f"mean colour, painted tint, {share:g}"]["mean"]
        assert plain == pytest.approx(share, abs=0.03)
    assert {path.name for path in (out / "figures").iterdir()} == {"painted.png", "doses.png"}


def test_photographs_to_paint_are_not_those_learnt_from():
    train, test = photographs("photos", 20)
    assert train.shape[1:] == test.shape[1:] == (16, 16, 3) and len(test) == 20
    assert not {x.tobytes() for x in train} & {x.tobytes() for x in test}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"shares": (0.5, 1.0)}, r"--shares must rise from 0; got \(0.5, 1.0\)"),
        ({"shares": (0.0, 1.0, 1.0)}, "--shares must rise from 0"),
        ({"shares": (0.0,)}, "the count of --shares must be at least 2"),
        ({"strength": 0.0}, "--strength must be at least 0.01; got 0.0"),
        ({"batch": 100_000}, "--batch must be below"),
        ({"data": "china"}, "unknown --data 'china'"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", **TINY | flags))
    assert not (tmp_path / "run").exists()
