"""Sentences drawn from a small grammar, in which order alone tells what is meant (S15)."""

from collections.abc import Mapping, Sequence

import numpy as np

from dljax.errors import InputError

Rules = Mapping[str, Sequence[str]]
"""What each name may become; words without a rule stay."""

NEUTRAL = [
    "we",
    "he",
    "she",
    "had",
    "saw",
    "there",
    "here",
    "with",
    "friends",
    "at",
    "night",
    "in",
    "town",
    "once",
    "again",
]
OPINIONS: Rules = {
    "SENTENCE": ["OPENING OPINION CLOSING"],
    "OPINION": [
        "the food MIDDLE was X , not Y at all",
        "the food MIDDLE was not Y at all , but X",
        "the food MIDDLE was X and the service MIDDLE was Y",
        "the service MIDDLE was Y and the food MIDDLE was X",
        "the food MIDDLE was not Y and the service MIDDLE was not X",
        "the service MIDDLE was not X and the food MIDDLE was not Y",
        "nobody says that the food MIDDLE was Y or that the service MIDDLE was X",
        "nobody says that the service MIDDLE was X or that the food MIDDLE was Y",
    ],
    "OPENING": ["", "", "FILL ,"],
    "MIDDLE": ["", "", "that FILL"],
    "CLOSING": ["", "", ", FILL"],
    "FILL": ["WORD", "WORD FILL", "WORD FILL", "WORD FILL"],
    "WORD": NEUTRAL,
}
"""X is of the opinion of the food, Y its opposite: to change them for each other turns the opinion
over and leaves the words the same."""

OPPOSITES = (("good", "bad"), ("tasty", "awful"), ("fresh", "stale"), ("lovely", "horrid"))
PHRASE = "this morning took the cat"
FRUITLESS = 10_000  # draws in a row without a new sentence, a second's work: none may be left


def expand(rng: np.random.Generator, rules: Rules, text: str) -> list[str]:
    """The words of a text in which every name is replaced by one of its alternatives, drawn."""
    found = []
    for word in text.split():
        if word in rules:
            found += expand(rng, rules, rules[word][int(rng.integers(len(rules[word])))])
        else:
            found.append(word)
    return found


def opinions(
    rng: np.random.Generator, n: int, shortest: int, longest: int
) -> list[tuple[list[str], list[str]]]:
    """n pairs of different sentences of `shortest` to `longest` words: the food is good, and bad.

    Both of a pair have the same words, so that no count of words tells them apart. Raises
    InputError where there are so few, or they are so rare, that `FRUITLESS` draws give no new one.
    """
    pairs: dict[tuple[str, ...], tuple[list[str], list[str]]] = {}
    fruitless = 0
    while len(pairs) < n:
        before = len(pairs)
        words = expand(rng, OPINIONS, "SENTENCE")
        if shortest <= len(words) <= longest:
            good, bad = OPPOSITES[rng.integers(len(OPPOSITES))]
            first = [{"X": good, "Y": bad}.get(word, word) for word in words]
            second = [{"X": bad, "Y": good}.get(word, word) for word in words]
            pairs[tuple(first)] = first, second
        fruitless = fruitless + 1 if len(pairs) == before else 0
        if fruitless == FRUITLESS:
            kind = f"different sentences of {shortest} to {longest} words"
            raise InputError(f"{n} {kind} are too many to be drawn; found {before}")
    found = list(pairs.values())  # short ones came first
    return [found[i] for i in rng.permutation(n)]


def reach(words: Sequence[str]) -> int:
    """How many words stand between the food, or what negates it, and what is said of it."""
    food = words.index("food")
    said = words.index("was", food)
    return said - (words.index("nobody") if "nobody" in words else food)


def phrases(
    rng: np.random.Generator, n: int, places: Sequence[int], length: int
) -> list[tuple[list[str], list[str]]]:
    """n pairs of `length` words: `PHRASE` at one of the places, and there its words in disorder."""
    pairs, phrase = [], PHRASE.split()
    for _ in range(n):
        place = places[int(rng.integers(len(places)))]
        other = list(rng.permutation(phrase))
        while other == phrase:
            other = list(rng.permutation(phrase))
        rest = list(rng.choice(NEUTRAL, length - len(phrase)))
        pairs.append(tuple(rest[:place] + each + rest[place:] for each in (phrase, other)))
    return pairs
