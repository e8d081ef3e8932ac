"""Rows in three parts: a rare class in each, no group in two, nothing later before, as said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dljax.data.splits import Said, parts
from dljax.errors import InputError


def cut(y, **said):
    y = np.asarray(y)
    found = parts(y, [f"c{k}" for k in range(y.max() + 1)], Said(**said))
    assert sorted(np.concatenate(found).tolist()) == list(range(len(y)))
    return found


@settings(max_examples=60)
@given(st.lists(st.integers(3, 60), min_size=2, max_size=9), st.integers(0, 99))
def test_every_class_of_three_rows_is_in_every_part(counts, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    found = cut(y)
    for rows in found[1:]:
        shares = np.bincount(y[rows], minlength=len(counts))
        assert (np.abs(shares - np.array(counts) / 10) <= 1).all() and shares.min() >= 1
    for mine, again in zip(found, cut(y), strict=True):
        np.testing.assert_array_equal(mine, again)


def test_two_percent_positives_are_in_the_test_part():
    y = np.arange(1000) < 20
    assert [y[rows].sum() for rows in cut(y + 0)] == [16, 2, 2]


def test_classes_too_rare_are_named_and_for_training(capsys):
    y = np.array([0] * 20 + [1] * 2 + [2] * 3 + [3])
    train, validation, test = cut(y)
    assert {20, 21, 25} <= set(train.tolist())
    assert set(y[test]) == set(y[validation]) == {0, 2}
    assert "training part only: classes c1, c3" in capsys.readouterr().err


@settings(max_examples=25)
@given(st.integers(3, 40), st.integers(0, 99))
def test_no_group_is_in_two_parts(groups, seed):
    rng = np.random.default_rng(seed)
    group = np.r_[np.arange(groups), rng.integers(0, groups, 160)].astype(str)
    found = cut(rng.integers(0, 2, len(group)), group=group)
    seen = [set(group[rows]) for rows in found]
    assert all(seen) and sum(map(len, seen)) == len(set(group))


@pytest.mark.parametrize("kind", ["numbers", "days", "text"])
def test_what_is_tested_comes_later(kind):
    days = np.random.default_rng(0).integers(0, 50, 200)
    time = {
        "numbers": days,
        "days": np.datetime64("2024-01-01") + days,
        "text": (np.datetime64("2024-01-01") + days).astype(str).astype(object),
    }[kind]
    train, validation, test = cut(np.arange(200) % 2, time=time)
    assert days[train].max() < days[validation].min() <= days[validation].max() < days[test].min()
    assert 140 <= len(train) <= 160 and len(test) >= 20


def test_rows_are_where_their_owner_says():
    said = np.array(["Train"] * 20 + ["test"] * 5 + ["val"] * 7)
    train, validation, test = cut(np.arange(32) % 2, split=said)
    assert [train.tolist(), test.tolist(), validation.tolist()] == [
        list(range(20)), list(range(20, 25)), list(range(25, 32)),
    ]  # fmt: skip
    train, validation, test = cut(np.arange(25) % 2, split=said[:25])
    assert test.tolist() == list(range(20, 25)) and len(validation) == 2


def test_what_is_chosen_on_has_no_group_and_no_time_of_training_rows_either():
    said, rows = np.array(["train"] * 80 + ["test"] * 20), np.random.default_rng(0).permutation(100)
    group = np.arange(100) // 5
    train, validation, test = cut(rows % 2, split=said, group=group)
    assert test.tolist() == list(range(80, 100)) and len(validation) >= 5
    assert not set(group[train]) & set(group[validation])
    train, validation, test = cut(np.arange(100) % 2, split=said, time=rows)
    assert test.tolist() == list(range(80, 100)) and len(validation) == 8
    assert rows[train].max() < rows[validation].min()


BAD = {
    "unknown part in split 'tset'": {"split": ["train"] * 30 + ["tset"] * 10},
    "the test part is empty; split must name rows of train and of test": {"split": ["train"] * 40},
    "class c1 has no training example": {"split": ["train", "test"] * 20},
    "3 groups are needed; got 2": {"group": np.arange(40) % 2},
    "by group or by time; got both": {"group": np.arange(40), "time": np.arange(40)},
    "group 0 is in two parts": {
        "group": np.arange(40) % 4 // 2 * 2,
        "split": ["train", "val", "val", "test"] * 10,
    },
    "a row has no time": {"time": np.r_[np.nan, np.arange(39)]},
    "times must be numbers or dates": {"time": np.array(["soon"] * 40)},
    "the training part is empty; too many rows have equal times": {"time": np.ones(40)},
}


@pytest.mark.parametrize("words", BAD)
def test_splits_that_cannot_be_are_refused(words):
    said = {name: np.asarray(value) for name, value in BAD[words].items()}
    with pytest.raises(InputError, match=words):
        cut(np.arange(40) % 2, **said)
