"""One or many in, one or many out: digits, documents, captions, films and forecasts.

System S17 of the syllabus, each shape on a small task of its own: a digit is named (one to one), a
document classified (many to one), a scene described (one to many; Vinyals et al. 2015), the frames
of a film labelled and a series forecast (many to many). Beside every network stand plain methods.
Of the scenes' combinations of shape, place and digit those of the test occur in no other split, so
that to look a caption up fails; so does the captioner (.001 of the sentences all right), and nearly
so does a template filled by classifiers (.12): 4,000 scenes of 84 combinations are learnt by heart.
Documents are better told by TF-IDF (.82, network .50), frames (.85) and forecasts by networks.
Without --documents these are the grammar's opinions.

    python -m experiments.sequences.shapes  # standard: 19 min on 2 cores
    python -m experiments.sequences.shapes --preset standard --documents 20news-bydate.tar.gz
"""

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
import numpy as np
import optax
from annotated_types import Ge, MinLen

from dljax import Batch, Learner
from dljax.data import load
from dljax.data.text import EOS
from dljax.host import experiment, function
from dljax.host.baselines import logistic_regression
from dljax.host.config import Common, Count, Positive, ShareBelow1
from dljax.host.experiment import Study
from dljax.host.result import Result
from dljax.learn import classify, forecast, risk, translate
from dljax.nets import MLP
from dljax.nets.caption import Captioner
from dljax.nets.forecaster import Forecaster
from dljax.nets.reader import Reader, average
from dljax.nets.recurrent import Recurrent
from dljax.typing import Array, PyTree
from experiments.sequences import _asked, _shapes
from experiments.sequences._choose import by_adam

NAME = "sequences.shapes"
BEAMS = 3  # beginnings of a caption that the search keeps


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Train a small network for each shape of input and output."""

    steps: Count = 1000
    """Training steps of each network."""
    documents: str = "opinions"
    """opinions, or the path of an archive of folders, as 20 Newsgroups comes."""
    series: str = "sines"
    """sines, min-temperatures, max-temperatures, or the path of a CSV file."""
    examples: Annotated[int, Ge(100)] = 4000
    """Scenes and films to learn from."""
    most: Count = 8000
    """Words of the documents' vocabulary."""
    length: Count = 150
    """Words of a document that are read."""
    past: Count = 48
    """Steps of the series that are seen."""
    horizon: Count = 12
    """Steps of it that are told."""
    hidden: Count = 64
    """Units of each recurrent layer."""
    dropout: ShareBelow1 = 0.5
    """Share of the documents' features dropped in training."""
    batch: Count = 32
    """Examples in a step."""
    rates: Annotated[tuple[Positive, ...], MinLen(1)] = (1e-3, 4e-3)
    """Learning rates of Adam to choose from by validation."""


PRESETS = {
    "quick": Config(seeds=3, steps=200, examples=1500),
    "standard": Config(series="min-temperatures"),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S17"], config) as run:
        # what is the user's is read before anything is trained
        documents = _shapes.texts(config.documents)
        series = _shapes.forecasts(config.series, config.past, config.horizon)
        one_to_one(run, config)
        many_to_one(run, config, documents)
        one_to_many(run, config)
        many_to_many(run, config)
        forecasting(run, config, *series)
    return run.result


def classifier(run: Study, config: Config, part: str, net: Any, data: _shapes.Split) -> PyTree:
    """Every seed's weights, trained on labels, whose test accuracy is told."""

    def make(tx: optax.GradientTransformation) -> Learner:
        return classify.make(net, tx, data.train, batch=config.batch)

    def loss(params: PyTree) -> Array:
        return classify.evaluate(net, (params, {}), data.validation)["validation/loss"]

    kept = by_adam(run, config, part, make, loss)
    found = run.each(lambda own: classify.evaluate(net, (own, {}), data.test, "test"), kept)
    run.metric(f"{part}: test accuracy", found["test/accuracy"])
    return kept


def one_to_one(run: Study, config: Config) -> None:
    digits = load("digits")
    net = MLP((config.hidden, len(digits.classes)))
    split = _shapes.Split(digits.train, digits.validation, digits.test)
    kept = classifier(run, config, "one to one", net, split)
    run.model({"params": kept}, {"predict": function.classifier(net, digits)}, part="digits")
    plain = logistic_regression(digits)["mean"]
    run.baseline("logistic regression, one to one", "one to one: test accuracy", plain)


def many_to_one(run: Study, config: Config, found: _shapes.Texts) -> None:
    data, known = _shapes.numbered(found, config.most, config.length)
    body = Recurrent((config.hidden,), "gru", len(known), config.dropout)
    net = Reader(body, len(found.classes), average, padding=True)
    kept = classifier(run, config, "many to one", net, data)
    run.model((kept, {}), _asked.judges(net, known, config.length, found.classes), part="texts")
    plain = "TF-IDF with logistic regression, many to one"
    run.baseline(plain, "many to one: test accuracy", _shapes.tf_idf(found))


def one_to_many(run: Study, config: Config) -> None:
    scenes = _shapes.pictures(config.examples)
    (known, held, asked), names = scenes.split, scenes.vocabulary
    net, most = Captioner(len(names), config.hidden), asked.y.shape[1] - 1

    def loss(params: PyTree) -> Array:
        return translate.evaluate(net, params, held)["validation/nats"]

    def make(tx: optax.GradientTransformation) -> Learner:
        return translate.make(net, tx, [known], tokens=config.batch * most)

    def describe(params: PyTree) -> Array:
        return translate.translate(net, params, asked.x, most=most, beams=BEAMS)

    said = np.asarray(run.each(describe, by_adam(run, config, "one to many", make, loss)))
    metric = "one to many: captions all right"
    run.metric(metric, (said == asked.y[:, 1:]).all(-1).mean(-1))
    run.baseline("nearest image, one to many", metric, _shapes.nearest(scenes.split))
    filling, its_loss, right = _shapes.template(scenes, config.hidden, config.batch)
    filled = run.each(right, by_adam(run, config, "template", filling, its_loss))
    run.baseline("template filled by a classifier, one to many", metric, filled)

    def text(rows: np.ndarray) -> list[str]:
        return [" ".join(names.decode(row[row > EOS])) for row in rows]

    run.figure("captions.png", _shapes.draw_captions, asked.x, text(said[0]), text(asked.y[:, 1:]))


def many_to_many(run: Study, config: Config) -> None:
    films = _shapes.films(config.examples)
    net = Reader(Recurrent((config.hidden,), "gru"), 10, dense=(2 * config.hidden,))

    def loss(logits: Array, y: Array) -> Array:
        return optax.softmax_cross_entropy_with_integer_labels(logits, y)

    def make(tx: optax.GradientTransformation) -> Learner:
        return risk.make(net, tx, films.train, loss, batch=config.batch)

    def validate(params: PyTree) -> Array:
        return loss(risk.apply(net, params, films.validation.x), films.validation.y).mean()

    kept = by_adam(run, config, "many to many", make, validate)
    guesses = np.asarray(run.each(lambda own: risk.apply(net, own, films.test.x).argmax(-1), kept))
    metric = "many to many: frames right"
    run.metric(metric, (guesses == films.test.y).mean((1, 2)))
    for name, share in _shapes.frame_by_frame(films).items():
        run.baseline(f"{name}, many to many", metric, share)
    run.figure("films.png", _shapes.draw_films, films.test, guesses[0])


def forecasting(run: Study, config: Config, split: _shapes.Split, sd: float) -> None:
    net = Forecaster(config.horizon, 1, (config.hidden,), (config.hidden,))
    beyond = Batch(split.train.x, (split.train.y - split.train.x[:, -1:])[..., 0])

    def make(tx: optax.GradientTransformation) -> Learner:
        return risk.make(net, tx, beyond, optax.squared_error, batch=config.batch)

    def error(params: PyTree, data: Batch) -> Array:
        told = risk.apply(net, params, data.x) + data.x[:, -1]  # what is added to the last value
        return sd * forecast.series_errors(told, jnp.asarray(data.y[..., 0]))["RMSE"]

    kept = by_adam(run, config, "forecast", make, lambda own: error(own, split.validation))
    run.metric("forecast: RMSE", run.each(lambda own: error(own, split.test), kept), "lower")
    for name, told in _shapes.plain_forecasts(split).items():
        wrong = sd * np.sqrt(np.mean((told - split.test.y[..., 0]) ** 2))
        run.baseline(name, "forecast: RMSE", wrong)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
