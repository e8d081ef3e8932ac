"""Groups hidden in classes: sizes, membership, and what is refused."""

import jax
import numpy as np
import pytest

from dljax import Batch, InputError
from dljax.data.groups import counts, grouped, thinned

LABELS = np.repeat(np.arange(4, dtype=np.int32), (10, 20, 30, 40))


@pytest.fixture(scope="module")
def data():
    return Batch(np.arange(100.0)[:, None], LABELS)


@pytest.fixture(scope="module")
def parity(data):
    return grouped(data, (0, 1, 0, 1))


def test_labels_become_groups_of_the_classes(data, parity):
    np.testing.assert_array_equal(parity.group, LABELS)
    np.testing.assert_array_equal(parity.y, LABELS % 2)
    np.testing.assert_array_equal(parity.x, data.x)
    assert parity.y.dtype == parity.group.dtype == np.int32


def test_a_label_without_a_class_is_left_out(data):
    found = grouped(data, (None, 1, None, 0))
    np.testing.assert_array_equal(found.x[:, 0], [*range(10, 30), *range(60, 100)])
    np.testing.assert_array_equal(found.group, np.repeat([0, 1], (20, 40)))
    np.testing.assert_array_equal(found.y, np.repeat([1, 0], (20, 40)))


def test_thinning_keeps_as_many_as_said_and_none_twice():
    rows = thinned(jax.random.key(0), LABELS, (3, 20, 1, 7))
    np.testing.assert_array_equal(counts(LABELS[rows]), [3, 20, 1, 7])
    assert len(np.unique(rows)) == len(rows) == 31


def test_the_key_decides_which_and_nothing_else_does():
    one, same, other = (thinned(jax.random.key(k), LABELS, (3, 4, 5, 6)) for k in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.array_equal(LABELS[one], LABELS[other])


def test_every_member_is_as_likely_to_be_kept():
    kept = [thinned(jax.random.key(k), LABELS, (2, 1, 1, 1))[:2] for k in range(300)]
    found = np.bincount(np.concatenate(kept), minlength=10)
    assert found.min() > 30 and found.max() < 90  # 60 each, standard deviation 7


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda data: grouped(data, (0, 1)), "label 3 has no class"),
        (lambda data: grouped(data, (0, 1, 0, 1, 0)), "group 4 has no member"),
        (lambda data: grouped(Batch(data.x[:0], data.y[:0]), ()), "no member"),
        (lambda data: thinned(jax.random.key(0), LABELS, (1, 1)), "4 groups"),
        (
            lambda data: thinned(jax.random.key(0), LABELS, (1, 0, 1, 1)),
            "group 1 has 20 members.*got 0",
        ),
        (
            lambda data: thinned(jax.random.key(0), LABELS, (11, 1, 1, 1)),
            "group 0 has 10 members.*got 11",
        ),
    ],
)
def test_a_group_without_members_is_refused(data, wrong, said):
    with pytest.raises(InputError, match=said):
        wrong(data)
