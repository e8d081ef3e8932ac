"""Plucked strings: each is a line's in its past, and what is heard is not."""

import numpy as np
from scipy.io import wavfile

from dljax.data.sound import NOTES, RATE, strings, write_wav


def test_one_string_is_told_by_the_period_before_until_it_is_driven():
    one = np.arctanh(strings(0.2, every=1.0, drive=0.5))
    period = round(RATE / NOTES[0])
    mean = (one[1:-period] + one[: -period - 1]) / 2
    np.testing.assert_allclose(one[period + 1 :], mean, atol=1e-12)


def test_the_sound_is_always_the_same_and_stays_within_one():
    sound = strings(1.0)
    np.testing.assert_array_equal(sound, strings(1.0))
    assert len(sound) == RATE
    assert 0.9 < np.abs(sound).max() <= 1


def test_a_file_holds_what_was_heard(tmp_path):
    write_wav(tmp_path / "a.wav", np.array([0.0, 0.5, -1.0, 2.0]))
    rate, samples = wavfile.read(tmp_path / "a.wav")
    assert rate == RATE
    np.testing.assert_array_equal(samples, [0, 16383, -32767, 32767])


def test_a_sound_swings_about_zero():
    assert abs(strings().mean()) < 0.02
