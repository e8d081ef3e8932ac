"""A range coder (Martin 1979): whole numbers in as many bits as they are unlikely.

Range coders of libraries lack wheels for some machines of ours. Distributions are Laplace's, in
whole counts; their exponentials must be those of one machine, whoever writes and reads.
"""

import bisect
from collections.abc import Callable, Iterator

import numpy as np

LARGEST = 2**11 - 1  # of a number, either side of 0
TOTAL = 24  # bits of all counts
TOP, LAST = 2**48, 2**40  # the coder's range, and the least before a byte is written


def below(q: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Counts of all numbers less than q, out of `2^TOTAL`: at least one for each."""
    at = (np.clip(q, -LARGEST, LARGEST + 1) - 0.5 - mean) / scale
    half = np.exp(-np.abs(at)) / 2
    least = q + LARGEST
    share = np.where(at < 0, half, 1 - half) * (2**TOTAL - 2 * LARGEST - 1)
    share = np.where(least <= 0, 0, np.where(q > LARGEST, 2**TOTAL - 2 * LARGEST - 1, share))
    return share.astype(np.int64) + np.asarray(least, np.int64)


def write(q: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> bytes:
    """Numbers q [n] from -`LARGEST` to `LARGEST`, with distributions [n] known to the reader."""
    start = below(q, mean, scale)
    count = below(q + 1, mean, scale) - start
    low, width, out = 0, TOP, bytearray()
    for first, many in zip(start.tolist(), count.tolist(), strict=True):
        unit = width >> TOTAL
        low, width = low + unit * first, unit * many
        low = carried(low, out)
        while width < LAST:
            out.append(low // LAST)
            low, width = low % LAST << 8, width << 8
    out.append(carried(low + LAST - 1, out) // LAST)
    return bytes(out)


def carried(low: int, out: bytearray) -> int:
    if low < TOP:
        return low
    place = len(out) - 1
    while out[place] == 255:
        out[place] = 0
        place -= 1
    out[place] += 1
    return low - TOP


def reader(file: bytes) -> Callable[[float, float], int]:
    """What tells the next number, given its mean and scale."""
    rest: Iterator[int] = iter(file)
    offset, width = 0, TOP
    for _ in range(6):
        offset = offset << 8 | next(rest, 0)

    def read(mean: float, scale: float) -> int:
        nonlocal offset, width
        unit = width >> TOTAL

        def start(q: int) -> int:
            return int(below(np.array([q]), np.array([mean]), np.array([scale]))[0])

        reach = range(-LARGEST, LARGEST + 1)
        number = reach[bisect.bisect_right(reach, offset // unit, key=start) - 1]
        first = start(number)
        offset, width = offset - unit * first, unit * (start(number + 1) - first)
        while width < LAST:
            offset, width = offset << 8 | next(rest, 0), width << 8
        return number

    return read
