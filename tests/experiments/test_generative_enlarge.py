"""The experiment enlarge (S43), tiny: what an image shrinks to, what is chosen, what is refused."""

import re

import numpy as np
import pytest

from dljax import InputError
from dljax.data import load
from experiments.generative import _enlarge, _images
from experiments.generative.enlarge import Config, main

TINY = {"seeds": 2, "steps": 10, "weights": (0.1,), "width": 8, "latent": 2, "quiet": True}


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_a_small_pixel_is_the_mean_of_its_square(digits):
    found = _enlarge.sets(digits, 4)
    assert found.train.y.shape == (1257, 4)
    for i, (row, column) in enumerate(np.ndindex(2, 2)):
        square = digits.test.x[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        np.testing.assert_allclose(found.test.y[:, i], square.mean((1, 2, 3)), rtol=1e-5)


def test_plain_ways_know_the_training_images_alone(digits):
    found = _enlarge.sets(digits, 4)
    plain = _enlarge.plain(found)
    known = {x.tobytes() for x in found.train.x}
    assert all(x.tobytes() in known for x in plain["nearest small image"][:20])
    errors = {name: ((x - found.test.x) ** 2).mean() for name, x in plain.items()}
    assert errors["ridge regression"] < min(errors["bicubic"], errors["Lanczos"])


def test_the_weight_that_reads_best_is_chosen_but_never_none(digits):
    class Reader:
        def accuracy(self, x, labels):
            return float(x)

    found = np.array([[0.9, 0.9], [0.2, 0.6], [0.5, 0.5], [0.1, 0.1]])
    assert _enlarge.chosen_weight(Reader(), digits, found) == 2


def test_it_runs_and_leaves_its_result(tmp_path, monkeypatch):
    monkeypatch.setattr(_images, "STEPS", 60)
    result = main(Config(**TINY, out=tmp_path / "run"))
    gain = result.metrics["gain of the discriminator in accuracy"]["values"]
    own, plain = result.metrics["test accuracy"], result.baselines["without: test accuracy"]
    np.testing.assert_allclose(gain, np.subtract(own["values"], plain["values"]), atol=1e-7)
    assert result.baselines["the true images: Frechet distance"]["mean"] < 0.1
    assert result.baselines["read from the small images: test accuracy"]["mean"] > 0.5
    assert (tmp_path / "run" / "figures" / "enlarge.png").stat().st_size > 10_000
    assert (tmp_path / "run" / "model" / "model.json").exists()


def test_a_factor_that_does_not_divide_is_refused(tmp_path):
    with pytest.raises(InputError, match=re.escape("--factor must divide 8 and 8 pixels; got 3")):
        main(Config(**TINY, factor=3, out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()
