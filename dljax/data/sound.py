"""A sound to forecast (S23): strings that are plucked, and an amplifier that cannot follow."""

import os

import numpy as np

from dljax.errors import check_count

RATE = 8000
"""Samples a second."""
NOTES = (196.0, 246.9, 293.7, 392.0, 293.7, 246.9)
"""Hertz: a broken chord of G major."""


def strings(seconds: float = 2.5, every: float = 0.25, drive: float = 3.0) -> np.ndarray:
    """Samples within [-1, 1] of notes begun `every` so many seconds, each ringing on: [N].

    A string is noise in a loop of P samples, each time round the mean of two neighbours,
    `y_t = (y_{t-P} + y_{t-P-1}) / 2` (Karplus and Strong 1983), which a straight line tells
    exactly; their sum x is heard as `tanh(drive x)`, which it does not. The same at every call.
    """
    count, rng = int(seconds * RATE), np.random.default_rng(0)
    total = np.zeros(count)
    for i, begin in enumerate(range(0, count, int(every * RATE))):
        period = round(RATE / NOTES[i % len(NOTES)])
        ring, before, rounds = rng.uniform(-1, 1, period), 0.0, []
        ring -= ring.mean()  # which would never fade
        for _ in range(-(-(count - begin) // period)):
            rounds.append(ring)
            ring, before = (ring + np.append(before, ring[:-1])) / 2, ring[-1]
        total[begin:] += np.concatenate(rounds)[: count - begin]
    return np.tanh(drive * total / np.abs(total).max())


def write_wav(path: str | os.PathLike[str], samples: np.ndarray, rate: int = RATE) -> None:
    """Samples [N] within [-1, 1] as 16 bits each; what is beyond is cut off."""
    from scipy.io import wavfile

    check_count(rate=rate)
    wavfile.write(path, rate, np.int16(np.clip(samples, -1, 1) * 32767))
