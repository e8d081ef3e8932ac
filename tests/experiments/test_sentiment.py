"""Sentiment, tiny: a network that reads beats bags of words where order carries the label."""

import numpy as np
import pytest

from dljax.data.text import read_vocabulary
from dljax.errors import InputError
from experiments.sequences import _bags, sentiment
from experiments.sequences.sentiment import Config, main


def test_order_is_read_and_bags_cannot(tmp_path, monkeypatch):
    out = tmp_path / "run"
    result = main(Config(seeds=2, epochs=4, size=16, hidden=(16,), out=out, quiet=True))
    accuracy = np.array(result.metrics["test accuracy"]["values"])
    assert (accuracy > 0.9).all()
    assert result.metrics["test accuracy of the ensemble"]["values"][0] > 0.9
    bags = {name: each["mean"] for name, each in result.baselines.items()}
    assert bags["naive Bayes on unigrams"] < 0.6
    lead = result.metrics["lead over the best bag of words"]["values"]
    np.testing.assert_allclose(lead, accuracy - max(bags.values()))
    assert "but" in read_vocabulary(out / "vocabulary.json").tokens
    assert result.targets == {}
    assert (out / "figures" / "curves.png").exists()


def test_bags_of_pairs_of_words_are_counted():
    class First:
        def fit(self, x, y):
            self.columns = x.shape[1]
            return self

        def score(self, x, y):
            return x.shape[1]

    from dljax.data.sentences import Labelled, Sentences

    part = Labelled([["a", "b", "a"], ["b", "a"]], np.array([0, 1]))
    assert _bags.best([First()], Sentences(part, part, part), 1) == 2
    assert _bags.best([First()], Sentences(part, part, part), 2) == 4  # a, b, a b, b a


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"data": "revews"}, "did you mean reviews"),
        ({"batch": 3000}, "batch"),
        ({"forget": 1.0}, "--forget"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        main(Config(out=tmp_path / "run", quiet=True, **flags))
    assert not (tmp_path / "run").exists()


def test_presets_are_named_as_everywhere():
    assert list(sentiment.PRESETS) == ["quick", "standard"]
