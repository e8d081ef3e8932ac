"""Counts of n tokens in a row: what a language model has to beat, and what they would write."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dljax.errors import InputError


class Table(NamedTuple):
    """Each n tokens in a row that were seen, and the contexts, all but the last, of each."""

    grams: np.ndarray  # their codes, sorted
    counts: np.ndarray
    contexts: np.ndarray  # codes, sorted
    begins: np.ndarray  # where the grams of each context begin, and the next one's
    totals: np.ndarray  # of the counts of each context


def table(tokens: np.ndarray, kinds: int, n: int) -> Table:
    grams, counts = np.unique(codes(tokens, kinds, n), return_counts=True)
    contexts, first = np.unique(grams // kinds, return_index=True)
    totals = np.add.reduceat(counts, first)
    return Table(grams, counts, contexts, np.append(first, len(grams)), totals)


def tables(tokens: np.ndarray, kinds: int, order: int) -> list[Table]:
    """Those of 1 to `order` tokens. Raises InputError if their codes outgrow 64 bits."""
    if kinds**order >= 2**63:
        raise InputError(f"{order} tokens of {kinds} kinds are more than 64 bits tell apart")
    return [table(tokens, kinds, n) for n in range(1, order + 1)]


def witten_bell(train: np.ndarray, test: np.ndarray, kinds: int, order: int) -> np.ndarray:
    """Nats of each test token after the first, given the up to `order - 1` before it, [N - 1].

    `P_n(w | h) = (c(h w) + t(h) P_{n-1}(w | h')) / (c(h) + t(h))` with t(h) the kinds of token seen
    after h, h' the context without its first token, and P_0 uniform. Witten and Bell 1991. Tokens
    are integers below `kinds`. Raises InputError if the codes of `order` of them outgrow 64 bits.
    """
    chances = np.full(len(test) - 1, 1 / kinds)
    for n, seen in enumerate(tables(train, kinds, order), 1):
        wanted = codes(test, kinds, n)[max(0, 2 - n) :]  # the first has no chance to be told
        context = found(seen.contexts, wanted // kinds)
        gram = found(seen.grams, wanted)
        known = context >= 0
        count, total, after = (
            np.where(known, np.where(at >= 0, values[at], 0), 0)
            for values, at in (
                (seen.counts, gram),
                (seen.totals, context),
                (np.diff(seen.begins), context),
            )
        )
        lower = chances[n - 2 if n > 1 else 0 :]
        mixed = (count + after * lower) / np.where(known, total + after, 1)
        chances[len(chances) - len(wanted) :] = np.where(known, mixed, lower)
    return -np.log(chances)


def following(counted: Sequence[Table], kinds: int, before: Sequence[int]) -> np.ndarray:
    """The chances of each token behind those `before`, as `witten_bell` has them: [kinds]."""
    chances, code = np.full(kinds, 1 / kinds), 0
    for n, seen in enumerate(counted, 1):
        if n > len(before) + 1:
            break
        if n > 1:
            code += before[1 - n] * kinds ** (n - 2)
        at = int(np.searchsorted(seen.contexts, code))
        if at == len(seen.contexts) or seen.contexts[at] != code:
            break  # a longer context was not seen either
        part = slice(seen.begins[at], seen.begins[at + 1])
        after = part.stop - part.start
        chances *= after
        chances[seen.grams[part] % kinds] += seen.counts[part]
        chances /= seen.totals[at] + after
    return chances


def write(
    counted: Sequence[Table],
    kinds: int,
    prompt: Sequence[int],
    count: int,
    rng: np.random.Generator,
    temperature: float = 1.0,
    end: Sequence[int] = (),
) -> list[int]:
    """Up to `count` tokens behind the prompt, ended before by the tokens `end`, if any."""
    tokens = list(prompt)
    while len(tokens) < len(prompt) + count:
        chances = following(counted, kinds, tokens[-len(counted) :])
        if temperature:
            chances = (chances / chances.max()) ** (1 / temperature)
            tokens.append(int(rng.choice(kinds, p=chances / chances.sum())))
        else:
            tokens.append(int(chances.argmax()))
        if end and tokens[-len(end) :] == list(end):
            break
    return tokens[len(prompt) :]


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


def score(
    train: np.ndarray, kinds: int, order: int, tokens: np.ndarray, counted: np.ndarray | None = None
) -> float:
    """Mean nats of tokens after the first, or of those of them that are counted."""
    nats = witten_bell(train, tokens, kinds, order)
    return float(np.mean(nats if counted is None else nats[counted[1:]]))


def best(train: np.ndarray, kinds: int, *validation: np.ndarray, most: int = 7) -> int:
    """The order, up to `most`, of the least validation loss; `validation` is as in `score`."""
    orders = [n for n in range(1, most + 1) if kinds**n < 2**63]
    return min(orders, key=lambda n: score(train, kinds, n, *validation))
