"""A network composes Irish tunes in letters, beside chains of counts that do the same.

System S23 of the syllabus. 804 tunes in ABC notation, split by tune after those with the same notes
are removed. What is written is read by a strict reader of the notation, and held against tunes that
were never learnt from; it can be heard (`heard/*.mid`), and seen as a piano roll. The baselines are
Witten and Bell's (1991) mixtures of counts, of three characters and of as many as are best, which
are given real headers; the network writes its own.

    python -m experiments.sequences.music
    python -m experiments.sequences.music --preset standard --out runs/a  # 14 min on 2 cores
    python -m experiments.sequences.music --preset standard --out runs/a --resume --prompt "X:1
    T:My own
    M:6/8"
    python -m experiments.sequences.music --data my.abc
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from dljax.data.text import Vocabulary, characters, corpus
from dljax.host import experiment, figures
from dljax.host.config import Common, Count, NotNegative, Positive, ShareBelow1, Widths
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.typing import Array, PyTree
from experiments.sequences import _language, _ngrams, _tunes

NAME = "sequences.music"
METRIC = "test nats per character"
BEGIN = "X:"  # of a tune
HEARD = 4  # tunes written as MIDI


@dataclass(frozen=True, kw_only=True)
class Config(_language.Writer):
    """Train a network to tell the next character of tunes, and let it compose."""

    free: ClassVar[frozenset[str]] = Common.free | {"prompt"}  # all else is measured

    data: str = "irish_abc"
    """irish_abc, or the path of a file of tunes in ABC notation."""
    hidden: Widths = (128,)
    """Units of each recurrent layer, or the width of each of a transformer's blocks, all equal."""
    dropout: ShareBelow1 = 0.2
    """Share of features dropped in training behind each layer."""
    epochs: Positive = 10
    """Passes over the tunes, where --steps is not given."""
    prompt: str = BEGIN
    """How a tune of your own begins; with --resume a finished network answers another."""
    temperature: NotNegative = 0.6
    """Of what is composed: at 0.8 one tune in eight has a slip that no reader passes."""
    tunes: Count = 200
    """How many are composed."""


PRESETS = {
    "quick": Config(seeds=3),
    "standard": Config(hidden=(256,), dropout=0.5, epochs=16, batch=16, rate=3e-3),
}
GOALS = {
    METRIC: (1.45, "our goal; counts of 4 characters gave 1.755"),
    "tunes that parse": (0.95, "our goal"),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S23"], config) as run:
        parts = _tunes.parts(corpus(config.data), config.data)
        vocabulary = characters(_tunes.BLANK + "".join(map("".join, parts)))
        kinds, blank = len(vocabulary), vocabulary.encode(_tunes.BLANK)
        longest = max(len(tune) for part in parts for tune in part) * 3 // 2
        begun = {
            text: np.append(blank, _language.prompted(vocabulary, text))
            for text in (BEGIN, config.prompt)
        }
        (train, _), validation, test = (
            (vocabulary.encode(text), told) for text, told in map(_tunes.stream, parts)
        )
        net = _language.network(config, kinds)
        fitted = _language.train(run, config, net, train, *validation)
        vocabulary.write(run.out / "vocabulary.json")
        told = _language.continuing(config, net, vocabulary, longest, blank.tolist())
        run.model(fitted.kept, told)

        def text(begin: str, tokens: np.ndarray | list[int]) -> str:
            return _tunes.ended(begin + "".join(vocabulary.decode(tokens)))

        def compose(begin: str, count: int) -> list[list[str]]:
            """Each seed's tunes."""
            prompts = jnp.tile(jnp.asarray(begun[begin]), (count, 1))

            def write(params: PyTree, seed: Array) -> Array:
                return _language.write(config, net, params, prompts, jax.random.key(seed), longest)

            tokens = np.asarray(run.each(write, fitted.kept, jnp.array(run.seeds)))
            return [[text(begin, tune) for tune in own] for own in tokens]

        composed = compose(BEGIN, config.tunes)
        shown = {"a real tune": parts[2], "network": composed[0]}
        keep(run, "network", composed[0])
        answers = composed[0] if config.prompt == BEGIN else compose(config.prompt, HEARD)[0]
        keep(run, "answer", answers[:HEARD])
        if not config.quiet:
            print(answers[0], flush=True)

        goals = GOALS if config.data == "irish_abc" else {}
        nats = _language.score(run, config, net, fitted.kept, *test)
        run.metric(METRIC, nats, "lower", goals.get(METRIC))
        nats = _language.score(run, config, net, fitted.kept, test[0])
        run.metric("with headers", nats, "lower")
        each = [_tunes.measure(own, parts[2], parts[0]) for own in composed]
        for name in each[0]:
            better = "lower" if name in _tunes.LOWER else "higher"
            run.metric(name, [found[name] for found in each], better, goals.get(name))
        beside(run, "real tunes", _tunes.measure(parts[1], parts[2], parts[0]))

        best = _ngrams.best(train, kinds, *validation)
        heads = [_tunes.halves(tune)[0] for tune in parts[1]]
        for order in sorted({3, best}, reverse=True):
            who, counted = f"{order}-gram", _ngrams.tables(train, kinds, order)
            each = chained(config, vocabulary, counted, heads, longest)
            shown[who] = [text(*tune) for tune in each]
            keep(run, who, shown[who])
            loss = {METRIC: _ngrams.score(train, kinds, order, *test)}
            beside(run, who, loss | _tunes.measure(shown[who], parts[2], parts[0]))
        title = f"{config.data}: mean over {len(run.seeds)} seeds, band from least to greatest"
        run.figure("curves.png", figures.learning_curves, fitted.records, ("loss",), title)
        middle = {who: _tunes.middle(texts) for who, texts in shown.items()}
        run.figure("roll.png", _tunes.roll, {who: tune for who, tune in middle.items() if tune})
    return run.result


def chained(
    config: Config,
    vocabulary: Vocabulary,
    counted: Sequence[_ngrams.Table],
    heads: Sequence[str],
    longest: int,
) -> Iterator[tuple[str, list[int]]]:
    """Headers, and what a chain of counts writes behind: its own are seldom of one piece."""
    rng, end = np.random.default_rng(config.seed), vocabulary.encode(_tunes.BLANK).tolist()
    for i in range(config.tunes):
        head = heads[i % len(heads)]
        start = vocabulary.encode(_tunes.BLANK + head).tolist()
        options = {"temperature": config.temperature, "end": end}
        yield head, _ngrams.write(counted, len(vocabulary), start, longest, rng, **options)


def beside(run: Study, who: str, measured: dict[str, float]) -> None:
    """What is told of others' tunes; nothing of what there is none of."""
    for name, value in measured.items():
        if np.isfinite(value):
            run.baseline(f"{who}, {name}", name, value)


def keep(run: Study, who: str, texts: list[str]) -> None:
    """All that was composed, and the first tunes of it that can be read, to be heard."""
    written = _tunes.BLANK.join(filter(None, texts)) + "\n"
    (run.out / f"{who}.abc").write_text(written, encoding="utf-8")
    (run.out / "heard").mkdir(exist_ok=True)
    for i, tune in enumerate(_tunes.parsed(texts)[:HEARD], 1):
        _tunes.write_midi(run.out / "heard" / f"{who}-{i}.mid", tune)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
