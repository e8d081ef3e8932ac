"""The data of `shapes`, the plain methods beside its networks, and what it draws."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax

from dljax import Learner
from dljax.data import documents, load, scenes
from dljax.data.grammar import opinions
from dljax.data.readers import Prose
from dljax.data.scaling import standard
from dljax.data.series import Series, load_series, windows
from dljax.data.text import BOS, EOS, SPECIAL, Vocabulary, padded, words
from dljax.errors import InputError
from dljax.host import figures
from dljax.host.baselines import chosen
from dljax.learn import risk
from dljax.nets import CNN
from dljax.typing import Array, Batch, PyTree

HELD, ASKED = 500, 1000  # scenes, and films, for validation and for the test
CAPTION = 9  # words of a caption with its first and last
FEWEST = 20  # documents, of which a tenth is for validation
KINDS = (3, 2, 4, 10)  # shapes, sizes, relations and digits


class Split(NamedTuple):
    """What is learnt from, what is chosen by, and what is tested on."""

    train: Batch
    validation: Batch
    test: Batch


class Texts(NamedTuple):
    """Documents as words, their labels, and their classes."""

    train: tuple[list[list[str]], list[int]]
    validation: tuple[list[list[str]], list[int]]
    test: tuple[list[list[str]], list[int]]
    classes: tuple[str, ...]
    reader: type[Vocabulary]


def texts(name: str) -> Texts:
    """`opinions` of the grammar, or an archive of documents, a tenth of it for validation."""
    rng = np.random.default_rng(0)
    if name == "opinions":
        drawn = [each for pair in opinions(rng, 1500, 1, 30) for each in pair]
        rows, labels = drawn, [1, 0] * 1500
        test, classes, reader = (rows[-600:], labels[-600:]), ("bad", "good"), Vocabulary
        rows, labels = rows[:-600], labels[:-600]
    else:
        (train, last, classes), reader = documents.read_archive(name), Prose
        test = [documents.tokens(text) for text in last.texts], last.labels
        rows, labels = [documents.tokens(text) for text in train.texts], train.labels
    if len(rows) < FEWEST:
        raise InputError(f"at least {FEWEST} training documents are needed; got {len(rows)}")
    # two in a row stay together: the grammar's have the same words
    order = np.ravel(2 * rng.permutation(len(rows) // 2)[:, None] + np.arange(2))
    cut = len(rows) // 20 * 2
    parts = [
        ([rows[i] for i in part], [labels[i] for i in part]) for part in (order[cut:], order[:cut])
    ]
    return Texts(*parts, test=test, classes=classes, reader=reader)


def numbered(found: Texts, most: int, length: int) -> tuple[Split, Vocabulary]:
    """The first `length` words of each document as numbers, 0 where it has fewer."""
    vocabulary = found.reader(words(found.train[0], most).tokens)
    splits = (
        Batch(padded([vocabulary.encode(row) for row in rows], length)[0], np.array(labels, "i"))
        for rows, labels in (found.train, found.validation, found.test)
    )
    return Split(*splits), vocabulary


def tf_idf(found: Texts) -> float:
    """The test accuracy of logistic regression on TF-IDF, its penalty chosen on validation."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words: Any = {"analyzer": lambda row: row, "sublinear_tf": True, "min_df": 2}
    fitted = [
        make_pipeline(TfidfVectorizer(**words), LogisticRegression(C=c, max_iter=200)).fit(
            *found.train
        )
        for c in (1.0, 10.0, 100.0)
    ]
    return float(chosen(fitted, found.validation).score(*found.test))


class Pictures(NamedTuple):
    """Scenes: their captions as words and numbers, and what they show, [n, 4]."""

    split: Split
    shown: tuple[np.ndarray, ...]
    vocabulary: Vocabulary


def pictures(n: int) -> Pictures:
    """Scenes whose combinations of shape, place and digit are in one of the splits alone."""
    rng, digits = np.random.default_rng(0), load("digits")
    held, asked, known = scenes.combinations(rng, 12, 24)
    parts = (
        scenes.scenes(rng, digits.train, n, known),
        scenes.scenes(rng, digits.validation, HELD, held),
        scenes.scenes(rng, digits.test, ASKED, asked),
    )
    said = [[scene.caption.split() for scene in shown] for _, shown in parts]
    vocabulary = words(said[0], 100, SPECIAL)
    splits = (
        Batch(x, padded([np.r_[BOS, vocabulary.encode(c), EOS] for c in captions], CAPTION)[0])
        for (x, _), captions in zip(parts, said, strict=True)
    )
    return Pictures(Split(*splits), tuple(np.array(s) for _, s in parts), vocabulary)


def template(
    pictures: Pictures, size: int, batch: int
) -> tuple[
    Callable[[optax.GradientTransformation], Learner],
    Callable[[PyTree], Array],
    Callable[[PyTree], Array],
]:
    """One network with a classifier for each word that a fixed sentence leaves open.

    Gives the learner by its optimiser, its validation loss, and its share of sentences all right.
    """
    heads, most = len(KINDS), max(KINDS)  # a word of fewer kinds never has the others

    def parted(z: Array) -> Array:
        return z.reshape(len(z), heads, most)

    net = nn.Sequential([CNN((8, 16), (2 * size, heads * most)), parted])
    known, held, asked = (
        Batch(each.x, shown) for each, shown in zip(pictures.split, pictures.shown, strict=True)
    )

    def loss(outputs: Array, y: Array) -> Array:
        return optax.softmax_cross_entropy_with_integer_labels(outputs, y).sum(-1)

    def make(tx: optax.GradientTransformation) -> Learner:
        return risk.make(net, tx, known, loss, batch=batch)

    def validate(params: PyTree) -> Array:
        return loss(risk.apply(net, params, held.x), jnp.asarray(held.y)).mean()

    def right(params: PyTree) -> Array:
        guesses = risk.apply(net, params, asked.x).argmax(-1)
        return (guesses == jnp.asarray(asked.y)).all(1).mean()

    return make, validate, right


def nearest(split: Split) -> float:
    """The share of test captions that the most similar training image has."""
    from sklearn.neighbors import NearestNeighbors

    known, asked = (each.x.reshape(len(each.x), -1) for each in (split.train, split.test))
    rows = NearestNeighbors(n_neighbors=1).fit(known).kneighbors(asked, return_distance=False)
    found = split.train.y[rows[:, 0]]
    return float((found == split.test.y).all(1).mean())


def films(n: int) -> Split:
    digits, rng = load("digits"), np.random.default_rng(0)
    sizes = ((digits.train, n), (digits.validation, HELD), (digits.test, ASKED))
    return Split(*(scenes.films(rng, own, size, 12, 0.4, 0.2) for own, size in sizes))


def frame_by_frame(split: Split) -> dict[str, float]:
    """Frames labelled right by logistic regression: each alone, and sure ones until the next.

    What is sure, and the penalty, are chosen on validation; the penalty by a part of the frames.
    """
    from sklearn.linear_model import LogisticRegression

    def flat(data: Batch) -> np.ndarray:
        return data.x.reshape(-1, data.x[0, 0].size)

    rows = np.random.default_rng(0).permutation(split.train.y.size)[:12000]
    x, y = flat(split.train)[rows], split.train.y.ravel()[rows]
    fits = [LogisticRegression(C=c, max_iter=200).fit(x, y) for c in (0.001, 0.01, 0.1)]
    best = chosen(fits, (flat(split.validation), split.validation.y.ravel()))
    best.fit(flat(split.train), split.train.y.ravel())

    def carried(data: Batch, sure: float) -> float:
        chances = best.predict_proba(flat(data)).reshape(*data.y.shape, -1)
        guesses = chances.argmax(-1)
        for t in range(1, guesses.shape[1]):
            unsure = chances[:, t].max(-1) < sure
            guesses[unsure, t] = guesses[unsure, t - 1]
        return float((guesses == data.y).mean())

    sure = max(np.linspace(0.2, 0.9, 8), key=lambda level: carried(split.validation, level))
    return {"each frame alone": carried(split.test, 0), "sure ones kept": carried(split.test, sure)}


def forecasts(name: str, past: int, horizon: int) -> tuple[Split, float]:
    """Windows of a scaled series in order of time, and its standard deviation.

    `sines` are two, and noise.
    """
    if name == "sines":
        t, rng = np.arange(3000), np.random.default_rng(0)
        values = np.sin(t / 4) + np.sin(t / 11 + 1) + rng.normal(0, 0.2, len(t))
        series = Series("sines", ("value",), values[:, None])
    else:
        series = load_series(name)
    cuts = [len(series) * 7 // 10, len(series) * 8 // 10]
    scale = standard(series.values[: cuts[0]])
    values = scale.scale(series.values)[:, :1].astype(np.float32)
    parts = np.split(values, cuts)
    # validation and test may look back, but their targets are their own
    before = [values[:0], parts[0][-past:], parts[1][-past:]]
    splits = [
        windows(np.concatenate([b, each]), past, horizon)
        for b, each in zip(before, parts, strict=True)
    ]
    return Split(*splits), float(scale.sd[0])


def plain_forecasts(split: Split) -> dict[str, np.ndarray]:
    """Forecasts [n, horizon] of the test by ridge regression, and by the last value kept."""
    from sklearn.linear_model import RidgeCV

    def flat(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1)

    model = RidgeCV(np.logspace(-3, 3, 7)).fit(flat(split.train.x), flat(split.train.y))
    kept = np.repeat(split.test.x[:, -1], split.test.y.shape[1], 1)
    return {"ridge regression": model.predict(flat(split.test.x)), "persistence": kept}


def draw_captions(path: Path, images: np.ndarray, said: Sequence[str], true: Sequence[str]) -> None:
    """Twelve scenes of new combinations, each with its caption; below a wrong one the right."""
    figure, axes = figures.panels(4, 3, size=(2.1, 1.9))
    for ax, image, own, right in zip(axes, images, said, true, strict=False):
        figures.picture(ax, image)
        ax.axis("off")
        ax.set_title(own if own == right else f"{own}\n({right})", fontsize=7)
    figures.save(figure, path)


def draw_films(path: Path, films: Batch, guesses: np.ndarray) -> None:
    """The frames of four films, each under its label; a wrong one has the right in brackets."""
    figure, axes = figures.panels(films.y.shape[1], 4, size=(0.8, 0.95))
    each = zip(films.x[:4].reshape(-1, *films.x.shape[2:]), films.y[:4].ravel(), strict=True)
    for ax, (frame, right), own in zip(axes, each, guesses[:4].ravel(), strict=True):
        figures.picture(ax, frame[..., None])
        ax.axis("off")
        ax.set_title(str(own) if own == right else f"{own} ({right})", fontsize=7)
    figures.save(figure, path)
