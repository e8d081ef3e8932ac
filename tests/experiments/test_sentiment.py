"""Sentiment, tiny: a network that reads beats bags of words where order carries the label."""

import dataclasses
import re

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from dljax import Batch
from dljax.data.sentences import Labelled
from dljax.data.text import read_vocabulary
from dljax.errors import InputError
from dljax.host.model import load
from experiments.sequences import _bags, sentiment
from experiments.sequences.sentiment import Config, main


def test_order_is_read_and_bags_cannot(tmp_path, capsys):
    out = tmp_path / "run"
    prompt = "the plot was good but the cast was not quite good"
    config = Config(seeds=2, evidence=True, epochs=4, size=16, hidden=(16,), out=out, quiet=True)
    result = main(dataclasses.replace(config, prompt=prompt))
    said = capsys.readouterr().out
    first, second = re.findall(r"label \d: (\d\.\d+)", said)
    assert "words not known: quite\n" in said
    answer = load(out).predict([prompt, "the film was bad but the ending was great"])
    np.testing.assert_allclose(answer.mean[0], [float(first), float(second)], atol=1e-3)
    assert answer.mean[1, 1] > 0.8 and load(out).names == ("0", "1")
    assert float(first) > 0.8 and float(first) + float(second) == pytest.approx(1, abs=2e-3)
    accuracy = np.array(result.metrics["test accuracy"]["values"])
    assert (accuracy > 0.9).all()
    assert result.metrics["test accuracy of the ensemble"]["values"][0] > 0.9
    assert result.metrics["test accuracy, its words shuffled"]["mean"] < 0.75
    bags = {name: each["mean"] for name, each in result.baselines.items()}
    assert bags["naive Bayes on unigrams"] < 0.6
    lead = result.metrics["lead over the best bag of words"]["values"]
    np.testing.assert_allclose(lead, accuracy - max(bags.values()))
    assert "but" in read_vocabulary(out / "vocabulary.json").tokens
    assert result.targets == {}
    assert (out / "figures" / "curves.png").exists()


def test_shuffled_sentences_keep_their_words():
    from dljax.data.text import words

    data = Labelled([list("abcdefgh"), list("ba")], np.array([0, 1]))
    vocabulary = words(data.words, 20)
    own, mixed = (sentiment.numbered(vocabulary, data, mix) for mix in (False, True))
    assert (own.x != mixed.x).any()
    np.testing.assert_array_equal(np.sort(own.x, 1), np.sort(mixed.x, 1))
    np.testing.assert_array_equal(own.x == 0, mixed.x == 0)  # padding stays at the end
    np.testing.assert_array_equal(mixed.x, sentiment.numbered(vocabulary, data, True).x)


def test_bags_of_pairs_of_words_are_counted():
    class Sums(BaseEstimator):
        def fit(self, x, y):
            self.fitted_ = True
            return self

        def score(self, x, y):
            return x.sum(), x.shape[1]

    def told(n, once):
        data = Labelled([["a", "b", "a"], ["b", "a"]], np.array([0, 1]))
        counter = _bags.counter(n, once).fit(data.words)
        return _bags.fit(counter, Sums(), data).score(*data)

    assert told(1, False) == (5, 2) and told(1, True) == (4, 2)
    assert told(2, False) == (8, 4)  # a, b, a b, b a


def test_a_label_that_is_not_learnt_is_said_before_training(tmp_path):
    path = tmp_path / "few.tsv"
    order = np.random.default_rng(0).permutation(12)  # as they are parted, the last for the test
    path.write_text("\n".join(f"word{i}\t{int(i == order[-1])}" for i in range(12)))
    with pytest.raises(InputError, match=r"no training sentence has the labels \[1\]"):
        main(Config(data=str(path), out=tmp_path / "run", batch=2, quiet=True))
    assert not (tmp_path / "run").exists()


def test_labels_are_those_of_the_file_not_all_numbers_below(tmp_path, capsys):
    path = tmp_path / "three.tsv"
    path.write_text("\n".join(f"word{i} word{i % 3}\t{1 + 2 * (i % 3)}" for i in range(60)))
    main(Config(data=str(path), out=tmp_path / "run", batch=8, steps=2, seeds=1, size=4,
                hidden=(4,), quiet=True, prompt="word1"))  # fmt: skip
    assert re.findall(r"label (\d): ", capsys.readouterr().out) == ["1", "3", "5"]


def test_what_words_and_pairs_tell_is_naive_bayes_log_count_ratio():
    train = Batch(np.array([[2, 2, 3], [3, 4, 0]]), np.array([0, 1]))
    found = _bags.Evidence(train, 5, 2)(np.array([[2, 3, 4, 1], [4, 2, 3, 0]]))
    zero, one = np.array([3, 2, 1]) / 6, np.array([1, 2, 2]) / 5
    half = np.log(one / zero) / 2
    np.testing.assert_allclose(found[0, :3, 1], half, rtol=1e-5)
    assert (found[0, 3] == 0).all() and (found[1, 3] == 0).all()
    zero, one = np.array([2, 2, 1]) / 5, np.array([1, 1, 2]) / 4  # 2 2, 2 3 and 3 4
    half = np.log(one / zero) / 2
    np.testing.assert_allclose(found[0, :3, 3], [0, half[1], half[2]], rtol=1e-5)
    np.testing.assert_allclose(found[1, :3, 3], [0, 0, half[1]], rtol=1e-5)  # 4 2 is not known
    np.testing.assert_allclose(found[..., 0] + found[..., 1], 0, atol=1e-6)


def test_no_label_is_in_the_evidence_of_its_own_sentence():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, (40, 5)), rng.integers(0, 2, 40)
    found = _bags.crossed(Batch(x, y), 9, 2)
    for i in range(3):
        other = y.copy()
        other[i] = 1 - y[i]
        moved = (_bags.crossed(Batch(x, other), 9, 2) != found).any((1, 2))
        assert not moved[i] and moved.any()


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
