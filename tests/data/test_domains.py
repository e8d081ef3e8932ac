"""Two looks of the same things: pairs are pairs, and what is unpaired shares nothing."""

import numpy as np
import pytest

from dljax import InputError
from dljax.data import domains, load
from dljax.data.domains import load_domains


def rows(x):
    return {each.tobytes() for each in x}


def test_digits_are_halved_and_changed():
    data = load_domains("digits", "inverted")
    assert len(data.x) + len(data.y) == len(load("digits").train.y)
    np.testing.assert_array_equal(data.answers, 255 - data.x)
    for part in (data.validation, data.test):
        np.testing.assert_array_equal(part.y, 255 - part.x)
    assert not rows(255 - data.x) & rows(data.y)  # no image is on both sides
    known, answers = data.labels
    assert len(known) == len(data.y) and len(answers) == len(data.test.y)


def test_changes_are_what_they_say_and_can_be_undone():
    x = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 1) * 14
    colours = domains.coloured(x)
    ends = colours[0, 0, 0], domains.coloured(np.full((1, 1, 1), 255))[0, 0]
    for found, wanted in zip(ends, (domains.PAPER, domains.INK), strict=True):
        np.testing.assert_allclose(found, 255 * np.array(wanted), atol=0.6)
    np.testing.assert_array_equal(np.rot90(domains.rotated(x), -1, (1, 2)), x)
    assert domains.rotated(x)[0, 0, 0] == x[0, 0, 2]


def test_emoji_of_one_thing_are_on_one_side():
    try:
        blob, new, things = domains.emoji_designs()
    except InputError as error:
        pytest.skip(f"needs the emoji: {error}")
    data = load_domains("emoji")
    assert sum(map(len, (data.x, data.y, data.validation.x, data.test.x))) == len(blob)
    of = {each.tobytes(): thing for each, thing in zip(blob, things, strict=True)}
    of |= {each.tobytes(): thing for each, thing in zip(new, things, strict=True)}
    sides = [
        {of[each.tobytes()] for each in x} for x in (data.x, data.y, data.validation.x, data.test.x)
    ]
    assert len(set.union(*sides)) == sum(map(len, sides))
    assert {of[each.tobytes()] for each in data.answers} == sides[0]


def test_what_cannot_be_changed_is_named(tmp_path):
    with pytest.raises(InputError, match="change"):
        load_domains("digits", "turned")
    with pytest.raises(InputError, match="data set"):
        load_domains("digit")
    file = tmp_path / "colours.npz"
    np.savez(file, x=np.zeros((40, 4, 4, 3), np.uint8), y=np.arange(40) % 2)
    with pytest.raises(InputError, match="only grey images can be coloured"):
        load_domains(file)
    np.savez(file, x=np.random.default_rng(0).random((40, 3)), y=np.arange(40) % 2)
    with pytest.raises(InputError, match="must hold images"):
        load_domains(file)
