"""What a network looks at: maps of what a decision hangs on, and whether they are of the network.

System S55 of the syllabus, uninterpretable: gradients (Simonyan et al. 2014), gradients times the
input, integrated gradients, whose sum is the difference of the outputs (Sundararajan et al. 2017),
and occlusion (Zeiler and Fergus 2014), of the true label's logit. The sanity check of Adebayo et
al. 2018: a network whose layers are made random from the top on, or that learnt random labels by
heart, must change the map, more than another seed does. Then the probability of the label as
pixels are made black in a map's order, beside orders that need no network: random, the brightest
first, edges first. Black pixels are of no image that was learnt from (Hooker et al. 2019), so this
tells orders apart, and no truth. Maps that are multiplied by the image are ranked by the image: on
digits by integrated gradients .91 alike when all layers are random, .94 between seeds. Their signs
do change, .02 and .53. The gradient, which is not so hidden, is a worse order than brightness.

    python -m experiments.frontiers.black_box
    python -m experiments.frontiers.black_box --preset standard  # 7 min on 2 cores
"""

import functools
from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
import numpy as np
from annotated_types import Ge

from dljax import Learner, sweep
from dljax.data import ImageData, load
from dljax.host import experiment
from dljax.host.baselines import logistic_regression
from dljax.host.config import Common, Count, Positive, Widths, require, require_images
from dljax.host.experiment import Study
from dljax.host.function import classifier
from dljax.host.result import Result
from dljax.learn import classify, saliency
from dljax.learn.optimizers import optimizer
from dljax.learn.risk import params_of
from dljax.nets import CNN
from dljax.typing import Array, Batch, PyTree
from experiments.frontiers import _black_box

NAME = "frontiers.black_box"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Explain a network's decisions, and ask whether the explanations are of the network."""

    seeds: Annotated[int, Ge(2)] = 5
    """Independent runs in one compiled program; each is compared with another."""
    steps: Count = 400
    """Training steps on true labels."""
    data: str = "digits"
    """digits, mnist, fashion_mnist, or the path of an .npz file with images x and labels y."""
    channels: Widths = (16, 32)
    """Feature maps of each convolution."""
    hidden: Count = 64
    """Width of the dense layer."""
    batch: Count = 64
    """Examples in a step."""
    rate: Positive = 2e-3
    """The learning rate of Adam, which falls as a cosine."""
    memorised: Count = 300
    """The first training images, to be learnt with random labels."""
    noise_steps: Count = 1000
    """Training steps on random labels."""
    images: Count = 100
    """Test images that are explained."""
    path: Count = 50
    """Steps on the way of integrated gradients."""
    window: Count = 2
    """Side of the square that occlusion moves."""
    stride: Count = 1
    """Pixels that it moves by."""
    points: Annotated[int, Ge(2)] = 17
    """Shares of pixels from none to all on a curve of deletion."""


PRESETS = {
    "quick": Config(),
    "standard": Config(
        data="fashion_mnist",
        steps=3000,
        memorised=1000,
        noise_steps=3000,
        images=200,
        window=4,
        stride=2,
    ),
}


def main(config: Config) -> Result:
    with Study(NAME, ["S55"], config) as run:
        data = load(config.data)
        net = network(config, data)
        true = np.tile(data.train.y, (config.seeds, 1))
        classes, count = len(data.classes), config.memorised
        wrong = [np.random.default_rng(seed).integers(classes, size=count) for seed in run.seeds]
        trained, tested, _ = learn(run, config, net, data, true, "true", config.steps)
        run.model({"params": trained}, {"predict": classifier(net, data)})
        run.metric("test accuracy", tested)
        run.baseline("logistic regression", **logistic_regression(data))
        noise, tested, own = learn(
            run, config, net, data, np.stack(wrong), "noise", config.noise_steps
        )
        run.metric("random labels learnt", own)
        run.metric("test accuracy, random labels", tested)
        shown = Batch(*(part[: config.images] for part in data.test))
        found = _black_box.explained(run, net, methods(config), trained, noise, shown)
        _black_box.complete(run, net, trained, found, shown)
        _black_box.compare(run, data.name, found, shown)
        shares = np.linspace(0, 1, config.points)
        _black_box.delete(run, data.name, net, trained, found, shown, shares)
    return run.result


def methods(config: Config) -> dict[str, saliency.Method]:
    squares = {"window": config.window, "stride": config.stride}
    return {
        "gradient": saliency.gradient,
        _black_box.TIMES: saliency.gradient_times_input,
        _black_box.PATHS: functools.partial(saliency.integrated_gradients, steps=config.path),
        "occlusion": functools.partial(saliency.occlusion, **squares),
    }


def network(config: Config, data: ImageData) -> CNN:
    """The network, once sure that the flags fit the data."""
    require_images(data, config.channels)
    side = min(data.train.x.shape[1:3])
    require("--window", config.window, below=side + 1)
    require("--stride", config.stride, below=config.window + 1)
    require("--memorised", config.memorised, below=len(data.train.y) + 1)
    require("--batch", config.batch, below=config.memorised + 1)
    require("--images", config.images, below=len(data.test.y) + 1)
    return CNN(config.channels, (config.hidden, len(data.classes)))


def learn(
    run: Study, config: Config, net: CNN, data: ImageData, y: np.ndarray, part: str, steps: int
) -> tuple[PyTree, Array, Array]:
    """Each seed's weights after its labels y [S, n] of the first n training images, and its
    accuracy on the test and on its own, [S]."""
    labels = jnp.asarray(y, jnp.int32)
    x = jnp.asarray(data.train.x[: labels.shape[1]])

    def make(labels: Array) -> Learner:
        tx = optimizer("adam", config.rate, steps=steps, schedule="cosine")
        return classify.make(net, tx, Batch(x, labels), batch=config.batch)

    shown = ("train/loss", "train/accuracy")
    fitted = run.fit(sweep(make, labels, run.seeds), steps, part=part, shown=shown, chunk=50)
    params = params_of(fitted.run.state)

    def score(params: PyTree, labels: Array) -> list[Array]:
        sets = data.test, Batch(x, labels)
        return [classify.evaluate(net, (params, {}), each, "on")["on/accuracy"] for each in sets]

    return params, *run.each(score, params, labels, at_once=1)


if __name__ == "__main__":
    experiment.command_line(f"experiments.{NAME}", main, PRESETS, __doc__ or "")
