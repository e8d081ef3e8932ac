"""Paths: pieces of one person without a gap, and files that are not such."""

import numpy as np
import pytest

from dljax.data.paths import FUTURE, PAST, read_paths
from dljax.errors import InputError


def write(tmp_path, rows):
    path = tmp_path / "scene.txt"
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return path


def walk(person, frames, speed):
    return [(frame, person, speed * frame / 10, 0.0) for frame in frames]


def test_every_window_of_one_person_without_a_gap(tmp_path):
    whole, gap = range(0, 220, 10), [*range(0, 150, 10), *range(160, 320, 10)]
    rows = walk(1, whole, 1.0) + walk(2, gap, 2.0) + walk(3, range(0, 100, 10), 3.0)
    np.random.default_rng(0).shuffle(rows)
    found = read_paths(write(tmp_path, rows))
    assert found.x.shape == (3, PAST, 2)
    assert found.y.shape == (3, FUTURE, 2)
    for i in range(3):  # only the first walks for 20 steps in a row: from 0, 1 and 2
        np.testing.assert_allclose(found.x[i, :, 0], np.arange(PAST) + i)
        np.testing.assert_allclose(found.y[i, :, 0], np.arange(FUTURE) + PAST + i)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "is empty"),
        ([(0, 1, 2.0)], "line 1: .* is not `frame person x y`"),
        ([(0, 1, 2.0, "nan")], "line 1: .* is not `frame person x y`"),
        ([(0, 1, 2.0, 3.0)], "holds no person for 20 steps in a row"),
    ],
)
def test_a_bad_file_ends_in_one_line(tmp_path, rows, said):
    with pytest.raises(InputError, match=said):
        read_paths(write(tmp_path, rows))
