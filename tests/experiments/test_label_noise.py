"""The share of random labels swept (S51), tiny: exact shares, nested noise, memory at each."""

import numpy as np
import pytest

from dljax import InputError
from dljax.data import load
from experiments.foundations.label_noise import Config, main, noisy

SHARES = (0.0, 0.5, 1.0)
TINY = {"examples": 100, "hidden": (128,), "batch": 50, "rate": 1e-2, "quiet": True}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("label_noise") / "run"
    return main(Config(seeds=5, epochs=100, shares=SHARES, out=out, **TINY)), out


def test_the_share_of_labels_that_are_drawn_anew_is_exact_and_grows_within_itself():
    shares = tuple(np.linspace(0, 1, 11))
    data = load("digits")
    x, y = noisy(0, Config(examples=1000, shares=shares), data)
    labels = {image.tobytes(): y for image, y in zip(*data.train, strict=True)}
    true = np.array([labels[image.tobytes()] for image in x])
    np.testing.assert_array_equal(y[0], true)
    # at a share of 1 all are drawn anew, and a tenth are right by chance
    drawn = np.random.default_rng(0)
    drawn.permutation(len(data.train.y))
    np.testing.assert_array_equal(y[-1], drawn.integers(10, size=1000))
    for share, before, after in zip(shares[1:], y, y[1:], strict=False):
        changed = after != before
        assert changed.sum() <= 100  # those of the tenth more, but for such as were right
        assert not changed[before != true].any()  # what was random stays so
        assert abs((after == true).mean() - (1 - 0.9 * share)) < 0.04


def test_all_is_learnt_by_heart_at_every_share_and_more_slowly(done):
    result, _ = done
    for share in SHARES:
        assert result.metrics[f"train accuracy, share {share:g}"]["mean"] > 0.99
    assert result.targets["least train accuracy"]["met"]
    assert result.metrics["slowdown"]["mean"] > 1.3


def test_only_the_test_tells(done):
    result, out = done
    clean, half, noise = (result.metrics[f"test accuracy, share {s:g}"]["mean"] for s in SHARES)
    assert clean > 0.8 > half > 0.3 > noise
    assert abs(noise - 0.1) < 0.06
    early = result.metrics["test accuracy, stopped early, share 0.5"]["mean"]
    assert early > half  # before the noise was learnt
    for name in ("logistic regression", "nearest neighbours"):
        plain = [result.baselines[f"{name}, test accuracy, {s:g}"]["mean"] for s in SHARES]
        assert plain[0] > plain[1] > plain[2]
    assert (out / "figures" / "label_noise.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"shares": (0.5, 0.2)}, r"--shares must rise; got \(0.5, 0.2\)"),
        ({"shares": (0.5, 0.5)}, "--shares must rise"),
        ({"shares": (1.5,)}, "--shares must be at least 0 and at most 1; got 1.5"),
        ({"shares": ()}, "the count of --shares must be at least 1"),
        ({"examples": 5000}, "--examples must be below 1258; got 5000"),
        ({"batch": 101}, "--batch must be below 101; got 101"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", **TINY | flags))
    assert not (tmp_path / "run").exists()
