"""Paths: pieces of one person without a gap, and files that are not such."""

import numpy as np
import pytest

from dljax.data import paths
from dljax.data.paths import FUTURE, OTHERS, PAST, PLACES, leave_out, read_paths
from dljax.errors import InputError
from dljax.typing import Batch


def write(tmp_path, rows):
    path = tmp_path / "scene.txt"
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("places", [*((place,) for place in PLACES), ("eth", "univ")])
def test_what_is_tested_is_in_no_training_or_validation_file(monkeypatch, places):
    scenes = [*(scene for own in PLACES.values() for scene in own), *OTHERS]

    def marked(name):  # by the number of the scene, instead of its paths
        (number,) = (i for i, scene in enumerate(scenes) if f"/{scene}" in name)
        return Batch(np.full((1, PAST, 2), number), np.full((1, FUTURE, 2), number))

    monkeypatch.setattr(paths, "recording", marked)
    train, validation, test = (set(part.x.ravel().tolist()) for part in leave_out(*places))
    assert test == {scenes.index(scene) for place in places for scene in PLACES[place]}
    assert train == validation == set(range(len(scenes))) - test


def test_an_unknown_place_is_named():
    with pytest.raises(InputError, match=r"unknown place 'zara'; did you mean zara"):
        leave_out("zara")


def walk(person, frames, speed):
    return [(frame, person, speed * frame / 10, 0.0) for frame in frames]


def test_every_window_of_one_person_without_a_gap(tmp_path):
    whole, gap = range(0, 220, 10), [*range(0, 150, 10), *range(160, 320, 10)]
    rows = walk(1, whole, 1.0) + walk(2, gap, 2.0) + walk(3, range(0, 100, 10), 3.0)
    np.random.default_rng(0).shuffle(rows)
    path = write(tmp_path, rows)
    path.write_text(path.read_text() + "\n\n")  # empty lines at the end are none
    found = read_paths(path)
    assert found.x.shape == (3, PAST, 2)
    assert found.y.shape == (3, FUTURE, 2)
    for i in range(3):  # only the first walks for 20 steps in a row: from 0, 1 and 2
        np.testing.assert_allclose(found.x[i, :, 0], np.arange(PAST) + i)
        np.testing.assert_allclose(found.y[i, :, 0], np.arange(FUTURE) + PAST + i)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "is empty"),
        ([()], "line 1: '' is not `frame person x y`"),
        ([(0, 1, 2.0)], "line 1: .* is not `frame person x y`"),
        ([(0, 1, 2.0, "nan")], "line 1: .* is not `frame person x y`"),
        ([(0, 1, 2.0, 3.0)], "holds no person for 20 steps in a row"),
    ],
)
def test_a_bad_file_ends_in_one_line(tmp_path, rows, said):
    with pytest.raises(InputError, match=said):
        read_paths(write(tmp_path, rows))
