"""Scores by class against scikit-learn's, and what is drawn of many or of rare classes."""

import numpy as np
import pytest
from sklearn import metrics

from dljax.host import figures, per_class

RNG = np.random.default_rng(0)


def guessed(n=80, classes=4, seeds=3):
    labels = RNG.integers(0, classes, n)
    chances = RNG.dirichlet(np.ones(classes), (seeds, n)).round(2)  # with ties
    chances[:, np.arange(n), labels] += 0.3
    return labels, chances / chances.sum(-1, keepdims=True)


def test_scores_are_scikit_learns():
    labels, chances = guessed()
    found = per_class.scores(labels, chances)
    means = per_class.summary(found)
    for i, each in enumerate(chances):
        guess = each.argmax(-1)
        expected = metrics.balanced_accuracy_score(labels, guess)
        np.testing.assert_allclose(means["balanced accuracy"][i], expected)
        np.testing.assert_allclose(
            means["macro F1"][i], metrics.f1_score(labels, guess, average="macro")
        )
        np.testing.assert_allclose(
            means["AUROC"][i], metrics.roc_auc_score(labels, each, multi_class="ovr")
        )
        np.testing.assert_allclose(
            found["precision"][i], metrics.precision_score(labels, guess, average=None)
        )


def test_a_classifier_that_never_says_the_rare_class_is_told():
    labels = np.array([0] * 98 + [1] * 2)
    found = per_class.scores(labels, np.tile([[[0.9, 0.1]]], (1, 100, 1)))
    means = per_class.summary(found)
    assert means["balanced accuracy"] == 0.5 and means["AUROC"] == 0.5
    table = per_class.table(found, ("no", "yes"), labels)
    assert table["yes"] == {"rows": 2, "precision": 0, "recall": 0, "F1": 0, "AUROC": 0.5}


def test_a_class_without_a_test_row_counts_in_no_mean():
    labels, chances = guessed(classes=3)
    wide = np.concatenate([chances, 0 * chances[..., :1]], -1)
    for name, values in per_class.summary(per_class.scores(labels, wide)).items():
        np.testing.assert_allclose(
            values, per_class.summary(per_class.scores(labels, chances))[name]
        )
    table = per_class.table(per_class.scores(labels, wide), ("a", "b", "c", "d"), labels)
    assert table["d"]["recall"] is None
    lines = per_class.lines(table)
    assert len(lines) == 5 and lines[-1].split() == ["d", "0", "0.0000", "-", "-", "-"]


@pytest.mark.parametrize("classes", [2, 1200])
def test_figures_of_few_and_of_many_classes_are_drawn(tmp_path, classes):
    n = max(60, classes)
    labels = np.arange(n) % classes
    chances = np.full((2, n, classes), 1 / classes)
    chances[:, np.arange(n), RNG.integers(0, classes, n)] += 1
    chances /= chances.sum(-1, keepdims=True)
    names = [f"class {k}" for k in range(classes)]
    found = [
        figures.confusion(tmp_path / "a.png", labels, chances.argmax(-1), names),
        figures.reliability(tmp_path / "b.png", labels, chances),
    ]
    assert all(10**6 > path.stat().st_size > 5000 for path in found)
    found = per_class.scores(labels, chances)
    assert len(per_class.lines(per_class.table(found, names, labels))) <= 21


@pytest.mark.parametrize("shape", [(8, 8, 2), (8, 8, 4), (1, 50, 1), (50, 1, 3)])
def test_images_of_any_channels_and_signals_are_drawn(tmp_path, shape):
    x = RNG.random((5, *shape)).astype(np.float32)
    labels, chances = np.zeros(5, int), np.tile([[[0.2, 0.8]]], (1, 5, 1))
    assert figures.worst(tmp_path / "w.png", x, labels, chances, "ab").stat().st_size > 3000
