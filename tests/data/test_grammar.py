"""Sentences of the grammar: equal words, opposite meanings."""

import numpy as np
import pytest

from dljax.data.grammar import OPPOSITES, PHRASE, opinions, phrases, reach
from dljax.errors import InputError


def meant(words):
    """Whether the food is good, read clause by clause."""
    good = {pair[0] for pair in OPPOSITES}
    start = words.index("food")
    said = words[words.index("was", start) + 1 :]
    positive = said[1] not in good if said[0] == "not" else said[0] in good
    return positive != ("nobody" in words)


def test_both_of_a_pair_have_the_same_words_and_opposite_meanings():
    pairs = opinions(np.random.default_rng(0), 300, 1, 30)
    assert len({" ".join(pair[0]) for pair in pairs}) == 300
    for first, second in pairs:
        assert sorted(first) == sorted(second)
        assert meant(first) and not meant(second)
        assert len(first) <= 30
    assert {len(pair[0]) for pair in opinions(np.random.default_rng(0), 50, 31, 33)} == {31, 32, 33}


@pytest.mark.parametrize(("shortest", "longest"), [(1, 8), (1, 9), (101, 150), (20, 10)])
def test_lengths_of_which_there_are_too_few_are_named(shortest, longest):
    said = f"500 different sentences of {shortest} to {longest} words are too many to be drawn"
    with pytest.raises(InputError, match=said):
        opinions(np.random.default_rng(0), 500, shortest, longest)


@pytest.mark.parametrize(
    ("sentence", "far"),
    [
        ("the food was good , not bad at all", 1),
        ("the food that we had was good , not bad at all", 4),
        ("nobody says that the service was good or that the food was bad", 11),
    ],
)
def test_the_reach_of_what_decides(sentence, far):
    assert reach(sentence.split()) == far


def test_the_phrase_stands_at_its_places_and_its_words_in_disorder_beside_it():
    phrase = PHRASE.split()
    for right, wrong in phrases(np.random.default_rng(0), 100, [1, 4], 12):
        assert len(right) == len(wrong) == 12
        assert sorted(right) == sorted(wrong) and right != wrong
        (place,) = {p for p in (1, 4) if right[p : p + 5] == phrase}
        assert wrong[:place] == right[:place] and wrong[place + 5 :] == right[place + 5 :]
