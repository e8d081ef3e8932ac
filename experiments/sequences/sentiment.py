"""A recurrent network reads sentences and says whether they praise, beside bags of words.

Systems S15, S17, S21 and S23 of the syllabus. The sentences of SST-2 (Socher et al. 2013) with the
sentence-level training file alone, no vectors from elsewhere: choices on the development file. Read
with naive Bayes' evidence of each word and pair, the network is right of .829 (naive Bayes alone
.821) and meets our goal of .825; ten together miss that of .84 (.831), being wrong of the same
sentences. An older network without it was tested before (.814). What order adds is told by the same
networks on the test's words shuffled (.812), and by --shuffled. Without a download: reviews from a
small grammar in which `not` and `but` carry the label, so that no bag of single words can tell it.

    python -m experiments.sequences.sentiment
    python -m experiments.sequences.sentiment --data sst2 --preset standard  # 14 min on 2 cores
    python -m experiments.sequences.sentiment --data sst2 --preset standard --shuffled
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import numpy as np

from dljax import sweep
from dljax.data.sentences import Labelled, Sentences, load_sentences
from dljax.data.text import Vocabulary, padded, words
from dljax.errors import InputError
from dljax.host import experiment, figures
from dljax.host.config import Common, Count, NotNegative, Positive, ShareBelow1, Widths
from dljax.host.experiment import Study
from dljax.host.fit import Fitted, Selection, Watch
from dljax.host.result import Result
from dljax.learn import classify
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import weights_of
from dljax.nets.recurrent import CellName
from dljax.nets.sentence import SentenceClassifier
from dljax.typing import Batch
from experiments.sequences import _asked, _bags

NAME = "sequences.sentiment"
METRIC, TOGETHER = "test accuracy", "test accuracy of the ensemble"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a bidirectional recurrent network on labelled sentences."""

    free: ClassVar[frozenset[str]] = Common.free | {"prompt"}

    data: str = "reviews"
    """reviews, sst2, or the path of a file of lines `sentence <tab> label`."""
    vocabulary: Count = 7000
    """The most frequent words of the training sentences that are told apart."""
    size: Count = 32
    """Numbers of a word's vector."""
    hidden: Widths = (32,)
    """Units of each recurrent layer, in each direction."""
    cell: CellName = "lstm"
    """The recurrent cell."""
    dropout: ShareBelow1 = 0.2
    """Share of features dropped in training, of words' vectors and behind each layer."""
    forget: ShareBelow1 = 0.0
    """Share of words that become the unknown one in training."""
    evidence: bool = False
    """Tell with each word what naive Bayes knows of it, and of it and the word before."""
    smoothing: ShareBelow1 = 0.0
    """Label smoothing."""
    shuffled: bool = False
    """Put the words of every sentence in an order by chance: what is left is a bag."""
    prompt: str = ""
    """A sentence to judge, words as in the data; with --resume a finished run judges another."""
    epochs: Count = 10
    """Passes over the training sentences, where --steps is not given."""
    batch: Count = 32
    """Sentences in a step."""
    rate: Positive = 5e-3
    """The learning rate of Adam at its highest."""
    weight_decay: NotNegative = 0.0
    """Decoupled decay of matrices."""


PRESETS = {
    "quick": Config(),
    "standard": Config(
        seeds=10,
        size=50,
        hidden=(100,),
        cell="gru",
        dropout=0.5,
        forget=0.3,
        evidence=True,
        epochs=4,
        batch=64,
        rate=3e-3,
    ),
}
GOALS = {
    METRIC: (0.825, "our goal"),
    TOGETHER: (0.84, "our goal, of 10"),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S15", "S17", "S21", "S23"], config) as run:
        data = load_sentences(config.data)
        vocabulary = words(data.train.words, config.vocabulary)
        labels = np.unique(data.train.labels)  # as they are numbered here
        if new := set(np.concatenate([part.labels for part in data]).tolist()) - set(labels):
            raise InputError(
                f"{config.data}: no training sentence has the labels {sorted(new)}, validation or "
                f"test has"
            )
        data = Sentences(*(p._replace(labels=np.searchsorted(labels, p.labels)) for p in data))
        train, validation, test = (numbered(vocabulary, part, config.shuffled) for part in data)
        kinds = len(labels)
        see, train = _bags.evident(config.evidence, train, len(vocabulary), kinds)
        options = config.size, config.hidden, config.cell, config.dropout, config.forget
        net = SentenceClassifier(len(vocabulary), kinds, *options)
        fitted = fit(run, config, net, train, see(validation))

        def chances(data: Batch) -> np.ndarray:
            """Each seed's, [S, n, kinds]."""
            x = see(data).x
            logits = run.each(lambda kept: classify.predict(net, kept, x), fitted.kept)
            return np.asarray(jax.nn.softmax(logits))

        if prompt := config.prompt.split():
            one = numbered(vocabulary, Labelled([prompt], np.zeros(1, int)))
            said = (
                f"label {label}: {p:.3f}"
                for label, p in zip(labels, chances(one).mean(0)[0], strict=True)
            )
            print("  ".join(said), flush=True)
            if unseen := [word for word in prompt if word not in vocabulary.tokens]:
                print(f"words not known: {' '.join(unseen)}", flush=True)
        vocabulary.write(run.out / "vocabulary.json")
        length = max(part.x.shape[1] for part in (train, validation, test))
        asked = _asked.judges(
            net, vocabulary, length, labels.tolist(), lambda x: see(Batch(x, None)).x
        )
        run.model(fitted.kept, asked)
        report(run, config, _bags.scores(data), test.y, chances(test))
        mixed = chances(numbered(vocabulary, data.test, mix=True))
        run.metric("test accuracy, its words shuffled", (mixed.argmax(-1) == test.y).mean(-1))
        title = f"{config.data}: mean over {len(run.seeds)} seeds, band from least to greatest"
        shown = ("loss", "accuracy")
        run.figure("curves.png", figures.learning_curves, fitted.records, shown, title)
    return run.result


def fit(
    run: Study, config: Config, net: SentenceClassifier, train: Batch, validation: Batch
) -> Fitted:
    """Every seed's weights at its least validation loss."""
    per_epoch = max(1, len(train.y) // config.batch)
    steps = config.steps or config.epochs * per_epoch
    tx = optimizer(
        "adam", config.rate, steps=steps, schedule="cosine", weight_decay=config.weight_decay
    )
    learner = classify.make(net, tx, train, batch=config.batch, smoothing=config.smoothing)
    return run.fit(
        sweep(lambda _: learner, None, run.seeds),
        steps,
        Watch(
            lambda member: classify.evaluate(net, weights_of(member), validation),
            max(1, per_epoch // 2),
            Selection("validation/loss", weights_of, lowest=True),
        ),
        shown=("train/loss", "validation/accuracy"),
    )


def report(
    run: Study, config: Config, plain: dict[str, float], labels: np.ndarray, chances: np.ndarray
) -> None:
    """Each seed's accuracy and that of their mean, beside the bags of words."""
    found = (chances.argmax(-1) == labels).mean(-1)
    together = np.mean(chances.mean(0).argmax(-1) == labels)
    goals = GOALS if config.data == "sst2" and not config.shuffled else {}
    run.metric(METRIC, found, goal=goals.get(METRIC))
    run.metric(TOGETHER, [together], members=len(found))
    if goals and len(found) >= 10:
        value, source = goals[TOGETHER]
        run.target(TOGETHER, value, source, together >= value)
    for name, accuracy in plain.items():
        run.baseline(name, METRIC, accuracy)
    run.metric("lead over the best bag of words", found - max(plain.values()))


def numbered(vocabulary: Vocabulary, data: Labelled, mix: bool = False) -> Batch:
    """Tokens [n, T], padded to the longest sentence, each `mix`ed by chance, and labels [n]."""
    tokens = [vocabulary.encode(sentence) for sentence in data.words]
    if mix:
        rng = np.random.default_rng(0)
        tokens = [rng.permutation(each) for each in tokens]
    return Batch(padded(tokens, max(map(len, tokens)))[0], data.labels)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
