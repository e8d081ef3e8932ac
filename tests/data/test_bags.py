"""Documents as counts of words: bars that are known, archives, files of lines, what is refused."""

import numpy as np
import pytest

from dljax import InputError
from dljax.data.bags import SIDE, bars, load_bags


@pytest.fixture(scope="module")
def made():
    return bars(np.random.default_rng(0), sizes=(3000, 10, 20), length=30)


def test_bars_are_the_rows_and_columns_of_a_grid(made):
    assert made.topics.shape == (2 * SIDE, SIDE**2) == (len(made.classes), len(made.words))
    np.testing.assert_allclose(made.topics.sum(1), 1, rtol=1e-6)
    for topic, name in zip(made.topics, made.classes, strict=True):
        held = {word for word, p in zip(made.words, topic, strict=True) if p > 0}
        kind, number = name.split()
        assert len(held) == SIDE and all(f"{kind}{number}" in word for word in held)


def test_documents_of_bars_are_drawn_of_them(made):
    counts = made.train.counts
    assert counts.shape == (3000, SIDE**2) and (counts.sum(1) == 30).all()
    np.testing.assert_allclose(counts.mean(0), 30 / SIDE**2, rtol=0.15)
    # a document's class is the topic that most of its words are of
    told = (counts @ (made.topics > 0).T).argmax(1)
    assert (told == made.train.labels).mean() > 0.8
    assert [len(part.texts) for part in (made.train, made.validation, made.test)] == [3000, 10, 20]
    assert made.train.texts[0].split().count(made.words[3]) == counts[0, 3]
    again = load_bags("bars", 5)
    np.testing.assert_array_equal(again.test.counts, load_bags("bars", 9).test.counts)


def lines(path, texts):
    path.write_text("\n".join(texts) + "\n")
    return str(path)


def test_a_file_is_a_document_a_line(tmp_path):
    texts = [f"Zebra zebra lion{'!' * (i % 3)} the of ox" for i in range(60)] + ["ox 12 the", ""]
    found = load_bags(lines(tmp_path / "a.txt", texts), 10)
    assert found.words == ("lion", "zebra") and found.classes == ()
    parts = (found.train, found.validation, found.test)
    assert sum(len(part.texts) for part in parts) == 60  # but for the one of stop words alone
    for part in parts:
        assert (part.counts == [1, 2]).all() and (part.labels == -1).all()
        assert len(part.counts) == len(part.texts) == len(part.labels)


def test_words_are_those_that_the_most_training_documents_hold(tmp_path):
    texts = ["rare " * 50 + "common"] + [
        f"common second{'' if i % 2 else ' third'}" for i in range(50)
    ]
    found = load_bags(lines(tmp_path / "a.txt", texts), 2)
    assert found.words == ("common", "second")


@pytest.mark.parametrize(
    ("texts", "said"),
    [(["lion"] * 5, "at least 20"), (["the of"] * 40, "no words"), (None, "cannot read")],
)
def test_what_is_too_little_is_refused(texts, said, tmp_path):
    path = str(tmp_path / "a.txt") if texts is None else lines(tmp_path / "a.txt", texts)
    with pytest.raises(InputError, match=said):
        load_bags(path, 10)


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="20newsgroups"):
        load_bags("20newsgroup", 10)
