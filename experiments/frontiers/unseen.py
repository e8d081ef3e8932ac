"""A classifier is shown what it never learnt: a new class, two classes overlaid, other things.

System S53 of the syllabus, the notes' image of a cat and a dog, and then a horse. Epistemic
variance of deep ensembles (Lakshminarayanan et al. 2017), of dropout (Gal and Ghahramani 2016) and
of evidence (Sensoy et al. 2018) tells the strange from the known, as an area under the ROC curve,
beside the maximum of one network's softmax (Hendrycks and Gimpel 2017) and the distance to the
nearest training image. One network's chances are recalibrated by a temperature too.

    python -m experiments.frontiers.unseen
    python -m experiments.frontiers.unseen --data mnist --preset standard  # 15 min on 2 cores
    python -m experiments.frontiers.unseen --data cifar10 --preset standard
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge

from dljax import Member, sweep
from dljax.data import ImageData, shift
from dljax.host import experiment
from dljax.host.baselines import nearest
from dljax.host.config import (
    Common,
    Count,
    NotNegative,
    Number,
    Positive,
    ShareBelow1,
    Widths,
    require,
    require_images,
)
from dljax.host.experiment import Study
from dljax.host.fit import Selection, Watch
from dljax.host.result import Result
from dljax.learn import classify, risk, uncertainty
from dljax.learn.optimizers import optimizer
from dljax.learn.uncertainty import Told
from dljax.nets import CNN
from dljax.typing import Array, Metrics, PyTree
from experiments.frontiers import _unseen
from experiments.generative._strange import Sorts

NAME = "frontiers.unseen"
GOAL = (0.98, "our goal for the best method")


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Learn some classes, and be shown others."""

    seeds: Count = 3
    """Independent runs of each method, in one compiled program a method."""
    data: Literal["digits", "mnist", "cifar10"] = "digits"
    """digits without the 9, mnist beside clothes, or the cats and dogs of cifar10 beside horses."""
    channels: Widths = (16, 32)
    """Feature maps of each convolution."""
    hidden: Widths = (128,)
    """Widths of the dense layers before the last."""
    dropout: ShareBelow1 = 0.3
    """Share of dense features dropped in training, and by the method of that name in use."""
    epochs: Count = 40
    """Passes over the training data, where --steps is not given."""
    batch: Count = 64
    """Examples in a step."""
    rate: Positive = 2e-3
    """The learning rate of Adam at its highest."""
    shift: Number = 1
    """Move each training image by up to this many pixels."""
    members: Annotated[int, Ge(2)] = 5
    """Networks of an ensemble."""
    draws: Annotated[int, Ge(2)] = 20
    """Of dropout's masks."""
    regulariser: NotNegative = 0.05
    """What evidence for other labels costs."""


PRESETS = {
    "quick": Config(epochs=20),
    "standard": Config(hidden=(256,), epochs=5, batch=128, rate=1.5e-3, shift=2),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S53"], config) as run:
        known, strange = _unseen.task(config.data)
        require_images(known, config.channels)
        require("--batch", config.batch, below=len(known.train.y) + 1)
        sets = {"known": known.test.x[: _unseen.MOST], **strange}
        net = CNN(config.channels, (*config.hidden, len(known.classes)), config.dropout)
        numbers = [seed * config.members + i for seed in run.seeds for i in range(config.members)]
        plain = learn(run, config, known, net, "networks", numbers, None)
        groups = jax.tree.map(lambda a: a.reshape(config.seeds, -1, *a.shape[1:]), plain)
        firsts = jax.tree.map(lambda leaf: leaf[:, 0], groups)
        loss = functools.partial(uncertainty.dirichlet_loss, regulariser=config.regulariser)
        believers = learn(run, config, known, net, "evidence", run.seeds, loss)
        names = [f"network {number}" for number in numbers]
        run.model({"params": plain}, _unseen.asked(net, known), part="networks", names=names)
        run.model({"params": believers}, _unseen.asked(net, known, True), part="evidence")
        methods: dict[str, tuple[PyTree, Callable[[PyTree, Array], Told]]] = {
            "ensemble": (groups, functools.partial(_unseen.by_ensemble, net)),
            "dropout": (firsts, functools.partial(_unseen.by_dropout, net, config.draws)),
            "evidence": (believers, functools.partial(_unseen.by_evidence, net)),
        }
        # all sets together: of each size they would be compiled anew
        x = jnp.asarray(np.concatenate([*sets.values()]))
        ends = np.cumsum([len(each) for each in sets.values()])[:-1].tolist()

        def parts(found: Any) -> dict[str, Any]:
            return dict(zip(sets, np.split(np.asarray(found), ends, 1), strict=True))

        told: dict[str, dict[str, Told]] = {}
        for name, (kept, f) in methods.items():
            each = [parts(array) for array in run.each(lambda own, f=f: f(own, x), kept)]
            told[name] = {key: Told(*(array[key] for array in each)) for key in sets}
        unsure = parts(run.each(lambda own: _unseen.doubt(net, x, own), firsts))
        calibration(run, known, net, firsts)
        areas(run, known, told, unsure, parts(nearest(known.train, np.asarray(x))[1][None]))
        run.figure(
            "unseen.png", _unseen.draw, told, f"{known.name}: the first of {config.seeds} seeds"
        )
    return run.result


def learn(
    run: Study, config: Config, known: ImageData, net: CNN, part: str, numbers: list[int], loss: Any
) -> PyTree:
    """Weights [N, ...] of the best validation accuracy, by cross-entropy or another loss."""
    per_epoch = max(1, len(known.train.y) // config.batch)
    steps = config.steps or config.epochs * per_epoch
    tx = optimizer("adam", config.rate, steps=steps, schedule="warmup-cosine")
    augment = functools.partial(shift, by=config.shift)
    make = functools.partial(risk.make, loss=loss) if loss else classify.make
    learner = make(net, tx, known.train, batch=config.batch, augment=augment)

    def evaluate(member: Member) -> Metrics:
        return classify.evaluate(net, risk.weights_of(member), known.validation)

    watch = Watch(evaluate, per_epoch, Selection("validation/accuracy", risk.params_of))
    names = [f"number {number}" for number in numbers]
    many = sweep(lambda _: learner, None, numbers)
    return run.fit(many, steps, watch, part=part, names=names, chunk=50).kept


def calibration(run: Study, known: ImageData, net: CNN, params: PyTree) -> None:
    """One network's calibration before and after a temperature that validation chooses."""

    def errors(params: PyTree) -> tuple[Array, Array, Array]:
        told = [risk.predict(net, (params, {}), part.x) for part in (known.validation, known.test)]
        t = uncertainty.temperature(told[0], jnp.asarray(known.validation.y))
        labels = jnp.asarray(known.test.y)
        found = [classify.scores(told[1] / by, labels)["calibration_error"] for by in (1.0, t)]
        return t, found[0], found[1]

    names = "temperature", "test calibration error, one network", "test calibration error, at it"
    for name, values in zip(names, run.each(errors, params), strict=True):
        run.metric(name, values, "lower")


def areas(run: Study, known: ImageData, told: dict, unsure: dict, distances: dict) -> None:
    """The area under the ROC curve of each score, of what is strange among what is known."""
    y = known.test.y[: _unseen.MOST]
    for name, by in told.items():
        right = by["known"].mean.argmax(-1) == y[None]
        run.metric(f"test accuracy, {name}", right.mean(1))
    for key in [*distances][1:]:
        what = f"AUROC, {key} among {known.name}"
        found = {
            name: Sorts(by["known"].epistemic, by[key].epistemic).auroc()
            for name, by in told.items()
        }
        best = max(found, key=lambda name: found[name].mean())
        for name, values in found.items():
            goal = GOAL if (key, name) == ("clothes", best) else None
            run.metric(f"{what}, {name}", values, goal=goal)
        plain = Sorts(unsure["known"], unsure[key]).auroc()
        run.baseline(f"greatest chance of one network, {key}", f"{what}, ensemble", plain)
        apart = Sorts(distances["known"], distances[key]).auroc()
        run.baseline(f"nearest neighbour, {key}", f"{what}, ensemble", apart[0])


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
