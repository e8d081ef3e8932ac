"""The experiment topics (S35), tiny: bars are found, methods are measured alike, and are named."""

import json

import numpy as np
import pytest

from dljax import InputError
from dljax.data.bags import bars, load_bags
from dljax.host.model import load as model_of
from experiments.generative import _topics, topics
from experiments.generative._topics import Found

SMALL = {"seeds": 2, "epochs": 20, "passes": 3, "hidden": (40,), "dropouts": (0.0,), "quiet": True}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("topics") / "run"
    return topics.main(topics.Config(**SMALL, out=out)), out


@pytest.fixture(scope="module")
def made():
    return bars(np.random.default_rng(1), (60, 20, 30))


def test_bars_are_found(done):
    metrics, baselines = done[0].metrics, done[0].baselines
    assert next(iter(metrics)) == "NPMI"
    assert metrics["cosine to the true topics"]["mean"] > 0.6
    assert baselines["NMF, cosine to the true topics"]["mean"] > 0.9
    assert metrics["NPMI"]["mean"] > 0.5 * baselines["true topics, NPMI"]["mean"]
    assert metrics["class of the nearest 10"]["mean"] > 0.4  # by chance a tenth
    assert metrics["perplexity bound"]["mean"] < 28  # equal chances of the words: 25
    gap = np.subtract(metrics["NPMI"]["values"], baselines["LDA, NPMI"]["values"])
    np.testing.assert_allclose(metrics["lead over LDA"]["values"], gap, atol=1e-6)
    written = json.loads((done[1] / "result.json").read_text())
    assert written["systems"] == ["S35"] and written["targets"] == {}
    assert (done[1] / "figures" / "topics.png").stat().st_size > 5000


def test_the_model_gives_shares_of_topics_of_lines_of_text(done):
    out, texts = done[1], load_bags("bars", 25).test.texts[:30]
    model = model_of(out)
    each = model.predict([*texts, f"{texts[0]} the and"]).each
    assert each.shape == (2, 31, 10)
    np.testing.assert_allclose(each.sum(-1), 1, rtol=1e-4)
    np.testing.assert_allclose(
        each[:, 0], each[:, 30], atol=1e-6
    )  # of other words it knows nothing
    lines = (out / "topics.txt").read_text().splitlines()
    assert len(lines) == 20 and lines[13].startswith("seed 1, topic 3: row")


def test_the_true_topics_match_themselves_in_any_order(made):
    order = np.random.default_rng(0).permutation(10)
    columns, cosines = _topics.matched(7 * made.topics[order], made.topics)
    np.testing.assert_array_equal(order[columns], np.arange(10))
    np.testing.assert_allclose(cosines, 1, rtol=1e-5)


def test_the_nearest_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    near, asked = rng.dirichlet(np.ones(3), 40), rng.dirichlet(np.ones(3), 5)
    for row, found in zip(asked, _topics.neighbours(5 * near, asked), strict=True):
        alike = [sum(np.sqrt(p * q)) for p, q in zip(near, [row] * 40, strict=True)]
        assert set(found) == set(np.argsort(alike)[-_topics.NEAR :])


def test_quality_is_highest_for_topics_that_cohere_and_differ(made):
    judge = _topics.judge(made, 5)
    alike = np.tile(made.topics[:1], (10, 1))
    shuffled = np.random.default_rng(0).permuted(made.topics, axis=1)
    true, one, other = (float(judge.quality(each)) for each in (made.topics, alike, shuffled))
    assert true > 2 * one and true > 2 * other


def test_documents_of_words_are_listed_with_those_that_are_nearest(tmp_path, made):
    said = [f"{'cat purrs milk' if i % 2 else 'dog barks bone'} {i}" for i in range(60)]
    (tmp_path / "a.txt").write_text("\n".join(said))
    bags = load_bags(tmp_path / "a.txt", 6)
    held = (bags.test.counts @ np.array([[w in "cat purrs milk"] for w in bags.words])) > 0
    found = np.array([[w in "cat purrs milk" for w in bags.words]] * 2, float)
    found[1] = 1 - found[0]
    of = [part.counts @ found.T for part in (bags.train, bags.test)]
    judge = _topics.judge(bags, 3)
    rows = _topics.measured(bags, [Found(found, *of)], judge)
    assert rows == {"NPMI": [1.0], "topic diversity": [1.0]}
    assert "cat milk purrs" in "\n".join(_topics.table(bags, found, judge))
    near = _topics.neighbours(*of)
    for kind, rows in zip(held[:, 0], near, strict=True):
        assert all(("cat" in bags.train.texts[i]) == kind for i in rows)
    for name, draw, given in (
        ("a", _topics.listed, (bags, {"one": found, "two": found}, judge)),
        ("b", _topics.nearest, (bags, Found(found, *of))),
    ):
        assert draw(tmp_path / f"{name}.png", *given).stat().st_size > 3000


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"top": 26}, "--top"),
        ({"batch": 3000}, "--batch"),
        ({"data": "newsgroups"}, "20newsgroups"),
    ],
)
def test_bad_flags_are_named(flags, said, tmp_path):
    with pytest.raises(InputError, match=said):
        topics.main(topics.Config(out=tmp_path / "run", **{**SMALL, **flags}))
