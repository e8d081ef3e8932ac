"""Order carries the meaning: a window, a bag of words, a long window and recurrent networks.

System S15 of the syllabus. "The food was good, not bad at all" and "the food was bad, not good at
all" have the same words: a bag of them cannot tell one from the other. A small grammar draws such
pairs, and each design is measured by four criteria: order, long dependence, variable length, and
shared parameters, that is whether a phrase learnt at one place ("this morning took the cat") is
known at another. Beside the networks logistic regression on counts of 1 to 3 words, which knows
the phrase anywhere, as the LSTM nearly does (.92) and the plain recurrent network does not (.52);
recurrent networks alone understand sentences longer than any in training (.997; long window .755).

    python -m experiments.sequences.order
    python -m experiments.sequences.order --preset standard                 # 10 min on 2 cores
"""

import itertools
from dataclasses import dataclass
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, Le, MinLen

from dljax import Batch, Learner
from dljax.data.grammar import OPINIONS, opinions, phrases, reach
from dljax.data.text import Vocabulary, padded, words
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive, require
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.learn import classify
from dljax.nets.reader import Bag, Reader, Window, last
from dljax.nets.recurrent import Recurrent
from dljax.typing import Array, PyTree
from experiments.sequences import _asked, _order
from experiments.sequences._choose import by_adam
from experiments.sequences._order import Pairs

NAME = "sequences.order"
FOOD = "the food was good , not bad at all", "the food was bad , not good at all"
FAR = 10  # words between what decides and what is said of the food
SEEN, NEW, WORDS = range(3), range(4, 8), 12  # places of the phrase among so many words


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Learn from sentences in which order alone tells what is meant."""

    steps: Count = 1500
    """Training steps of each network."""
    pairs: Annotated[int, Ge(50)] = 3000
    """Pairs of sentences to learn from."""
    longest: Annotated[int, Ge(20), Le(45)] = 30  # half as long again are drawn too, and are rare
    """Words in the longest of them."""
    window: Count = 5
    """Words in the fixed window."""
    hidden: Count = 32
    """Units of each network."""
    batch: Count = 64
    """Sentences in a step."""
    rates: Annotated[tuple[Positive, ...], MinLen(1)] = (1e-3, 3e-3, 1e-2)
    """Learning rates of Adam to choose from by validation."""


PRESETS = {"quick": Config(seeds=3, steps=300, pairs=1000), "standard": Config()}


def main(config: Config) -> Result:
    with Study(NAME, ["S15"], config) as run:
        require("--batch", config.batch, below=2 * config.pairs + 1)
        rng, few = np.random.default_rng(0), max(50, config.pairs // 5)
        drawn = opinions(rng, config.pairs + 3 * few, 1, config.longest)
        drawn = [pair for pair in drawn if " ".join(pair[0]) not in FOOD]
        train, validation, test = drawn[: config.pairs], drawn[-few:], drawn[config.pairs : -few]
        moved, held = (phrases(rng, n, SEEN, WORDS) for n in (config.pairs, few))
        shown = _order.shown(OPINIONS, train[:3])
        (run.out / "grammar.txt").write_text(shown, encoding="utf-8")
        if not config.quiet:
            print(shown)
        asked = {
            "order": test,
            "long dependence": [pair for pair in test if reach(pair[0]) >= FAR],
            "variable length": opinions(rng, few, config.longest + 1, config.longest * 3 // 2),
            "the two food sentences": [tuple(sentence.split() for sentence in FOOD)],
        }
        places = {
            "shared parameters": phrases(rng, few, NEW, WORDS),
            "the phrase where it was": phrases(rng, few, SEEN, WORDS),
        }
        vocabulary = words([each for pair in [*train, *moved] for each in pair], 1000)
        nets, plain = networks(config, len(vocabulary)), "counts of 1 to 3 words"
        found: dict[str, dict[str, np.ndarray]] = {name: {} for name in [*nets, plain]}
        for part, (fit, choice, tests) in {
            "opinions": (train, validation, asked),
            "phrases": (moved, held, places),
        }.items():
            for name, net in nets.items():
                weights = learn(run, config, f"{part}/{name}", net, vocabulary, fit, choice)
                for what, pairs in tests.items():
                    found[name][what] = right(run, config, net, weights, vocabulary, pairs)
                if (part, name) == ("opinions", "lstm"):
                    asked = _asked.judges(
                        net, vocabulary, config.longest * 3 // 2, ("bad", "good"), ended
                    )
                    run.model((weights, {}), asked)
            for what, name in itertools.product(tests, nets):
                run.metric(f"{what}, {name}", found[name][what])
            for what, share in _order.counted(fit, choice, tests).items():
                run.baseline(f"{plain}, {what}", what, share)
                found[plain][what] = np.array([share])
        run.figure("criteria.png", _order.draw, found)
    return run.result


def networks(config: Config, tokens: int) -> dict[str, nn.Module]:
    size = config.hidden

    def reader(cell) -> Reader:
        return Reader(Recurrent((size,), cell, tokens), 2, last, padding=True)

    return {
        "fixed window": Window(tokens, config.window, size, (size, 2)),
        "bag of words": Bag(tokens, (size, 2)),
        "long window": Window(tokens, config.longest, size, (size, 2)),
        "rnn": reader("tanh"),
        "lstm": reader("lstm"),
    }


def ended(x: Array) -> Array:
    """Numbers [n, length] with what fills them up in front, their ends together."""
    return jax.vmap(lambda row: jnp.roll(row, (row == 0).sum()))(x)


def encoded(pairs: Pairs, vocabulary: Vocabulary, length: int) -> Batch:
    """Sentences as numbers [2 n, length], filled up in front so that their ends stand together."""
    backwards = [vocabulary.encode(sentence)[::-1] for pair in pairs for sentence in pair]
    return Batch(padded(backwards, length)[0][:, ::-1], np.tile([1, 0], len(pairs)).astype("i"))


def learn(
    run: Study,
    config: Config,
    part: str,
    net: nn.Module,
    vocabulary: Vocabulary,
    train: Pairs,
    validation: Pairs,
) -> PyTree:
    """Every seed's weights, at the rate and the step that validation prefers."""
    data, held = (encoded(pairs, vocabulary, config.longest) for pairs in (train, validation))

    def make(tx: optax.GradientTransformation) -> Learner:
        return classify.make(net, tx, data, batch=config.batch)

    def loss(params: PyTree) -> Array:
        return classify.evaluate(net, (params, {}), held)["validation/loss"]

    return by_adam(run, config, part, make, loss)


def right(
    run: Study,
    config: Config,
    net: nn.Module,
    weights: PyTree,
    vocabulary: Vocabulary,
    pairs: Pairs,
) -> np.ndarray:
    """Every seed's share of sentences understood, [S]."""
    length = max(config.longest, *(len(pair[0]) for pair in pairs))
    data = encoded(pairs, vocabulary, length)
    return np.asarray(
        run.each(
            lambda own: classify.evaluate(net, (own, {}), data, "test")["test/accuracy"], weights
        )
    )


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
