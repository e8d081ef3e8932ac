r"""Translation with attention, without it, by a small Transformer, and by two plain translators.

Systems S17, S19 and S23 of the syllabus: Sutskever et al. 2014; Bahdanau et al. 2015; Luong et al.
2015; Vaswani et al. 2017. Joint subwords, one table of vectors for source, target and output, label
smoothing, beam search. Multi30k (Elliott et al. 2016), German to English, trained on its 29,000
pairs alone, tested on the sentences of 2016; BLEU with case by sacrebleu: 35.6 with attention, 35.4
by the Transformer, 22.6 without attention, which loses the more the longer a sentence is; 28.1 word
by word. Attention's scores were once not divided by the root of their size, which cost 11 BLEU, and
that was seen in the figure of the test's sentences. Without a download: numbers in digits, read
aloud in English.

    python -m experiments.sequences.translate  # standard: 75 min on 2 cores
    python -m experiments.sequences.translate --data multi30k --preset standard --out runs/a
    python -m experiments.sequences.translate --data multi30k --preset standard --out runs/a \
        --resume --prompt "Ein Hund schläft unter dem Tisch."
"""

import functools
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import annotated_types as at
import numpy as np
import optax

from dljax import Batch
from dljax.data.pairs import Texts, bucketed, learn_subwords, load_pairs, whole
from dljax.data.text import UNK
from dljax.host import experiment
from dljax.host.config import Common, Count, Positive, ShareBelow1
from dljax.host.experiment import Study
from dljax.host.figures import curve
from dljax.host.fit import Fitted, Selection, Watch
from dljax.host.result import Result
from dljax.learn import translate
from dljax.learn.optimizers import optimizer
from dljax.typing import Metrics, PyTree
from experiments.sequences import _translations
from experiments.sequences._translations import Translator

NAME = "sequences.translate"
Net = Literal["attention", "no attention", "transformer"]


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train translators one after another; seeds too are trained one after another."""

    free: ClassVar[frozenset[str]] = Common.free | {"prompt"}

    data: str = "numbers"
    """numbers, multi30k, or the path of a file of lines `source <tab> target`."""
    nets: Annotated[tuple[Net, ...], at.MinLen(1)] = ("attention", "no attention", "transformer")
    """Which translators."""
    subwords: Count = 150
    """The size of the joint table of subwords."""
    longest: Count = 50
    """The most subwords of a training pair's sides, and of what is written."""
    buckets: Count = 1
    """Groups of like lengths, each padded to its own longest."""
    size: Count = 64
    """Numbers of a subword's vector; the width of the transformer."""
    hidden: Count = 128
    """Units of each recurrent decoder layer; half of it in each direction of the encoder."""
    score: Literal["multiplicative", "additive"] = "multiplicative"
    """How recurrent attention scores."""
    blocks: Count = 2
    """Of the transformer's encoder, and as many of its decoder."""
    heads: Count = 4
    """Heads of each of its blocks."""
    inner: Count = 128
    """Units inside each of its blocks."""
    dropout: ShareBelow1 = 0.1
    """Share of features dropped in training."""
    smoothing: ShareBelow1 = 0.1
    """Label smoothing."""
    epochs: Positive = 8
    """Passes over the training pairs, where --steps is not given."""
    tokens: Count = 1000
    """Target subwords in a step, padding counted."""
    rate: Positive = 4e-3
    """The learning rate of Adam at its highest."""
    transformer_rate: Positive = 3e-3
    """That of the transformer."""
    beams: Count = 4
    """Beginnings that the search keeps."""
    prompt: str = ""
    """A sentence to translate; with --resume a finished run translates another."""


STANDARD = Config(
    seeds=1,
    subwords=4000,
    buckets=4,
    size=256,
    hidden=256,
    blocks=3,
    inner=512,
    dropout=0.15,
    epochs=5,
    tokens=1200,
    rate=3e-3,
    transformer_rate=1.5e-3,
    beams=5,
)
PRESETS = {
    "quick": Config(seeds=1),
    "standard": STANDARD,
    "full": replace(STANDARD, seeds=5, epochs=30, tokens=4000, hidden=1024, inner=1024),
}
GOALS = {
    "attention": (28.3, "a well-known tutorial, one seed; an LSTM without attention gets 13.8"),
    "transformer": (32.0, "our goal, one seed; the tutorial's larger one gets 36.5"),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S17", "S19", "S23"], config) as run:
        pairs = load_pairs(config.data)
        subwords = learn_subwords(pairs.train.source + pairs.train.target, config.subwords)
        nets = {name: _translations.network(config, name, len(subwords)) for name in config.nets}
        train = bucketed(pairs.train, subwords, config.longest, config.buckets)
        validation, test = (
            whole(part, subwords, 2 * config.longest) for part in (pairs.validation, pairs.test)
        )
        written: dict[str, list[list[str]]] = {}  # of each network, of each seed
        curves: dict[str, tuple[list[int], np.ndarray]] = {}
        write = functools.partial(translate.translate_all, most=config.longest, beams=config.beams)
        for name, net in nets.items():
            written[name], records, kept = [], [], []
            for seed in run.seeds:
                fitted = trained(run, config, name, net, train, validation, seed)
                if config.prompt.strip():  # before the test, which takes its time
                    asked = whole(Texts([config.prompt], [""]), subwords, 2 * config.longest).x
                    answer = write(net, fitted.kept, asked, chunk=1)
                    unsure = " (of a text that is known in part)" if UNK in asked else ""
                    print(f"{name}{unsure}: {subwords.decode(answer)[0]}", flush=True)
                tokens = write(net, fitted.kept, test.x)
                written[name].append(subwords.decode(tokens))
                records.append(curve(fitted.records, "validation/nats"))
                kept.append(fitted.kept)
                if seed == run.seeds[0] and name != "no attention":
                    maps = _translations.looks(net, fitted.kept, test.x, tokens, subwords)
                    run.figure(f"{name}.png", _translations.draw_maps, maps)
            _translations.leave(run, name, net, subwords, kept)
            curves[name] = records[0][0], np.concatenate([values for _, values in records], 1)
            values = [translate.bleu(each, pairs.test.target) for each in written[name]]
            metric = run.metric(f"test BLEU, {name}", values)
            if config.data == "multi30k" and name in GOALS:
                value, source = GOALS[name]
                run.target(f"test BLEU, {name}", value, source, metric["mean"] >= value)
        _translations.measure_lengths(run, pairs.test, written)
        plain = _translations.plain(pairs)
        for name, texts in plain.items():
            run.baseline(name, "test BLEU", translate.bleu(texts, pairs.test.target))
        subwords.write(run.out / "subwords.json")
        plain |= {name: texts[0] for name, texts in written.items()}
        _translations.write(run.out / "translations.txt", pairs.test, plain)
        run.figure("curves.png", _translations.draw_curves, curves)
    return run.result


def trained(
    run: Study,
    config: Config,
    name: str,
    net: Translator,
    train: list[Batch],
    validation: Batch,
    seed: int,
) -> Fitted:
    """One network of one seed, the weights kept being those of the least validation loss."""
    per_epoch = translate.epoch_of(train, config.tokens)
    steps = config.steps or max(1, round(config.epochs * per_epoch))
    rate = config.transformer_rate if name == "transformer" else config.rate
    descent = optimizer("adam", rate, steps=steps, schedule="warmup-cosine")
    tx = optax.chain(optax.clip_by_global_norm(1.0), descent)

    def validate(state: translate.State) -> Metrics:
        return translate.evaluate(net, state.fit.params, validation)

    return run.fit(
        translate.make(net, tx, train, tokens=config.tokens, smoothing=config.smoothing),
        steps,
        Watch(validate, per_epoch, Selection("validation/nats", weights, lowest=True)),
        part=f"{name.replace(' ', '-')}-{seed}",
        key=seed,
        names=[f"seed {seed}"],
        shown=("train/loss", "validation/nats"),
        chunk=50,
    )


def weights(state: translate.State) -> PyTree:
    return state.fit.params


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
