"""Counts of n tokens in a row: what a language model has to beat."""

import numpy as np

from dljax.errors import InputError


def witten_bell(train: np.ndarray, test: np.ndarray, kinds: int, order: int) -> np.ndarray:
    """Nats of each test token after the first, given the up to `order - 1` before it, [N - 1].

    `P_n(w | h) = (c(h w) + t(h) P_{n-1}(w | h')) / (c(h) + t(h))` with t(h) the kinds of token seen
    after h, h' the context without its first token, and P_0 uniform. Witten and Bell 1991. Tokens
    are integers below `kinds`. Raises InputError if the codes of `order` of them outgrow 64 bits.
    """
    if kinds**order >= 2**63:
        raise InputError(f"{order} tokens of {kinds} kinds are more than 64 bits tell apart")
    chances = np.full(len(test) - 1, 1 / kinds)
    for n in range(1, order + 1):
        grams, counts = np.unique(codes(train, kinds, n), return_counts=True)
        contexts, first = np.unique(grams // kinds, return_index=True)
        ends = np.append(first[1:], len(grams))
        kinds_after = ends - first
        totals = np.add.reduceat(counts, first)
        wanted = codes(test, kinds, n)[max(0, 2 - n) :]  # the first has no chance to be told
        context = found(contexts, wanted // kinds)
        gram = found(grams, wanted)
        seen = context >= 0
        count, total, after = (
            np.where(seen, np.where(at >= 0, values[at], 0), 0)
            for values, at in ((counts, gram), (totals, context), (kinds_after, context))
        )
        lower = chances[n - 2 if n > 1 else 0 :]
        mixed = (count + after * lower) / np.where(seen, total + after, 1)
        chances[len(chances) - len(wanted) :] = np.where(seen, mixed, lower)
    return -np.log(chances)


def codes(tokens: np.ndarray, kinds: int, n: int) -> np.ndarray:
    """Each n tokens in a row as one integer, the last its lowest digit: [N - n + 1]."""
    numbers = np.zeros(len(tokens) - n + 1, np.int64)
    for i in range(n):
        numbers = numbers * kinds + tokens[i : len(tokens) - n + 1 + i]
    return numbers


def found(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each of `wanted` stands in the sorted `values`, or -1."""
    at = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    return np.where(values[at] == wanted, at, -1)


def best(
    train: np.ndarray, validation: np.ndarray, test: np.ndarray, kinds: int, most: int = 7
) -> tuple[int, float]:
    """The order of the least validation loss, and its mean nats on the test tokens."""
    orders = [n for n in range(1, most + 1) if kinds**n < 2**63]
    scores = {n: witten_bell(train, validation, kinds, n).mean() for n in orders}
    order = min(scores, key=lambda n: scores[n])
    return order, float(witten_bell(train, test, kinds, order).mean())
